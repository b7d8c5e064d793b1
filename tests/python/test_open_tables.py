"""Every table of the lake reads the same through the server, through deltalake and through DuckDB's delta_scan."""

import datetime
import decimal
import random

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from duckdb_extensions import import_extension
from harness import Project, connect, fetch, users

CSV = """\
OrderID,PlacedAt,Day,Amount,Rate,Vip,Note
1,2024-01-01T10:00:00Z,2024-01-01,10.50,0.1,true,plain
2,2024-02-29T23:59:59.123456Z,2024-02-29,-3.25,1e-3,false,"quoted, with ""quotes"" and
a second line"
3,,,,,,
4,2024-03-31T02:30:00Z,2024-03-31,12345678.90,2.5,true,ñandú €
"""

FILES = {
    "data/orders.csv": CSV,
    "sources/shop.yml": """
kind: files
streams:
  orders: {path: data/orders.csv}
  measures: {path: data/measures.parquet}
  customers: {path: data/customers-*.csv, key: [customer_id], disposition: merge}
""",
    "data/customers-1.csv": "customer_id,name\nc1,Ana\nc2,Bo\nc3,Chus\n",
    "data/customers-2.csv": "customer_id,name\nc2,Björn\nc4,Dolors\n",
    "sql/dbt_project.yml": "name: acme\nmodel-paths: [warehouse]\n",
    "sql/warehouse/sources.yml": """
version: 2
sources:
  - {name: shop, schema: raw_shop, tables: [{name: orders}, {name: measures}, {name: customers}]}
""",
    "sql/seeds/regions.csv": "code,region\nES,Iberia\nPT,Iberia\nFR,Gaul\n",
    "sql/warehouse/dim_customer.sql": """
{{ config(materialized='table') }}
select customer_id, upper(name) as name from {{ source('shop', 'customers') }}
""",
    "sql/warehouse/fct_order.sql": """
{{ config(materialized='incremental', unique_key='order_id') }}
select order_id, placed_at, day, amount, rate, vip from {{ source('shop', 'orders') }}
""",
    "sql/warehouse/fct_measure.sql": """
{{ config(materialized='table') }}
select id, big, price, label, at from {{ source('shop', 'measures') }} where id > 10
""",
    "sql/warehouse/segments.sql": """
{{ config(materialized='model', estimator='kmeans', features=['big', 'price'], key='id', k=3) }}
select id, big, price from {{ ref('fct_measure') }}
""",
}

BUILT = {"orders", "measures", "customers", "regions", "dim_customer", "fct_order", "fct_measure", "segments"}


def write_parquet_with_field_ids(path):
    """A file as many engines write it: each column carries `PARQUET:field_id` in its Arrow metadata."""
    rows = 1000

    def field(name, kind, number):
        return pa.field(name, kind, metadata={"PARQUET:field_id": str(number), "comment": f"column {number}"})

    schema = pa.schema(
        [
            field("id", pa.int32(), 7),
            field("big", pa.int64(), 6),
            field("price", pa.decimal128(12, 3), 5),
            field("label", pa.large_string(), 4),
            field("at", pa.timestamp("ms", "UTC"), 3),
            field("place", pa.struct([field("lat", pa.float64(), 8), field("lon", pa.float64(), 9)]), 2),
        ]
    )
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    columns = {
        "id": range(rows),
        "big": [None if i % 7 == 0 else i << 40 for i in range(rows)],
        "price": [decimal.Decimal(i) / 1000 for i in range(rows)],
        "label": [None if i % 5 == 0 else f"label {i % 13}" for i in range(rows)],
        "at": [start + datetime.timedelta(minutes=i) for i in range(rows)],
        "place": [{"lat": 40 + i / 1000, "lon": -3.5} for i in range(rows)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: list(values) for name, values in columns.items()}, schema=schema), path)


def accounts(ids, version):
    """Rows whose columns are encoded in every way, with nulls, lists and structs."""
    ids = list(ids)
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    columns = {
        "id": pa.array(ids, pa.int64()),
        "version": pa.array([version] * len(ids), pa.int64()),
        "name": [f"account {id:09}" for id in ids],
        "city": [None if id % 11 == 0 else f"city {id * 7919 % 500}" for id in ids],
        "balance": [None if id % 13 == 0 else id * 7919 % 100_003 / 100 for id in ids],
        "limit": [decimal.Decimal(id * 31 % 999_983) / 100 for id in ids],
        "active": [id % 3 == 0 for id in ids],
        "opened": [start.date() + datetime.timedelta(days=id % 1000) for id in ids],
        "seen_at": [start + datetime.timedelta(seconds=id) for id in ids],
        "labels": [None if id % 5 == 0 else [f"label {n}" for n in range(id % 3)] for id in ids],
        "place": [{"lat": id / 1000, "note": None if id % 7 == 0 else f"note {id % 90}"} for id in ids],
    }
    return pa.table(columns)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A project that has been landed and built, and a connection to its server."""
    project = Project(tmp_path_factory.mktemp("open")).write(FILES | {"cordada.yml": "name: acme\nlake: ./lake\n" + users()})
    write_parquet_with_field_ids(project.dir / "data" / "measures.parquet")
    project.run("ingest")
    project.run("build")
    with project.serve() as url, connect(url) as connection:
        yield project.dir / "lake", connection


def tables(lake_dir):
    return sorted(log.parent.relative_to(lake_dir) for log in lake_dir.glob("*/*/_delta_log"))


def canonical(table, names):
    """The columns called `names` in plain types, structs flattened, rows in the order of their values."""
    table = table.select(names)
    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = table.flatten()
    columns = [pc.cast(column, plain(column.type)) for column in table.columns]
    table = pa.table(columns, names=table.column_names).combine_chunks()
    return table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in table.column_names]))


def plain(kind):
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC")
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return pa.string()
    if pa.types.is_binary_view(kind) or pa.types.is_large_binary(kind):
        return pa.binary()
    return kind


def through_deltalake(path):
    return DeltaTable(path).to_pyarrow_table()


def through_duckdb(path):
    with duckdb.connect() as connection:
        import_extension("delta", con=connection)
        return connection.execute("from delta_scan(?)", [str(path)]).to_arrow_table()


@pytest.mark.parametrize("reader", [through_deltalake, through_duckdb])
def test_foreign_readers_get_the_values_of_the_server(lake, reader):
    lake_dir, connection = lake
    found = tables(lake_dir)
    assert BUILT <= {path.name for path in found}
    for path in found:
        ours = fetch(connection, f"select * from {path.parent.name}.{path.name}")
        theirs = reader(lake_dir / path)
        assert sorted(theirs.column_names) == sorted(ours.column_names), path
        names = ours.column_names
        ours, theirs = canonical(ours, names), canonical(theirs, names)
        assert ours.num_rows > 0 and ours.num_rows == theirs.num_rows, path
        for name in ours.column_names:
            expected = ours[name]
            assert theirs[name].cast(expected.type).equals(expected), f"{path}: column {name} differs"


def test_values_arrive_as_they_were(lake):
    """Guards the comparison above: all three could agree on the same wrong values."""
    _, connection = lake
    rows = fetch(connection, "select * from raw_shop.orders order by order_id").to_pylist()
    assert [row["order_id"] for row in rows] == [1, 2, 3, 4]
    assert rows[1]["note"] == 'quoted, with "quotes" and\na second line'
    assert rows[3]["note"] == "ñandú €"
    assert rows[3]["amount"] == pytest.approx(decimal.Decimal("12345678.90"))
    assert {rows[2][name] for name in ("placed_at", "day", "amount", "rate", "vip", "note")} == {None}
    measures = fetch(connection, "select sum(price) as price, count(big) as big from raw_shop.measures").to_pylist()
    assert measures == [{"price": decimal.Decimal("499.500"), "big": 857}]
    names = fetch(connection, "select customer_id, name from raw_shop.customers order by 1").to_pylist()
    assert [row["name"] for row in names] == ["Ana", "Björn", "Chus", "Dolors"]


def test_no_field_ids_in_the_log(lake):
    lake_dir, _ = lake
    for path in tables(lake_dir):
        log = "".join(file.read_text() for file in (lake_dir / path / "_delta_log").glob("*.json"))
        assert "field.id" not in log and "field_id" not in log, path


def test_foreign_readers_get_the_rows_that_an_upsert_leaves(tmp_path):
    """An upsert takes rows out of pages where they are encoded, with more than one row group and page a column."""
    project = Project(tmp_path).write(
        {
            "cordada.yml": "name: acme\nlake: ./lake\n",
            "sources/bank.yml": "kind: files\nstreams:\n"
            "  accounts: {path: data/*.parquet, key: [id], disposition: merge}\n",
        }
    )
    (project.dir / "data").mkdir()
    rows = 200_000
    changed = sorted(random.Random(1).sample(range(rows), rows // 100))
    for number, part in enumerate([accounts(range(rows), 1), accounts(changed, 2)]):
        pq.write_table(part, project.dir / "data" / f"{number}.parquet")
        project.run("ingest")
    kept = sorted(set(range(rows)) - set(changed))
    expected = pa.concat_tables([accounts(kept, 1), accounts(changed, 2)]).sort_by("id")
    path = project.dir / "lake" / "raw_bank" / "accounts"
    for reader in (through_deltalake, through_duckdb):
        found = reader(path).select(expected.column_names).sort_by("id")
        for name in expected.column_names:
            assert found[name].cast(expected[name].type).equals(expected[name]), f"{reader.__name__}: {name}"
    with duckdb.connect() as connection:
        import_extension("delta", con=connection)
        for name in ("id", "name", "city", "balance", "limit", "active", "opened", "seen_at"):
            value = expected[name][rows // 2 + 5].as_py()
            count = pc.sum(pc.equal(expected[name], pa.scalar(value, expected[name].type))).as_py()
            where = f'select count(*) from delta_scan(?) where "{name}" = ?'
            assert connection.execute(where, [str(path), value]).fetchone() == (count,), name
