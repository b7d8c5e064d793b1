"""What clients of Flight SQL do beside reading: several rows of parameters, bulk ingestion, lists of flights; and what
Power BI's connector asks, statement by statement."""

import datetime

import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from harness import PASSWORD, USER, connect, fetch, users

ROLES = """
roles:
  everything: {read: ["*"]}
  loader: {read: [crm], write: [crm]}
"""


@pytest.fixture
def shop(project):
    """A project whose user reads everything and writes `crm`."""
    people = users().rsplit("\nroles:", 1)[0].replace("roles: [everything]", "roles: [everything, loader]")
    settings = (project.dir / "cordada.yml").read_text()
    return project.write(
        {
            "cordada.yml": settings + people + ROLES,
            "data/orders.csv": (
                "order_id,amount,placed_at\n1,10.50,2026-01-05T09:00:00Z\n2,20.25,2026-01-07T10:30:00Z\n"
            ),
            "sources/shop.yml": (
                "kind: files\nstreams:\n  orders: {path: data/orders.csv, key: [order_id], disposition: merge}\n"
            ),
            "sql/dbt_project.yml": "name: acme\nversion: '1.0'\n",
            "sql/models/marts/sales.sql": (
                "{{ config(materialized='table') }}\n"
                "select order_id, amount, placed_at from {{ source('raw_shop', 'orders') }}\n"
            ),
            "sql/models/marts/days.sql": "select distinct order_id as day_of from {{ ref('sales') }}\n",
            "sql/models/marts/marts.yml": """
version: 2
sources: [{name: raw_shop, tables: [{name: orders}]}]
models:
  - name: sales
    columns: [{name: order_id, tests: [unique, not_null]}]
  - name: days
    columns:
      - name: day_of
        tests: [unique, not_null, {relationships: {to: ref('sales'), field: order_id}}]
""",
        }
    )


def leads(*ids):
    return pa.table({"id": pa.array(ids, pa.int64()), "name": [f"lead {number}" for number in ids]})


def test_rows_are_ingested(shop):
    shop.run("ingest")
    with shop.serve() as url, connect(url) as connection, connection.cursor() as cursor:
        assert cursor.adbc_ingest("leads", leads(1, 2), mode="create", db_schema_name="crm") == 2
        with pytest.raises(adbc_driver_manager.Error, match="already"):
            cursor.adbc_ingest("leads", leads(3), mode="create", db_schema_name="crm")
        assert cursor.adbc_ingest("leads", leads(3), mode="append", db_schema_name="crm") == 1
        many = pa.RecordBatchReader.from_batches(
            leads(0).schema, (leads(*range(at, at + 1000)).to_batches()[0] for at in range(0, 50_000, 1000))
        )
        assert cursor.adbc_ingest("many", many, mode="create_append", db_schema_name="crm") == 50_000
        totals = fetch(connection, "select count(*) as n, sum(id) as s from crm.many").to_pylist()
        assert totals == [{"n": 50_000, "s": sum(range(50_000))}]
        assert cursor.adbc_ingest("leads", leads(9), mode="replace", db_schema_name="crm") == 1
        assert fetch(connection, "select id, name from crm.leads").to_pylist() == [{"id": 9, "name": "lead 9"}]
        with pytest.raises(adbc_driver_manager.Error, match="no role"):
            cursor.adbc_ingest("leads", leads(1), mode="create", db_schema_name="marts")
        with pytest.raises(adbc_driver_manager.Error, match="temporary"):
            cursor.adbc_ingest("leads", leads(1), mode="create", temporary=True)

        def breaks_off():
            yield leads(100).to_batches()[0]
            raise RuntimeError("the client's own data end here")

        broken = pa.RecordBatchReader.from_batches(leads(0).schema, breaks_off())
        with pytest.raises(Exception):
            cursor.adbc_ingest("leads", broken, mode="append", db_schema_name="crm")
        assert fetch(connection, "select id from crm.leads").to_pylist() == [{"id": 9}]
    # A restart reads the same, and the command line too.
    assert shop.query("select count(*) from crm.many") == [("50000",)]


def test_several_rows_of_parameters(shop):
    shop.run("ingest")
    with shop.serve() as url, connect(url) as connection, connection.cursor() as cursor:
        sql = "select order_id, cast(amount as double) as amount from raw_shop.orders where order_id = ?"
        cursor.adbc_prepare(sql)
        cursor.execute(sql, pa.record_batch({"a": pa.array([2, 7, 1, 2], pa.int64())}))
        assert [row[0] for row in cursor.fetchall()] == [2, 1, 2]
        with pytest.raises(adbc_driver_manager.Error, match="`executemany` has no result"):
            cursor.executemany(sql, [(2,), (1,)])
        at = datetime.datetime(2026, 1, 7, 10, 30, tzinfo=datetime.timezone.utc)
        later = "select count(*) as n from raw_shop.orders where placed_at >= ?"
        for value in (at, pa.scalar(at, pa.timestamp("ms", "Europe/Madrid")), pa.scalar(at, pa.timestamp("s", "UTC"))):
            column = pa.array([value.as_py() if isinstance(value, pa.Scalar) else value], getattr(value, "type", None))
            cursor.execute(later, pa.record_batch({"a": column}))
            assert cursor.fetchall() == [(1,)], column.type
        with pytest.raises(adbc_driver_manager.Error, match="MiB"):
            cursor.execute(sql, pa.record_batch({"a": pa.array(range(2_000_000), pa.int64())}))


def test_flights_are_listed(shop):
    shop.run("ingest")
    shop.run("build")
    with shop.serve() as url:
        client = flight.FlightClient(url)
        token = client.authenticate_basic_token(USER, PASSWORD)
        options = flight.FlightCallOptions(headers=[token])
        listed = {b".".join(info.descriptor.path).decode(): info for info in client.list_flights(b"marts.%", options)}
        assert sorted(listed) == ["marts.days", "marts.sales"]
        sales = listed["marts.sales"]
        table = client.do_get(sales.endpoints[0].ticket, options).read_all()
        assert (table.num_rows, table.schema) == (2, sales.schema)
        assert sales.total_records in (-1, 2)
        by_path = client.get_flight_info(flight.FlightDescriptor.for_path("marts", "sales"), options)
        assert by_path.schema == sales.schema


def test_what_power_bi_asks(shop):
    shop.run("ingest")
    shop.run("build")
    with shop.serve() as url, connect(url) as connection:

        def ask(sql):
            table = fetch(connection, sql)
            assert all(field.metadata[b"ARROW:FLIGHT:SQL:TYPE_NAME"] for field in table.schema), sql
            return list(zip(*[column.to_pylist() for column in table.columns], strict=True))

        assert ask("SHOW DATABASES") == [("lake",)]
        assert fetch(connection, "SHOW DATABASES").column_names == ["database_name"]
        schemas = ask("select catalog_name, schema_name from information_schema.schemata where catalog_name = 'lake'")
        assert ("lake", "marts") in schemas
        tables = ask(
            "select table_name, table_type from information_schema.tables "
            "where table_catalog = 'lake' and table_schema = 'marts' order by table_name"
        )
        assert tables == [("days", "VIEW"), ("sales", "BASE TABLE")]
        columns = ask(
            "select column_name, data_type, is_nullable from information_schema.columns "
            "where table_catalog = 'lake' and table_schema = 'marts' and table_name = 'sales' order by ordinal_position"
        )
        kinds = [kind for _, kind, _ in columns]
        assert (kinds[0], kinds[2]) == ("BIGINT", "TIMESTAMP WITH TIME ZONE"), kinds
        primary = ask(
            "select k.column_name from information_schema.table_constraints c "
            "join information_schema.key_column_usage k on c.constraint_name = k.constraint_name "
            "and c.table_schema = k.table_schema and c.table_name = k.table_name "
            "where c.constraint_type = 'PRIMARY KEY' and c.table_schema = 'marts' and c.table_name = 'sales'"
        )
        assert primary == [("order_id",)]
        foreign = ask(
            "select k.column_name, u.table_schema, u.table_name, u.column_name "
            "from information_schema.table_constraints c "
            "join information_schema.key_column_usage k on c.constraint_name = k.constraint_name "
            "join information_schema.constraint_column_usage u on c.constraint_name = u.constraint_name "
            "where c.constraint_type = 'FOREIGN KEY' and c.table_schema = 'marts' and c.table_name = 'days'"
        )
        assert foreign == [("day_of", "marts", "sales", "order_id")]
        empty = fetch(connection, 'SELECT * FROM (select * from "marts"."sales") AS "_" WHERE 0 = 1')
        full = fetch(connection, 'select * from "lake"."marts"."sales" order by order_id limit 1 offset 1')
        assert (empty.num_rows, empty.schema) == (0, full.schema)
        folded = ask(
            'select date_add(cast("placed_at" as timestamp), cast(1 as BIGINT) * interval 1 quarter) as q, '
            'date_diff(quarter, timestamp \'2025-01-01\', cast("placed_at" as timestamp)) as n '
            'from "marts"."sales" order by "order_id" limit 1'
        )
        assert folded == [(datetime.datetime(2026, 4, 5, 9), 4)]
