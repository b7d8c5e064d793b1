"""A project in a directory, the `cordada` binary over it, and its server, as a user would run them."""

import csv
import functools
import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import adbc_driver_flightsql.dbapi as flight_sql
from adbc_driver_manager import DatabaseOptions

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ["CORDADA"]
DATA = Path(os.environ.get("CORDADA_TEST_DATA", ROOT.parent / "shared" / "data"))

USER, PASSWORD = "ana", "summit-7"

# Seconds after which a test gives up waiting for what must happen some time; nothing is measured by it.
PATIENCE = 90


@functools.cache
def users():
    """What goes into cordada.yml so that USER reads everything with PASSWORD."""
    command = [BINARY, "hash-password"]
    hashed = subprocess.run(command, input=PASSWORD, check=True, capture_output=True, text=True).stdout.strip()
    return f"""
users: [{{name: {USER}, password_hash: "{hashed}", roles: [everything]}}]
roles: {{everything: {{read: ["*"]}}}}
"""


class Result:
    """How one command ended."""

    def __init__(self, process):
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr

    def __repr__(self):
        return f"exit code {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


class Project:
    """A project directory; `env` is added to the environment of every command."""

    def __init__(self, directory, env=None):
        self.dir = Path(directory)
        self.env = {**os.environ, **(env or {})}

    def write(self, files):
        """Write each {relative path: text or bytes}, making folders as needed."""
        for name, content in files.items():
            path = self.dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def command(self, *arguments):
        return [BINARY, *map(str, arguments), "--project", str(self.dir)]

    def run(self, *arguments, code=0, timeout=300):
        """Run one command and check its exit code, unless that is `None`."""
        result = Result(
            subprocess.run(
                self.command(*arguments),
                env=self.env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        )
        assert code is None or result.code == code, f"cordada {' '.join(map(str, arguments))}: wanted exit code {code}, got {result}"
        return result

    def start(self, *arguments):
        """Start one command and leave it running, its output discarded."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def query(self, sql, release=None):
        """The rows of a query of a release (the newest if `None`), as text, without the header."""
        of = [] if release is None else ["--release", release]
        out = self.run("query", sql, "--format", "csv", *of).out
        return [tuple(row) for row in csv.reader(io.StringIO(out))][1:]

    def value(self, sql):
        """The one value of a query, as text."""
        [(value,)] = self.query(sql)
        return value

    @contextmanager
    def serve(self, kill=False):
        """A server on a free port; yields its URL once it accepts connections. It is told to stop, or killed."""
        server = subprocess.Popen(
            self.command("serve", "--addr", "127.0.0.1:0"),
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
        )
        try:
            for line in server.stdout:
                if found := re.search(r"grpc(\+tls)?://127\.0\.0\.1:\d+", line):
                    break
            else:
                raise AssertionError(f"the server ended without listening: exit code {server.wait()}")
            threading.Thread(target=server.stdout.read, daemon=True).start()
            yield found.group()
        finally:
            if kill:
                server.kill()
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                raise AssertionError("the server did not stop within 20 s of SIGTERM") from None


def connect(url, user=USER, password=PASSWORD):
    """An ADBC connection to a server of ours."""
    options = {}
    if user is not None:
        options = {DatabaseOptions.USERNAME.value: user, DatabaseOptions.PASSWORD.value: password}
    return flight_sql.connect(url, db_kwargs=options, autocommit=True)


def fetch(connection, sql, parameters=None):
    """The answer to a query, as an Arrow table."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table()


@contextmanager
def serving(project, port=None, **options):
    """A server that may be killed, on a free port unless one is given: its process, its port, and what it says. It has
    panicked nowhere."""
    if port is None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
    process = subprocess.Popen(
        project.command("serve", "--addr", f"127.0.0.1:{port}"),
        env=project.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    said = []
    reader = threading.Thread(target=lambda: said.extend(process.stderr), daemon=True)
    reader.start()
    try:
        until(lambda: listens(port), process)
        yield process, port, said
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(PATIENCE)
        assert not [line for line in said if "panicked" in line], "".join(said)


def url(port):
    return f"grpc://127.0.0.1:{port}"


def listens(port):
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


def until(happens, process=None):
    """Waits for what must happen some time."""
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert process is None or process.poll() is None, f"the server ended: exit code {process.returncode}"
        assert time.monotonic() < deadline, "it does not happen"
        threading.Event().wait(0.05)
