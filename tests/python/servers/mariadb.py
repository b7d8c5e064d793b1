"""MariaDB out of Debian's packages, unpacked into the cache folder: nothing is installed into the system."""

import subprocess
from pathlib import Path

import pymysql

from . import Server, Unavailable, debian, installed, northwind

USER, PASSWORD = "reader", "vira-3"
PACKAGES = ["mariadb-server-core", "libaio1", "libnuma1", "liburing2"]


def unpack(folder):
    debian.unpack(folder, PACKAGES)
    if not (folder / "usr" / "sbin" / "mariadbd").exists():
        raise FileNotFoundError("no mariadbd in Debian's packages")


def install():
    return installed("mariadb", [Path(__file__), Path(debian.__file__)], unpack, "Fetching MariaDB from Debian: a few seconds")


class MariaDb(Server):
    """A server with the empty database `acme`; `database()` makes further ones."""

    def prepare(self):
        self.binaries = install() / "usr"
        (self.folder / "data").mkdir()
        share = self.binaries / "share" / "mysql"
        tables = [(share / name).read_text() for name in ("mysql_system_tables.sql", "mysql_system_tables_data.sql")]
        script = "\n".join(["create database mysql;", "use mysql;", *tables])
        done = subprocess.run(
            [*map(str, self.daemon()), "--bootstrap"],
            input=script,
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise Unavailable(f"MariaDB does not run here: {done.stderr[-500:]}")
        with open(self.folder / "first.sql", "w") as file:
            file.write(f"create user '{USER}'@'127.0.0.1' identified by '{PASSWORD}';\n")
            file.write(f"grant all on *.* to '{USER}'@'127.0.0.1';\ncreate database acme;\n")

    def environment(self):
        return {"LD_LIBRARY_PATH": str(self.binaries / "lib" / "x86_64-linux-gnu")}

    def daemon(self):
        options = {
            "basedir": self.binaries,
            "datadir": self.folder / "data",
            "lc-messages-dir": self.binaries / "share" / "mysql",
            "socket": self.folder / "socket",
            "pid-file": self.folder / "pid",
            "user": "root",  # which it otherwise refuses to run as, and ignores for anybody else
            "innodb-flush-log-at-trx-commit": 0,
        }
        return [self.binaries / "sbin" / "mariadbd", "--no-defaults", *(f"--{k}={v}" for k, v in options.items())]

    def command(self):
        first = self.folder / "first.sql"
        run_once = [f"--init-file={first.rename(self.folder / 'firstly.sql')}"] if first.exists() else []
        return [
            *self.daemon(),
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--character-set-server=utf8mb4",
            "--default-time-zone=+05:30",  # not UTC, so that whoever forgets the zone is found out
            *run_once,
        ]

    def ready(self):
        try:
            self.connect().close()
        except pymysql.MySQLError:
            return False
        return True

    def url(self, database="acme"):
        return f"mysql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def connect(self, database="acme", mode="ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES"):
        """A connection of PyMySQL that commits each statement."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=PASSWORD,
            database=database,
            autocommit=True,
            sql_mode=mode,
            init_command="set time_zone = '+00:00'",
        )

    def database(self, name):
        """A database, made empty unless it is there."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f'create database if not exists "{name}"')
        return name

    def northwind(self, name="northwind"):
        """A database with the Northwind tables."""
        statements = northwind.mariadb()
        with self.connect(self.database(name)) as connection, connection.cursor() as cursor:
            cursor.execute("set autocommit = 0")
            for statement in statements:
                cursor.execute(statement)
            connection.commit()
        return name

    def describe(self):
        name = self.northwind()
        return [f"connection: {self.url(name)}    # Northwind", f"connection: {self.url()}    # empty"]
