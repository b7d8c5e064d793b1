"""Drivers of Flight SQL behind one interface, so that each is asked for the same, in the way in which its users would.

`features/` is what each is asked for, `matrix.py` the page that says how it went. What a driver needs beside the
tests' requirements is installed once into the cache folder (`python -m drivers install`, which `make test` does first).
"""

import contextlib
import datetime
import os
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path


# A zone with summer time, so that what depends on the client's zone shows.
ELSEWHERE = "Europe/Madrid"


class Lacks(Exception):
    """The driver has no way to ask for this."""


class Crashed(Exception):
    """The driver brought its program down, which is no way to refuse anything."""


@dataclass(frozen=True)
class Address:
    """Where a server is. `ca` is the file with its authority's certificate, `None` if it speaks without TLS."""

    host: str
    port: int
    ca: Path | None = None

    @property
    def uri(self):
        return f"{'grpc+tls' if self.ca else 'grpc'}://{self.host}:{self.port}"


@dataclass(frozen=True)
class Certificate:
    """The files of a client's certificate and of its key, in PEM."""

    chain: Path
    key: Path


@dataclass(frozen=True)
class Login:
    """How a client proves who it is: by user and password, by a token, or by a certificate."""

    user: str | None = None
    password: str | None = None
    token: str | None = None
    certificate: Certificate | None = None


@dataclass(frozen=True)
class Answer:
    """The columns of a result, each a name and a type in the driver's words, and rows of values as `text` has them."""

    columns: list
    rows: list


class Driver:
    """One driver. What it cannot do raises `Lacks`; what goes wrong, an exception with the driver's words."""

    name = None  # its column of the matrix

    def connect(self, address, login=None, trusted=True, session=None):
        """A connection; `trusted` says whether it is told of the authority, `session` what its session sets."""
        raise NotImplementedError

    @contextlib.contextmanager
    def elsewhere(self):
        """The driver in a process whose zone is not UTC."""
        zone = os.environ.get("TZ")
        os.environ["TZ"] = ELSEWHERE
        time.tzset()
        try:
            yield self
        finally:
            del os.environ["TZ"]
            if zone is not None:
                os.environ["TZ"] = zone
            time.tzset()

    def close(self):
        """Ends what the driver itself has started."""


class Connection:
    """One connection of a driver."""

    def query(self, sql):
        """The `Answer` to a statement without parameters."""
        raise NotImplementedError

    def take(self, sql, rows):
        """The first rows of a result that is left then."""
        raise NotImplementedError

    def count(self, sql):
        """How many rows a result has, and the sum of its first column."""
        raise NotImplementedError

    def cancel(self, sql):
        """How many rows came of a result that was cancelled in mid-stream, and with which words it ended, if any."""
        raise Lacks("it has no call for that")

    def update(self, sql):
        """Sends a statement as one that changes something."""
        raise Lacks("it has no call for that")

    def prepare(self, sql):
        """A `Statement`."""
        raise NotImplementedError

    def metadata(self, about, schema=None, table=None):
        """Rows about what there is: `catalogs`, `schemas`, `table_types`, `tables`, `columns`, `primary_key`,
        `imported_keys`, `exported_keys`, `types`; or a record about the `server`."""
        raise NotImplementedError

    def objects(self, sql):
        """Of each column of the first row: its type, the class that the driver makes of it, and its text."""
        raise Lacks("it has one form of a value")

    def ingest(self, schema, table, mode, rows):
        """Writes the numbers below `rows` into the column `id` of a table: `create`, `append` or `replace`."""
        raise Lacks("it has no call for that")

    def set_option(self, name, value):
        raise Lacks("it has no options of a session")

    def options(self):
        """The options of the session, as text by name."""
        raise Lacks("it has no options of a session")

    def close(self):
        raise NotImplementedError


class Statement:
    """A prepared statement."""

    def execute(self, *rows):
        """The `Answer` for rows of parameters, each a list of pairs of a type's name and a Python value."""
        raise NotImplementedError

    def close(self):
        raise NotImplementedError


def text(value):
    """A value as the programs of other languages print it: numbers in decimal, moments in ISO 8601, bytes in hex."""
    match value:
        case None | str():
            return value
        case bool():
            return str(value).lower()
        case bytes():
            return value.hex()
        case Decimal():
            return format(value, "f")
        case datetime.datetime(tzinfo=None):
            return value.isoformat(timespec="microseconds")
        case datetime.datetime():
            return text(value.astimezone(datetime.UTC).replace(tzinfo=None)) + "Z"
        case datetime.time():
            return value.isoformat(timespec="microseconds")
        case datetime.date():
            return value.isoformat()
        case dict():
            return {str(name): text(item) for name, item in value.items()}
        case [(_, _), *_] if all(isinstance(item, tuple) for item in value):
            return text(dict(value))  # a map, as pyarrow gives it
        case list():
            return [text(item) for item in value]
    return str(value)


def same(wanted, got):
    """Whether a driver gave this value: by text, but floating-point numbers by value."""
    if isinstance(wanted, float) and isinstance(got, str):
        return text(float(got)) == text(wanted)
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(same, wanted, got))
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(same(wanted[name], got[name]) for name in wanted)
    return text(wanted) == got
