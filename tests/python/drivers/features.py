"""What each driver is asked for: one function a feature, in the order of the matrix.

A feature gets the driver and the `Shop` (shop.py) that is served; it returns if all came out right, raises `Lacks` where the
driver has no way to ask, and fails otherwise.
"""

import contextlib
import functools
from datetime import UTC, date, datetime, time
from decimal import Decimal

from . import Address, Lacks, Login, same
from .shop import COLUMNS, COMMENTS, ORDERS, PASSWORD, USER

GROUPS = {}


def feature(group, name):
    """Puts a function among the features, which it is until the end of the session."""

    def put(check):
        GROUPS.setdefault(group, {})[name] = check
        return check

    return put


@contextlib.contextmanager
def connected(driver, shop, **how):
    connection = driver.connect(shop.open, **how)
    try:
        yield connection
    finally:
        connection.close()


def with_connection(check):
    """The check gets a connection without a user instead of the driver."""

    @functools.wraps(check)
    def connects(driver, shop):
        with connected(driver, shop) as connection:
            check(connection, shop)

    return connects


def value(answer):
    [[found]] = answer.rows
    return found


def refused(do, says=()):
    """The words of the error that this ends with."""
    try:
        do()
    except Lacks:
        raise
    except Exception as error:
        words = str(error)
        assert PASSWORD not in words, f"the password is in the error: {words}"
        assert not says or any(word.lower() in words.lower() for word in says), f"the error says none of {says}: {words}"
        return words
    raise AssertionError("it was not refused")


def works(connection):
    assert value(connection.query("select 41 + 1")) == "42", "`select 41 + 1` is not 42"


# Connections


@feature("Connections", "without users")
def without_users(driver, shop):
    with connected(driver, shop) as connection:
        works(connection)


@feature("Connections", "user and password")
def user_and_password(driver, shop):
    connection = driver.connect(shop.guarded, Login(USER, PASSWORD))
    assert value(connection.query("select current_user")) == USER
    connection.close()


@feature("Connections", "wrong password refused")
def wrong_password(driver, shop):
    refused(lambda: driver.connect(shop.guarded, Login(USER, "wrong")), ["unauthenticated", "password"])


@feature("Connections", "no password refused")
def no_password(driver, shop):
    refused(lambda: driver.connect(shop.guarded, Login(USER, None)), ["unauthenticated", "password"])


@feature("Connections", "no user refused")
def no_user(driver, shop):
    refused(lambda: driver.connect(shop.guarded), ["unauthenticated", "log in", "authenticat"])


@feature("Connections", "TLS with an authority of one's own")
def tls(driver, shop):
    connection = driver.connect(shop.encrypted, Login(USER, PASSWORD))
    works(connection)
    connection.close()


@feature("Connections", "TLS: an unknown authority refused")
def unknown_authority(driver, shop):
    refused(lambda: driver.connect(shop.encrypted, Login(USER, PASSWORD), trusted=False), ["certificate", "ssl", "tls"])


@feature("Connections", "plain text to a TLS server refused")
def plain_text(driver, shop):
    plain = Address(shop.encrypted.host, shop.encrypted.port)
    refused(lambda: driver.connect(plain, Login(USER, PASSWORD)))


@feature("Connections", "usable after an error")
@with_connection
def after_an_error(connection, shop):
    words = refused(lambda: connection.query("select * from marts.no_such_table"), ["no_such_table"])
    assert "\n    at " not in words, words
    refused(lambda: connection.query("select 1 / 0"), ["division by zero", "divide by zero"])
    works(connection)


@feature("Connections", "closed for good")
def closed(driver, shop):
    connection = driver.connect(shop.guarded, Login(USER, PASSWORD))
    works(connection)
    connection.close()
    refused(lambda: works(connection))


# Sessions


@feature("Sessions", "a schema of the session")
def schema_of_the_session(driver, shop):
    with connected(driver, shop, session={"schema": "raw_shop"}) as connection:
        assert value(connection.query("select current_schema()")) == "raw_shop"
        assert value(connection.query("select count(*) from orders")) == str(ORDERS)


@feature("Sessions", "an older release")
def older_release(driver, shop):
    with connected(driver, shop, session={"release": str(shop.first_release)}) as connection:
        assert value(connection.query("select count(*) from marts.customers")) == "3"
    with connected(driver, shop) as connection:
        assert value(connection.query("select count(*) from marts.customers")) == "4"


@feature("Sessions", "`use` holds")
@with_connection
def use_holds(connection, shop):
    connection.query("use raw_shop")
    assert value(connection.query("select current_schema()")) == "raw_shop"


@feature("Sessions", "options set and read")
@with_connection
def options(connection, shop):
    connection.set_option("schema", "raw_shop")
    assert connection.options()["schema"] == "raw_shop"
    refused(lambda: connection.set_option("no_such_option", "1"))
    works(connection)


# Metadata


def listed(connection, about, *of):
    return [tuple(row) for row in connection.metadata(about, *of)]


@feature("Metadata", "catalogs")
@with_connection
def catalogs(connection, shop):
    assert listed(connection, "catalogs") == [("lake",)]


@feature("Metadata", "schemas")
@with_connection
def schemas(connection, shop):
    found = listed(connection, "schemas")
    assert {("marts",), ("raw_shop",), ("information_schema",)} <= set(found), found
    assert len(found) == len(set(found)), found


@feature("Metadata", "tables and views")
@with_connection
def tables(connection, shop):
    found = {name: kind for schema, name, kind in listed(connection, "tables", "marts")}
    wanted = {"customers": "TABLE", "orders": "TABLE", "every_type": "TABLE", "recent_orders": "VIEW"}
    assert {name: kind.replace("BASE ", "") for name, kind in found.items()} == wanted, found


@feature("Metadata", "types of tables")
@with_connection
def table_types(connection, shop):
    found = {kind for (kind,) in listed(connection, "table_types")}
    assert "VIEW" in found and found & {"TABLE", "BASE TABLE"}, found


@feature("Metadata", "columns with types")
@with_connection
def columns(connection, shop):
    found = [(name, kind) for name, kind, *_ in listed(connection, "columns", "marts", "every_type")]
    assert [name for name, _ in found] == list(COLUMNS), found
    wrong = {name: kind for name, kind in found if kind.split("(")[0] not in COLUMNS[name]}
    assert not wrong, f"types: {wrong}"


@feature("Metadata", "digits of decimals")
@with_connection
def digits(connection, shop):
    [found] = [row for row in connection.metadata("columns", "marts", "every_type") if row[0] == "decimals"]
    if found[2] is None:
        raise Lacks("it does not hand them on")
    assert [str(digits) for digits in found[2:4]] == ["38", "10"], found


@feature("Metadata", "comments of columns")
@with_connection
def comments(connection, shop):
    found = {row[0]: row[4] for row in connection.metadata("columns", "marts", "customers")}
    assert {name: found[name] for name in COMMENTS} == COMMENTS, found


@feature("Metadata", "primary keys")
@with_connection
def primary_keys(connection, shop):
    assert listed(connection, "primary_key", "marts", "customers") == [("id",)]
    assert listed(connection, "primary_key", "marts", "every_type") == []


@feature("Metadata", "foreign keys")
@with_connection
def foreign_keys(connection, shop):
    assert listed(connection, "imported_keys", "marts", "orders") == [("customer_id", "marts", "customers", "id")]


@feature("Metadata", "what refers to a table")
@with_connection
def exported_keys(connection, shop):
    assert listed(connection, "exported_keys", "marts", "customers") == [("id", "marts", "orders", "customer_id")]


@feature("Metadata", "SQL types")
@with_connection
def sql_types(connection, shop):
    found = {name for name, *_ in connection.metadata("types")}
    assert {"BIGINT", "DECIMAL", "DATE", "BOOLEAN"} <= found, found


@feature("Metadata", "about the server")
@with_connection
def server(connection, shop):
    found = connection.metadata("server")
    assert found["name"] == "Cordada" and found["version"] == shop.version, found
    wanted = {"quote": '"', "longest_name": "0"}
    assert {name: found[name] for name in wanted if name in found} == {n: v for n, v in wanted.items() if n in found}, found
    assert found.get("functions", "UPPER") and found.get("convert", "true"), found


# Values

LONG = "ñandú 🦙 " * 1000
VALUES = {
    "booleans": [("true", True), ("false", False), ("cast(null as boolean)", None)],
    "integers": [
        ("cast(-128 as tinyint)", -128),
        ("cast(-32768 as smallint)", -32768),
        ("cast(2147483647 as integer)", 2147483647),
        ("cast(-9223372036854775808 as bigint)", -9223372036854775808),
        ("cast(9223372036854775807 as bigint)", 9223372036854775807),
        ("cast(null as bigint)", None),
    ],
    "floating-point numbers": [
        ("cast(0.1 as double)", 0.1),
        ("cast(-1.7976931348623157e308 as double)", -1.7976931348623157e308),
        ("cast(5e-324 as double)", 5e-324),
        ("cast('NaN' as double)", float("nan")),
        ("cast('Infinity' as double)", float("inf")),
        ("cast(0.5 as real)", 0.5),
        ("cast(null as double)", None),
    ],
    "decimals": [
        ("cast(-0.01 as decimal(4, 2))", Decimal("-0.01")),
        (f"cast({'9' * 38} as decimal(38, 0))", Decimal("9" * 38)),
        (f"cast(-0.{'9' * 38} as decimal(38, 38))", Decimal(f"-0.{'9' * 38}")),
        ("cast(1 as decimal(12, 4))", Decimal("1.0000")),
        ("cast(null as decimal(12, 4))", None),
    ],
    "text": [("''", ""), ("'it''s'", "it's"), (f"'{LONG}'", LONG), ("'a\tb\nc\\d'", "a\tb\nc\\d"), ("cast(null as varchar)", None)],
    "bytes": [
        ("decode('00ff80', 'hex')", bytes.fromhex("00ff80")),
        ("decode('', 'hex')", b""),
        ("cast(null as bytea)", None),
    ],
    "dates": [
        ("date '2024-02-29'", date(2024, 2, 29)),
        ("date '1969-12-31'", date(1969, 12, 31)),
        ("date '0001-01-01'", date(1, 1, 1)),
        ("date '9999-12-31'", date(9999, 12, 31)),
        ("cast(null as date)", None),
    ],
    "dates of the summer": [("date '1900-07-01'", date(1900, 7, 1)), ("date '2024-07-01'", date(2024, 7, 1))],
    "times": [("time '00:00:00'", time(0)), ("time '23:59:59'", time(23, 59, 59)), ("cast(null as time)", None)],
    "times with microseconds": [("time '10:00:00.123456'", time(10, 0, 0, 123456))],
    "timestamps": [
        ("timestamp '2026-01-07 10:30:00.123456'", datetime(2026, 1, 7, 10, 30, 0, 123456)),
        ("timestamp '2026-07-07 10:30:00'", datetime(2026, 7, 7, 10, 30)),
        ("timestamp '1969-12-31 23:59:59.999999'", datetime(1969, 12, 31, 23, 59, 59, 999999)),
        ("timestamp '9999-12-31 23:59:59'", datetime(9999, 12, 31, 23, 59, 59)),
        ("cast(null as timestamp)", None),
    ],
    "timestamps that the clock skips": [("timestamp '2026-03-29 02:30:00'", datetime(2026, 3, 29, 2, 30))],
    "timestamps with a zone": [
        ("timestamptz '2026-01-07 10:30:00.123456+00'", datetime(2026, 1, 7, 10, 30, 0, 123456, UTC)),
        ("timestamptz '2026-07-07 10:30:00+02'", datetime(2026, 7, 7, 8, 30, tzinfo=UTC)),
        ("cast(null as timestamptz)", None),
    ],
    "lists": [
        ("[1, 2, null]", [1, 2, None]),
        ("['a', 'ñ']", ["a", "ñ"]),
        ("[[1], [2, 3]]", [[1], [2, 3]]),
        ("cast(null as bigint[])", None),
    ],
    "records": [("named_struct('a', 1, 'b', 'x')", {"a": 1, "b": "x"}), ("named_struct('a', [1, 2])", {"a": [1, 2]})],
    "maps": [("map(['a', 'b'], [1, 2])", {"a": 1, "b": 2})],
}


def reads(kind):
    @with_connection
    def check(connection, shop):
        wrong = []
        for sql, wanted in VALUES[kind]:
            try:
                got = value(connection.query(f"select {sql} as x"))
            except AssertionError:
                raise
            except Exception as error:
                got = f"{type(error).__name__}: {error}"
            if not same(wanted, got):
                wrong.append(f"{sql[:80]} gives {str(got)[:300]}")
        assert not wrong, "; ".join(wrong)

    return check


for kind in VALUES:
    feature("Values", kind)(reads(kind))


@feature("Values", "intervals")
@with_connection
def intervals(connection, shop):
    [[found]] = connection.query("select interval '1 month 2 days 3 hours' as x").rows
    assert found, "nothing came"


@feature("Values", "a table's values and nulls")
@with_connection
def stored(connection, shop):
    rows = connection.query("select * from marts.every_type order by integers nulls last").rows
    assert len(rows) == 3, rows
    assert rows[2] == [None] * len(COLUMNS), rows[2]


@feature("Values", "every value as object and as text")
@with_connection
def objects(connection, shop):
    sql = "select * from marts.every_type where integers is not null order by integers limit 1"
    wrong = [found for found in connection.objects(sql) if "Exception" in found[1] or "Error" in found[1] or not found[2]]
    assert not wrong, wrong


# Parameters

PARAMETERS = {
    "booleans": ("boolean", "boolean", [True, False]),
    "integers": ("bigint", "bigint", [0, -9223372036854775808, 9223372036854775807]),
    "small integers for large": ("integer", "bigint", [7, -2147483648]),
    "floating-point numbers": ("double", "double", [0.1, -1.7976931348623157e308]),
    "decimals": ("decimal", "decimal(38, 10)", [Decimal("-0.0100000000"), Decimal("9" * 28 + ".0000000001")]),
    "text": ("text", "varchar", ["", "it's", "ñandú 🦙", "a\tb\nc\\d"]),
    "bytes": ("binary", "bytea", [b"\x00\xff", b""]),
    "dates": ("date", "date", [date(2024, 2, 29), date(1969, 12, 31), date(2024, 7, 1)]),
    "times": ("time", "time", [time(0), time(23, 59, 59)]),
    "timestamps": (
        "timestamp",
        "timestamp",
        [datetime(2026, 1, 7, 10, 30), datetime(2026, 7, 7, 10, 30), datetime(1969, 12, 31, 23, 59, 59)],
    ),
    "timestamps with a zone": ("timestamptz", "timestamptz", [datetime(2026, 7, 7, 8, 30, tzinfo=UTC)]),
}


@contextlib.contextmanager
def prepared(connection, sql):
    statement = connection.prepare(sql)
    try:
        yield statement
    finally:
        statement.close()


def binds(kind):
    @with_connection
    def check(connection, shop):
        parameter, sql, values = PARAMETERS[kind]
        with prepared(connection, f"select cast(? as {sql}) as x") as statement:
            for wanted in values:
                got = value(statement.execute([(parameter, wanted)]))
                assert same(wanted, got), f"{wanted!r} comes back as {got}"

    return check


for kind in PARAMETERS:
    feature("Parameters", kind)(binds(kind))


@feature("Parameters", "nulls")
@with_connection
def nulls(connection, shop):
    with prepared(connection, "select cast(? as bigint) is null as a, coalesce(cast(? as varchar), 'none') as b") as statement:
        assert statement.execute([("null", None), ("null", None)]).rows == [["true", "none"]]


@feature("Parameters", "in a filter, without a cast")
@with_connection
def in_a_filter(connection, shop):
    filters = {
        "ordered_at >= ?": ("timestamp", datetime(2026, 1, 7), 2),
        "cast(ordered_at as date) = ?": ("date", date(2026, 1, 7), 1),
        "amount > ?": ("decimal", Decimal("10.00"), 2),
        "customer_id = ?": ("bigint", 1, 2),
    }
    for condition, (kind, wanted, rows) in filters.items():
        with prepared(connection, f"select count(*) from marts.orders where {condition}") as statement:
            got = value(statement.execute([(kind, wanted)]))
            assert got == str(rows), f"{condition} with {wanted} gives {got} rows, not {rows}"


@feature("Parameters", "several rows")
@with_connection
def several_rows(connection, shop):
    with prepared(connection, "select cast(? as bigint) + 1 as x") as statement:
        got = statement.execute(*([("bigint", number)] for number in (1, 2, 3))).rows
        assert got == [["2"], ["3"], ["4"]], got


@feature("Parameters", "prepared once, executed often")
@with_connection
def executed_often(connection, shop):
    with prepared(connection, "select cast(? as bigint) * 2 as x") as statement:
        for number in range(20):
            assert value(statement.execute([("bigint", number)])) == str(number * 2)
    with prepared(connection, "select count(*) from marts.customers") as statement:
        assert [value(statement.execute()) for _ in range(3)] == ["4"] * 3


# Results


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


# Changes


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
        count = f"select count(*) from {shop.writable}.{table}"
        connection.ingest(shop.writable, table, "create", 10)
        assert value(connection.query(count)) == "10"
        connection.ingest(shop.writable, table, "append", 5)
        assert value(connection.query(count)) == "15"
        connection.ingest(shop.writable, table, "replace", 3)
        assert value(connection.query(count)) == "3"
        refused(lambda: connection.ingest(shop.writable, table, "create", 1), ["exists"])
        refused(lambda: connection.ingest("marts", "customers", "append", 1))
    finally:
        connection.close()
