"""Values of every type, out of literals and out of a table."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

from .. import Crashed, same
from ..shop import COLUMNS
from .registry import connected, feature, value, with_connection

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
        ("3.4e3", Decimal("3400")),
        ("cast(null as decimal(12, 4))", None),
    ],
    "text": [
        ("''", ""),
        ("'it''s'", "it's"),
        (f"'{LONG}'", LONG),
        ("'a\tb\nc\\d'", "a\tb\nc\\d"),
        ("cast(null as varchar)", None),
    ],
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
    "times": [("time '00:00:00'", time(0)), ("time '23:59:59'", time(23, 59, 59)), ("cast(null as time)", None)],
    "times with microseconds": [("time '10:00:00.123456'", time(10, 0, 0, 123456))],
    "timestamps": [
        ("timestamp '2026-01-07 10:30:00.123456'", datetime(2026, 1, 7, 10, 30, 0, 123456)),
        ("timestamp '2026-07-07 10:30:00'", datetime(2026, 7, 7, 10, 30)),
        ("timestamp '1969-12-31 23:59:59.999999'", datetime(1969, 12, 31, 23, 59, 59, 999999)),
        ("timestamp '9999-12-31 23:59:59'", datetime(9999, 12, 31, 23, 59, 59)),
        ("cast(null as timestamp)", None),
    ],
    "timestamps that a clock skips": [("timestamp '2026-03-29 02:30:00'", datetime(2026, 3, 29, 2, 30))],
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


def wrong(connection, kind):
    """The literals of a kind that are read as something else, each with that."""
    for sql, wanted in VALUES[kind]:
        try:
            got = value(connection.query(f"select {sql} as x"))
        except (Crashed, AssertionError):
            raise
        except Exception as error:
            got = f"{type(error).__name__}: {error}"
        if not same(wanted, got):
            yield f"{sql[:80]} gives {str(got)[:300]}"


def reads(kind):
    @with_connection
    def check(connection, shop):
        found = list(wrong(connection, kind))
        assert not found, "; ".join(found)

    return check


for kind in VALUES:
    feature("Values", kind)(reads(kind))


@feature("Values", "dates and times in a process that is not in UTC")
def elsewhere(driver, shop):
    with driver.elsewhere() as other, connected(other, shop) as connection:
        kinds = ("dates", "times", "timestamps", "timestamps that a clock skips", "timestamps with a zone")
        found = [text for kind in kinds for text in wrong(connection, kind)]
        assert not found, "; ".join(found)


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
    wrong = [
        found for found in connection.objects(sql) if "Exception" in found[1] or "Error" in found[1] or not found[2]
    ]
    assert not wrong, wrong
