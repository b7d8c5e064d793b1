"""A web API → Delta: flat records, and records with three lists."""

import subprocess
import sys
from contextlib import contextmanager

import contest
import duckdb
import pages
from deltalake import DeltaTable
from land import fresh

TITLE = "Web API to Delta"
LISTS = ["lines", "payments", "events"]

MANIFEST = """
title: Bench
config: {{base_url: {{}}}}
base_url: "{{{{ config.base_url }}}}"
streams:
  {resource}:
    request: {{path: /{resource}}}
    records: /data
    paginate: {{kind: page, param: page, total_pages: {{body: /pages}}}}
    key: [id]
    disposition: replace
"""


def run(runs, folder):
    with api() as url:
        return "\n\n".join([flat(runs, folder, url), nested(runs, folder, url)])


@contextmanager
def api():
    """The URL of the pages' server, a process of its own."""
    command = [sys.executable, str(contest.HERE / "pages.py")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.wait()


def cordada(folder, url, resource, options=""):
    project = fresh(folder)
    (project / "sources").mkdir()
    (project / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
    (project / "api.yml").write_text(MANIFEST.format(resource=resource))
    (project / "sources" / "bench.yml").write_text(
        f"kind: rest\nmanifest: api.yml\nconfig: {{base_url: '{url}'}}\nstreams: {{{resource}: {{{options}}}}}\n"
    )
    figures = contest.measured(contest.CORDADA, "ingest", "--project", project)
    return figures, project / "lake" / "raw_bench"


def dlt(folder, url, resource):
    target = fresh(folder)
    figures = contest.measured(*contest.peer("dlt_rest.py", url, target, resource))
    return figures, target / "lake" / "raw"


def flat(runs, folder, url):
    def checked(result):
        figures, lake = result
        rows = DeltaTable(lake / "flat").to_pyarrow_dataset()
        answer = duckdb.sql("select count(*), count(distinct id), count(updated_at) from rows").fetchone()
        contest.expect("(rows, ids, times)", answer, (pages.FLAT,) * 3)
        return figures

    ours, theirs = contenders = [
        contest.Contender("Cordada `ingest`", lambda: checked(cordada(folder / "cordada", url, "flat"))),
        contest.Contender("dlt, `rest_api_source`", lambda: checked(dlt(folder / "dlt", url, "flat"))),
    ]
    contest.alternate(contenders, runs)
    text = f"{pages.FLAT:,} flat records of 12 fields, {pages.FLAT_PAGE:,} a page, from a server on loopback whose pages are ready."
    return report(text, contenders, pages.FLAT, [faster("flat records", ours, theirs)])


def nested(runs, folder, url):
    children = pages.NESTED * pages.CHILDREN

    def in_place(result):
        figures, lake = result
        rows = DeltaTable(lake / "nested").to_pyarrow_dataset()
        sums = ", ".join(f"sum(len({name}))::bigint" for name in LISTS)
        answer = duckdb.sql(f"select count(*), {sums} from rows").fetchone()
        contest.expect("(rows, items)", answer, (pages.NESTED,) + (children,) * len(LISTS))
        return figures

    def in_tables(result):
        figures, lake = result
        counts = [DeltaTable(lake / name).to_pyarrow_dataset().count_rows() for name in ("nested", *(f"nested__{n}" for n in LISTS))]
        contest.expect("(rows, items)", tuple(counts), (pages.NESTED,) + (children,) * len(LISTS))
        return figures

    unnest = "unnest: {" + ", ".join(f"{name}: null" for name in LISTS) + "}"
    ours, tables, theirs = contenders = [
        contest.Contender("Cordada `ingest`, lists as lists", lambda: in_place(cordada(folder / "lists", url, "nested"))),
        contest.Contender("Cordada `ingest`, lists as tables", lambda: in_tables(cordada(folder / "tables", url, "nested", unnest))),
        contest.Contender("dlt, `rest_api_source`, lists as tables", lambda: in_tables(dlt(folder / "dlt", url, "nested"))),
    ]
    contest.alternate(contenders, runs)
    text = (
        f"{pages.NESTED:,} records with three lists of {pages.CHILDREN} records each, {pages.NESTED_PAGE} a page. Cordada keeps "
        "lists as lists of records in the row unless `unnest:` asks for tables; dlt always makes tables of them."
    )
    goals = [faster("nested records", ours, theirs), faster("nested records, lists as tables", tables, theirs)]
    return report(text, contenders, pages.NESTED, goals)


def report(text, contenders, rows, goals):
    columns = [
        ("seconds", lambda c: f"{c.median('seconds'):.1f}"),
        ("fastest–slowest", lambda c: c.spread("seconds")),
        ("records/s", lambda c: f"{rows / c.median('seconds'):,.0f}"),
        ("processor seconds", lambda c: f"{c.median('cpu'):.1f}"),
        ("peak memory, MB", lambda c: f"{c.median('megabytes'):.0f}"),
    ]
    memory = contenders[0].median("megabytes")
    goals = [*goals, contest.goal("At most 600 MB", memory <= 600, f"{memory:.0f} MB")]
    return "\n".join([text, "", contest.table(contenders, columns), "", *goals])


def faster(what, ours, theirs):
    ratio = theirs.median("seconds") / ours.median("seconds")
    return contest.goal(f"At least 10× dlt ({what})", ratio >= 10, f"{ratio:.1f}×")
