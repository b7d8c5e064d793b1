"""The pages of docs/connect do what they say: their programs are run against the project of `cordada init`, and the
statements of the Power BI connector are sent as it would send them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import skip_loudly
from drivers import arrow_go, jdbc
from harness import ROOT, Project, connect, fetch
from servers import Unavailable, installed, node, npm_install

PAGES = ROOT / "docs" / "connect"
CONNECTOR = PAGES / "power-bi" / "Cordada.pq"
POWER_QUERY = Path(__file__).parent / "power_query"
ADDRESS = "localhost:50051"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the project of `cordada init` is served, as host:port."""
    project = Project(tmp_path_factory.mktemp("init") / "acme")
    subprocess.run([*project.command("init", project.dir)[:3]], check=True, capture_output=True)
    project.run("ingest")
    project.run("build")
    with project.serve() as url:
        yield url.removeprefix("grpc://")


def programs(language):
    """The programs of the pages in a language, each with its page's name."""
    found = []
    for page in sorted(PAGES.glob("*.md")):
        blocks = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        found += [pytest.param(block, id=f"{page.name}-{at}") for at, block in enumerate(blocks, 1)]
    return found


def run(*command, **options):
    done = subprocess.run(
        list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, **options
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.stdout.strip(), "the program printed nothing"


@pytest.mark.parametrize("program", programs("python"))
def test_python(program, address, tmp_path):
    file = tmp_path / "program.py"
    file.write_text(program.replace(ADDRESS, address), encoding="utf-8")
    run(sys.executable, "-W", "error", file)


@pytest.mark.parametrize("program", programs("java"))
def test_java(program, address, tmp_path):
    try:
        folder = jdbc.install()
    except Unavailable as reason:
        skip_loudly(str(reason))
    file = tmp_path / "Example.java"
    file.write_text(program.replace(ADDRESS, address), encoding="utf-8")
    opens = "--add-opens=java.base/java.nio=ALL-UNNAMED"
    run("java", opens, "-cp", jdbc.jar(folder, next(iter(jdbc.SHA256))), file)


@pytest.mark.parametrize("program", programs("go"))
def test_go(program, address, tmp_path):
    try:
        arrow_go.install()
    except Unavailable as reason:
        skip_loudly(str(reason))
    for module in ("go.mod", "go.sum"):
        shutil.copy(arrow_go.SOURCES / module, tmp_path)
    (tmp_path / "main.go").write_text(program.replace(ADDRESS, address), encoding="utf-8")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    run("go", "run", ".", cwd=tmp_path, env=environment)


def test_pages_lead_somewhere():
    missing = []
    for page in PAGES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                missing.append(f"{page.name}: {target}")
    assert not missing, missing


def test_the_connector_is_power_query():
    def install(folder):
        npm_install(folder, POWER_QUERY / "package.json")

    try:
        folder = installed("power-query", [POWER_QUERY / "package.json"], install, "Fetching Power Query's parser")
    except Unavailable as reason:
        skip_loudly(str(reason))
    parse = list(map(str, node(POWER_QUERY / "parse.js", CONNECTOR)))
    done = subprocess.run(parse, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"Cordada.Contents", "Cordada.Query", "Statements"} <= set(done.stdout.split())


def statements():
    """The statements that the connector sends about what there is, by name."""
    [record] = re.findall(
        r"^Statements = \[\n(.*?)^\];", CONNECTOR.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return dict(re.findall(r'(\w+) = "([^"]*)"', record))


def ask(connection, name, *values):
    sql = statements()[name]
    for at, value in enumerate(values):
        sql = sql.replace(f"#{{{at}}}", f"'{value}'")
    return fetch(connection, sql).to_pylist()


def test_the_connector_finds_what_there_is(address):
    with connect(f"grpc://{address}", user=None) as connection:
        schemas = [row["schema_name"] for row in ask(connection, "Schemas")]
        assert {"marts", "raw_example", "staging"} <= set(schemas)
        assert not {"information_schema", "pg_catalog"} & set(schemas)
        kinds = {row["table_name"]: row["table_type"] for row in ask(connection, "Tables", "staging")}
        assert kinds == {"stg_example__orders": "VIEW"}
        assert ask(connection, "Key", "marts", "customers") == [{"column_name": "email"}]
        assert ask(connection, "Key", "raw_example", "orders") in ([], [{"column_name": "order_id"}])


# What `Sql`, `Condition` and `Literal` of the connector write, by hand: nobody runs Power Query here.
FOLDED = {
    'select * from "marts"."customers" where 1 = 0': 0,
    'select "email", "orders" from "marts"."customers" where ("orders" >= 1 and ("email" <> \'x\' or "email" is null))'
    ' order by "email" desc nulls last, "orders" asc nulls first limit 2 offset 1': 2,
    'select * from (select 1 as a union all select 2) as query where ("a" in (1, 3) or "a" is null)': 1,
    'select count(*) as row_count from (select "email" from "marts"."customers" limit 2) as rows': 1,
    'select * from "marts"."customers" where "first_order_on" > date \'1999-12-31\' and "revenue" < 1E+20': 3,
    "select timestamp '2026-01-07 10:30:00.000001' as a, timestamptz '2026-01-07 10:30:00.000000+01:00' as b,"
    " time '10:30:00.000000' as c where true": 1,
}


@pytest.mark.parametrize("sql", FOLDED)
def test_the_server_reads_what_the_connector_folds(sql, address):
    with connect(f"grpc://{address}", user=None) as connection:
        assert fetch(connection, sql).num_rows == FOLDED[sql]
