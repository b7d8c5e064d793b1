"""Releases come while clients read: each answer is that of one release, whole, and no older than the one before.

`RELEASES=60 PAUSE=1` makes one a second for a minute; `make test` takes fewer, without pauses.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import PATIENCE, connect, fetch, serving, url, users

RELEASES = int(os.environ.get("RELEASES", "10"))
PAUSE = float(os.environ.get("PAUSE", "0"))
CLIENTS = 8
# Rows of the table of a generation: it has so many more, so that what is missing shows.
ROWS = 20_000


def generation(number):
    """The files of a generation: two tables that have to fit each other, and one with a column of another name."""
    return {
        "data/generation.csv": f"generation\n{number}\n",
        "sql/marts/shape.sql": (
            "{{ config(materialized='table') }}\n"
            f"select generation as g_{number} from {{{{ ref('one') }}}}\n"
        ),
    }


@pytest.fixture
def project_of_generations(project):
    return project.write(
        {
            "cordada.yml": f"name: acme\nlake: ./lake\n{users()}",
            "sources/shop.yml": "kind: files\nstreams: {generation: {path: data/generation.csv, disposition: replace}}\n",
            "sql/dbt_project.yml": "name: acme\nmodel-paths: [marts]\n",
            "sql/marts/sources.yml": (
                "version: 2\nsources: [{name: shop, schema: raw_shop, tables: [{name: generation}]}]\n"
                "models: [{name: one, columns: [{name: generation, data_tests: [unique, not_null]}]}]\n"
            ),
            "sql/marts/one.sql": (
                "{{ config(materialized='table') }}\n"
                "select max(generation) as generation from {{ source('shop', 'generation') }}\n"
            ),
            "sql/marts/many.sql": (
                "{{ config(materialized='table') }}\n"
                "select o.generation, n as id from {{ ref('one') }} o\n"
                f"cross join generate_series(1, {ROWS + RELEASES}) s(n) where n <= {ROWS} + o.generation\n"
            ),
            "sql/marts/seen.sql": "select distinct generation from {{ ref('many') }}\n",
            **generation(0),
        }
    )


class Reader:
    """A client that asks the same in its own way, again and again."""

    def __init__(self, port):
        self.connection = connect(url(port))
        self.cursor = self.connection.cursor()
        self.newest = 0

    def close(self):
        self.cursor.close()
        self.connection.close()

    def saw(self, generation):
        assert generation >= self.newest, f"generation {generation} after {self.newest}"
        self.newest = generation


class Prepared(Reader):
    SQL = (
        "select min(m.generation) as a, max(m.generation) as b, count(*) as n, max(o.generation) as one, max(s.generation) as seen "
        "from marts.many m cross join marts.one o cross join marts.seen s where m.id > ?"
    )

    def __init__(self, port):
        super().__init__(port)
        self.cursor.adbc_prepare(self.SQL)

    def ask(self):
        for floor in (0, 10):
            self.cursor.execute(self.SQL, [floor])
            [(a, b, n, one, seen)] = self.cursor.fetchall()
            assert a == b == one == seen and n == ROWS + a - floor, (a, b, n, one, seen)
            self.saw(a)


class Plain(Reader):
    def ask(self):
        rows = fetch(self.connection, "select generation, id from marts.many")
        generations = set(rows.column("generation").to_pylist())
        assert len(generations) == 1, generations
        [generation] = generations
        assert sorted(rows.column("id").to_pylist()) == list(range(1, ROWS + generation + 1))
        self.saw(generation)


class Shape(Reader):
    def ask(self):
        rows = fetch(self.connection, "select * from marts.shape")
        [name], [generation] = rows.column_names, rows.column(0).to_pylist()
        assert name == f"g_{generation}"
        self.saw(generation)


class Metadata(Reader):
    COLUMNS = {"many": ["generation", "id"], "one": ["generation"], "seen": ["generation"]}

    def ask(self):
        found = self.connection.adbc_get_objects(depth="columns", db_schema_filter="marts").read_all().to_pylist()
        [schema] = [schema for catalog in found for schema in catalog["catalog_db_schemas"]]
        tables = {
            table["table_name"]: [column["column_name"] for column in table["table_columns"]] for table in schema["db_schema_tables"]
        }
        [shape] = tables.pop("shape")
        assert tables == self.COLUMNS
        self.saw(int(shape.removeprefix("g_")))
        keys = fetch(
            self.connection,
            "select column_name from information_schema.key_column_usage where table_schema = 'marts' and table_name = 'one'",
        )
        assert keys.column(0).to_pylist() == ["generation"]


def test_every_answer_is_that_of_one_release(project_of_generations):
    project = project_of_generations
    project.run("ingest")
    project.run("build")
    over, published = threading.Event(), threading.Event()

    def read(kind, port):
        reader, answers = kind(port), 0
        try:
            while not over.is_set():
                reader.ask()
                answers += 1
            if published.is_set():
                # What was published last is what the next statement reads.
                reader.ask()
                assert reader.newest == RELEASES, f"{kind.__name__} reads generation {reader.newest} in the end"
        finally:
            over.set()
            reader.close()
        return answers

    with serving(project) as (_, port, _), ThreadPoolExecutor(CLIENTS) as pool:
        kinds = [Prepared, Plain, Shape, Metadata] * (CLIENTS // 4)
        readers = [pool.submit(read, kind, port) for kind in kinds]
        try:
            for number in range(1, RELEASES + 1):
                project.write(generation(number))
                project.run("ingest")
                project.run("build")
                if over.wait(PAUSE):
                    break
            else:
                published.set()
        finally:
            over.set()
        answers = [reader.result(PATIENCE) for reader in readers]
    assert all(answers), answers
    print(f"{RELEASES} generations, {dict(zip([kind.__name__ for kind in kinds], answers))} answers")
