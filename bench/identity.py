"""Who is who: the estimator `identity` beside Splink, on the same fields.

PERSONS says how many persons are made up (1 M and 5 M by default); Splink finds those of the first of PAIRWISE by turns,
those of the others once, and no more than those.
"""

import csv
import gzip
import os
import shutil

import contest
import data
import duckdb
from deltalake import DeltaTable

TITLE = "Who is who"
CUSTOMERS = 5_000
PAIRWISE = [100_000, 1_000_000]
PERSONS = [int(persons) for persons in os.environ.get("PERSONS", "1000000,5000000").split(",")]
# What the fields of each sort of records are to Cordada, where their names do not say it.
FEBRL = {
    "address_1": "street", "address_2": "address", "suburb": "city", "state": "region", "date_of_birth": "born_on",
    "soc_sec_id": "national_id",
}  # fmt: skip


def run(runs, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = [
        "Cordada: `cordada build` of one model over landed records, the whole process, with fitting, all pairs and their "
        "weights written, and a release published. Splink: from the Parquet file to clusters at one threshold, without the "
        "start of Python; its F1 is that of the best of four thresholds. F1, precision and recall are of pairs of records in "
        "one cluster.",
    ]
    for title, sort, file in known(folder):
        lines += contested(title, sort, file, folder, runs, most=runs)
    for persons in sorted({PAIRWISE[0], *PERSONS}):
        most = runs if persons == PAIRWISE[0] else int(persons in PAIRWISE)
        lines += contested(f"{persons:,} persons", "people", data.people(persons), folder, runs, most)
    return "\n".join(lines)


def known(folder):
    """Sets whose truth others know: (title, sort, file)."""
    for number in (1, 2, 3):
        source = data.FILES / "febrl" / f"dataset{number}.csv"
        if source.exists():
            file = folder / f"febrl{number}.parquet"
            write_febrl(source, file)
            yield f"febrl {number}", "febrl", file
    file = folder / "demo.parquet"
    write_demo(folder / "demo", file)
    yield f"the demo's company of {CUSTOMERS:,} customers", "people", file


def write_febrl(source, file):
    """The records, whose keys tell whose they are, with keys that do not."""
    with open(source, newline="") as rows:
        header, *rows = [[cell.strip() for cell in row] for row in csv.reader(rows, skipinitialspace=True)]
    names = ["record_key", "person", *header[1:]]
    numbered = [[f"r{at}", row[0].split("-")[1], *(cell or None for cell in row[1:])] for at, row in enumerate(rows)]
    write(file, names, numbered)


def write_demo(project, file):
    contest.measured(contest.CORDADA, "demo", "--dir", project, "--customers", CUSTOMERS)
    with gzip.open(project / "truth" / "records.csv.gz", "rt") as rows:
        whose = {f"{row['system']}:{row['record_id']}": row["person_id"] for row in csv.DictReader(rows)}
    names = ["record_key", "first_name", "last_name", "born_on", "email", "phone", "street", "postcode", "city", "card_key"]
    records = file.with_suffix(".csv")
    query = f"select {', '.join(names)} from warehouse.int_customer_records"
    contest.measured(contest.CORDADA, "query", query, "--project", project, "--format", "csv", "--output", records)
    with open(records, newline="") as rows:
        rows = [[row["record_key"], whose[row["record_key"]], *(row[name] or None for name in names[1:])] for row in csv.DictReader(rows)]
    write(file, [names[0], "person", *names[1:]], rows)


def write(file, names, rows):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    pq.write_table(pa.table(columns, names=names), file)


def contested(title, sort, file, folder, runs, most):
    """One set of records: Splink finds who is who `most` times."""
    shutil.rmtree(folder / "contest", ignore_errors=True)
    project, clusters = folder / "contest", folder / "clusters.parquet"
    land(project, sort, file)

    def cordada():
        # Everything anew: no release knows persons yet.
        shutil.rmtree(project / "lake", ignore_errors=True)
        shutil.copytree(project / "landed", project / "lake")
        figures = contest.measured(contest.CORDADA, "build", "--quiet", "--project", project)
        files = DeltaTable(project / "lake" / "ml" / "persons").file_uris()
        return figures | agreement(file, f"select record_key, person_id as cluster from read_parquet({files})")

    def splink():
        figures = contest.measured(*contest.peer("splink_dedupe.py", file, sort, clusters))
        found = f"select record_key, cluster from '{clusters}' where threshold = "
        thresholds = duckdb.sql(f"select distinct threshold from '{clusters}'").fetchall()
        best = max((agreement(file, f"{found}{threshold}") for (threshold,) in thresholds), key=lambda of: of["f1"])
        return figures | best | {"seconds": float(figures["out"])}

    ours = contest.Contender("Cordada, `identity`", cordada, most_runs=max(most, 1))
    contenders = [ours]
    if most:
        contenders.append(contest.Contender("Splink", splink, most_runs=most))
    contest.alternate(contenders, runs)
    columns = [
        ("seconds", lambda c: f"{c.median('seconds'):.1f}"),
        ("fastest–slowest", lambda c: c.spread("seconds")),
        ("processor seconds", lambda c: f"{c.median('cpu'):.1f}"),
        ("peak memory, MB", lambda c: f"{c.median('megabytes'):.0f}"),
        ("precision", lambda c: f"{c.median('precision'):.4f}"),
        ("recall", lambda c: f"{c.median('recall'):.4f}"),
        ("F1", lambda c: f"{c.median('f1'):.4f}"),
    ]
    records = duckdb.sql(f"select count(*) from '{file}'").fetchone()[0]
    lines = ["", f"{title[0].upper()}{title[1:]}: {records:,} records.", "", contest.table(contenders, columns), ""]
    for theirs in contenders[1:]:
        times = theirs.median("seconds") / ours.median("seconds")
        memory = ours.median("megabytes") / theirs.median("megabytes")
        f1 = ours.median("f1"), theirs.median("f1")
        lines.append(contest.goal("F1 at or above Splink's", f1[0] >= f1[1], f"{f1[0]:.4f} and {f1[1]:.4f}"))
        lines.append(contest.goal("At least 5× faster than Splink", times >= 5, f"{times:.1f}×"))
        lines.append(contest.goal("Less memory than Splink", memory < 1, f"{memory:.2f} of it"))
    seconds, gigabytes = ours.median("seconds"), ours.median("megabytes") / 1000
    if title.startswith("1,000,000 "):
        lines.append(contest.goal("In less than a minute", seconds < 60, f"{seconds:.0f} s"))
    if title.startswith("5,000,000 "):
        lines.append(contest.goal("In ten minutes", seconds <= 600, f"{seconds:.0f} s"))
        lines.append(contest.goal("In 3 GB", gigabytes <= 3, f"{gigabytes:.2f} GB"))
    return lines


def land(project, sort, file):
    """A project with the records, landed, and the model that finds who is who."""
    (project / "sources").mkdir(parents=True)
    (project / "sql" / "marts").mkdir(parents=True)
    (project / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
    (project / "sources" / "bench.yml").write_text(
        f"kind: files\nstreams:\n  records: {{path: '{data.into(project, file)}'}}\n"
    )
    (project / "sql" / "dbt_project.yml").write_text("name: bench\nmodel-paths: [marts]\n")
    (project / "sql" / "marts" / "sources.yml").write_text(
        "version: 2\nsources: [{name: bench, schema: raw_bench, tables: [{name: records}]}]\n"
    )
    names = [name for name in duckdb.sql(f"from '{file}'").columns if name not in ("record_key", "person")]
    columns = {name: kind for name, kind in FEBRL.items() if sort == "febrl"}
    config = f"materialized='model', estimator='identity', key='record_key', outputs=['pairs', 'quality'], columns={columns}"
    country = ", country='AU'" if sort == "febrl" else ""
    model = f"{{{{ config({config}{country}) }}}}\nselect record_key, {', '.join(names)} from {{{{ source('bench', 'records') }}}}\n"
    (project / "sql" / "marts" / "persons.sql").write_text(model)
    contest.measured(contest.CORDADA, "ingest", "--quiet", "--project", project)
    (project / "lake").rename(project / "landed")


def agreement(file, clusters):
    """Precision, recall and F1 of pairs of records that are together."""
    together = "coalesce(sum(n * (n - 1) / 2), 0) from (select count(*) as n from found group by"
    made, there, right = duckdb.sql(
        f"with clusters as ({clusters}), found as (select person, cluster from '{file}' join clusters using (record_key)) "
        f"select (select {together} cluster)), (select {together} person)), (select {together} person, cluster))"
    ).fetchone()
    return {
        "precision": right / max(made, 1),
        "recall": right / max(there, 1),
        "f1": 2 * right / max(made + there, 1),
    }
