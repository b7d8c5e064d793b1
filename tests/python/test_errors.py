"""What goes wrong is said clearly, with the right exit code, and leaves nothing half-done."""

import os
import re
import subprocess

import pytest
from conftest import skip_loudly

# Exit codes of the binary.
FAILED, USAGE, UNAVAILABLE = 1, 2, 3

FILES = {
    "sources/shop.yml": "kind: files\nstreams:\n  orders: {path: data/orders.csv}\n",
    "data/orders.csv": "order_id,amount\n1,10.5\n2,20.5\n",
    "sql/dbt_project.yml": "name: acme\nmodel-paths: [warehouse]\n",
    "sql/warehouse/sources.yml": "version: 2\nsources: [{name: shop, schema: raw_shop, tables: [{name: orders}]}]\n",
    "sql/warehouse/fct_order.sql": "select order_id, amount from {{ source('shop', 'orders') }}\n",
}


@pytest.fixture
def shop(project):
    """A project with one source and one model, landed."""
    project.write(FILES)
    project.run("ingest")
    return project


def fails(project, *command, code, says):
    """Run a command that must fail with `code`, and whose message must hold each of `says`."""
    result = project.run(*command, code=code)
    for pattern in says:
        assert re.search(pattern, result.err), f"no {pattern!r} in {result}"
    assert "panicked" not in result.err and "RUST_BACKTRACE" not in result.err, result


def releases(project):
    return sorted((project.dir / "lake" / "_cordada" / "releases").glob("*.json"))


@pytest.mark.parametrize("command", ["compile", "build"])
@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param(
            {"sql/warehouse/fct_order.sql": "select order_id,\n       amuont\nfrom {{ source('shop', 'orders') }}\n"},
            [r"fct_order\.sql:2", "amuont", "amount"],
            id="wrong column",
        ),
        pytest.param(
            {"sql/warehouse/last.sql": "select\n  totl\nfrom {{ ref('fct_order') }}\n"},
            [r"last\.sql:2", "totl", "order_id", "amount"],
            id="wrong column of an unbuilt parent",
        ),
        pytest.param(
            {
                "sql/warehouse/a.sql": "select * from {{ ref('b') }}\n",
                "sql/warehouse/b.sql": "select * from {{ ref('a') }}\n",
            },
            ["cycle", r"\ba\b.*\bb\b"],
            id="cycle",
        ),
        pytest.param(
            {"sql/warehouse/last.sql": "select 1 as one\nunion all select * from {{ ref('fct_ordr') }}\n"},
            [r"last\.sql", "fct_ordr", "fct_order"],
            id="unknown ref",
        ),
        pytest.param(
            {"sql/warehouse/last.sql": "select * from {{ source('shop', 'ordres') }}\n"},
            [r"last\.sql", "ordres", "orders"],
            id="unknown source",
        ),
        pytest.param(
            {"sql/warehouse/fct_order.sql": "select order_id frm {{ source('shop', 'orders') }} whre\n"},
            [r"fct_order\.sql"],
            id="bad SQL",
        ),
        pytest.param(
            {"sql/warehouse/fct_order.sql": "select 1 as one\n{% if %}\n"},
            [r"fct_order\.sql:2"],
            id="bad Jinja",
        ),
        pytest.param(
            {"sql/warehouse/sources.yml": "version: 2\nmodles: []\n"},
            [r"sources\.yml:2", "modles", "models"],
            id="unknown key",
        ),
    ],
)
def test_a_wrong_sql_project_is_refused_before_anything_runs(shop, command, files, says):
    shop.write(files)
    before = releases(shop)
    fails(shop, command, code=USAGE, says=says)
    assert releases(shop) == before
    assert not (shop.dir / "lake" / "warehouse").exists()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param({"cordada.yml": "name: acme\nlaek: ./lake\n"}, [r"cordada\.yml:2", "laek", "lake"], id="project"),
        pytest.param(
            {"sources/shop.yml": "kind: files\nstreams:\n  orders: {path: data/orders.csv, dispositon: merge}\n"},
            [r"shop\.yml:3", "dispositon", "disposition"],
            id="source",
        ),
        pytest.param(
            {"sources/shop.yml": "kind: files\nstreams:\n  orders: {path: '${NO_SUCH_VARIABLE}'}\n"},
            [r"shop\.yml:3", "NO_SUCH_VARIABLE"],
            id="unset variable",
        ),
        pytest.param(
            {"sources/shop.yml": "kind: files\nstreams:\n  orders: {path: data/no-such.csv}\n"},
            [r"no-such\.csv"],
            id="missing file",
        ),
        pytest.param({"cordada.yml": "name: [\n"}, [r"cordada\.yml"], id="not YAML"),
    ],
)
def test_wrong_configuration_names_the_place(project, files, says):
    project.write({**FILES, **files})
    fails(project, "ingest", code=USAGE, says=says)


def test_wrong_usage(shop):
    fails(shop, "ingest", "shpo", code=USAGE, says=["shpo", "shop"])
    fails(shop, "ingest", "shop.ordres", code=USAGE, says=["ordres", "orders"])
    fails(shop, "build", "--select", "fct_ordr", code=USAGE, says=["fct_ordr"])
    fails(shop, "rollback", "99", code=USAGE, says=["99"])
    fails(shop, "biuld", code=USAGE, says=["biuld", "build"])
    fails(shop, "query", "select nope from raw_shop.orders", code=FAILED, says=["nope", "order_id", "amount"])


def test_a_broken_row_is_set_aside_and_named(project):
    project.write({**FILES, "data/orders.csv": 'order_id,amount\n1,10.5\n2,20.5,"too",many\n3,30.5\n'})
    result = project.run("ingest")
    assert "ops.rejected_rows" in result.out, result
    assert project.query("select order_id from raw_shop.orders order by 1") == [("1",), ("3",)]
    [(rejected,)] = project.query("select count(*) from ops.rejected_rows")
    assert rejected == "1"
    [row] = project.query("select * from ops.rejected_rows")
    assert any("orders.csv" in value for value in row) and any(re.search(r"\b3\b", value) for value in row), row
    project.run("ingest")
    assert project.value("select count(*) from ops.rejected_rows") == "1"


def test_a_failed_test_publishes_nothing(shop):
    shop.run("build")
    before = releases(shop)
    models = "version: 2\nmodels: [{name: fct_order, columns: [{name: order_id, data_tests: [unique]}]}]\n"
    shop.write({"sql/warehouse/models.yml": models, "data/orders.csv": "order_id,amount\n7,1.5\n7,2.5\n"})
    shop.run("ingest")
    landed = releases(shop)
    assert len(landed) == len(before) + 1
    fails(shop, "build", code=FAILED, says=["unique", "fct_order", "order_id"])
    assert releases(shop) == landed


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a small file system of its own on `tmp_path/lake`; gives the function that changes how it is mounted."""
    lake = tmp_path / "lake"
    lake.mkdir()

    def mount(options):
        return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(lake)], capture_output=True)

    if os.geteuid() != 0 or mount("size=3m").returncode != 0:
        skip_loudly("mounting a small disk needs root")
    yield mount
    subprocess.run(["umount", "-l", str(lake)], check=True)


def test_a_full_disk_loses_nothing(project, small_disk):
    project.write(FILES)
    project.run("ingest")
    noise = os.urandom(4_000_000).hex()
    rows = (f"{i},{noise[i * 400 : i * 400 + 400]}" for i in range(20_000))
    project.write({"data/big.csv": "\n".join(["id,noise", *rows, ""])})
    project.write({"sources/shop.yml": FILES["sources/shop.yml"] + "  big: {path: data/big.csv}\n"})
    before = releases(project)
    fails(project, "ingest", "shop.big", code=UNAVAILABLE, says=["disk is full", "big"])
    assert releases(project) == before
    assert project.value("select count(*) from raw_shop.orders") == "2"
    small_disk("remount,size=64m")
    project.run("ingest", "shop.big")
    assert project.query("select count(*), count(distinct id) from raw_shop.big") == [("20000", "20000")]


def test_a_read_only_lake_can_be_read(project, small_disk):
    project.write(FILES)
    project.run("ingest")
    small_disk("remount,ro")
    project.write({"data/orders.csv": "order_id,amount\n3,30.5\n"})
    fails(project, "ingest", code=UNAVAILABLE, says=["read-only"])
    fails(project, "build", code=UNAVAILABLE, says=["read-only"])
    assert project.value("select count(*) from raw_shop.orders") == "2"
    small_disk("remount,rw")
    project.run("ingest")
    assert project.value("select count(*) from raw_shop.orders") == "3"
