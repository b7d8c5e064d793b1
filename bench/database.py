"""PostgreSQL → Delta: a table of 1.5 million rows and 16 columns."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import contest
import duckdb
from deltalake import DeltaTable
from land import fresh

TITLE = "PostgreSQL to Delta"
ROWS = 1_500_000
TABLE = f"""
create table sales as select
    i as id, (i * 7919 % 200000)::int as customer_id, 'SO-' || lpad(i::text, 9, '0') as number,
    (array['new', 'paid', 'sent', 'returned'])[1 + (i % 4)::int] as status, (array['ES', 'PT', 'FR', 'DE', 'IT'])[1 + (i % 5)::int] as country,
    ((i * 37 % 1000000) / 100.0)::numeric(12, 2) as amount, ((i * 11 % 100000) / 100.0)::numeric(12, 2) as tax,
    (i % 12)::int as quantity, (i % 100) / 7.0::float8 as discount, i % 3 = 0 as paid,
    timestamptz '2020-01-01' + i * interval '1 minute' as created_at,
    timestamptz '2020-01-02' + i * interval '61 seconds' as updated_at, date '2020-01-01' + (i % 1500)::int as due,
    case when i % 10 > 0 then 'customer' || i % 200000 || '@example.org' end as email,
    md5(i::text)::uuid as reference, case when i % 4 = 0 then 'Leave it with the neighbours, please' end as note
from generate_series(1::bigint, {ROWS}) i
"""
SUM = "select count(*), sum(amount)::decimal(18, 2), count(email), max(id) from sales"


def run(runs, folder):
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    if binaries is None:
        return "Skipped: PostgreSQL is not installed on this machine."
    with postgres(binaries) as port:
        url = f"127.0.0.1:{port}/postgres"
        psql = [binaries / "psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", port, "-U", "bench", "postgres"]
        size = subprocess.run(
            [*map(str, psql), "-c", TABLE, "-c", "alter table sales add primary key (id)", "-c", "vacuum analyze sales",
             "-c", "checkpoint", "-c", "select pg_table_size('sales')"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        expected = subprocess.run([*map(str, psql), "-c", SUM], check=True, capture_output=True, text=True)
        rows, amount, emails, last = expected.stdout.strip().split("|")

        def check(path):
            sales = DeltaTable(path).to_pyarrow_dataset()  # noqa: F841
            found = duckdb.sql(SUM).fetchone()
            contest.expect("(rows, amount, emails, last)", [str(value) for value in found], [rows, amount, emails, last])

        def cordada():
            project = fresh(folder / "cordada")
            (project / "sources").mkdir()
            (project / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
            connection = f"postgres://bench@{url}?sslmode=disable"
            (project / "sources" / "bench.yml").write_text(
                f"kind: database\nconnection: '{connection}'\nstreams:\n  sales: {{table: public.sales}}\n"
            )
            figures = contest.measured(contest.CORDADA, "ingest", "--project", project)
            check(project / "lake" / "raw_bench" / "sales")
            return figures

        def copy():
            return contest.measured(*psql, "-c", "\\copy sales to '/dev/null' (format binary)")

        def dlt():
            target = fresh(folder / "dlt")
            figures = contest.measured(*contest.peer("dlt_database.py", f"postgresql+psycopg2://bench@{url}", target))
            check(target / "lake" / "raw" / "sales")
            return figures

        ours, limit, theirs = contenders = [
            contest.Contender("Cordada `ingest`", cordada),
            contest.Contender("the limit: `COPY … (FORMAT binary)` to /dev/null, one connection", copy),
            contest.Contender("dlt, `sql_database(backend=\"pyarrow\")`", dlt, most_runs=2),
        ]
        contest.alternate(contenders, runs)
    megabytes = int(size.stdout.split()[-1]) / 1e6
    seconds, memory = ours.median("seconds"), ours.median("megabytes")
    columns = [
        ("seconds", lambda c: f"{c.median('seconds'):.1f}"),
        ("fastest–slowest", lambda c: c.spread("seconds")),
        ("rows/s", lambda c: f"{ROWS / c.median('seconds'):,.0f}"),
        ("processor seconds", lambda c: f"{c.median('cpu'):.1f}"),
        ("peak memory, MB", lambda c: f"{c.median('megabytes'):.0f}"),
    ]
    to_limit, slower = limit.median("seconds") / seconds, theirs.median("seconds") / seconds
    return "\n".join(
        [
            f"{ROWS:,} rows × 16 columns ({megabytes:.0f} MB of table) out of a PostgreSQL on the same machine, whose work is "
            "not among the processor seconds, into an empty lake.",
            "",
            contest.table(contenders, columns),
            "",
            contest.goal("At least 70 % of the rate of a raw binary COPY", to_limit >= 0.7, f"{100 * to_limit:.0f} %"),
            contest.goal("At least 5× dlt", slower >= 5, f"{slower:.1f}×"),
            contest.goal("At most 300 MB", memory <= 300, f"{memory:.0f} MB"),
        ]
    )


@contextmanager
def postgres(binaries):
    """The port of a private server, which refuses to run as root."""
    folder = Path(tempfile.mkdtemp())
    as_user = []
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, log = folder / "data", subprocess.DEVNULL
    initdb = [binaries / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C"]
    subprocess.run([*as_user, *initdb], check=True, cwd=folder, stdout=log)
    settings = ["listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=1GB"]
    command = [binaries / "postgres", "-D", data, "-p", str(port), "-k", folder]
    command += [part for setting in settings for part in ("-c", setting)]
    server = subprocess.Popen([*as_user, *command], cwd=folder, stdout=log, stderr=log)
    ready = [binaries / "pg_isready", "-q", "-t", "60", "-h", "127.0.0.1", "-p", str(port)]
    try:
        while subprocess.run(ready).returncode and server.poll() is None:
            pass
        yield str(port)
    finally:
        # Ends its sessions, then itself.
        server.send_signal(2)
        server.wait()
        shutil.rmtree(folder)
