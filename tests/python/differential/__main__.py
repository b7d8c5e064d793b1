"""`python -m differential --seed 7 --statements 100000`: exit code 1 if an answer differs."""

import argparse
import sys
import tempfile
import time

from .nodes import DUCKDB, OURS
from .run import differences, sides

arguments = argparse.ArgumentParser(description="random statements against DuckDB")
arguments.add_argument("--seed", default="1")
arguments.add_argument("--statements", type=int, default=10_000)
arguments.add_argument("--no-shrink", action="store_true")
arguments.add_argument("--most", type=int, default=1_000_000, help="stop after that many differences")
given = arguments.parse_args()

found, began = 0, time.monotonic()
with tempfile.TemporaryDirectory() as directory, sides(directory) as both:
    for number, statement, what in differences(both, given.seed, given.statements, not given.no_shrink):
        found += 1
        print(f"{given.seed}/{number}: {statement.text(OURS)}")
        if statement.text(DUCKDB) != statement.text(OURS):
            print(f"    DuckDB: {statement.text(DUCKDB)}")
        print(f"    {what}\n", flush=True)
        if found >= given.most:
            break
print(f"{given.statements} statements of seed {given.seed}: {found} differ, {time.monotonic() - began:.0f} s")
sys.exit(1 if found else 0)
