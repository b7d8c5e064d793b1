"""Out of a real MariaDB: everything, what changed, while it changes, and when the server dies."""

import datetime
import random
import re
from decimal import Decimal

import pytest
from conftest import skip_loudly
from databases import Source, Writer, same
from pymysql.cursors import DictCursor
from servers import Unavailable, northwind
from servers.proxy import Proxy

SEED = 12
SALES = 20_000
INCREMENTAL = "{table: sales, key: [id], cursor: [updated_at, id], disposition: merge, lag: 1s, deletes: compare}"

TYPES = """
create table types (
    id bigint unsigned primary key, tiny tinyint, whole int unsigned, exact decimal(30, 8), approx double, yes tinyint(1),
    words text, fixed char(4), born date, moment timestamp(6) null, local_at datetime(6), raw_bytes varbinary(9),
    feeling enum('calm', 'brave'), document json)
"""


@pytest.fixture
def shop(project, mariadb, request):
    """A source over a database of its own with the table `sales`."""
    name = mariadb.database(re.sub(r"\W", "_", request.node.name))
    source = Source(project, mariadb.url(name))
    source.connect = lambda: mariadb.connect(name)
    execute(
        source,
        "create table sales (id int primary key, amount decimal(12, 2), updated_at timestamp(6) null)",
        "insert into sales select seq, seq * 1.25, timestamp '2024-01-01 00:00:00' + interval seq second"
        f" from seq_1_to_{SALES}",
    )
    return source.streams(sales=INCREMENTAL)


def source_rows(source, table="sales", order="id"):
    with source.connect() as connection, connection.cursor(DictCursor) as cursor:
        cursor.execute(f"select * from {table} order by {order}")
        return cursor.fetchall()


def check(source):
    utc = datetime.timezone.utc
    rows = source_rows(source)
    for row in rows:
        row["updated_at"] = row["updated_at"].replace(tzinfo=utc)
    same(source.rows("sales", "id"), rows)


def execute(source, *statements):
    with source.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_northwind(project, mariadb):
    """All tables of the ERP-like dump, every value of every row."""
    try:
        name = mariadb.northwind()
    except Unavailable as reason:
        skip_loudly(str(reason))
    source = Source(project, mariadb.url(name))
    source.connect = lambda: mariadb.connect(name)
    tables = [row["name"] for row in source_rows(source, "(select table_name as name from information_schema.tables where table_schema = database()) t", "1")]
    assert len(tables) == 14
    source.streams(**{table: f"{{table: {table}, disposition: replace}}" for table in tables}).ingest()
    for table in tables:
        key = {"orders": "order_id", "order_details": "order_id, product_id"}.get(table, "1, 2")
        theirs = source_rows(source, table, key)
        order = "cast(order_id as bigint)" if table == "orders" else key
        same(sorted(source.rows(table, order), key=by_values), sorted(theirs, key=by_values))
    counts = {table: int(project.value(f"select count(*) from raw_erp.{table}")) for table in northwind.ROWS}
    assert counts == northwind.ROWS


def by_values(row):
    return [str(value) for value in list(row.values())[:2]]


def test_types(project, mariadb):
    source = Source(project, mariadb.url(mariadb.database("types")))
    source.connect = lambda: mariadb.connect("types")
    execute(
        source,
        TYPES,
        "insert into types values (18446744073709551615, -128, 4294967295, 1234567890123456789012.12345678, 1e300, 1,"
        " 'ñandú \"x\" ☃', 'ab', '2024-02-29', '2024-03-31 02:30:00.123456', '1999-12-31 23:59:59.999999', x'00ff10',"
        """ 'brave', '{"a": [1, 2]}')""",
        "insert into types (id) values (2)",
        "set sql_mode = ''",
        "insert into types (id, born, local_at, words) values (3, '0000-00-00', '0000-00-00 00:00:00', '')",
    )
    source.streams(types="{table: types, disposition: replace}").ingest()
    rows = source.rows("types", "1")
    first = next(row for row in rows if row["tiny"] == -128)
    assert {row["id"] for row in rows} == {2**64 - 1, 2}
    [rejected] = project.query("select reason, record from ops.rejected_rows")
    assert "born" in rejected[0] and "local_at" in rejected[0] and '"0000-00-00"' in rejected[1], "a zero date is not a date"
    nulls = next(row for row in rows if row["id"] == 2)
    utc = datetime.timezone.utc
    assert int(first["id"]) == 2**64 - 1 and first["whole"] == 2**32 - 1 and first["approx"] == 1e300
    assert first["exact"] == Decimal("1234567890123456789012.12345678") and first["yes"] in (True, 1)
    assert first["words"] == 'ñandú "x" ☃' and first["fixed"] == "ab" and first["feeling"] == "brave"
    assert first["born"] == datetime.date(2024, 2, 29)
    assert first["moment"].replace(tzinfo=utc) == datetime.datetime(2024, 3, 31, 2, 30, 0, 123456, utc)
    assert first["local_at"].replace(tzinfo=utc) == datetime.datetime(1999, 12, 31, 23, 59, 59, 999999, utc)
    assert first["raw_bytes"] == b"\x00\xff\x10" and first["document"] == '{"a": [1, 2]}'
    assert {name for name, value in nulls.items() if value is not None} == {"id"}


def test_only_what_changed_is_read(shop, project):
    shop.ingest()
    check(shop)
    execute(
        shop,
        "update sales set amount = -1, updated_at = now(6) where id % 1000 = 0",
        f"insert into sales values ({SALES + 1}, 0.01, now(6))",
        "delete from sales where id between 10 and 12",
    )
    shop.ingest()
    check(shop)
    rows = project.query("select rows from ops.loads where stream = 'sales' order by started_at")
    assert int(rows[1][0]) < 100, f"the second load landed {rows}"


def test_the_table_changes_between_loads(shop):
    """A new column and a wider type."""
    shop.ingest()
    execute(
        shop,
        "alter table sales add column channel text",
        "alter table sales modify id bigint",
        "alter table sales modify amount decimal(18, 4)",
        f"insert into sales values ({2**40}, 1.2345, now(6), 'web')",
    )
    shop.ingest()
    check(shop)


def test_loads_while_it_is_written(shop):
    writer = Writer(shop.connect, random.Random(SEED), "now(6)", SALES + 1, deletes=True)
    shop.ingest()
    writer.start()
    loads = 0
    while writer.is_alive() or loads < 3:
        shop.ingest()
        loads += 1
    assert writer.wrong is None, writer.wrong
    shop.ingest()
    check(shop)


def test_the_server_is_killed_in_the_middle(shop, mariadb):
    direct = shop.url
    with Proxy(mariadb.port, hold_after=200_000) as wire:
        shop.url = direct.replace(str(mariadb.port), str(wire.port))
        shop.streams(sales=INCREMENTAL)
        load = shop.project.start("ingest")
        assert wire.held.wait(timeout=60), "no answer was long enough to be cut"
        mariadb.kill()
        wire.release()
        assert load.wait(timeout=120) in (1, 3)
        result = shop.ingest(code=3)
        assert "127.0.0.1" in result.err and "vira-3" not in result.err, result
        mariadb.start()
        shop.ingest()
        check(shop)


def test_refusals(project, mariadb):
    """What a user gets wrong is told as such, without the password."""
    source = Source(project, mariadb.url("acme").replace("vira-3", "vira-4")).streams(sales=INCREMENTAL)
    result = source.ingest(code=2)
    assert "vira" not in result.err + result.out, result
    source.url = mariadb.url("acme")
    assert "sales" in source.streams(sales=INCREMENTAL).ingest(code=2).err
