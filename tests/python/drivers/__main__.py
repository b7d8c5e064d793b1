"""Installs what the drivers need beside the tests' requirements: python -m drivers install."""

import sys

from servers import Unavailable

from . import arrow_go, jdbc

if sys.argv[1:] != ["install"]:
    sys.exit(__doc__)
for module in (jdbc, arrow_go):
    try:
        module.install()
    except Unavailable as reason:
        print(f"==> {reason}; the tests that need it will be skipped.", file=sys.stderr)
