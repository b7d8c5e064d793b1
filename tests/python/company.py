"""A company in which all is known: sources that grow, the commands that write, and a model of what has to be there.

The model is plain Python: of each table and view of the lake, how often each row is in it, as text.
"""

import contextlib
import copy
import csv
import hashlib
import json
import sqlite3
import urllib.parse
from collections import Counter, deque

from deltalake import DeltaTable
from hostile import Hostile, answer

GROWTH = 90  # rows that come at a time, of each stream
ORDERS = 60  # of the API, at a time
KEEP = "10s"  # what maintenance keeps; no statement of a test takes so long

# The columns that are compared. `_valid_to` only says whether the row is a current one.
TABLES = {
    "raw_shop.appended": ["id", "amount"],
    "raw_shop.merged": ["id", "value"],
    "raw_shop.replaced": ["id", "value"],
    "raw_shop.history": ["id", "value", "_valid_to"],
    "raw_shop.nested": ["id", "name"],
    "raw_shop.nested__items": ["_parent_id", "_position", "sku"],
    "raw_db.orders": ["id", "amount"],
    "raw_api.orders": ["id", "amount"],
    "raw_api.items": ["id", "name", "order_id"],
    "raw_web.hits": ["path", "status"],
    "seeds.regions": ["code", "name"],
    "warehouse.fct_merged": ["id", "amount"],
    "warehouse.fct_appended": ["id", "amount"],
    "warehouse.dim_item": ["id", "value"],
    "warehouse.orders": ["id"],
    "ml.segments": ["bucket"],
    "marts.sales": ["bucket", "lines", "amount"],
}

SHOP = """
kind: files
allow_outside: true
streams:
  appended: {path: "%(data)s/appended-*.csv"}
  merged: {path: "%(data)s/merged-*.csv", key: [id], disposition: merge, deleted: gone}
  replaced: {path: "%(data)s/replaced.csv", disposition: replace}
  history: {path: "%(data)s/history-*.csv", key: [id], disposition: scd2}
  nested: {path: "%(data)s/nested-*.ndjson", key: [id], disposition: merge, unnest: {items: nested__items}}
"""

DB = """
kind: database
connection: "sqlite:%(data)s/shop.db"
streams:
  orders: {table: orders, cursor: [id], disposition: append}
"""

API = """
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

WEB = """
kind: logs
allow_outside: true
streams:
  hits: {path: "%(data)s/access.log*"}
"""

PROJECT = {
    "cordada.yml": "name: acme\nlake: ./lake\n",
    "sql/dbt_project.yml": "name: acme\nmodel-paths: [warehouse, marts]\nseed-paths: [seeds]\n",
    "sql/warehouse/company.yml": """
version: 2
sources:
  - {name: shop, schema: raw_shop, tables: [{name: appended}, {name: merged}]}
  - {name: db, schema: raw_db, tables: [{name: orders}]}
models:
  - name: fct_merged
    columns: [{name: id, data_tests: [unique, not_null]}]
  - name: fct_appended
    columns: [{name: id, data_tests: [unique, not_null]}]
""",
    "sql/warehouse/fct_merged.sql": """
{{ config(materialized='incremental', unique_key='id') }}
select id, amount from {{ source('shop', 'appended') }}
""",
    "sql/warehouse/fct_appended.sql": """
{{ config(materialized='incremental') }}
select id, amount from {{ source('shop', 'appended') }}
{% if is_incremental() %} where id > (select max(id) from {{ this }}) {% endif %}
""",
    "sql/warehouse/dim_item.sql": """
{{ config(materialized='table') }}
select id, value from {{ source('shop', 'merged') }}
""",
    "sql/warehouse/orders.sql": "select id from {{ source('db', 'orders') }}\n",
    "sql/warehouse/segments.sql": """
{{ config(materialized='model', estimator='kmeans', features=['lines', 'amount'], key='bucket', k=2) }}
select bucket, cast(lines as double) as lines, cast(amount as double) as amount from {{ ref('sales') }}
""",
    "sql/marts/sales.sql": """
{{ config(materialized='table') }}
select id % 10 as bucket, count(*) as lines, sum(amount) as amount from {{ ref('fct_merged') }} group by id % 10
""",
    "campaigns/buckets.yml": """
audience: select bucket, lines, amount from marts.sales order by bucket
persons: false
channel: {kind: csv, path: out/buckets.csv}
""",
}

STREAMS = ["shop.appended", "shop.merged", "shop.replaced", "shop.history", "shop.nested", "db", "api", "web"]
# Maintenance is the last one: it leaves few releases to roll back to.
COMMANDS = [*STREAMS, "ingest", "build", "export", "rollback", "maintain"]


class Company:
    """The project, its sources in a folder of their own, and the model. `settle` makes what the tests write durable."""

    def __init__(self, project, data, chance, settle=lambda: None):
        self.project, self.data, self.chance, self.settle = project, data, chance, settle
        self.times, self.sold, self.target = dict.fromkeys(STREAMS, 0), 0, None
        # What has landed, by key; of the history all values of a key. What was built of it, and delivered.
        self.appended, self.merged, self.replaced, self.history, self.nested = {}, {}, {}, {}, {}
        self.orders, self.called, self.hits, self.regions, self.built, self.delivered = {}, {}, [], {}, {}, None
        # By number, what is in a release, and the history then; and what readers may find now, newest last.
        self.releases, self.states = {}, deque(maxlen=8)
        data.mkdir(parents=True)
        self.connection = sqlite3.connect(data / "shop.db", isolation_level=None)
        self.connection.execute("pragma journal_mode = wal")
        self.connection.execute("create table orders (id integer primary key, amount integer not null)")
        self.api = Hostile(self.answer).__enter__()
        api = f"kind: rest\nmanifest: api.yml\nconfig: {{base_url: '{self.api.url}'}}\n"
        sources = {"shop": SHOP, "db": DB, "api": api, "web": WEB}.items()
        sources = {f"sources/{name}.yml": text.replace("%(data)s", str(data)) for name, text in sources}
        project.write(PROJECT | {"api.yml": API} | sources)
        for command in ("ingest", "build", "export"):
            self.prepare(command)
            self.run(command)

    def close(self):
        self.connection.close()
        self.api.__exit__()

    # What comes from outside.

    def prepare(self, command):
        """Bring what the command will find. What is in the lake until it has run; afterwards it is `expected`."""
        if command == "build":
            self.regions |= {f"R{len(self.regions)}": f"region {len(self.regions)}"}
            self.file(self.project.dir / "sql" / "seeds" / "regions.csv", ["code", "name"], self.regions.items())
            if self.built:
                self.bring("shop.appended", "shop.merged", "db")
        elif command == "export":
            self.bring("shop.appended")
            self.build()
            self.states.append(self.expected())
            self.run("build")
        elif command == "rollback":
            self.target = self.chance.choice(sorted(self.releases)[:-1])
        elif command == "maintain":
            self.bring(*STREAMS)
        before = self.expected()
        if command == "build":
            self.build()
        elif command in STREAMS:
            self.grow(command)
        elif command == "ingest":
            for stream in STREAMS:
                self.grow(stream)
        self.states.append(self.after(command))
        self.settle()
        return before

    def bring(self, *streams):
        """Have more of streams land."""
        for stream in streams:
            self.grow(stream)
        self.states.append(self.expected())
        self.run("ingest")

    def grow(self, stream):
        """More of a stream: new rows and, where rows can change, changed and deleted ones."""
        self.times[stream] += 1
        number, name = self.times[stream], stream.removeprefix("shop.")
        new = {number * GROWTH + i: number + i % 7 for i in range(GROWTH)}
        old = list(new)[: GROWTH // 3] if number > 1 else []
        changed = new | {id - GROWTH: number * 100 for id in old}
        gone = {id for id in changed if number > 1 and id % 10 == 0}
        if stream == "shop.appended":
            self.appended |= new
            self.file(self.data / f"{name}-{number:04}.csv", ["id", "amount"], new.items())
        elif stream == "shop.merged":
            self.merged = {id: value for id, value in (self.merged | changed).items() if id not in gone}
            rows = ((id, value, str(id in gone).lower()) for id, value in changed.items())
            self.file(self.data / f"{name}-{number:04}.csv", ["id", "value", "gone"], rows)
        elif stream == "shop.replaced":
            self.replaced = new
            self.file(self.data / f"{name}.csv", ["id", "value"], new.items())
        elif stream == "shop.history":
            for id, value in changed.items():
                self.history.setdefault(id, []).append(value)
            self.file(self.data / f"{name}-{number:04}.csv", ["id", "value"], changed.items())
        elif stream == "shop.nested":
            lists = {id: [f"s{value}", f"t{number}"][: id % 3] for id, value in changed.items()}
            self.nested |= lists
            records = ({"id": id, "name": f"n{id}", "items": [{"sku": s} for s in skus]} for id, skus in lists.items())
            text = "".join(json.dumps(record) + "\n" for record in records)
            (self.data / f"{name}-{number:04}.ndjson").write_text(text)
        elif stream == "db":
            self.orders |= new
            self.connection.execute("begin")
            self.connection.executemany("insert into orders values (?, ?)", new.items())
            self.connection.execute("commit")
        elif stream == "api":
            self.sold += ORDERS
            self.called = {order: order % 7 for order in range(1, self.sold + 1)}
        elif stream == "web":
            log = self.data / "access.log"
            if number % 3 == 0:
                log.rename(self.data / f"access.log.{number // 3}")
            self.hits += new
            with open(log, "a") as file:
                for id in new:
                    file.write(f'10.0.0.{number % 250} - - [01/Jan/2026:10:00:00 +0000] "GET /p/{id} HTTP/1.1" 200 {id}\n')

    def file(self, path, header, rows):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([header, *rows])

    def answer(self, handler, n):
        """The API: orders page by page, and the items of each."""
        path, _, query = handler.path.partition("?")
        if path == "/orders":
            asked = {name: int(value) for name, value in urllib.parse.parse_qsl(query)}
            first = asked["since"] + (asked["page"] - 1) * asked["size"]
            last = min(first + asked["size"], self.sold)
            return answer(handler, {"orders": [{"id": i, "amount": i % 7} for i in range(first + 1, last + 1)]})
        order = int(path.split("/")[2])
        answer(handler, {"items": [{"id": order * 2 + i, "name": f"item {i}"} for i in range(2)]})

    # The model.

    def build(self):
        """What a build makes of what has landed."""
        buckets = {}
        for id, amount in self.appended.items():
            lines, total = buckets.get(id % 10, (0, 0))
            buckets[id % 10] = (lines + 1, total + amount)
        self.built = {
            "seeds.regions": list(self.regions.items()),
            "warehouse.fct_merged": list(self.appended.items()),
            "warehouse.fct_appended": list(self.appended.items()),
            "warehouse.dim_item": list(self.merged.items()),
            "warehouse.orders": [(id,) for id in self.orders],
            "ml.segments": [(bucket,) for bucket in buckets],
            "marts.sales": [(bucket, *rest) for bucket, rest in buckets.items()],
        }

    def expected(self):
        """What has to be in the lake once all that is known of has landed, and the last build was done."""
        versions = (
            (id, value, "open" if number == len(values) else "closed")
            for id, values in self.history.items()
            for number, value in enumerate(values, 1)
        )
        landed = {
            "raw_shop.appended": self.appended.items(),
            "raw_shop.merged": self.merged.items(),
            "raw_shop.replaced": self.replaced.items(),
            "raw_shop.history": versions,
            "raw_shop.nested": ((id, f"n{id}") for id in self.nested),
            "raw_shop.nested__items": ((id, at, s) for id, skus in self.nested.items() for at, s in enumerate(skus, 1)),
            "raw_db.orders": self.orders.items(),
            "raw_api.orders": self.called.items(),
            "raw_api.items": ((order * 2 + i, f"item {i}", order) for order in self.called for i in range(2)),
            "raw_web.hits": ((f"/p/{id}", 200) for id in self.hits),
        }
        tables = {table: counted(rows) for table, rows in (landed | self.built).items()}
        return {table: rows for table, rows in tables.items() if rows}

    def after(self, command):
        """What has to be in the lake once the command has run."""
        return self.releases[self.target][0] if command == "rollback" else self.expected()

    def audience(self):
        """What the campaign delivers."""
        return sorted(tuple(map(str, row)) for row in self.built["marts.sales"])

    # What is there.

    def arguments(self, command):
        if command == "rollback":
            return ["rollback", self.target]
        if command == "maintain":
            return ["maintain", "--keep", KEEP]
        return ["ingest", command] if command in STREAMS else [command]

    def run(self, command):
        """Run a command to its end, after which all is there that should be."""
        self.project.run(*self.arguments(command))
        self.check(self.project, self.after(command))
        if command == "export":
            self.check_delivery(self.project, self.audience())
        self.ran(command)

    def ran(self, command):
        """The command has run to its end: the model goes on from there."""
        if command == "export":
            self.delivered = self.audience()
        if command == "rollback":
            self.land_again()
        if command == "maintain":
            self.check_kept(self.project)
            self.releases = {number: known for number, known in self.releases.items() if number in kept(self.project)}
        self.releases[newest(self.project)[0]] = (self.expected(), copy.deepcopy(self.history))
        self.settle()

    def land_again(self):
        """What a rollback undid lands again, in one load: of the values of a key in between nobody knows any more."""
        contents, history = self.releases[self.target]
        for id, values in self.history.items():
            before, last = history.get(id, []), values[-1:]
            self.history[id] = before if before[-1:] == last else before + last
        self.states += [self.expected() | {table: contents[table] for table in self.built}, self.expected()]
        for command in ("ingest", "build"):
            self.project.run(command)
        self.check(self.project, self.expected())

    def check(self, project, *allowed):
        """The lake has exactly one of those contents, whoever reads it."""
        found = through_cordada(project)
        assert found in allowed, "\nor ".join(difference(found, contents) for contents in allowed)
        others = through_deltalake(project)
        assert others == {table: found[table] for table in others}, f"deltalake: {difference(others, found)}"

    def check_kept(self, project):
        """A release that is still there is what it was: the oldest one, and any."""
        numbers = sorted(kept(project) & self.releases.keys())
        for number in {numbers[0], self.chance.choice(numbers)} if numbers else ():
            found, wanted = through_cordada(project, number), self.releases[number][0]
            assert found == wanted, f"release {number}: {difference(found, wanted)}"

    def check_delivery(self, project, *allowed):
        """The campaign's file is whole and one of those that are allowed; if it has a manifest, that is its own."""
        file = project.dir / "out" / "buckets.csv"
        with contextlib.suppress(FileNotFoundError):
            manifest = json.loads(file.with_name("buckets.csv.manifest.json").read_text())
            assert manifest["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        rows = sorted(map(tuple, csv.reader(file.read_text().splitlines()[1:]))) if file.exists() else None
        assert rows in allowed, f"the campaign delivered {rows}, and allowed is {allowed}"


def counted(rows):
    """How often each row is there, as text."""
    return Counter("|".join(map(str, row)) for row in rows)


def kept(project):
    """The numbers of the releases that are there."""
    return {int(file.stem) for file in (project.dir / "lake" / "_cordada" / "releases").glob("*.json")}


def newest(project, last=None):
    """The number of the newest release, or of `last`, and its relations."""
    relations, number = {}, 0
    for file in sorted((project.dir / "lake" / "_cordada" / "releases").glob("*.json")):
        try:
            release = json.loads(file.read_text())
        except json.JSONDecodeError:
            continue  # torn by a power cut: it was never published
        if last is not None and release["number"] > last:
            break
        relations = release.get("relations", relations) | release.get("changes", {})
        relations = {name: relation for name, relation in relations.items() if relation}
        number = release["number"]
    return number, relations


def through_cordada(project, release=None):
    """What a release, the newest one by default, has, as Cordada reads it: all of one release."""
    _, relations = newest(project, release)
    sql = combined(table for table in TABLES if table in relations)
    tables = {}
    for table, row, count in project.query(sql, release):
        tables.setdefault(table, Counter())[row] += int(count)
    return tables


def combined(tables):
    """One statement for the rows of tables, so that it is answered from one release."""

    def cell(column):
        if column == "_valid_to":
            return "case when _valid_to is null then 'open' else 'closed' end"
        return f"coalesce(cast({column} as varchar), 'None')"

    line = lambda table: f"concat_ws('|', {', '.join(map(cell, TABLES[table]))})"
    parts = (f"select '{table}' as name, {line(table)} as line from {table}" for table in tables)
    return f"select name, line, count(*) as count from ({' union all '.join(parts)}) group by name, line"


def through_deltalake(project):
    """What the tables of the newest release have, as deltalake reads them."""
    tables = {}
    for name, relation in newest(project)[1].items():
        if relation["kind"] != "table" or name not in TABLES:
            continue
        table = DeltaTable(project.dir / "lake" / relation["path"], version=relation["version"]).to_pyarrow_table()
        columns = {column: table[column].to_pylist() for column in TABLES[name]}
        if "_valid_to" in columns:
            columns["_valid_to"] = ["open" if at is None else "closed" for at in columns["_valid_to"]]
        tables[name] = counted(zip(*columns.values()))
    return tables


def difference(found, expected):
    """What was lost, doubled or altered, in a few words."""
    lines = []
    for table in sorted(found.keys() | expected.keys()):
        have, want = found.get(table, Counter()), expected.get(table, Counter())
        more, less = have - want, want - have
        if more or less:
            some = lambda rows: f"{rows.total()} ({', '.join(list(rows)[:3])} …)" if rows else "0"
            lines.append(f"{table}: {have.total()} of {want.total()} rows; too many {some(more)}, missing {some(less)}")
    return "; ".join(lines) or "no difference"
