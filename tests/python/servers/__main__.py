"""Installs what the servers need, or runs one in the foreground.

Usage: python -m servers install | NAME, where NAME is one of postgres, mariadb, mosquitto, tryton, vendure, sap_cap.
"""

import importlib
import os
import signal
import sys

from . import Unavailable

CLASSES = {
    "postgres": "Postgres",
    "mariadb": "MariaDb",
    "mosquitto": "Mosquitto",
    "tryton": "Tryton",
    "vendure": "Vendure",
    "sap_cap": "SapCap",
}


def main(arguments):
    match arguments:
        case ["install"]:
            for name in CLASSES:
                try:
                    importlib.import_module(f"servers.{name}").install()
                except Unavailable as reason:
                    print(f"==> {reason}; the tests that need it will be skipped.", file=sys.stderr)
        case [name] if name in CLASSES:
            with getattr(importlib.import_module(f"servers.{name}"), CLASSES[name])() as server:
                signal.signal(signal.SIGTERM, signal.default_int_handler)
                print(f"==> {name} runs in {server.folder}, process {server.process.pid}; Ctrl-C ends it.")
                print("\n".join(server.describe()), flush=True)
                try:
                    sys.exit(server.process.wait())
                except KeyboardInterrupt:
                    pass
        case _:
            sys.exit(__doc__)


os.environ.setdefault("CORDADA", "cordada")
main(sys.argv[1:])
