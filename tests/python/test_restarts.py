"""A server is killed and started again under clients that keep their connections: each answer is right, or an error; and
every connection goes on."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import adbc_driver_manager
import pyarrow.compute as pc
from harness import PATIENCE, Project, connect, serving, until, url, users

CLIENTS, KILLS, ROWS = 8, 3, 200_000
COUNT = "select count(*) as n, sum(id) as s from raw_shop.sales where id < ?"


class Client:
    """One connection, which asks the same again and again and counts the answers that are right."""

    def __init__(self, port):
        self.connection, self.answers = connect(url(port)), 0
        self.prepare()

    def prepare(self):
        self.cursor = self.connection.cursor()

    def close(self):
        # What a killed server had prepared cannot be closed any more.
        with suppress(adbc_driver_manager.Error):
            self.cursor.close()
        self.connection.close()

    def until_over(self, over):
        while not over.is_set():
            try:
                self.ask()
                self.answers += 1
            except adbc_driver_manager.Error as error:
                # A server that is away, or another that knows no statements of the one before.
                if "prepare it again" in str(error):
                    self.prepare_again(over)

    def prepare_again(self, over):
        try:
            with suppress(adbc_driver_manager.Error):
                self.cursor.close()
            self.prepare()
        except adbc_driver_manager.Error:
            over.wait(0.05)


class Plain(Client):
    def ask(self):
        self.cursor.execute("select max(id) as m from raw_shop.sales")
        assert self.cursor.fetchall() == [(ROWS - 1,)]


class Prepared(Client):
    def prepare(self):
        super().prepare()
        self.cursor.adbc_prepare(COUNT)

    def ask(self):
        self.cursor.execute(COUNT, [1000])
        assert self.cursor.fetchall() == [(1000, sum(range(1000)))]


class Stream(Client):
    def ask(self):
        self.cursor.execute("select id, text from raw_shop.sales")
        ids = self.cursor.fetch_arrow_table().column("id")
        assert len(ids) == ROWS and pc.sum(ids).as_py() == ROWS * (ROWS - 1) // 2, f"{len(ids)} rows"


class Metadata(Client):
    def ask(self):
        schema = self.connection.adbc_get_table_schema("sales", db_schema_filter="raw_shop")
        assert {"id", "text"} <= set(schema.names)


def test_pooled_connections_go_on_whatever_they_are_in_the_midst_of(tmp_path):
    project = Project(tmp_path).write(
        {
            "cordada.yml": f"name: acme\nlake: ./lake\n{users()}",
            "sources/shop.yml": "kind: files\nstreams: {sales: {path: sales.csv}}\n",
            "sales.csv": "id,text\n" + "".join(f"{n},text of the sale {n}\n" for n in range(ROWS)),
        }
    )
    project.run("ingest")
    over, port, clients, running = threading.Event(), None, [], []
    with ThreadPoolExecutor(CLIENTS) as pool:
        try:
            for kill in [True] * KILLS + [False]:
                with serving(project, port) as (process, port, _):
                    if not clients:
                        clients = [kind(port) for kind in [Plain, Prepared, Stream, Metadata] * (CLIENTS // 4)]
                        running = [pool.submit(client.until_over, over) for client in clients]
                    before = [client.answers for client in clients]

                    def all_go_on():
                        for done in running:
                            assert not done.done(), done.result()
                        return all(client.answers >= was + 2 for client, was in zip(clients, before))

                    until(all_go_on, process)
                    if kill:
                        process.send_signal(signal.SIGKILL)
                        process.wait(PATIENCE)
                        continue
                    over.set()
                    for client, done in zip(clients, running):
                        done.result(PATIENCE)
                        client.close()
        finally:
            over.set()
