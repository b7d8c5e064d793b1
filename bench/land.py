"""CSV → Delta: Online Retail, twenty times over."""

import shutil

import contest
import data
import duckdb
from deltalake import DeltaTable

TITLE = "CSV to Delta"
COPIES = 20
ROWS, QUANTITY = 541_909 * COPIES, 5_176_450 * COPIES


def run(runs, folder):
    csv = data.online_retail(COPIES)
    if csv is None:
        return "Skipped: the Online Retail file is not on this machine (set CORDADA_TEST_DATA to the folder that has it)."

    def cordada():
        project = fresh(folder / "cordada")
        (project / "sources").mkdir()
        (project / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
        (project / "sources" / "bench.yml").write_text(f"kind: files\nstreams:\n  lines: {{path: '{data.into(project, csv)}'}}\n")
        figures = contest.measured(contest.CORDADA, "ingest", "--project", project)
        check_delta(project / "lake" / "raw_bench" / "lines")
        return figures

    def dlt(way):
        target = fresh(folder / f"dlt_{way}")
        figures = contest.measured(*contest.peer("dlt_land.py", csv, target, way))
        check_delta(target / "lake" / "raw" / "lines")
        return figures

    def duckdb_parquet():
        target = fresh(folder / "duckdb") / "lines.parquet"
        figures = contest.measured(*contest.peer("duckdb_land.py", csv, target))
        check(duckdb.sql(f"select count(*), sum(quantity)::bigint from '{target}'").fetchone())
        return figures

    ours, limit, arrow, rows = contenders = [
        contest.Contender("Cordada `ingest`", cordada),
        contest.Contender("DuckDB, CSV → Parquet, `sample_size=-1`", duckdb_parquet),
        contest.Contender("dlt, `read_csv_duckdb(use_pyarrow=True)`", lambda: dlt("arrow"), most_runs=1),
        contest.Contender("dlt, `read_csv_duckdb()`", lambda: dlt("rows"), most_runs=1),
    ]
    contest.alternate(contenders, runs)
    seconds, memory = ours.median("seconds"), ours.median("megabytes")
    columns = [
        ("seconds", lambda c: f"{c.median('seconds'):.1f}"),
        ("fastest–slowest", lambda c: c.spread("seconds")),
        ("rows/s", lambda c: f"{ROWS / c.median('seconds'):,.0f}"),
        ("processor seconds", lambda c: f"{c.median('cpu'):.1f}"),
        ("peak memory, MB", lambda c: f"{c.median('megabytes'):.0f}"),
    ]
    slower_rows, slower_arrow = rows.median("seconds") / seconds, arrow.median("seconds") / seconds
    to_limit = seconds / limit.median("seconds")
    return "\n".join(
        [
            f"Online Retail × {COPIES}: {ROWS:,} rows, {csv.stat().st_size / 1e6:.0f} MB of CSV, uncompressed, into an "
            "empty lake. Everybody types over the whole file. dlt's reader hands on Arrow batches in "
            "the first case and rows as Python objects, its default, in the second.",
            "",
            contest.table(contenders, columns),
            "",
            contest.goal("At least 10× dlt (rows)", slower_rows >= 10, f"{slower_rows:.1f}×"),
            contest.goal("At least 10× dlt (Arrow)", slower_arrow >= 10, f"{slower_arrow:.1f}×"),
            contest.goal("No slower than DuckDB's CSV → Parquet", to_limit <= 1, f"{to_limit:.2f} of its time"),
            contest.goal("At most 600 MB", memory <= 600, f"{memory:.0f} MB"),
        ]
    )


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def check_delta(path):
    lines = DeltaTable(path).to_pyarrow_dataset()
    check(duckdb.sql("select count(*), sum(quantity)::bigint from lines").fetchone())


def check(answer):
    contest.expect("(rows, quantity)", answer, (ROWS, QUANTITY))
