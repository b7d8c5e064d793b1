"""Every driver of Flight SQL, asked for the same (drivers/features/), and the page that says how it goes.

`UPDATE_DOCS=1` writes docs/connect/matrix.md; otherwise it has to be what was measured.
"""

import os
import re

import pytest
from conftest import skip_loudly
from drivers import Lacks, matrix, shop
from drivers.adbc import Adbc
from drivers.arrow_go import ArrowGo
from drivers.features import GROUPS
from drivers.jdbc import SHA256, Jdbc
from drivers.sqlalchemy_adbc import SqlAlchemy
from servers import Unavailable

DRIVERS = [Adbc(), *map(Jdbc, SHA256), ArrowGo(), SqlAlchemy()]
FEATURES = [(group, feature) for group, features in GROUPS.items() for feature in features]


@pytest.fixture(scope="module")
def served_shop(tmp_path_factory):
    with shop.served(tmp_path_factory.mktemp("shop")) as served:
        yield served
    for driver in DRIVERS:
        driver.close()


@pytest.fixture(scope="module")
def outcomes():
    """By driver and feature, how it went."""
    return {}


@pytest.mark.parametrize(("group", "feature"), FEATURES, ids=[matrix.feature_id(*feature) for feature in FEATURES])
@pytest.mark.parametrize("driver", DRIVERS, ids=[driver.name for driver in DRIVERS])
def test_feature(driver, group, feature, served_shop, outcomes):
    known = matrix.limit(driver.name, group, feature)
    outcome = "ok"
    try:
        GROUPS[group][feature](driver, served_shop)
    except Unavailable as reason:
        skip_loudly(str(reason))
    except Lacks:
        outcome = "lacks"
    except Exception as error:
        if known is None or not re.search(known[0], str(error)):
            raise
        outcome = known[1]
    assert (outcome in ("ok", "lacks")) == (known is None), (
        f"this is right by now: take it from drivers/limits.py: {known}"
    )
    outcomes[driver.name, matrix.feature_id(group, feature)] = outcome


def test_the_page_says_what_was_measured(outcomes):
    if len(outcomes) < len(DRIVERS) * len(FEATURES):
        skip_loudly(
            f"{len(outcomes)} of {len(DRIVERS) * len(FEATURES)} outcomes: not every feature of every driver was tried"
        )
    measured = matrix.page([driver.name for driver in DRIVERS], outcomes)
    if os.environ.get("UPDATE_DOCS"):
        matrix.PAGE.write_text(measured, encoding="utf-8")
    assert matrix.PAGE.read_text(encoding="utf-8") == measured, (
        "docs/connect/matrix.md is not what was measured; see UPDATE_DOCS"
    )
