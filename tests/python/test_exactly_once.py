"""kill -9 and power cuts, at random moments of every command that writes: nothing is lost, doubled, altered or
half-published.

`CUTS` says how often each command is struck (`make cuts`), `CORDADA_TEST_SEED` repeats the moments of a run.
"""

import os
import random
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest
from collector import WEB, Client, Collector, Writer
from company import COMMANDS, TABLES, Company, combined, counted, difference
from conftest import skip_loudly
from disk import Disk, Unavailable
from harness import Project, connect, fetch, users

SEED = int(os.environ.get("CORDADA_TEST_SEED", random.SystemRandom().randrange(2**32)))
CUTS = int(os.environ.get("CUTS", 1))
CUTS_A_RUN = 10  # power cuts of one run of a command
CLIENTS = 4


@contextmanager
def evidence(project, tmp_path, what):
    """Keeps the project as it is when something is wrong with it, and says how to do it again."""
    try:
        yield
    except BaseException:
        shutil.copytree(project.dir, tmp_path / "found", dirs_exist_ok=True)
        print(f"{what}; the project is in {tmp_path / 'found'}; again: CORDADA_TEST_SEED={SEED} CUTS={CUTS}")
        raise


class Reader(threading.Thread):
    """Reads through a running server until told to stop: each answer is a state that the company went through."""

    def __init__(self, url, company):
        super().__init__(daemon=True)
        self.url, self.company, self.stopping, self.reads, self.wrong = url, company, threading.Event(), 0, None

    def run(self):
        try:
            with connect(self.url, user=None) as connection:
                took = 0
                # As much as it reads, others get to do.
                while not self.stopping.wait(max(0.2, took)):
                    began = time.monotonic()
                    states = list(self.company.states)
                    tables = {}
                    for row in fetch(connection, combined(TABLES)).to_pylist():
                        tables.setdefault(row["name"], counted([]))[row["line"]] += row["count"]
                    states += self.company.states
                    assert tables in states, difference(tables, states[-1])
                    self.reads += 1
                    took = time.monotonic() - began
        except Exception as error:
            self.wrong = error


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A company whose commands are killed while a server of it is read."""
    folder = tmp_path_factory.mktemp("killed")
    company = Company(Project(folder / "project"), folder / "data", random.Random(SEED))
    try:
        with company.project.serve() as url:
            company.reader = Reader(url, company)
            company.reader.start()
            yield company
            company.reader.stopping.set()
            company.reader.join(timeout=30)
    finally:
        company.close()


@pytest.fixture(scope="module")
def disk():
    try:
        with Disk() as disk:
            yield disk
    except Unavailable as reason:
        skip_loudly(str(reason))


@pytest.fixture(scope="module")
def cut(disk, tmp_path_factory):
    """A company on a disk that loses power; its sources are on another one."""
    project = Project(disk.root / "project")
    company = Company(project, tmp_path_factory.mktemp("cut") / "data", random.Random(SEED), disk.settle)
    yield company
    company.close()
    shutil.rmtree(project.dir)


@pytest.mark.parametrize("command", COMMANDS)
def test_killed(command, killed, tmp_path):
    company, project = killed, killed.project
    moments = random.Random(f"{SEED} {command}")
    duration, struck, runs = 0.5, 0, 0
    while struck < CUTS:
        runs += 1
        assert runs < 4 * CUTS + 10, f"only {struck} kills struck: the command is too short to be hit"
        before = company.prepare(command)
        began, moment = time.monotonic(), moments.uniform(0, duration)
        with evidence(project, tmp_path, f"`cordada {command}` was killed after {moment:.3f} s"):
            process = project.start(*company.arguments(command))
            try:
                assert process.wait(timeout=moment) == 0
                duration = time.monotonic() - began
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                struck += 1
            company.check(project, before, company.after(command))
            company.check_delivery(project, company.delivered, company.audience())
            if command == "maintain":
                company.check_kept(project)
            company.run(command)
            reader = company.reader
            assert reader.wrong is None and reader.reads, f"a server read: {reader.wrong}"
    print(f"{command}: {struck} of {runs} runs killed")


@pytest.mark.parametrize("command", COMMANDS)
def test_power_cut(command, disk, cut, tmp_path):
    company, project = cut, cut.project
    chance = random.Random(f"{SEED} power {command}")
    done, writes = 0, []
    while done < CUTS:
        before = company.prepare(command)
        project.run(*company.arguments(command))
        # The exit code is 0, so that all of it outlives a cut from now on.
        end = disk.moment()
        writes.append(end)
        moments = [end] + [chance.randrange(end + 1) for _ in range(min(CUTS - done, CUTS_A_RUN))]
        for moment in moments:
            what = f"`cordada {command}` was cut after {moment} of {end} writes"
            with disk.cut(moment, chance.random()) as folder, evidence(found := Project(folder / "project"), tmp_path, what):
                if moment < end:
                    company.check(found, before, company.after(command))
                    company.check_delivery(found, company.delivered, company.audience())
                    if command == "maintain":
                        company.check_kept(found)
                    found.run(*company.arguments(command))
                company.check(found, company.after(command))
                if command == "maintain":
                    company.check_kept(found)
                if command == "export":
                    company.check_delivery(found, company.audience())
        done += len(moments) - 1
        company.ran(command)
    print(f"{command}: {done} cuts in {len(writes)} runs of {min(writes)} to {max(writes)} writes")


def landed(project):
    """The hits that are in the lake, and how many rows have them."""
    both = "select event_id from raw_web.snowplow union all select event_id from raw_web.segment"
    rows = [row for (row,) in project.query(both)]
    return set(rows), len(rows)


def check_hits(project, clients, until):
    """All that was acknowledged by then is in the lake after `ingest`, once, and nothing that nobody sent."""
    project.run("ingest")
    hits, rows = landed(project)
    acknowledged = {hit for client in clients for hit, moment in client.acknowledged.items() if moment <= until}
    assert not acknowledged - hits, f"{len(acknowledged - hits)} of {len(acknowledged)} acknowledged hits are lost"
    assert rows == len(hits), f"{rows - len(hits)} of {rows} rows are doubled"
    assert hits <= set().union(*(client.sent for client in clients)), "some were never sent"
    # What was being written when the power failed, and was never acknowledged, may be damaged: that is told.
    assert project.value("select count(*) from ops.rejected_rows") in ("0", "1")


def check_batches(project, clients, until):
    """All batches that were acknowledged by then are there, once and whole, and nothing that nobody sent."""
    found = {batch: int(rows) for batch, rows in project.query("select batch, count(*) from crm.t group by batch")}
    acknowledged = {batch for client in clients for batch, moment in client.acknowledged.items() if moment <= until}
    assert not acknowledged - found.keys(), f"{len(acknowledged - found.keys())} of {len(acknowledged)} batches are lost"
    assert set(found.values()) <= {Writer.ROWS}, f"of some batches there are {set(found.values())} rows"
    assert found.keys() <= set().union(*(client.sent for client in clients)), "some were never sent"


class Collecting:
    """Hits that a collector takes, maintained beside that far more often than in earnest."""

    command, says, client, load = "up", r"collecting web on (http://\S+)", Client, 500
    check = staticmethod(check_hits)

    @staticmethod
    def files():
        return {"cordada.yml": "name: acme\nlake: ./lake\nmaintain: {keep: 5s}\n", "sources/web.yml": WEB}


class Writing:
    """Rows that clients write into tables of their own."""

    command, says, client, load = "serve", r"(grpc(?:\+tls)?://127\.0\.0\.1:\d+)", Writer, 20
    check = staticmethod(check_batches)

    @staticmethod
    def files():
        people = users().replace("roles: [everything]", "roles: [everything, loader]")
        people = people.replace("roles: {", "roles: {loader: {write: [crm]}, ")
        return {"cordada.yml": f"name: acme\nlake: ./lake\n{people}"}


TAKING = pytest.mark.parametrize("taking", [Collecting, Writing])


@contextmanager
def loaded(taking, project, moment=time.monotonic):
    """A server under load; yields it, its address, its clients, and a function that waits for so much to be acknowledged."""
    server = Collector(project, taking.says, taking.command)
    where = {"url": server.url}
    clients = [taking.client(f"c{number}", where, moment) for number in range(CLIENTS)]
    for client in clients:
        client.start()

    def acknowledged(count):
        goal = sum(len(client.acknowledged) for client in clients) + count
        deadline = time.monotonic() + 60
        while sum(len(client.acknowledged) for client in clients) < goal:
            assert not any(client.wrong for client in clients), [client.wrong for client in clients]
            assert time.monotonic() < deadline, "the server takes nothing"
            time.sleep(0.002)

    try:
        yield server, where, clients, acknowledged
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(timeout=40)


@TAKING
def test_killed_server(taking, project):
    moments = random.Random(f"{SEED} {taking.command}")
    project.write(taking.files())
    with loaded(taking, project) as (server, where, clients, acknowledged):
        for _ in range(CUTS):
            acknowledged(moments.randrange(1, taking.load))
            server.kill()
            server = Collector(project, taking.says, taking.command)
            where["url"] = server.url
        acknowledged(taking.load // 5)
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()
        server.kill()
    taking.check(project, clients, until=time.monotonic())
    print(f"{taking.command}: {CUTS} kills, {sum(len(client.acknowledged) for client in clients)} acknowledged")


@TAKING
def test_power_cut_server(taking, disk, tmp_path):
    chance = random.Random(f"{SEED} power {taking.command}")
    done = 0
    while done < CUTS:
        project = Project(disk.root / f"{taking.command}-{done}")
        project.write(taking.files())
        disk.settle()
        with loaded(taking, project, disk.moment) as (server, _, clients, acknowledged):
            # A cut before something of each kind was there finds no tables yet.
            acknowledged(2 * CLIENTS)
            first = disk.moment()
            acknowledged(taking.load)
            end = disk.moment()
            server.kill()
        moments = [end] + [chance.randrange(first, end + 1) for _ in range(min(CUTS - done, CUTS_A_RUN))]
        for moment in moments:
            what, name = f"`cordada {taking.command}` was cut after {moment} of {end} writes", project.dir.name
            with disk.cut(moment, chance.random()) as folder, evidence(found := Project(folder / name), tmp_path, what):
                taking.check(found, clients, until=moment)
        done += len(moments) - 1
        shutil.rmtree(project.dir)
    print(f"{taking.command}: {done} power cuts")


def test_killed_changes(tmp_path, postgres):
    """The log of a PostgreSQL table, with updates and deletes in it."""
    moments = random.Random(f"{SEED} changes")
    rows, step = 0, 3000
    source = (
        "kind: database\nconnection: ${ERP}\nstreams:\n"
        "  orders: {table: public.orders, key: [id], disposition: merge, changes: logical}\n"
    )
    files = {"cordada.yml": "name: acme\nlake: ./lake\n", "sources/shop.yml": source}
    project = Project(tmp_path, {"ERP": postgres.url(postgres.database("exactly_once"))}).write(files)
    connection = postgres.connect("exactly_once")
    connection.execute("create table orders (id bigint primary key, amount bigint not null)")
    try:
        project.run("ingest")
        duration, struck, runs = 0.5, 0, 0
        while struck < CUTS:
            runs += 1
            assert runs < 4 * CUTS + 10, f"only {struck} kills struck: the loads are too short to be hit"
            first, rows = rows + 1, rows + step
            connection.execute(f"insert into orders select i, i % 7 from generate_series({first}::bigint, {rows}) i")
            connection.execute("update orders set amount = amount + 1 where id % 10 = 0")
            connection.execute(f"delete from orders where id between {first} and {first + 9}")
            began = time.monotonic()
            process = project.start("ingest")
            try:
                process.wait(timeout=moments.uniform(0, duration))
                duration = time.monotonic() - began
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                struck += 1
            project.run("ingest")
            found = counted(project.query("select id, amount from raw_shop.orders"))
            expected = counted(connection.execute("select id, amount from orders").fetchall())
            assert found == expected, difference({"orders": found}, {"orders": expected})
    finally:
        connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()"
        )
        connection.close()
