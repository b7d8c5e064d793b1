"""What the tests of the systems behind an API share."""

import pyarrow.parquet as pq

OURS = {"_load_id", "_loaded_at", "_origin"}


class System:
    """A project whose one source, `shop`, is a system behind an API."""

    def __init__(self, project, connector, config, streams):
        self.project, self.connector, self.config, self.streams = project, connector, config, streams

    def write(self, **config):
        config = "".join(f"  {name}: {value}\n" for name, value in (self.config | config).items())
        streams = "".join(f"  {name}: {text}\n" for name, text in self.streams.items())
        self.project.write({"sources/shop.yml": f"kind: rest\n{self.connector}\nconfig:\n{config}streams:\n{streams}"})
        return self

    def ingest(self, code=0):
        return self.project.run("ingest", code=code)

    def rows(self, table, order):
        """All rows that a table of the lake holds, in exact types."""
        file = self.project.dir / "rows.parquet"
        self.project.run(
            "query", f"select * from raw_shop.{table} order by {order}", "--format", "parquet", "--output", file
        )
        rows = pq.read_table(file).to_pylist()
        file.unlink()
        return [{name: value for name, value in row.items() if name not in OURS} for row in rows]

    def landed(self, table):
        """Rows of each load of a table, in the order of the loads."""
        rows = self.project.query(f"select rows from ops.loads where stream = '{table}' order by started_at")
        return [int(count) for (count,) in rows]


def killed_in_the_middle(system, server, wire, url):
    """Kill the server while it answers and start it again while the load waits; however that ends, the next one is
    to find all there is."""
    system.write(base_url=url)
    load = system.project.start("ingest")
    assert wire.held.wait(timeout=60), "no answer was long enough to be cut"
    server.kill()
    wire.release()
    server.start()
    assert load.wait(timeout=240) in (0, 1, 3)
    system.ingest()
