"""The data that the benchmarks run on, made once and kept in the cache folder."""

import gzip
import os
import random
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = Path(os.environ.get("CORDADA_TEST_DATA", ROOT.parent / "shared" / "data"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cordada" / "bench"

TARGET_ROWS, SOURCE_ROWS = 5_000_000, 50_000
SERVED_ROWS = 2_000_000
READINGS = 10_000_000


def once(name, write):
    """The file `name`, written by `write(path)` unless it is there."""
    path = CACHE / name
    if not path.exists():
        print(f"  making {path}", flush=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        write(unfinished)
        unfinished.rename(path)
    return path


def into(project, file):
    """The file's path in the project, where it is the same file by another name, or a copy on another disk."""
    try:
        os.link(file, project / file.name)
    except OSError:
        shutil.copyfile(file, project / file.name)
    return file.name


def online_retail(copies):
    """The UCI Online Retail file, its 541,909 lines `copies` times; `None` if it is not on this machine."""
    source = FILES / "online_retail" / "onlineretail.csv.gz"
    if not source.exists():
        return None

    def write(path):
        with open(path, "wb") as out:
            for copy in range(copies):
                with gzip.open(source) as file:
                    header = file.readline()
                    if copy == 0:
                        out.write(header)
                    shutil.copyfileobj(file, out, 1 << 20)

    return once(f"online_retail_{copies}.csv", write)


def customers():
    """Two Parquet files: 5 M customers in the order of their ids, and new values for 1 % of them, chosen at random."""
    return once("customers.parquet", write_customers), once("customers_changed.parquet", write_changes)


def write_customers(path):
    write_rows(path, range(TARGET_ROWS), seed=1)


def write_changes(path):
    write_rows(path, random.Random(2).sample(range(TARGET_ROWS), SOURCE_ROWS), seed=3)


def write_rows(path, ids, seed):
    import pyarrow as pa
    import pyarrow.parquet as pq

    value = random.Random(seed).random
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("name", pa.string()),
            ("city", pa.string()),
            ("balance", pa.float64()),
            ("visits", pa.int64()),
            ("updated_at", pa.timestamp("us", "UTC")),
        ]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(ids), 500_000):
            part = ids[start : start + 500_000]
            columns = [
                list(part),
                [f"customer {id:07}" for id in part],
                [f"city {int(value() * 500)}" for _ in part],
                [round(value() * 1000, 2) for _ in part],
                [int(value() * 50) for _ in part],
                [1_700_000_000_000_000 + seed * 1_000_000 + id for id in part],
            ]
            writer.write_table(pa.table([pa.array(c, f.type) for c, f in zip(columns, schema)], schema=schema))


def lines():
    """A Parquet file of 2 M order lines, to be served."""
    return once("lines.parquet", write_lines)


def write_lines(path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    value, rows = random.Random(4).random, range(SERVED_ROWS)
    columns = {
        "line_id": pa.array(rows, pa.int64()),
        "invoice": pa.array([f"A{500_000 + i // 20}" for i in rows]),
        "product": pa.array([f"P{int(value() * 4000):05}" for _ in rows]),
        "description": pa.array([f"PRODUCT NUMBER {int(value() * 4000)}" for _ in rows]),
        "quantity": pa.array([int(value() * 24) + 1 for _ in rows], pa.int64()),
        "price": pa.array([round(value() * 50, 2) for _ in rows], pa.float64()),
        "sold_at": pa.array([1_600_000_000_000_000 + i * 15_000_000 for i in rows], pa.timestamp("us", "UTC")),
    }
    pq.write_table(pa.table(columns), path)


def readings():
    """A Parquet file of 10 M readings of sensors, to be filtered."""
    return once("readings.parquet", write_readings)


def write_readings(path):
    import duckdb

    duckdb.sql(
        f"""
        copy (
            select
                range as reading_id,
                'sensor ' || range % 997 as sensor,
                (range * 2654435761 % 100000) / 100.0::double as value,
                timestamp '2026-01-01' + to_milliseconds(range * 100) as read_at
            from range({READINGS})
        ) to '{path}' (format parquet)
        """
    )


def people(persons):
    """A Parquet file of the records of so many persons, whose numbers are in the column `person`."""
    import people

    return once(f"people_{persons}.parquet", lambda path: people.write(path, persons))
