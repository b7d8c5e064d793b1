"""An object store that fails while clients read: they get all of the right answer or an error that says what failed, and
never a part that looks like all of it; afterwards the server goes on."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import adbc_driver_manager
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from harness import Project, connect, fetch, serving, url, users
from servers.faulty_store import FAULTS, FaultyStore
from test_object_store import KEYS, s3  # noqa: F401 (a fixture)

ROWS = 2_000_000
# Hot columns and answers that are kept would spare the server the store.
SETTINGS = "memory: 96MB\n"


@pytest.fixture
def lake_in_s3(tmp_path, s3):  # noqa: F811
    """A project of 2 million rows, whose store is asked at `ENDPOINT`; and the port of the store."""
    endpoint, _ = s3
    numbers = pa.array(range(ROWS), pa.int64())
    scattered = pc.bit_wise_and(pc.multiply(numbers, 2654435761), (1 << 48) - 1)
    project = Project(tmp_path, KEYS | {"ENDPOINT": endpoint}).write(
        {
            "cordada.yml": (
                f"name: acme\nlake: s3://lake/acme\nstorage: {{endpoint: '${{ENDPOINT}}', region: us-east-1}}\n{SETTINGS}{users()}"
            ),
            "sources/shop.yml": "kind: files\nstreams: {sales: {path: sales.parquet}}\n",
            "sql/dbt_project.yml": "name: acme\nmodel-paths: [marts]\n",
            "sql/marts/sources.yml": (
                "version: 2\nsources: [{name: shop, schema: raw_shop, tables: [{name: sales}]}]\n"
                "models: [{name: one, columns: [{name: n, data_tests: [unique, not_null]}]}]\n"
            ),
            "sql/marts/one.sql": (
                "{{ config(materialized='table') }}\nselect count(*) as n, max(code) as code from {{ source('shop', 'sales') }}\n"
            ),
            "sql/marts/view_of_one.sql": "select n from {{ ref('one') }}\n",
        }
    )
    pq.write_table(pa.table({"id": numbers, "code": scattered}), project.dir / "sales.parquet")
    project.run("ingest")
    project.run("build")
    return project, int(endpoint.rpartition(":")[2]), pc.sum(scattered).as_py()


def behind(project, store):
    """The project as a server sees it whose store is that one."""
    return Project(project.dir, project.env | {"ENDPOINT": store.url})


def is_data(path):
    return path.partition("?")[0].endswith(".parquet") and "/_delta_log/" not in path


def stream(port):
    """The rows and their checksum, or what was said instead."""
    with connect(url(port)) as connection:
        try:
            rows = fetch(connection, "select id, code from raw_shop.sales")
        except adbc_driver_manager.Error as error:
            return str(error)
        return rows.num_rows, pc.sum(rows.column("id")).as_py(), pc.sum(rows.column("code")).as_py()


def test_streams_of_a_store_that_fails(lake_in_s3):
    project, port_of_store, checksum = lake_in_s3
    whole = ROWS, ROWS * (ROWS - 1) // 2, checksum

    def strike(fault):
        with FaultyStore(port_of_store) as store, serving(behind(project, store)) as (process, port, _):
            # For good, from some request on: so the rows may have begun to come.
            after = 1
            seen = 0

            def for_good(method, path):
                nonlocal seen
                seen += is_data(path)
                return fault if is_data(path) and seen > after else None

            store.breaks = for_good
            failed = stream(port)
            assert store.broken, "nothing was asked of the store"
            if failed != whole:
                assert isinstance(failed, str), f"{fault}: {failed} looks like the whole answer"
            # Now and then: every second request, so that one that is repeated comes through.
            turns = iter(range(1 << 30))
            store.breaks = lambda method, path: fault if is_data(path) and next(turns) % 2 == 0 else None
            before, now_and_then = store.broken, stream(port)
            assert store.broken > before, "nothing was asked of the store"
            if now_and_then != whole:
                assert isinstance(now_and_then, str), f"{fault}: {now_and_then} looks like the whole answer"
            store.breaks = lambda method, path: None
            assert stream(port) == whole, f"after {fault}"
            assert process.poll() is None
            return failed, now_and_then == whole

    with ThreadPoolExecutor(len(FAULTS)) as pool:
        outcomes = dict(zip(FAULTS, pool.map(strike, FAULTS)))
    for fault, (failed, recovered) in outcomes.items():
        # What failed, and where; and that it may be well later.
        assert isinstance(failed, str) and "raw_shop/sales" in failed and "Unavailable" in failed, (fault, failed)
        # A request that fails is asked again; one that says that it was answered is not.
        assert recovered or fault == "shortened", fault


def columns(connection):
    """Every column of `marts` and `raw_shop`, and the primary keys, as drivers ask for them."""
    catalogs = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    schemas = {schema["db_schema_name"]: schema for catalog in catalogs for schema in catalog["catalog_db_schemas"]}
    return {
        (schema, table["table_name"]): (
            [column["column_name"] for column in table["table_columns"]],
            [constraint["constraint_column_names"] for constraint in table["table_constraints"]],
        )
        for schema in ("marts", "raw_shop")
        for table in schemas[schema]["db_schema_tables"]
    }


def of_information_schema(connection):
    columns = fetch(
        connection,
        "select table_name, column_name from information_schema.columns where table_schema = 'marts' order by 1, ordinal_position",
    )
    keys = fetch(connection, "select table_name, column_name from information_schema.key_column_usage order by 1, 2")
    return columns.to_pylist(), keys.to_pylist()


@pytest.mark.parametrize("broken", ["/_delta_log/", "/docs/"])
def test_metadata_of_a_store_that_fails(lake_in_s3, broken):
    """What is asked about the catalog is answered in full, or not: a table without its columns is no answer."""
    project, port_of_store, _ = lake_in_s3
    asked = [columns, of_information_schema]
    with project.serve() as whole_url, connect(whole_url) as connection:
        whole = [question(connection) for question in asked]
    assert len(whole[0]["marts", "one"][0]) == 2 and whole[1][1], whole
    for fault in ("500", "truncated"):
        with FaultyStore(port_of_store) as store, serving(behind(project, store)) as (_, port, _), connect(url(port)) as connection:
            store.breaks = lambda method, path: fault if broken in path else None
            for question, expected in zip(asked, whole):
                try:
                    assert question(connection) == expected, f"{question.__name__} leaves out what cannot be read"
                except adbc_driver_manager.Error:
                    pass
            assert store.broken, "nothing was asked of the store"
            store.breaks = lambda method, path: None
            assert [question(connection) for question in asked] == whole
