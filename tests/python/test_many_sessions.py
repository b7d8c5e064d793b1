"""Many sessions at once, half of which leave without a word: each has its own answers, and the server is as before.

`SESSIONS=500` is how many; `make test` takes fewer.
"""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import sessions
from harness import PATIENCE, Project, connect, fetch, serving, until, url, users

SESSIONS = int(os.environ.get("SESSIONS", "40"))
ROUNDS = 2
# Sessions of a process.
EACH = 25
# Bytes that a server may keep of what it once had at most: caches that are bounded, and what the allocator holds back.
KEPT = 96 << 20
# Threads of a server that does nothing: far fewer than sessions.
THREADS = 60


def memory(process):
    """Bytes that are the process's own."""
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon"))


def connections(process):
    return [one for one in psutil.Process(process.pid).net_connections("tcp") if one.status == "ESTABLISHED"]


def come_and_go(port):
    """All sessions at once; what the server has in memory while they are there is of no interest."""
    program = Path(sessions.__file__)
    parts = [(first, min(EACH, SESSIONS - first)) for first in range(0, SESSIONS, EACH)]
    clients = [
        subprocess.Popen(
            [sys.executable, program, url(port), str(first), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first, count in parts
    ]
    try:
        assert [client.stdout.readline().strip() for client in clients] == ["done"] * len(clients)
    finally:
        for client in clients:
            client.kill()
            client.communicate(timeout=PATIENCE)


def test_many_sessions_leave_nothing_behind(tmp_path):
    rows = "".join(f"{n},{n % sessions.STORES}\n" for n in range(sessions.SALES))
    project = Project(tmp_path).write(
        {
            "cordada.yml": f"name: acme\nlake: ./lake\n{users()}",
            "sources/shop.yml": "kind: files\nstreams: {sales: {path: sales.csv}}\n",
            "sales.csv": "sale_id,store\n" + rows,
        }
    )
    project.run("ingest")
    with serving(project) as (process, port, _):
        at_first = memory(process)
        after = []
        # The first to come find a server that has seen nobody's password yet.
        for _ in range(ROUNDS):
            come_and_go(port)
            until(lambda: not connections(process), process)
            with connect(url(port)) as connection:
                assert fetch(connection, "select count(*) from raw_shop.sales").column(0).to_pylist() == [sessions.SALES]
            until(lambda: memory(process) < at_first + KEPT, process)
            after.append(memory(process) >> 20)
        print(f"{SESSIONS} sessions: {at_first >> 20} MiB at first, then {after} after each round")
        threads = psutil.Process(process.pid).num_threads
        until(lambda: threads() < THREADS, process)
