"""Measures Cordada beside its peers, prints the tables and writes docs/benchmarks.md.

Usage: run.py PART[,PART…] [--runs N], where PART is land, database, rest, upsert, serve, collector, growth, syncing,
segments, person, identity or all; or endurance, which takes an hour (MINUTES) and is not one of all. Needs an
otherwise idle machine.
"""

import argparse
import os
import platform
import re
from datetime import date
from importlib.metadata import version
from pathlib import Path

import collector
import data
import database
import duckdb
import endurance
import growth
import identity
import land
import person
import rest
import segments
import serve
import syncing
import upsert

ALL = {
    "land": land, "database": database, "rest": rest, "upsert": upsert, "serve": serve, "collector": collector,
    "growth": growth, "syncing": syncing, "segments": segments, "person": person, "identity": identity,
}  # fmt: skip
PARTS = ALL | {"endurance": endurance}
PEERS = ["deltalake", "dlt", "duckdb", "pyarrow", "roapi", "splink"]
PAGE = data.ROOT / "docs" / "benchmarks.md"

HEAD = """\
# Benchmarks

Written by `make bench`, which installs the peers from PyPI and runs everybody by turns (A B A B) on one machine, each
answer checked before its time counts. Times are medians, whole processes unless the text says otherwise; memory is the
process's peak. Times drift from machine to machine and from day to day: the ratios within one table are what counts.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", help=f"{', '.join(PARTS)} or all; several with commas")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender (dlt: 1; serve: at least 5)")
    options = parser.parse_args()
    duckdb.sql("set enable_progress_bar = false")
    wanted = list(ALL) if options.parts == "all" else options.parts.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"unknown part {', '.join(unknown)}; there are {', '.join(PARTS)} and all")

    sections = read_sections()
    for name in wanted:
        part = PARTS[name]
        print(f"==> {part.TITLE}", flush=True)
        text = part.run(options.runs, data.CACHE / "work" / name)
        sections[part.TITLE] = f"{conditions()}\n\n{text}"
        print(f"\n{text}\n", flush=True)
    in_order = [f"## {part.TITLE}\n\n{sections[part.TITLE]}\n" for part in PARTS.values() if part.TITLE in sections]
    PAGE.write_text("\n".join([HEAD, *in_order]), encoding="utf-8")
    print(f"==> wrote {PAGE}")


def read_sections():
    """The sections that earlier runs of other parts have written, by title."""
    if not PAGE.exists():
        return {}
    parts = re.split(r"^## (.*)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {title: text.strip() for title, text in zip(parts[::2], parts[1::2])}


def conditions():
    """When, on what and against which versions a section was measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    peers = ", ".join(f"{name} {version(name)}" for name in PEERS)
    return (
        f"{date.today()}, {os.cpu_count()} cores ({processor()}), {memory:.0f} GiB, {platform.system()}; "
        f"Python {platform.python_version()}, {peers}."
    )


def processor():
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return found.group(1) if found else platform.machine()


main()
