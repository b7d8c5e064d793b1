"""Flight SQL servers to a client in another process, on loopback: small questions, large answers, the catalog."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import contest
import data
import duckdb

TITLE = "Serving"
COLUMNS = "line_id, invoice, product, description, quantity, price, sold_at"
NUMBERS = "line_id, quantity, price, sold_at"
FILTERED = "select reading_id, sensor, value, read_at from {} where value > {}"
LEAST_VALUES = [900, 997.5]
TABLES, TABLE_COLUMNS = 1000, 10
ASKING_SECONDS = 3


@dataclass
class Running:
    """A server that runs."""

    url: str
    process: int

    def processor_seconds(self):
        """What it has computed so far, the system's work for it included."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_megabytes(self):
        """The most memory that it had, so far."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024 / 1e6


def run(runs, folder):
    runs = max(runs, 5)
    lines, readings = data.lines(), data.readings()
    shutil.rmtree(folder, ignore_errors=True)
    project(folder, lines, readings)
    with ExitStack() as servers:
        start = lambda command, address=None: servers.enter_context(server(command, address))  # noqa: E731
        roapi_at = free_address()
        ours = start([contest.CORDADA, "serve", "--addr", "127.0.0.1:0", "--project", folder])
        roapi = start(
            [
                str(Path(sys.executable).with_name("roapi")), "--table", f"lines={lines}", "--table", f"readings={readings}",
                "--addr-flight-sql", roapi_at, "--addr-http", free_address(), "--addr-postgres", free_address(),
            ],
            roapi_at,
        )  # fmt: skip
        in_memory = lambda columns, rows: start(contest.peer("flight_server.py", lines, rows, columns))  # noqa: E731
        parts = [
            small_questions(runs, ours, roapi, in_memory("one", 1)),
            large_answers(runs, "all 7 columns", COLUMNS, lines, ours, roapi, in_memory),
            large_answers(runs, "4 columns of numbers", NUMBERS, lines, ours, roapi, in_memory),
            first_rows(runs, ours, roapi, readings),
            catalog(runs, ours, folder),
            f"Peak memory of the servers, after all of this: Cordada {ours.peak_megabytes():.0f} MB, "
            f"ROAPI {roapi.peak_megabytes():.0f} MB.",
        ]
    return "\n\n".join(parts)


def project(folder, lines, readings):
    """A lake with the rows that are asked for, and with many tables."""
    (folder / "sources").mkdir(parents=True)
    (folder / "tables").mkdir()
    (folder / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
    (folder / "sources" / "bench.yml").write_text(
        "kind: files\nstreams:\n"
        f"  lines: {{path: '{data.into(folder, lines)}'}}\n"
        f"  readings: {{path: '{data.into(folder, readings)}'}}\n"
    )
    header = ",".join(f"column_{number}" for number in range(TABLE_COLUMNS))
    streams = ["kind: files", "streams:"]
    for number in range(TABLES):
        (folder / "tables" / f"{number}.csv").write_text(f"{header}\n{','.join(map(str, range(TABLE_COLUMNS)))}\n")
        streams.append(f"  table_{number:04}: {{path: 'tables/{number}.csv'}}")
    (folder / "sources" / "many.yml").write_text("\n".join(streams) + "\n")
    contest.measured(contest.CORDADA, "ingest", "--project", folder)


def small_questions(runs, ours, roapi, ceiling):
    """`select 1`, as often as it is answered: to a client that costs next to nothing, and to a driver."""

    def asking(server, connections, ask):
        def once():
            before = server.processor_seconds()
            figures = ask(server.url, "select 1", connections, ASKING_SECONDS)
            own = server.processor_seconds() - before
            return figures | {"own": own / (figures["rate"] * ASKING_SECONDS) * 1000}

        return once

    def lean(url, *arguments):
        command = [Path(contest.CORDADA).parent / "examples" / "ask", url.removeprefix("grpc://"), *map(str, arguments)]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    def driver(url, *arguments):
        return client(url, "ask", *arguments)

    sections = []
    for ask, name in [(lean, "a client of ready-made frames"), (driver, "pyarrow")]:
        for connections in [1, 8]:
            us, _, limit = contenders = [
                contest.Contender("Cordada", asking(ours, connections, ask)),
                contest.Contender("ROAPI", asking(roapi, connections, ask)),
                contest.Contender("the limit: pyarrow, which answers without looking", asking(ceiling, connections, ask)),
            ]
            contest.alternate(contenders, runs)
            columns = [
                ("questions/s", lambda c: f"{c.median('rate'):,.0f}"),
                ("p50, ms", lambda c: f"{c.median('p50'):.2f}"),
                ("p99, ms", lambda c: f"{c.median('p99'):.2f}"),
                ("of the server's processor, ms each", lambda c: f"{c.median('own'):.2f}"),
                ("of the client's", lambda c: f"{c.median('client'):.2f}"),
            ]
            ratio, share = (us.median("rate") / other.median("rate") for other in contenders[1:])
            own, least = us.median("own"), limit.median("own")
            sections += [
                f"`select 1` on {connections} connection{'s' * (connections > 1)}, GetFlightInfo and DoGet each time, "
                f"asked by {name}:",
                contest.table(contenders, columns),
            ]
            goals = [
                contest.goal("At least 5× ROAPI", ratio >= 5, f"{ratio:.1f}×, and {share:.0%} of the limit"),
                contest.goal("Below 0.2 ms of the server", own < 0.2, f"{own:.2f} ms; the limit's, {least:.2f} ms"),
            ]
            sections.append("\n".join(goals))
    return "\n\n".join(sections)


def large_answers(runs, what, columns, lines, ours, roapi, in_memory):
    """2 M rows, as a client takes them."""
    expected = sums(f"select {columns} from '{lines}'")
    number = count()

    def reading(url, table, changing=False):
        def once():
            # Another text is another statement to whoever keeps plans or answers.
            sql = f"select {columns} from {table}" + (f" -- {next(number)}" if changing else "")
            figures = client(url, "read", sql)
            contest.expect("the answer", {"rows": figures["rows"], "sums": figures["sums"]}, expected)
            return figures

        return once

    ours_new, ours_again, theirs, small, large = contenders = [
        contest.Contender("Cordada, another statement each time", reading(ours.url, "raw_bench.lines", True)),
        contest.Contender("Cordada, the same again", reading(ours.url, "raw_bench.lines")),
        contest.Contender("ROAPI", reading(roapi.url, "lines")),
        contest.Contender("pyarrow, in memory, 8,192 rows a batch", reading(in_memory(columns, 8192).url, "lines")),
        contest.Contender("pyarrow, in memory, 65,536 rows a batch", reading(in_memory(columns, 65536).url, "lines")),
    ]
    contest.alternate(contenders, runs)
    figures = [
        ("seconds", lambda c: f"{c.median('seconds'):.3f}"),
        ("fastest–slowest", lambda c: c.spread("seconds")),
        ("first batch, ms", lambda c: f"{c.median('first') * 1000:.0f}"),
        ("M rows/s", lambda c: f"{expected['rows'] / c.median('seconds') / 1e6:.1f}"),
        ("GB/s", lambda c: f"{c.median('bytes') / c.median('seconds') / 1e9:.2f}"),
    ]
    limit = min(small.median("seconds"), large.median("seconds"))
    share, again = limit / ours_new.median("seconds"), limit / ours_again.median("seconds")
    ratio = theirs.median("seconds") / ours_new.median("seconds")
    return "\n\n".join(
        [
            f"DoGet of {expected['rows']:,} rows, {what}, {ours_new.median('bytes') / 1e6:.0f} MB as Arrow. Cordada reads its "
            "Delta table, ROAPI the Parquet file; pyarrow's server only sends what is in memory: the limit.",
            contest.table(contenders, figures),
            "\n".join(
                [
                    contest.goal("At least 1.3× ROAPI", ratio >= 1.3, f"{ratio:.1f}×"),
                    contest.goal("At least 80 % of the limit", share >= 0.8, f"{share:.0%}, and {again:.0%} of it again"),
                ]
            ),
        ]
    )


def first_rows(runs, ours, roapi, readings):
    """The first rows of queries that filter 10 M: the fewer they keep, the more is read until a batch is full."""
    sections = []
    for least in LEAST_VALUES:
        expected = sums(FILTERED.format(f"'{readings}'", least))
        number = count()

        def reading(url, table, least=least, expected=expected, number=number):
            def once():
                figures = client(url, "read", f"{FILTERED.format(table, least)} -- {next(number)}")
                contest.expect("the answer", {"rows": figures["rows"], "sums": figures["sums"]}, expected)
                return figures

            return once

        us, _ = contenders = [
            contest.Contender("Cordada", reading(ours.url, "raw_bench.readings")),
            contest.Contender("ROAPI", reading(roapi.url, "readings")),
        ]
        contest.alternate(contenders, runs)
        columns = [
            ("first batch, ms", lambda c: f"{c.median('first') * 1000:.1f}"),
            ("all, ms", lambda c: f"{c.median('seconds') * 1000:.0f}"),
        ]
        first = us.median("first") * 1000
        sections += [
            f"A filter over {data.READINGS:,} rows that keeps {expected['rows']:,} of them, another statement each time:",
            contest.table(contenders, columns),
            contest.goal("First batch below 20 ms", first < 20, f"{first:.1f} ms"),
        ]
    return "\n\n".join(sections)


def catalog(runs, ours, folder):
    """All tables with their schemas, on a connection that asked before and right after a release."""

    def listed(after_release):
        def once():
            if after_release:
                with open(folder / "tables" / "0.csv", "a") as table:
                    table.write(",".join(map(str, range(TABLE_COLUMNS))) + "\n")
                contest.measured(contest.CORDADA, "ingest", "many.table_0000", "--project", folder)
            figures = client(ours.url, "tables")
            contest.expect("more tables than there are", figures["tables"] >= TABLES, True)
            return figures

        return once

    quiet, after = contenders = [
        contest.Contender("nothing published since", listed(False)),
        contest.Contender("right after a release", listed(True)),
    ]
    contest.alternate(contenders, runs)
    slowest = max(quiet.median("seconds"), after.median("seconds")) * 1000
    return "\n\n".join(
        [
            f"GetTables with the schemas of {TABLES:,} tables of {TABLE_COLUMNS} columns and more, on a new connection:",
            contest.table(contenders, [("ms", lambda c: f"{c.median('seconds') * 1000:.0f}"), ("again, ms", lambda c: f"{c.median('again') * 1000:.0f}")]),
            contest.goal("Below 100 ms", slowest < 100, f"{slowest:.0f} ms"),
        ]
    )


def sums(sql):
    """What a client says of a right answer."""
    answer = duckdb.sql(sql)
    numbers = [name for name, kind in zip(answer.columns, map(str, answer.types)) if kind in ("BIGINT", "DOUBLE")]
    values = duckdb.sql(f"select count(*), {', '.join(f'sum({name})' for name in numbers)} from ({sql})").fetchone()
    return {"rows": values[0], "sums": {name: round(float(value), 2) for name, value in zip(numbers, values[1:])}}


@contextmanager
def server(command, address):
    """Start a server and wait until it accepts connections. Without `address` it prints the URL."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        if address is None:
            line = next(line for line in process.stdout if "grpc://" in line)
            yield Running(re.search(r"grpc://[\d.:]+", line).group(), process.pid)
        else:
            await_port(*address.split(":"))
            yield Running(f"grpc://{address}", process.pid)
    finally:
        os.kill(process.pid, signal.SIGTERM)
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


def client(url, *arguments):
    command = [sys.executable, str(contest.HERE / "flight_client.py"), url, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
