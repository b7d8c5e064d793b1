"""A driver of another language: a small program that does with it what it is told, a line each way."""

import contextlib
import copy
import json
import os
import subprocess
import tempfile

from . import ELSEWHERE, Answer, Connection, Crashed, Driver, Statement, text

ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Refused(Exception):
    """The driver's words for what went wrong."""


class Program(Driver):
    """A driver behind a program, which is started at its first use."""

    zone = "UTC"

    def __init__(self):
        self.process, self.said = None, None

    def command(self):
        """The command that starts the program."""
        raise NotImplementedError

    def ask(self, operation, *arguments):
        if self.process is None:
            self.said = tempfile.TemporaryFile()
            self.process = subprocess.Popen(
                list(map(str, self.command())),
                env={**os.environ, "TZ": self.zone},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.said,
                text=True,
                encoding="utf-8",
            )
        fields = (str(field).translate(ESCAPES) for field in (operation, *arguments))
        self.process.stdin.write("\t".join(fields) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            code, self.process = self.process.wait(), None
            self.said.seek(0)
            said = self.said.read()[-2000:].decode(errors="replace")
            raise Crashed(f"the program ended with exit code {code} at {operation} {arguments}: {said}")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]

    @contextlib.contextmanager
    def elsewhere(self):
        other = copy.copy(self)
        other.process, other.zone = None, ELSEWHERE
        try:
            yield other
        finally:
            other.close()

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(timeout=20)


class ProgramConnection(Connection):
    def __init__(self, program, id):
        self.program, self.id = program, id

    def query(self, sql):
        return Answer(**self.program.ask("query", self.id, sql))

    def take(self, sql, rows):
        return Answer(**self.program.ask("take", self.id, sql, rows)).rows

    def count(self, sql):
        return tuple(self.program.ask("count", self.id, sql))

    def cancel(self, sql):
        return tuple(self.program.ask("cancel", self.id, sql))

    def update(self, sql):
        return self.program.ask("update", self.id, sql)

    def prepare(self, sql):
        return ProgramStatement(self.program, self.program.ask("prepare", self.id, sql))

    def metadata(self, about, schema=None, table=None):
        return self.program.ask("metadata", self.id, about, *(name for name in (schema, table) if name is not None))

    def close(self):
        self.program.ask("close", self.id)


class ProgramStatement(Statement):
    def __init__(self, program, id):
        self.program, self.id = program, id

    def execute(self, *rows):
        fields = []
        for at, row in enumerate(rows):
            fields += ["row"] if at else []
            for kind, value in row:
                fields += [kind, "" if value is None else text(value)]
        return Answer(**self.program.ask("execute", self.id, *fields))

    def close(self):
        self.program.ask("close_statement", self.id)
