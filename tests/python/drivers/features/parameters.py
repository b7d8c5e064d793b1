"""Values that a client sends."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

from .. import text
from .registry import connected, feature, prepared, value, with_connection

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


def comes_back(connection, kind):
    """Whether the server has got each value, by a comparison with its literal."""
    parameter, sql, values = PARAMETERS[kind]
    for wanted in values:
        with prepared(connection, f"select cast(? as {sql}) = {literal(wanted, sql)} as x") as statement:
            got = value(statement.execute([(parameter, wanted)]))
            assert got == "true", f"{wanted!r} is not {literal(wanted, sql)} for the server"


def literal(value, sql):
    if isinstance(value, bytes):
        return f"decode('{value.hex()}', 'hex')"
    quoted = text(value).replace("'", "''")
    return f"cast('{quoted}' as {sql})"


def binds(kind):
    return with_connection(lambda connection, shop: comes_back(connection, kind))


for kind in PARAMETERS:
    feature("Parameters", kind)(binds(kind))


@feature("Parameters", "dates and times in a process that is not in UTC")
def elsewhere(driver, shop):
    with driver.elsewhere() as other, connected(other, shop) as connection:
        for kind in ("dates", "times", "timestamps", "timestamps with a zone"):
            comes_back(connection, kind)


@feature("Parameters", "nulls")
@with_connection
def nulls(connection, shop):
    with prepared(
        connection, "select cast(? as bigint) is null as a, coalesce(cast(? as varchar), 'none') as b"
    ) as statement:
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
