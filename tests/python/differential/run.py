"""Runs statements on both sides and says which answers differ."""

import random
from contextlib import contextmanager

import duckdb
from harness import Project, connect, fetch, users

from . import tables
from .answers import rows, same
from .dialects import NO_ROOM, ONE_NAME
from .nodes import DUCKDB, OURS, shrunk
from .statements import Statements


class Failed(str):
    """What an error says."""


class Sides:
    """The two that answer."""

    def __init__(self, connection):
        self.connection = connection
        self.duckdb = duckdb.connect()
        tables.into_duckdb(self.duckdb)

    def ours(self, statement):
        try:
            return fetch(self.connection, statement.text(OURS))
        except Exception as error:
            return Failed(error)

    def theirs(self, statement):
        try:
            return self.duckdb.sql(statement.text(DUCKDB)).to_arrow_table()
        except duckdb.Error as error:
            return Failed(error)

    def difference(self, statement):
        """What is different, or None. A statement that both refuse is not."""
        ours, theirs = self.ours(statement), self.theirs(statement)
        if isinstance(ours, Failed) and isinstance(theirs, Failed):
            return None
        if isinstance(ours, Failed):
            return None if ONE_NAME in str(ours) else f"ours fails: {ours}"
        if isinstance(theirs, Failed):
            return None if NO_ROOM in theirs else f"DuckDB fails: {theirs}"
        if same(ours, theirs):
            return None
        return f"{short(ours)}\n    and not {short(theirs)}"


def short(table):
    listed = rows(table)
    text = "; ".join(", ".join(map(str, row)) for row in sorted(listed, key=str)[:6])
    return f"{len(listed)} rows: {text}"


@contextmanager
def sides(directory):
    """Both, over the tables, from a new project in that directory."""
    files = {"cordada.yml": "name: acme\nlake: ./lake\n" + users(), **tables.project()}
    project = Project(directory).write(files)
    project.run("-q", "ingest")
    with project.serve() as url, connect(url) as connection:
        yield Sides(connection)


def differences(both, seed, statements, shrink=True):
    """The statements whose answers differ, each with what is different and how many were tried until then."""
    for number in range(statements):
        statement = Statements(random.Random(f"{seed}/{number}")).one()
        found = both.difference(statement)
        if found is None:
            continue
        if shrink:
            kind = found.split(":")[0]
            statement = shrunk(statement, lambda one: (both.difference(one) or "").split(":")[0] == kind)
            found = both.difference(statement) or found
        yield number, statement, found
