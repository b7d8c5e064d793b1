"""The Flight SQL client of arrow-go, which Grafana and many a service use, from Go's proxy (go.sum has its digests)."""

import os
import shutil
from pathlib import Path

from servers import Unavailable, installed, run

from .program import Program, ProgramConnection

SOURCES = Path(__file__).parent / "go"


def install():
    """The folder with our program, built."""
    if shutil.which("go") is None:
        raise Unavailable("there is no go for arrow-go (1.25 or later)")

    def build(folder):
        environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
        run("go", "build", "-o", folder / "client", ".", cwd=SOURCES, env=environment)

    files = sorted(file for file in SOURCES.iterdir() if file.is_file())
    return installed("arrow-go", files, build, "Building a client with arrow-go: about 2 minutes")


class ArrowGo(Program):
    name = "arrow-go 18.8"

    def command(self):
        return [install() / "client"]

    def connect(self, address, login=None, trusted=True, session=None):
        options = {"ca": address.ca} if address.ca and trusted else {}
        if login and login.user:
            options |= {"user": login.user, "password": login.password or ""}
        if login and login.token:
            options["token"] = login.token
        if login and login.certificate:
            options |= {"certificate": login.certificate.chain, "key": login.certificate.key}
        arguments = (item for pair in options.items() for item in pair)
        connection = ArrowGoConnection(self, self.ask("connect", address.uri, *arguments))
        for name, value in (session or {}).items():
            connection.set_option(name, value)
        return connection


class ArrowGoConnection(ProgramConnection):
    def set_option(self, name, value):
        self.program.ask("set_option", self.id, name, value)

    def options(self):
        return self.program.ask("options", self.id)

    def ingest(self, schema, table, mode, rows):
        return self.program.ask("ingest", self.id, schema, table, mode, rows)
