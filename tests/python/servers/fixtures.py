"""The servers as pytest fixtures: each is started at its first use, and serves all tests of the session."""

import pytest
from conftest import skip_loudly

from . import Unavailable


def server(module, name):
    @pytest.fixture(scope="session", name=module)
    def started():
        try:
            running = getattr(__import__(f"servers.{module}", fromlist=[name]), name)().__enter__()
        except Unavailable as reason:
            skip_loudly(str(reason))
        yield running
        running.__exit__()

    return started


postgres = server("postgres", "Postgres")
mariadb = server("mariadb", "MariaDb")
mosquitto = server("mosquitto", "Mosquitto")
tryton = server("tryton", "Tryton")
vendure = server("vendure", "Vendure")
sap_cap = server("sap_cap", "SapCap")
