"""kill -9 at random moments of `ingest` and `build`: nothing is lost, doubled or half-published."""

import random
import subprocess
import threading
import time

from harness import Project, connect, fetch, users

SEED = 20240229
KILLS = 24
ORDERS, LINES, CUSTOMERS = 2000, 3, 500

FILES = {
    "sources/shop.yml": """
kind: files
streams:
  orders: {path: data/orders-*.csv}
  lines: {path: data/lines-*.csv}
  customers: {path: data/customers.csv, key: [customer_id], disposition: merge}
""",
    "sql/dbt_project.yml": "name: acme\nmodel-paths: [warehouse, marts]\n",
    "sql/warehouse/shop.yml": """
version: 2
sources:
  - {name: shop, schema: raw_shop, tables: [{name: orders}, {name: lines}, {name: customers}]}
models:
  - name: fct_line
    columns: [{name: line_id, data_tests: [unique, not_null]}]
""",
    "sql/warehouse/fct_line.sql": """
{{ config(materialized='incremental', unique_key='line_id') }}
select line_id, order_id, cast(amount as decimal(18, 2)) as amount from {{ source('shop', 'lines') }}
""",
    "sql/warehouse/fct_order.sql": """
{{ config(materialized='table') }}
select order_id, customer_id from {{ source('shop', 'orders') }}
""",
    "sql/marts/sales.sql": """
{{ config(materialized='table') }}
select o.customer_id, count(*) as lines, sum(l.amount) as amount
from {{ ref('fct_line') }} l join {{ ref('fct_order') }} o on o.order_id = l.order_id
group by o.customer_id
""",
}

# One statement each, so that each is answered from one release.
RAW = """
select (select count(*) from raw_shop.orders) as orders,
       (select count(*) from raw_shop.lines) as lines,
       (select count(*) from raw_shop.customers) as customers,
       (select count(distinct visits) from raw_shop.customers) as moments
"""
BUILT = """
select (select count(*) from warehouse.fct_order) as orders,
       (select count(*) from warehouse.fct_line) as lines,
       (select sum(amount) from warehouse.fct_line) as amount,
       (select sum(lines) from marts.sales) as mart_lines,
       (select sum(amount) from marts.sales) as mart_amount
"""


def arrive(project, day):
    """One day's files: new orders and lines, and the customers' file rewritten."""
    orders = [f"{day * ORDERS + i},c{i % CUSTOMERS}" for i in range(ORDERS)]
    lines = [f"{day * ORDERS * LINES + i},{day * ORDERS + i // LINES},1.25" for i in range(ORDERS * LINES)]
    customers = [f"c{i},{day}" for i in range(CUSTOMERS)]
    project.write(
        {
            f"data/orders-{day:03}.csv": "\n".join(["order_id,customer_id", *orders, ""]),
            f"data/lines-{day:03}.csv": "\n".join(["line_id,order_id,amount", *lines, ""]),
            "data/customers.csv": "\n".join(["customer_id,visits", *customers, ""]),
        }
    )


def check(raw, built):
    """What holds in every release, whatever was killed."""
    assert raw["orders"] > 0 and raw["orders"] % ORDERS == 0, raw
    assert raw["lines"] == raw["orders"] * LINES, raw
    assert raw["customers"] == CUSTOMERS and raw["moments"] == 1, raw
    assert built["orders"] > 0 and built["orders"] % ORDERS == 0, built
    assert built["lines"] == built["mart_lines"] == built["orders"] * LINES, built
    assert built["amount"] == built["mart_amount"], built


class Poller(threading.Thread):
    """Reads through a running server until told to stop, and keeps the first thing that was wrong."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.stopping, self.reads, self.wrong, self.seen = url, threading.Event(), 0, None, set()

    def run(self):
        try:
            with connect(self.url) as connection:
                while not self.stopping.is_set():
                    [raw] = fetch(connection, RAW).to_pylist()
                    [built] = fetch(connection, BUILT).to_pylist()
                    check(raw, built)
                    self.reads += 1
                    self.seen.add(built["orders"])
        except Exception as error:
            self.wrong = error


def kill_during(project, command, moment):
    """Start a command and kill it after `moment` seconds; whether it was still running then."""
    process = project.start(command)
    try:
        process.wait(timeout=moment)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True


def timed(project, command):
    start = time.monotonic()
    project.run(command)
    return time.monotonic() - start


def test_killed_runs_leave_nothing_behind(tmp_path):
    project = Project(tmp_path).write(FILES | {"cordada.yml": "name: acme\nlake: ./lake\n" + users()})
    random_moment = random.Random(SEED)
    arrive(project, 0)
    durations = {command: timed(project, command) for command in ("ingest", "build")}
    day, kills = 0, 0
    with project.serve() as url:
        poller = Poller(url)
        poller.start()
        while kills < KILLS:
            day += 1
            assert day <= 4 * KILLS, f"only {kills} kills struck: the commands are too fast to be hit"
            arrive(project, day)
            for command, duration in durations.items():
                kills += kill_during(project, command, random_moment.uniform(0, duration))
            if day % 4 == 0:  # a run that reaches its end now and then, so that the poller has something new to see
                project.run("ingest")
                project.run("build")
        project.run("ingest")
        project.run("build")
        with connect(url) as connection:
            [raw] = fetch(connection, RAW).to_pylist()
            [built] = fetch(connection, BUILT).to_pylist()
        poller.stopping.set()
        poller.join(timeout=30)
    assert poller.wrong is None, poller.wrong
    assert poller.reads > KILLS and len(poller.seen) > 1, f"the poller read {poller.reads} times: {poller.seen}"
    check(raw, built)
    days = day + 1
    assert raw["orders"] == built["orders"] == days * ORDERS
    for table, key in (("raw_shop.orders", "order_id"), ("raw_shop.lines", "line_id"), ("warehouse.fct_line", "line_id")):
        assert project.query(f"select count(*), count(distinct {key}) from {table}") == [
            (str(raw["orders"] if key == "order_id" else raw["lines"]),) * 2
        ]
    assert project.value("select max(visits) from raw_shop.customers") == str(day)
    before = project.query(BUILT)
    project.run("ingest")
    project.run("build")
    assert project.query(BUILT) == before
