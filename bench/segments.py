"""Segments: 20 conditions over 1 M persons, from scratch and after 1 % of them changed."""

import csv
import io
import shutil
import subprocess

import contest
import data
import duckdb

TITLE = "Segments"
PERSONS, CHANGED, CONDITIONS = 1_000_000, 10_000, 20

MART = """\
{{ config(materialized='incremental', unique_key='customer_id', incremental_strategy='merge') }}
select * from {{ source('bench', 'persons') }}
{% if is_incremental() %}where _loaded_at > (select max(_loaded_at) from {{ this }}){% endif %}
"""
TESTS = "models: [{name: persons, columns: [{name: customer_id, data_tests: [unique, not_null]}]}]\n"
FILTERS = [f"f{at} >= {at % 4}" for at in range(CONDITIONS)]


def run(runs, folder):
    persons, changes = data.once("persons.parquet", write_persons), data.once("persons_changed.parquet", write_changes)
    everybody = f"(from '{changes}' union all from '{persons}' where customer_id not in (select customer_id from '{changes}'))"
    before, after = members(f"'{persons}'"), members(everybody)

    project = folder / "project"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("sources", "arrived", "sql/marts", "segments"):
        (project / name).mkdir(parents=True)
    files = {
        "cordada.yml": "name: bench\nlake: ./lake\n",
        "sources/bench.yml": (
            "kind: files\nallow_outside: true\n"
            "streams:\n  persons: {path: 'arrived/*.parquet', key: [customer_id], disposition: merge}\n"
        ),
        "sql/dbt_project.yml": "name: bench\nmodel-paths: [marts]\n",
        "sql/marts/sources.yml": "sources: [{name: bench, tables: [{name: persons}]}]\n",
        "sql/marts/persons.sql": MART,
        "sql/marts/persons.yml": TESTS,
        "segments/chosen.yml": "from: persons\nfilters:\n" + "".join(f"  - {condition}\n" for condition in FILTERS),
    }
    for name, text in files.items():
        (project / name).write_text(text)
    (project / "arrived" / "1.parquet").symlink_to(persons)
    contest.measured(contest.CORDADA, "ingest", "--project", project)
    contest.measured(contest.CORDADA, "build", "--select", "persons", "--project", project)
    (project / "lake").rename(folder / "lake_before")

    def from_scratch():
        again(folder / "lake_before", project)
        return built(project, before)

    def after_changes():
        again(folder / "lake_before", project)
        built(project, before)
        (project / "arrived" / "2.parquet").symlink_to(changes)
        contest.measured(contest.CORDADA, "ingest", "--project", project)
        return built(project, after)

    full, narrow = contenders = [
        contest.Contender("everybody", from_scratch),
        contest.Contender("after 1 % changed", after_changes),
    ]
    contest.alternate(contenders, runs)
    columns = [
        ("evaluation, seconds", lambda c: f"{c.median('evaluation'):.3f}"),
        ("the whole build, seconds", lambda c: f"{c.median('seconds'):.2f}"),
        ("peak memory, MB", lambda c: f"{c.median('megabytes'):.0f}"),
    ]
    return "\n".join(
        [
            f"{PERSONS:,} persons with {CONDITIONS} figures each, a segment of {CONDITIONS} conditions with {before:,} members; "
            f"then {CHANGED:,} persons at random get new figures, by an incremental model with a `unique_key`. The evaluation's "
            "time is the segment's in `ops.runs`: finding out what changed, looking at those persons, writing what changed of "
            "the segment. The whole build merges the changes into the mart and tests that its key is unique.",
            "",
            contest.table(contenders, columns),
            "",
            contest.goal("From scratch in less than 2 s", full.median("evaluation") < 2, f"{full.median('evaluation'):.2f} s"),
            contest.goal("After 1 % in less than 0.1 s", narrow.median("evaluation") < 0.1, f"{narrow.median('evaluation'):.3f} s"),
        ]
    )


def built(project, expected):
    """The figures of a build, whose segment has that many members."""
    figures = contest.measured(contest.CORDADA, "build", "--project", project)
    contest.expect("members", int(value(project, "select count(*) from segments.chosen")), expected)
    seconds = (
        "select extract(epoch from ended_at - started_at) from ops.runs where node = 'chosen' order by started_at desc limit 1"
    )
    return figures | {"evaluation": float(value(project, seconds))}


def value(project, sql):
    command = [contest.CORDADA, "query", sql, "--format", "csv", "--project", project]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return list(csv.reader(io.StringIO(out)))[1][0]


def members(relation):
    conditions = " and ".join(FILTERS)
    return duckdb.sql(f"select count(*) from {relation} where {conditions}").fetchone()[0]


def again(before, project):
    shutil.rmtree(project / "lake", ignore_errors=True)
    (project / "arrived" / "2.parquet").unlink(missing_ok=True)
    shutil.copytree(before, project / "lake")


def write_persons(path):
    write(path, f"range({PERSONS})", salt=1)


def write_changes(path):
    # Every hundredth in an order that is as good as random.
    write(path, f"(from range({PERSONS}) order by hash(range) limit {CHANGED})", salt=2)


def write(path, numbers, salt):
    figures = ", ".join(f"(hash(range, {at}, {salt}) % 40)::integer as f{at}" for at in range(CONDITIONS))
    duckdb.sql(f"copy (select left(md5(range::varchar), 16) as customer_id, {figures} from {numbers}) to '{path}' (format parquet)")
