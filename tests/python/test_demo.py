"""The demo: a company's systems generated, landed, built and exported, with figures that agree."""

import csv
import hashlib
import json
import re
import sqlite3
import subprocess
import threading
from contextlib import contextmanager

import pytest
from harness import BINARY, Project


def demo(directory):
    command = [BINARY, "demo", "--dir", str(directory), "--customers", "300"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """The project that a demo has made, and what it said."""
    directory = tmp_path_factory.mktemp("demo") / "company"
    out = demo(directory)
    return Project(directory), out


@contextmanager
def shop(project):
    """The demo's shop and open data, served again."""
    command = [BINARY, "demo", "--serve", "--dir", str(project.dir)]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert "Serving the demo's shop" in server.stdout.readline()
        threading.Thread(target=server.stdout.read, daemon=True).start()
        yield
    finally:
        server.terminate()
        assert server.wait(timeout=20) == 0


def tables(project):
    """Every raw table with the number of its rows."""
    names = "select table_schema, table_name from information_schema.tables where table_schema like 'raw_%'"
    return {(schema, name): int(project.value(f"select count(*) from {schema}.{name}")) for schema, name in project.query(names)}


def test_what_the_demo_says_is_so(company):
    project, out = company
    landed = int(re.search(r"landed +([\d,]+) rows", out).group(1).replace(",", ""))
    assert sum(tables(project).values()) == landed > 10_000
    assert "to the cent" in out
    for command in re.findall(r'^  cordada --project \S+ query "(.*)"$', out, re.MULTILINE):
        assert project.query(command)


def test_the_export_is_what_its_manifest_says(company):
    project, _ = company
    [manifest] = (project.dir / "out").glob("*.json")
    said = json.loads(manifest.read_text())
    [file] = (project.dir / "out").glob("*.csv")
    content = file.read_bytes()
    assert said["sha256"] == hashlib.sha256(content).hexdigest()
    assert said["rows"] == len(list(csv.reader(content.decode().splitlines()))) - 1 > 0


def test_what_was_generated_has_arrived(company):
    project, _ = company
    said = json.loads((project.dir / "demo.json").read_text())["summary"]
    arrived = tables(project)
    for table, expected in {
        ("raw_erp", "cards"): said["cards"],
        ("raw_erp", "tickets"): said["tickets"],
        ("raw_erp", "ticket_lines"): said["ticket_lines"],
        ("raw_office", "stores"): said["stores"],
        ("raw_office", "products"): said["products"],
        ("raw_open", "provinces"): 52,
        ("raw_shop", "customers"): said["accounts"],
        ("raw_shop", "carts"): said["carts"],
        ("raw_shop", "orders"): said["shop_orders"],
        ("raw_web", "snowplow"): said["web_events"] + said["repeated_web_events"],
    }.items():
        assert arrived[table] == expected, table
    assert arrived["raw_erp", "consents"] + arrived["raw_shop", "consents"] == said["consents"]
    assert int(project.value("select count(*) from warehouse.fct_web_event")) == said["web_events"]
    assert int(project.value("select count(*) from staging.stg_web__sessions")) == said["sessions"]


def test_the_shop_was_overloaded_and_broken_and_asked_again(company):
    _, out = company
    asked, overloaded, broken = map(int, re.search(r"asked .*?(\d+) times; .*\(429\): (\d+), .*\(500\): (\d+)", out).groups())
    assert asked > overloaded + broken and overloaded >= 1 and broken >= 1


def test_a_second_ingest_adds_nothing(company):
    project, _ = company
    before = tables(project)
    with shop(project):
        project.run("ingest")
    assert tables(project) == before


def test_a_shop_that_does_not_run_is_said(company):
    project, _ = company
    result = project.run("ingest", "shop.orders", code=3)
    assert f"cordada demo --serve --dir {project.dir}" in result.err
    missing = subprocess.run([BINARY, "demo", "--serve", "--dir", str(project.dir / "sql")], capture_output=True, text=True)
    assert missing.returncode == 2 and "make one with" in missing.stderr


def test_a_second_demo_in_the_same_folder_changes_nothing(company):
    project, _ = company
    months = "select * from marts.monthly_revenue"
    before = sorted(project.query(months))
    demo(project.dir)
    assert sorted(project.query(months)) == before


def test_what_changes_in_the_systems_arrives(company):
    project, _ = company
    before = tables(project)
    with sqlite3.connect(project.dir / "data/erp.db") as erp:
        [card] = erp.execute("select max(tarjeta) from clientes").fetchone()
        erp.execute("update clientes set telefono = '770000001', updated_at = '2026-01-02 10:00:00' where tarjeta = ?", [card])
    with sqlite3.connect(project.dir / "data/shop.db") as orders:
        number, document = orders.execute("select id, document from orders where document like '%paid%'").fetchone()
        changed = {**json.loads(document), "status": "cancelled", "updated_at": "2026-01-02T10:00:00Z"}
        row = [changed["updated_at"], json.dumps(changed), number]
        orders.execute("update orders set updated_at = ?, document = ? where id = ?", row)
    with shop(project):
        project.run("ingest", "erp", "shop")
    assert tables(project) == before
    assert project.value(f"select telefono from raw_erp.cards where tarjeta = '{card}'") == "770000001"
    assert project.value(f"select status from raw_shop.orders where id = {number}") == "cancelled"
