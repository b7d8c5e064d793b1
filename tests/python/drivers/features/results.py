"""Results of any size, and what changes something."""

from harness import PASSWORD, USER

from .. import Login
from ..shop import WRITABLE
from .registry import connected, feature, prepared, refused, value, with_connection, works


@feature("Results", "no rows, but columns")
@with_connection
def no_rows(connection, shop):
    answer = connection.query("select id, name from marts.customers where 1 = 0")
    assert answer.rows == [] and [name for name, _ in answer.columns] == ["id", "name"], answer


@feature("Results", "any names of columns")
@with_connection
def names(connection, shop):
    answer = connection.query('select 1 as "a.b", 2 as "ñ ""x""", 3 as "a.b", 4 as "A", 5 as a')
    assert [name for name, _ in answer.columns] == ["a.b", 'ñ "x"', "a.b", "A", "a"], answer.columns
    assert answer.rows == [["1", "2", "3", "4", "5"]], answer.rows


@feature("Results", "two million rows")
@with_connection
def two_million_rows(connection, shop):
    got = connection.count("select cast(x as bigint) as x from generate_series(1, 2000000) t(x)")
    assert got == (2_000_000, 2_000_001_000_000), got


@feature("Results", "rows of a megabyte each")
@with_connection
def large_rows(connection, shop):
    rows = connection.query("select repeat('x', 1000000) as x from generate_series(1, 40) t(i)").rows
    assert [len(text) for (text,) in rows] == [1_000_000] * 40


ENDLESS = "select cast(a.x as bigint) as x from generate_series(1, 1000000) a(x), generate_series(1, 1000000) b(y)"


@feature("Results", "left before the end")
@with_connection
def left(connection, shop):
    assert len(connection.take(ENDLESS, 10)) == 10
    works(connection)


@feature("Results", "cancelled in mid-stream")
@with_connection
def cancelled(connection, shop):
    rows, words = connection.cancel(ENDLESS)
    assert rows > 0 and "cancel" in words.lower(), (rows, words)
    works(connection)


@feature("Results", "two at a time")
def two_at_a_time(driver, shop):
    with connected(driver, shop) as one, connected(driver, shop) as two:
        with prepared(one, "select cast(? as bigint)") as a, prepared(two, "select cast(? as bigint)") as b:
            for number in range(5):
                assert value(a.execute([("bigint", number)])) == str(number)
                assert value(b.execute([("bigint", -number)])) == str(-number)


@feature("Changes", "statements that change something refused")
@with_connection
def changes(connection, shop):
    for sql in ("delete from marts.customers", "create table marts.x (a int)", "drop table marts.customers"):
        refused(lambda sql=sql: connection.update(sql), ["read"])
    assert value(connection.query("select count(*) from marts.customers")) == "4"


@feature("Changes", "bulk ingest")
def ingest(driver, shop):
    connection = driver.connect(shop.guarded, Login(USER, PASSWORD))
    try:
        table = f"numbers_{''.join(filter(str.isalnum, driver.name)).lower()}"
        count = f"select count(*) from {WRITABLE}.{table}"
        connection.ingest(WRITABLE, table, "create", 10)
        assert value(connection.query(count)) == "10"
        connection.ingest(WRITABLE, table, "append", 5)
        assert value(connection.query(count)) == "15"
        connection.ingest(WRITABLE, table, "replace", 3)
        assert value(connection.query(count)) == "3"
        refused(lambda: connection.ingest(WRITABLE, table, "create", 1), ["already"])
        refused(lambda: connection.ingest("marts", "customers", "append", 1), ["marts"])
    finally:
        connection.close()
