"""What the tests of the database servers share: a project over one database, and comparing it with the source."""

import decimal
import math
import threading

import pyarrow.parquet as pq

MOVES = 240  # what a writer does while loads run


class Source:
    """A project whose one source, `erp`, is a database."""

    def __init__(self, project, url):
        self.project, self.url = project, url

    def streams(self, **streams):
        """Write the source with these streams, each the YAML of one."""
        lines = "".join(f"  {name}: {text}\n" for name, text in streams.items())
        self.project.env["ERP"] = self.url
        self.project.write({"sources/erp.yml": f"kind: database\nconnection: ${{ERP}}\ntimeout: 5s\nstreams:\n{lines}"})
        return self

    def ingest(self, code=0):
        return self.project.run("ingest", code=code)

    def rows(self, table, order):
        """All rows that a table of the lake holds, in exact types."""
        file = self.project.dir / "rows.parquet"
        sql = f"select * from raw_erp.{table} order by {order}"
        self.project.run("query", sql, "--format", "parquet", "--output", file)
        ours = {"_load_id", "_loaded_at", "_origin"}
        rows = pq.read_table(file).to_pylist()
        file.unlink()
        return [{name: value for name, value in row.items() if name not in ours} for row in rows]


def same(landed, source):
    """Whether rows are equal, value by value; source values are what the server's Python driver makes of them."""
    assert len(landed) == len(source)
    for ours, theirs in zip(landed, source):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert equal(ours[name], theirs[name]), f"{name}: {ours[name]!r}, in the source {theirs[name]!r}: {theirs}"


def equal(ours, theirs):
    if isinstance(theirs, float) and ours is not None:
        return ours == theirs or math.isclose(ours, theirs, rel_tol=1e-6) or math.isnan(ours) and math.isnan(theirs)
    if isinstance(theirs, decimal.Decimal):
        return ours == theirs and isinstance(ours, decimal.Decimal)
    return ours == theirs and type(ours) is type(theirs)


class Writer(threading.Thread):
    """Inserts, updates and deletes rows of `sales` by a connection of its own until it has made all its moves."""

    def __init__(self, connect, random, now, first_id, deletes):
        super().__init__(daemon=True)
        self.connect, self.random, self.now, self.deletes = connect, random, now, deletes
        self.next_id, self.wrong = first_id, None

    def run(self):
        try:
            connection = self.connect()
            cursor = connection.cursor()
            for _ in range(MOVES):
                for statement in self.move():
                    cursor.execute(statement)
            connection.close()
        except Exception as error:
            self.wrong = error

    def move(self):
        known = self.random.randrange(1, self.next_id)
        amount = f"{self.random.randrange(10_000)}.{self.random.randrange(100):02}"
        match self.random.choice(["insert", "insert", "update", "update", "delete"]):
            case "insert":
                self.next_id += 1
                return [f"insert into sales (id, amount, updated_at) values ({self.next_id}, {amount}, {self.now})"]
            case "update":
                return [f"update sales set amount = {amount}, updated_at = {self.now} where id = {known}"]
            case "delete" if self.deletes:
                return [f"delete from sales where id = {known}"]
        return []
