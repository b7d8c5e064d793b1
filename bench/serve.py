"""DoGet: 2 M rows from a Flight SQL server to a client in another process, on loopback."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import contest
import data
import duckdb

TITLE = "DoGet"
COLUMNS = "line_id, invoice, product, description, quantity, price, sold_at"


def run(runs, folder):
    lines = data.lines()
    rows, quantity, price = duckdb.sql(f"select count(*), sum(quantity)::bigint, sum(price) from '{lines}'").fetchone()
    expected = {"rows": rows, "quantity": quantity, "price": round(price, 2)}

    shutil.rmtree(folder, ignore_errors=True)
    (folder / "sources").mkdir(parents=True)
    (folder / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
    (folder / "sources" / "bench.yml").write_text(f"kind: files\nstreams:\n  lines: {{path: '{data.into(folder, lines)}'}}\n")
    contest.measured(contest.CORDADA, "ingest", "--project", folder)

    roapi_at = free_address()
    roapi = [
        str(Path(sys.executable).with_name("roapi")), "--table", f"lines={lines}", "--addr-flight-sql", roapi_at,
        "--addr-http", free_address(), "--addr-postgres", free_address(),
    ]  # fmt: skip
    serve = [contest.CORDADA, "serve", "--addr", "127.0.0.1:0", "--project", folder]
    with ExitStack() as servers:

        def contender(name, table, command, address=None):
            url = servers.enter_context(server(command, address))
            return contest.Contender(name, lambda: read(url, f"select {COLUMNS} from {table}", expected))

        ours, theirs, small, large = contenders = [
            contender("Cordada `serve`", "raw_bench.lines", serve),
            contender("ROAPI", "lines", roapi, roapi_at),
            contender("pyarrow Flight, in memory, 8,192 rows a batch", "lines", contest.peer("flight_server.py", lines, 8192)),
            contender("pyarrow Flight, in memory, 65,536 rows a batch", "lines", contest.peer("flight_server.py", lines, 65536)),
        ]
        contest.alternate(contenders, max(runs, 5))
    columns = [
        ("seconds", lambda c: f"{c.median('seconds'):.3f}"),
        ("fastest–slowest", lambda c: c.spread("seconds")),
        ("first batch, ms", lambda c: f"{c.median('first') * 1000:.0f}"),
        ("M rows/s", lambda c: f"{rows / c.median('seconds') / 1e6:.1f}"),
        ("GB/s", lambda c: f"{c.median('bytes') / c.median('seconds') / 1e9:.2f}"),
    ]
    ratio = theirs.median("seconds") / ours.median("seconds")
    ceiling = min(small.median("seconds"), large.median("seconds")) / ours.median("seconds")
    return "\n".join(
        [
            f"{rows:,} rows of 7 columns, {ours.median('bytes') / 1e6:.0f} MB as Arrow, to a pyarrow client in a process of "
            "its own. Cordada reads its Delta table, ROAPI the Parquet file; pyarrow's server only sends what is in memory: "
            "the ceiling.",
            "",
            contest.table(contenders, columns),
            "",
            contest.goal("At least 2× ROAPI", ratio >= 2, f"{ratio:.1f}×, and {ceiling:.0%} of the ceiling"),
        ]
    )


@contextmanager
def server(command, address):
    """Start a server; its URL, once it accepts connections. Without `address` it prints the URL."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        if address is None:
            yield re.search(r"grpc://[\d.:]+", next(line for line in process.stdout if "grpc://" in line)).group()
        else:
            await_port(*address.split(":"))
            yield f"grpc://{address}"
    finally:
        process.terminate()
        process.wait()


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return "{}:{}".format(*listener.getsockname())


def await_port(host, port):
    for _ in range(600):
        try:
            socket.create_connection((host, int(port))).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {host}:{port} after 30 s")


def read(url, sql, expected):
    command = [sys.executable, str(contest.HERE / "flight_client.py"), url, sql]
    figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    contest.expect("the answer", {name: figures[name] for name in expected}, expected)
    return figures
