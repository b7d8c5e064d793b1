"""Tryton 8.2, a real ERP, on SQLite: parties, products and sales."""

import base64
import os
import shutil
import sys
from pathlib import Path

from .. import Server, answers, http, installed, run

HERE = Path(__file__).parent
USER, PASSWORD, DATABASE = "admin", "vira-3", "erp"


def fill(folder):
    run(sys.executable, "-m", "venv", folder / "venv")
    run(folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt")
    configuration = configure(folder)
    (folder / "password").write_text(PASSWORD)
    (folder / f"{DATABASE}.sqlite").touch()
    run(
        *(folder / "venv/bin/trytond-admin", "-c", configuration, "-d", DATABASE, "--email", "ana@example.com"),
        *("--update", "sale", "--activate-dependencies"),
        env=os.environ | {"TRYTONPASSFILE": str(folder / "password")},
    )
    run(folder / "venv/bin/python", HERE / "fill.py", configuration, DATABASE, folder / "key")


def configure(folder):
    """A configuration whose databases are in `folder`."""
    file = folder / "trytond.conf"
    file.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n[session]\nmax_attempt = 1000\n")
    return file


def install():
    files = [HERE / "requirements.txt", HERE / "fill.py", Path(__file__)]
    return installed("tryton", files, fill, "Installing Tryton from PyPI and filling a company: about 3 minutes")


class Tryton(Server):
    """JSON-RPC at `url` after `login()`, and REST at `url`rest/model/NAME with `key` as a bearer token."""

    def prepare(self):
        self.installed = install()
        configure(self.folder)
        shutil.copy(self.installed / f"{DATABASE}.sqlite", self.folder)
        self.key = (self.installed / "key").read_text()

    def command(self):
        trytond = self.installed / "venv/bin/trytond"
        return [trytond, "-c", self.folder / "trytond.conf", "-d", DATABASE]

    def environment(self):
        return {"TRYTOND_WEB__LISTEN": f"127.0.0.1:{self.port}"}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/{DATABASE}/"

    def ready(self):
        body = {"id": 0, "method": "common.server.version", "params": []}
        return answers("POST", f"http://127.0.0.1:{self.port}/rpc/", body=body)

    def start(self):
        super().start()
        self.session = None
        user, session, *_ = self.call("common.db.login", USER, {"password": PASSWORD}, "en")
        self.session = base64.b64encode(f"{USER}:{user}:{session}".encode()).decode()

    def call(self, method, *arguments):
        """One call over JSON-RPC; model methods take the context as their last argument."""
        headers = {"Authorization": f"Session {self.session}"} if self.session else {}
        answer, _ = http("POST", f"{self.url}rpc/", {"id": 0, "method": method, "params": arguments}, headers)
        answer = answer if isinstance(answer, dict) else {"result": answer}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def search(self, model, *fields, domain=()):
        """All records of a model, with some of their fields."""
        return self.call(f"model.{model}.search_read", list(domain), 0, None, [["id", "ASC"]], list(fields), {})

    def create(self, model, **values):
        [id] = self.call(f"model.{model}.create", [values], {})
        return id

    def write(self, model, id, **values):
        self.call(f"model.{model}.write", [id], values, {})

    def delete(self, model, id):
        self.call(f"model.{model}.delete", [id], {})

    def describe(self):
        counts = {m: self.call(f"model.{m}.search_count", [], {}) for m in ("party.party", "product.product", "sale.sale")}
        return [
            f"JSON-RPC: POST {self.url}rpc/    user: {USER}    password: {PASSWORD}",
            f"  header after common.db.login: Authorization: Session {self.session}    (base64 of user:id:session)",
            f"REST: GET {self.url}rest/model/party.party    header: Authorization: Bearer {self.key}    Range: records=0-100",
            f"records: {counts}",
        ]
