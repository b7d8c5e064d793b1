"""The tables: the same rows in the lake and in DuckDB."""

import datetime
import decimal
import io
import random

import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = {
    "id": ("integer", pa.int64()),
    "k": ("integer", pa.int64()),
    "n": ("integer", pa.int64()),
    "i": ("integer", pa.int32()),
    "p": ("decimal", pa.decimal128(10, 2)),
    "q": ("decimal", pa.decimal128(18, 4)),
    "x": ("double", pa.float64()),
    "t": ("text", pa.string()),
    "u": ("text", pa.string()),
    "b": ("boolean", pa.bool_()),
    "d": ("date", pa.date32()),
    "ts": ("timestamp", pa.timestamp("us", "UTC")),
    # Extremes, which are compared and never added.
    "m": ("extreme", pa.int64()),
    "y": ("extreme_double", pa.float64()),
}

ROWS = {"a": 40, "b": 25, "c": 7, "nothing": 0}

TEXTS = ["", "a", "A", "ab", "abc", "Ana", "ñandú", "x_y", "50%", " a ", "b", "zebra", "10", "a'b"]
EXTREMES = [2**63 - 1, -(2**63), 0, 1, -1]
DOUBLES = [float("nan"), float("inf"), float("-inf"), 0.0, -1.5, 1e300, 1e-300]


def values(random, name, row):
    """One value of a column."""
    maybe = lambda value, nulls=0.15: None if random.random() < nulls else value
    day = datetime.date(2024, 1, 1) + datetime.timedelta(days=random.randint(-800, 800))
    moment = datetime.datetime.combine(day, datetime.time(random.randint(0, 23), random.randint(0, 59)))
    return {
        "id": lambda: row + 1,
        "k": lambda: maybe(random.randint(0, 5)),
        "n": lambda: maybe(random.randint(-1000, 1000)),
        "i": lambda: maybe(random.choice([0, 1, -1, 7, 100, -100])),
        "p": lambda: maybe(decimal.Decimal(random.randint(-99999, 99999)) / 100),
        "q": lambda: maybe(decimal.Decimal(random.choice([0, 5, 25, -5, 12345, -99999, 10**8])) / 10**4),
        "x": lambda: maybe(random.choice([0.0, 0.5, -0.5, 1.25, -3.75, 1000.0, 2.0])),
        "t": lambda: maybe(random.choice(TEXTS)),
        "u": lambda: maybe(random.choice(["a", "b", "c", ""])),
        "b": lambda: maybe(random.random() < 0.5),
        "d": lambda: maybe(day),
        "ts": lambda: maybe(moment.replace(tzinfo=datetime.timezone.utc)),
        "m": lambda: maybe(random.choice(EXTREMES)),
        "y": lambda: maybe(random.choice(DOUBLES)),
    }[name]()


def tables():
    """Each table by its name. They are always the same."""
    source = random.Random(11)
    made = {}
    for name, rows in ROWS.items():
        columns = {column: [values(source, column, row) for row in range(rows)] for column in COLUMNS}
        arrays = {column: pa.array(columns[column], kind) for column, (_, kind) in COLUMNS.items()}
        made[name] = pa.table(arrays)
    return made


def parquet(table):
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def project():
    """The files of a project that lands them in `raw_d`."""
    streams = "\n".join(f"  {name}: {{path: data/{name}.parquet}}" for name in ROWS)
    files = {f"data/{name}.parquet": parquet(table) for name, table in tables().items()}
    return {**files, "sources/d.yml": f"kind: files\nstreams:\n{streams}\n"}


def into_duckdb(connection):
    """Makes them in DuckDB, under the same names."""
    connection.execute("set TimeZone = 'UTC'; create schema raw_d")
    for name, table in tables().items():
        connection.register("made", table)
        connection.execute(f"create table raw_d.{name} as select * from made")
        connection.unregister("made")
