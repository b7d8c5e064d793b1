"""The page that says which driver does what: written out of what the tests measured (docs/connect/matrix.md)."""

from harness import ROOT

from .features import GROUPS
from .limits import LIMITS

PAGE = ROOT / "docs" / "connect" / "matrix.md"

HEAD = """# Which driver does what

Written by the tests, which ask each driver for the same against a running server (`tests/python/test_drivers.py`): what
is not as this page says fails them. Do not edit it: `UPDATE_DOCS=1` writes it anew.

✓ comes out right. — the driver has no way to ask. A number: what happens instead, below.
"""


def page(drivers, outcomes):
    """The page for the outcomes by driver and feature: `ok`, `lacks`, or what happens instead."""
    notes = []

    def cell(outcome):
        if outcome in ("ok", "lacks"):
            return {"ok": "✓", "lacks": "—"}[outcome]
        if outcome not in notes:
            notes.append(outcome)
        return f"[{notes.index(outcome) + 1}](#what-happens-instead)"

    lines = [HEAD]
    for group, features in GROUPS.items():
        lines += [f"## {group}\n", "| | " + " | ".join(drivers) + " |", "|---" * (len(drivers) + 1) + "|"]
        for feature in features:
            cells = (cell(outcomes[driver, feature_id(group, feature)]) for driver in drivers)
            lines.append(f"| {feature} | " + " | ".join(cells) + " |")
        lines.append("")
    if notes:
        lines += ["## What happens instead\n", *(f"{at}. {note}" for at, note in enumerate(notes, 1)), ""]
    return "\n".join(lines)


def feature_id(group, feature):
    return f"{group}: {feature}"


def limit(driver, group, feature):
    """What is known to come out otherwise: the failure's words, and what users are told; `None` if nothing is known."""
    for (drivers, wanted), known in LIMITS.items():
        if wanted == feature_id(group, feature) and driver.startswith(drivers):
            return known
    return None
