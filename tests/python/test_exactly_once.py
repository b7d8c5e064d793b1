"""kill -9 at random moments of a hundred loads, over all kinds of sources: nothing is lost and nothing is doubled."""

import http.client
import json
import os
import random
import sqlite3
import subprocess
import threading
import time
import urllib.parse

import pytest
from harness import Project
from hostile import Hostile, answer
from servers import free_port

SEED = int(os.environ.get("CORDADA_TEST_SEED", random.SystemRandom().randrange(2**32)))
RUNS = 20  # of each of five kinds
GROWTH = 3000  # rows that come with each run
ORDERS, ITEMS = 120, 3  # of the API, whose children are asked for order by order


class Files:
    table = "orders"
    source = "kind: files\nstreams:\n  orders: {path: data/orders-*.csv}\n"

    def __init__(self, project):
        self.project, self.rows, self.file = project, 0, 0

    def grow(self):
        lines = [f"{i},{i % 7}.25" for i in range(self.rows + 1, self.rows + GROWTH + 1)]
        self.rows, self.file = self.rows + GROWTH, self.file + 1
        self.project.write({f"data/orders-{self.file:03}.csv": "\n".join(["id,amount", *lines, ""])})

    def expected(self):
        return {"orders": ids(self.rows)}

    def close(self):
        pass


class Table(Files):
    """A table that only grows, appended by its cursor: rows that are read twice would be there twice."""

    source = "kind: database\nconnection: sqlite:shop.db\nstreams:\n  orders: {table: orders, cursor: [id], disposition: append}\n"

    def __init__(self, project):
        super().__init__(project)
        self.connection = sqlite3.connect(project.dir / "shop.db", isolation_level=None)
        self.connection.execute("pragma journal_mode = wal")
        self.connection.execute("create table orders (id integer primary key, amount numeric(9, 2) not null)")

    def grow(self):
        rows = [(i, i % 7 + 0.25) for i in range(self.rows + 1, self.rows + GROWTH + 1)]
        self.rows += GROWTH
        self.connection.execute("begin")
        self.connection.executemany("insert into orders values (?, ?)", rows)
        self.connection.execute("commit")

    def close(self):
        self.connection.close()


class Changes(Table):
    """The log of a PostgreSQL table, with updates and deletes in it."""

    def __init__(self, project, postgres):
        Files.__init__(self, project)
        project.env["ERP"] = postgres.url(postgres.database("exactly_once"))
        self.source = (
            "kind: database\nconnection: ${ERP}\nstreams:\n"
            "  orders: {table: public.orders, key: [id], disposition: merge, changes: logical}\n"
        )
        self.connection = postgres.connect("exactly_once")
        self.connection.execute("create table orders (id bigint primary key, amount numeric(9, 2) not null)")

    def grow(self):
        first, last = self.rows + 1, self.rows + GROWTH
        self.rows = last
        self.connection.execute(f"insert into orders select i, i % 7 + 0.25 from generate_series({first}::bigint, {last}) i")
        self.connection.execute("update orders set amount = amount + 1 where id % 10 = 0")
        self.connection.execute(f"delete from orders where id between {first} and {first + 9}")

    def expected(self):
        [(count, total, least, most)] = self.connection.execute(
            "select count(*), sum(id), min(id), max(id) from orders"
        ).fetchall()
        return {"orders": tuple(map(str, (count, count, total, least, most)))}

    def check(self):
        amounts = self.connection.execute("select sum(amount) from orders").fetchone()[0]
        assert float(self.project.value("select sum(amount) from raw_shop.orders")) == float(amounts)

    def close(self):
        self.connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()")
        self.connection.close()


class Api(Files):
    """Orders page by page, by a growing id, and the items of each order."""

    source = "kind: rest\nmanifest: api.yml\nconfig: {base_url: '%s'}\n"
    manifest = """
title: Shop
config: {base_url: {}}
base_url: "{{ config.base_url }}"
retry: {attempts: 2, first: 10ms}
streams:
  orders:
    request: {path: /orders, params: {since: "{{ cursor.start }}"}}
    records: /orders
    paginate: {kind: page, param: page, size: 50, size_param: size}
    incremental: {cursor: id, type: counter, initial: "0", order: ascending}
    key: [id]
    disposition: append
  items:
    request: {path: "/orders/{{ parent.order_id }}/items"}
    records: /items
    parent: {stream: orders, fields: {order_id: id}, include: [order_id], incremental: true}
    key: [id]
    disposition: merge
"""

    def __init__(self, project):
        super().__init__(project)
        self.server = Hostile(self.answer).__enter__()
        self.source %= self.server.url
        project.write({"api.yml": self.manifest})

    def grow(self):
        self.rows += ORDERS

    def answer(self, handler, n):
        path, _, query = handler.path.partition("?")
        if path == "/orders":
            asked = {name: int(value) for name, value in urllib.parse.parse_qsl(query)}
            first = asked["since"] + (asked["page"] - 1) * asked["size"]
            last = min(first + asked["size"], self.rows)
            return answer(handler, {"orders": [{"id": i + 1, "total": i % 7 + 0.25} for i in range(first, last)]})
        order = int(path.split("/")[2])
        answer(handler, {"items": [{"id": order * ITEMS + i, "name": f"item {i}"} for i in range(ITEMS)]})

    def expected(self):
        items = [order * ITEMS + i for order in range(1, self.rows + 1) for i in range(ITEMS)]
        count = len(items)
        return {"orders": ids(self.rows), "items": tuple(map(str, (count, count, sum(items), items[0], items[-1])))}

    def close(self):
        self.server.__exit__()


def ids(rows):
    """What the ids from 1 to `rows` are, once each."""
    return tuple(map(str, (rows, rows, rows * (rows + 1) // 2, 1, rows)))


def landed(project, table):
    sql = f"select count(*), count(distinct id), sum(id), min(id), max(id) from raw_shop.{table}"
    return project.query(sql)[0]


def kill_during(project, moment):
    """Start a load and kill it after `moment` seconds; whether it was still running then."""
    process = project.start("ingest")
    try:
        process.wait(timeout=moment)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True


@pytest.mark.parametrize("name", ["files", "table", "changes", "api"])
def test_killed_loads(tmp_path, name, request):
    moments = random.Random(f"{SEED} {name}")
    print(f"CORDADA_TEST_SEED={SEED}")
    project = Project(tmp_path).write({"cordada.yml": "name: acme\nlake: ./lake\n"})
    match name:
        case "files":
            kind = Files(project)
        case "table":
            kind = Table(project)
        case "changes":
            kind = Changes(project, request.getfixturevalue("postgres"))
        case "api":
            kind = Api(project)
    try:
        project.write({"sources/shop.yml": kind.source})
        kind.grow()
        start = time.monotonic()
        project.run("ingest")
        duration = time.monotonic() - start
        struck, runs = 0, 0
        while struck < RUNS:
            runs += 1
            assert runs < 4 * RUNS, f"only {struck} kills struck: the loads are too short to be hit"
            kind.grow()
            struck += kill_during(project, moments.uniform(0, duration))
        project.run("ingest")
        expected = kind.expected()
        assert {table: landed(project, table) for table in expected} == expected
        kind.check() if isinstance(kind, Changes) else None
        project.run("ingest")
        assert {table: landed(project, table) for table in expected} == expected
    finally:
        kind.close()


class Tracker(threading.Thread):
    """Sends hits one after the other, and knows which were acknowledged."""

    def __init__(self, port, name):
        super().__init__(daemon=True)
        self.port, self.name_, self.stopping = port, name, threading.Event()
        self.sent, self.acknowledged = [], []

    def run(self):
        connection = None
        while not self.stopping.is_set():
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                key = f"{self.name_}-{len(self.sent)}"
                hit = {"type": "track", "messageId": key, "anonymousId": "a", "event": "Viewed", "properties": {"n": 1}}
                self.sent.append(key)
                connection.request("POST", "/v1/track", json.dumps(hit), {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                if response.status == 200:
                    self.acknowledged.append(key)
            except (OSError, http.client.HTTPException):
                connection = None
                self.stopping.wait(0.02)


def test_a_killed_collector(tmp_path):
    """Every hit that was acknowledged lands, whatever becomes of the collector; no hit lands twice."""
    moments = random.Random(f"{SEED} events")
    print(f"CORDADA_TEST_SEED={SEED}")
    port = free_port()
    project = Project(tmp_path).write(
        {
            "cordada.yml": "name: acme\nlake: ./lake\n",
            "sources/web.yml": f"kind: events\nlisten: 127.0.0.1:{port}\nflush: 1s\nstreams: {{segment: {{}}}}\n",
        }
    )
    trackers = [Tracker(port, f"t{i}") for i in range(4)]
    for tracker in trackers:
        tracker.start()
    for _ in range(RUNS):
        collector = project.start("up", "--addr", "127.0.0.1:0")
        before = sum(len(tracker.acknowledged) for tracker in trackers)
        deadline = time.monotonic() + 30
        while sum(len(tracker.acknowledged) for tracker in trackers) == before:
            assert collector.poll() is None and time.monotonic() < deadline, "the collector takes no hits"
            time.sleep(0.02)
        with pytest.raises(subprocess.TimeoutExpired):
            collector.wait(timeout=moments.uniform(0, 2.5))
        collector.kill()
        collector.wait()
    for tracker in trackers:
        tracker.stopping.set()
    for tracker in trackers:
        tracker.join(timeout=20)
    project.run("ingest")
    landed = [key for (key,) in project.query("select event_id from raw_web.segment")]
    acknowledged = {key for tracker in trackers for key in tracker.acknowledged}
    sent = {key for tracker in trackers for key in tracker.sent}
    assert len(landed) == len(set(landed)), f"{len(landed) - len(set(landed))} of {len(landed)} are doubled"
    assert len(acknowledged) > RUNS and not acknowledged - set(landed), f"{len(acknowledged - set(landed))} are lost"
    assert set(landed) <= sent
