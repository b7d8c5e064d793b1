"""Out of a real PostgreSQL: everything, what changed, while it changes, and when the server dies."""

import datetime
import random
import re
import uuid
from decimal import Decimal

import psycopg
import pytest
from conftest import skip_loudly
from databases import Source, Writer, same
from psycopg.rows import dict_row
from servers import Unavailable, northwind
from servers.proxy import Proxy

SEED = 11
SALES = 20_000
INCREMENTAL = "{table: public.sales, key: [id], cursor: [updated_at, id], disposition: merge, lag: 1s, deletes: compare}"
LOGICAL = "{table: public.sales, key: [id], disposition: merge, changes: logical}"
# Their names are the server's, not the database's.
DROP_SLOTS = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()"

TYPES = """
create type mood as enum ('calm', 'brave');
create table types (
    id bigint primary key, small smallint, whole integer, exact numeric(20, 6), any_exact numeric, double float8,
    yes boolean, text text, fixed char(4), day date, moment timestamptz, local timestamp, bytes bytea, key uuid,
    feeling mood, tags text[], counts integer[], document jsonb);
insert into types values
    (1, -32768, 2147483647, 12345678901234.567890, 1.5, 1e300, true, 'ñandú "x", \n ☃', 'ab', '2024-02-29',
     '2024-03-31 02:30:00.123456+02', '1999-12-31 23:59:59.999999', '\\x00ff10', '6f9619ff-8b86-d011-b42d-00cf4fc964ff',
     'brave', '{a,"b c",NULL}', '{1,2,3}', '{"a": [1, 2], "b": null}'),
    (2, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
    (3, 0, 0, 0.000001, -0.001, 'NaN', false, '', '', '0001-01-01', '1970-01-01 00:00:00+00', '2262-04-12 00:00:00',
     '', '00000000-0000-0000-0000-000000000000', 'calm', '{}', '{}', '[]');
"""


@pytest.fixture
def shop(project, postgres, request):
    """A source over a database of its own with the table `sales`."""
    name = postgres.database(re.sub(r"\W", "_", request.node.name))
    with postgres.connect(name) as connection:
        connection.execute("create table sales (id integer primary key, amount numeric(12, 2), updated_at timestamptz)")
        connection.execute(
            "insert into sales select i, i * 1.25, timestamptz '2024-01-01' + i * interval '1 second'"
            f" from generate_series(1, {SALES}) i"
        )
    source = Source(project, postgres.url(name))
    source.connect = lambda: postgres.connect(name)
    yield source.streams(sales=INCREMENTAL)
    execute(source, DROP_SLOTS)


def source_rows(source, table="sales", order="id"):
    with source.connect() as connection:
        return connection.cursor(row_factory=dict_row).execute(f"select * from {table} order by {order}").fetchall()


def check(source):
    same(source.rows("sales", "id"), source_rows(source))


def execute(source, *statements):
    with source.connect() as connection:
        for statement in statements:
            connection.execute(statement)


def test_northwind(project, postgres):
    """All tables of the ERP-like dump, every value of every row."""
    try:
        name = postgres.northwind()
    except Unavailable as reason:
        skip_loudly(str(reason))
    source = Source(project, postgres.url(name))
    source.connect = lambda: postgres.connect(name)
    with source.connect() as connection:
        tables = [table for (table,) in connection.execute("select tablename from pg_tables where schemaname = 'public'")]
    assert len(tables) == 14
    source.streams(**{table: f"{{table: public.{table}, disposition: replace}}" for table in tables}).ingest()
    for table in tables:
        columns = ", ".join(str(i + 1) for i in range(2))
        same(source.rows(table, columns), source_rows(source, table, columns))
    counts = {table: int(project.value(f"select count(*) from raw_erp.{table}")) for table in northwind.ROWS}
    assert counts == northwind.ROWS


def test_types(project, postgres):
    source = Source(project, postgres.url(postgres.database("types")))
    with postgres.connect("types") as connection:
        connection.execute(TYPES)
    source.streams(types="{table: types, disposition: replace}").ingest()
    first, nulls, last = source.rows("types", "id")
    utc = datetime.timezone.utc
    assert first["small"] == -32768 and first["whole"] == 2**31 - 1 and first["double"] == 1e300 and first["yes"] is True
    assert first["exact"] == Decimal("12345678901234.567890") and last["exact"] == Decimal("0.000001")
    assert Decimal(str(first["any_exact"])) == Decimal("1.5") and Decimal(str(last["any_exact"])) == Decimal("-0.001")
    assert first["text"] == 'ñandú "x", \n ☃' and last["text"] == "" and first["fixed"].rstrip() == "ab"
    assert first["day"] == datetime.date(2024, 2, 29) and last["day"] == datetime.date(1, 1, 1)
    assert first["moment"] == datetime.datetime(2024, 3, 31, 0, 30, 0, 123456, utc)
    assert first["local"].replace(tzinfo=utc) == datetime.datetime(1999, 12, 31, 23, 59, 59, 999999, utc)
    assert first["bytes"] == b"\x00\xff\x10" and last["bytes"] == b""
    assert first["key"] == str(uuid.UUID("6f9619ff-8b86-d011-b42d-00cf4fc964ff")) and first["feeling"] == "brave"
    assert first["tags"] == ["a", "b c", None] and first["counts"] == [1, 2, 3] and last["tags"] == []
    assert first["document"] == '{"a": [1, 2], "b": null}'
    assert nulls == {name: None for name in first} | {"id": 2}


def test_only_what_changed_is_read(shop, project):
    shop.ingest()
    check(shop)
    execute(
        shop,
        "update sales set amount = -1, updated_at = now() where id % 1000 = 0",
        f"insert into sales values ({SALES + 1}, 0.01, now())",
        "delete from sales where id between 10 and 12",
    )
    shop.ingest()
    check(shop)
    rows = project.query("select rows from ops.loads where stream = 'sales' order by started_at")
    assert int(rows[1][0]) < 100, f"the second load landed {rows}"


def test_the_table_changes_between_loads(shop):
    """A new column, a wider type, a column that is gone."""
    shop.ingest()
    execute(
        shop,
        "alter table sales add column channel text",
        "alter table sales alter column id type bigint",
        "alter table sales alter column amount type numeric(18, 4)",
        f"insert into sales values ({2**40}, 1.2345, timestamptz '2025-01-01', 'web')",
        f"insert into sales values ({2**40 + 1}, 1, timestamptz '2025-02-01', 'shop')",
    )
    shop.ingest()
    check(shop)
    execute(shop, "alter table sales drop column channel", f"insert into sales values ({2**40 + 2}, 1, timestamptz '2025-06-01')")
    shop.ingest()
    landed = shop.rows("sales", "id")
    # The second of the three is within the lag, and read again.
    assert [row.pop("channel") for row in landed][-3:] == ["web", None, None]
    same(landed, source_rows(shop))


@pytest.mark.parametrize("mode", [INCREMENTAL, LOGICAL], ids=["cursor", "logical"])
def test_loads_while_it_is_written(shop, mode):
    shop.streams(sales=mode)
    writer = Writer(shop.connect, random.Random(SEED), "clock_timestamp()", SALES + 1, deletes=True)
    shop.ingest()
    writer.start()
    loads = 0
    while writer.is_alive() or loads < 3:
        shop.ingest()
        loads += 1
    assert writer.wrong is None, writer.wrong
    shop.ingest()
    check(shop)


def test_logical_changes(shop, postgres):
    """The log tells inserts, updates, deletes, and what `truncate` and new columns do; it is kept no longer than needed."""
    shop.streams(sales=LOGICAL).ingest()
    check(shop)
    execute(
        shop,
        "update sales set amount = 7 where id <= 5",
        "update sales set id = -1 where id = 9",
        "delete from sales where id = 8",
        "alter table sales add column channel text",
        f"insert into sales values ({SALES + 1}, null, null, 'web')",
    )
    shop.ingest()
    check(shop)
    behind = "select pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) from pg_replication_slots where database = current_database()"
    with shop.connect() as connection:
        [(behind,)] = connection.execute(behind).fetchall()
    assert behind < 1 << 20, f"{behind} bytes of the log are still kept for us"
    execute(shop, "truncate sales", "insert into sales values (1, 1, now(), 'shop')")
    shop.ingest()
    check(shop)


@pytest.mark.parametrize("mode", [INCREMENTAL, LOGICAL], ids=["cursor", "logical"])
def test_a_change_that_cannot_land(shop, mode):
    """It is on record, what was there before is not shown as if it were true, and the mended row is back."""
    shop.streams(sales=mode).ingest()
    execute(shop, "update sales set amount = 'NaN', updated_at = now() where id in (5, 7)")
    # The log has nothing else; by the cursor the last row comes again.
    shop.ingest(code=1 if mode == LOGICAL else 0)
    same(shop.rows("sales", "id"), [row for row in source_rows(shop) if row["id"] not in (5, 7)])
    records = shop.project.query("select reason, record from ops.rejected_rows order by record")
    assert [reason.split(":")[0] for reason, _ in records] == ["amount", "amount"], records
    assert all('"amount":"NaN"' in record for _, record in records), records
    execute(shop, "update sales set amount = 5.55, updated_at = now() where id = 5", "delete from sales where id = 7")
    shop.ingest()
    check(shop)


@pytest.mark.parametrize("mode", [INCREMENTAL, LOGICAL], ids=["cursor", "logical"])
def test_the_server_is_killed_in_the_middle(shop, postgres, mode):
    direct = shop.url
    with Proxy(postgres.port, hold_after=200_000) as wire:
        shop.url = direct.replace(str(postgres.port), str(wire.port))
        shop.streams(sales=mode)
        load = shop.project.start("ingest")
        assert wire.held.wait(timeout=60), "no answer was long enough to be cut"
        postgres.kill()
        wire.release()
        assert load.wait(timeout=120) in (1, 3)
        result = shop.ingest(code=3)
        assert "127.0.0.1" in result.err and "vira-3" not in result.err, result
        postgres.start()
        shop.ingest()
        check(shop)
        execute(shop, "update sales set amount = 3, updated_at = now() where id = 77", "delete from sales where id = 78")
        shop.ingest()
        check(shop)


def test_refusals(project, postgres):
    """What a user gets wrong is told as such, without the password."""
    source = Source(project, postgres.url("acme").replace("vira-3", "vira-4")).streams(sales=INCREMENTAL)
    result = source.ingest(code=2)
    assert "vira" not in result.err + result.out and "credentials" in result.err, result
    source.url = postgres.url("acme")
    result = source.streams(sales=INCREMENTAL).ingest(code=2)
    assert "public.sales" in result.err, result
    source.url = postgres.url("nowhere")
    assert "nowhere" in source.streams(sales=INCREMENTAL).ingest(code=2).err
    with pytest.raises(psycopg.OperationalError):
        postgres.connect("nowhere")
