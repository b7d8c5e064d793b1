"""The JDBC driver of Arrow Flight SQL, which DBeaver, Tableau and Qlik use, from Maven Central."""

import hashlib
import shutil
from pathlib import Path

from servers import Unavailable, installed, run

from . import Lacks
from .program import Program, ProgramConnection, ProgramStatement

SOURCE = Path(__file__).parent / "jdbc" / "Client.java"
ARTIFACT = "org.apache.arrow:flight-sql-jdbc-driver"
MAVEN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"

# What each version's archive has to be.
SHA256 = {
    "18.3.0": "3f418b46c880e263558c5de669bdbede2c5d4375527ced116fb29f795b03704c",
    "17.0.0": "13953781875526c70fa69da19104ed1104fb8fd7f12fbef9d05b2d34596e6012",
}


def install():
    """The folder with the drivers and with our program, compiled."""
    for tool in ("java", "javac", "mvn"):
        if shutil.which(tool) is None:
            raise Unavailable(f"there is no {tool} for JDBC (a JDK of 17 or later, and Maven)")

    def fetch(folder):
        for version, wanted in SHA256.items():
            artifact = f"-Dartifact={ARTIFACT}:{version}"
            run("mvn", "--batch-mode", "--quiet", f"{MAVEN}:copy", artifact, f"-DoutputDirectory={folder}")
            if (found := hashlib.sha256(jar(folder, version).read_bytes()).hexdigest()) != wanted:
                raise OSError(f"{ARTIFACT}:{version} is not what it was: sha256={found}")
        run("javac", "-d", folder, SOURCE)

    return installed(
        "jdbc", [SOURCE, Path(__file__)], fetch, "Fetching JDBC drivers from Maven Central: about a minute"
    )


def jar(folder, version):
    return folder / f"flight-sql-jdbc-driver-{version}.jar"


class Jdbc(Program):
    def __init__(self, version):
        super().__init__()
        self.name, self.version = f"JDBC {version}", version

    def command(self):
        folder = install()
        opens = "--add-opens=java.base/java.nio=ALL-UNNAMED"
        path = f"{jar(folder, self.version)}:{folder}"
        return ["java", "-Xmx512m", opens, "-cp", path, "Client"]

    def connect(self, address, login=None, trusted=True, session=None):
        properties = {"useEncryption": "true" if address.ca else "false", **(session or {})}
        if address.ca and trusted:
            properties["tlsRootCerts"] = str(address.ca)
        if login:
            given = {"user": login.user, "password": login.password, "token": login.token}
            if login.certificate:
                given |= {"clientCertificate": login.certificate.chain, "clientKey": login.certificate.key}
            properties |= {name: str(value) for name, value in given.items() if value is not None}
        url = f"jdbc:arrow-flight-sql://{address.host}:{address.port}"
        return JdbcConnection(self, self.ask("connect", url, *(item for pair in properties.items() for item in pair)))


class JdbcConnection(ProgramConnection):
    def cancel(self, sql):
        return tuple(self.program.ask("cancel", self.id, sql, 1000))

    def objects(self, sql):
        return self.program.ask("objects", self.id, sql)

    def prepare(self, sql):
        return JdbcStatement(self.program, self.program.ask("prepare", self.id, sql))


class JdbcStatement(ProgramStatement):
    def execute(self, *rows):
        if len(rows) > 1:
            raise Lacks("JDBC has one row of parameters for a query")
        return super().execute(*rows)
