"""Upsert by key: 1 % random keys into 5 M rows."""

import shutil

import contest
import data
import duckdb
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

TITLE = "Upsert"


def run(runs, folder):
    target, changes = data.customers()
    expected = duckdb.sql(
        f"select count(*), sum(balance * 100)::bigint from (from '{changes}' union all "
        f"from '{target}' where id not in (select id from '{changes}'))"
    ).fetchone()

    project = folder / "project"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("sources", "arrived"):
        (project / name).mkdir(parents=True)
    (project / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
    (project / "sources" / "bench.yml").write_text(
        "kind: files\nallow_outside: true\nstreams:\n  customers: {path: 'arrived/*.parquet', key: [id], disposition: merge}\n"
    )
    (project / "arrived" / "1.parquet").symlink_to(target)
    contest.measured(contest.CORDADA, "ingest", "--project", project)
    (project / "arrived" / "2.parquet").symlink_to(changes)
    (project / "lake").rename(folder / "lake_before")
    write_deltalake(folder / "table_before", pq.read_table(target))

    def cordada():
        again(folder / "lake_before", project / "lake")
        figures = contest.measured(contest.CORDADA, "ingest", "--project", project)
        check(project / "lake" / "raw_bench" / "customers", expected)
        return figures

    def merge():
        again(folder / "table_before", folder / "table")
        figures = contest.measured(*contest.peer("deltalake_merge.py", folder / "table", changes))
        check(folder / "table", expected)
        return figures | {"seconds": float(figures["out"])}

    ours, theirs = contenders = [
        contest.Contender("Cordada `ingest`, disposition merge", cordada),
        contest.Contender("deltalake `MERGE`", merge),
    ]
    contest.alternate(contenders, runs)
    columns = [
        ("seconds", lambda c: f"{c.median('seconds'):.2f}"),
        ("fastest–slowest", lambda c: c.spread("seconds")),
        ("processor seconds", lambda c: f"{c.median('cpu'):.1f}"),
        ("peak memory, MB", lambda c: f"{c.median('megabytes'):.0f}"),
    ]
    time = ours.median("seconds") / theirs.median("seconds")
    memory = ours.median("megabytes") / theirs.median("megabytes")
    return "\n".join(
        [
            f"{data.SOURCE_ROWS:,} rows with random keys, from a Parquet file, into a table of {data.TARGET_ROWS:,} rows of "
            "6 columns. Cordada's time is the whole process's, with finding the new file and publishing a release; "
            "deltalake's is without the start of Python.",
            "",
            contest.table(contenders, columns),
            "",
            contest.goal("At most half of MERGE's time", time <= 1 / 2, f"{time:.2f} of it"),
            contest.goal("At most a third of its peak memory", memory <= 1 / 3, f"{memory:.2f} of it"),
        ]
    )


def again(before, folder):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(before, folder)


def check(path, expected):
    rows = DeltaTable(path).to_pyarrow_dataset()
    answer = duckdb.sql("select count(*), sum(balance * 100)::bigint from rows").fetchone()
    contest.expect("(rows, balance in cents)", answer, expected)
