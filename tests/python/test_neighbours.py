"""Nobody can stop the others: whatever some clients ask for, the others are answered, and what was taken comes back."""

import os
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from harness import PASSWORD, PATIENCE, USER, Project, connect, fetch, listens, serving, until, url, users

CROSS = "select count(*) from generate_series(1, 1000000) a(x), generate_series(1, 1000000) b(y) where x * y % 7 = 3"
# What computes without giving a row, each in another operator.
ENDLESS = {
    "nested loop": "select count(*) from generate_series(1, 1000000) a(x) join generate_series(1, 1000000) b(y) on x * y = -1",
    "band": "select count(*) from generate_series(1, 1000000) a(x) join generate_series(1, 1000000) b(y) on y between x and x + 900000",
    "cross": CROSS,
    "skewed": "select count(*) from (select x / 9000000 as k, x from generate_series(1, 1000000) a(x)) l "
    "join (select y / 9000000 as k, y from generate_series(1, 1000000) b(y)) r on l.k = r.k and x + y < 0",
    "anti": "select count(*) from generate_series(1, 1000000) a(x) where not exists "
    "(select 1 from generate_series(1, 1000000) b(y) where x * y < 0)",
    "recursive": "with recursive r(n) as (select 1 union all select 1 - n from r) select max(n) from r",
    "rows": "select a.x, b.y from generate_series(1, 1000000) a(x), generate_series(1, 1000000) b(y)",
}


def project_of(directory, settings="", server=""):
    """A project whose lake has 300,000 sales."""
    rows = "".join(f"{n},{n % 1000},{n % 97}.5,customer-{n % 5000}\n" for n in range(300_000))
    project = Project(directory).write(
        {
            "cordada.yml": f"name: acme\nlake: ./lake\n{settings}{users()}server: {{{server}}}\n",
            "sources/shop.yml": "kind: files\nstreams: {sales: {path: sales.csv}}\n",
            "sales.csv": "sale_id,store,amount,customer\n" + rows,
        }
    )
    project.run("ingest")
    return project


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return project_of(tmp_path_factory.mktemp("shop"), "memory: 256MB\n", "limits: {statements: 4, time: 60s}")


def ask(port, sql):
    with connect(url(port)) as connection:
        return fetch(connection, sql)


def one(port):
    """A login, and `select 1`."""
    assert ask(port, "select 1 as n").to_pylist() == [{"n": 1}]


def threads_of(process):
    return len(os.listdir(f"/proc/{process.pid}/task"))


def seconds_of_cpu(process):
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_quiet(process):
    """Whether the server computes nothing any more: it takes less than a tenth of a core."""
    before = seconds_of_cpu(process)
    threading.Event().wait(0.5)
    return seconds_of_cpu(process) - before < 0.05


def vanish(port, sql):
    """Asks, and is gone without a word: the connection is reset while the statement runs."""
    client = flight.FlightClient(url(port))
    header = client.authenticate_basic_token(USER, PASSWORD)
    options = flight.FlightCallOptions(headers=[header])
    query = b"\x0a" + varint(len(sql)) + sql.encode()
    name = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    command = b"\x0a" + varint(len(name)) + name + b"\x12" + varint(len(query)) + query
    info = client.get_flight_info(flight.FlightDescriptor.for_command(command), options)
    reader = client.do_get(info.endpoints[0].ticket, options)
    reader.cancel()
    client.close()


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_client_that_leaves_ends_its_statement(shop, kind):
    with serving(shop) as (process, port, _):
        one(port)
        vanish(port, ENDLESS[kind])
        until(lambda: is_quiet(process), process)
        one(port)


def test_200_clients_that_vanish_leave_nothing_behind(shop):
    statements = [*ENDLESS.values(), "select store, sum(amount) from raw_shop.sales group by store", "select 1"]
    with serving(shop) as (process, port, _):
        one(port)
        with ThreadPoolExecutor(20) as pool:
            for gone in [pool.submit(vanish, port, statements[n % len(statements)]) for n in range(200)]:
                # Some are told that too many wait; they vanish as well.
                with suppress(flight.FlightError):
                    gone.result(PATIENCE)
        until(lambda: is_quiet(process), process)
        # None of them has a turn any more: as many statements as there are turns go on at once, and all are answered.
        with ThreadPoolExecutor(8) as pool:
            counts = list(pool.map(lambda _: ask(port, "select count(*) as n from raw_shop.sales")["n"][0].as_py(), range(16)))
        assert counts == [300_000] * 16


def test_heavy_statements_beside_each_other_stop_nobody(shop):
    """A cross join of 10^12 rows, fifty group-bys and a sort far above the memory limit, and everybody else."""
    group_by = (
        "select customer, store, count(*) as n, sum(amount) as s from raw_shop.sales cross join generate_series(1, 2) g(x) "
        "where x % 2 = {0} % 2 group by customer, store order by s desc, customer limit 3"
    )
    sort = (
        "select count(*) as n from (select customer, sale_id, x, row_number() over (order by customer desc, sale_id, x) as r "
        "from raw_shop.sales cross join generate_series(1, 8) g(x)) where r > 0"
    )
    with serving(shop) as (process, port, _), ThreadPoolExecutor(60) as pool:
        one(port)
        cross = connect(url(port))
        cursor = cross.cursor()
        crossing = pool.submit(lambda: suppressed(lambda: cursor.execute(CROSS) or cursor.fetchall()))
        sorting = pool.submit(lambda: outcome(lambda: ask(port, sort)))
        grouping = [pool.submit(lambda n=n: outcome(lambda: ask(port, group_by.format(n)))) for n in range(50)]
        # Meanwhile whoever comes is let in and answered.
        for _ in range(30):
            one(port)
        answers = [future.result(PATIENCE) for future in grouping]
        expected = answers[0]
        assert isinstance(expected, list) and len(expected) == 3, expected
        for n, answer in enumerate(answers):
            assert answer == answers[n % 2], n
        # It spills, or is told that it may not take so much.
        sorted_rows = sorting.result(PATIENCE)
        assert sorted_rows == [{"n": 2_400_000}] or "memory" in str(sorted_rows), sorted_rows
        cursor.adbc_cancel()
        crossing.result(PATIENCE)
        suppressed(cursor.close)
        suppressed(cross.close)
        until(lambda: is_quiet(process), process)
        one(port)


def suppressed(do):
    with suppress(Exception):
        return do()


def outcome(do):
    """The rows, or what was said instead."""
    try:
        return do().to_pylist()
    except Exception as error:
        return str(error)


def test_sigterm_ends_the_server_beside_a_statement_that_never_ends(shop):
    with serving(shop) as (process, port, _):
        one(port)
        with ThreadPoolExecutor(1) as pool:
            endless = pool.submit(lambda: outcome(lambda: ask(port, ENDLESS["nested loop"])))
            until(lambda: not is_quiet(process), process)
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
            assert process.returncode == 0
            assert endless.result(PATIENCE)


def test_what_runs_when_the_server_is_told_to_stop_may_end(tmp_path):
    project = project_of(tmp_path, server="grace: 60s")
    with serving(project) as (process, port, _):
        connection = connect(url(port))
        cursor = connection.cursor()
        cursor.execute("select sale_id, x from raw_shop.sales cross join generate_series(1, 20) g(x)")
        rows = cursor.fetch_record_batch()
        first = rows.read_next_batch().num_rows
        process.send_signal(signal.SIGTERM)
        # Told to stop, it begins nothing any more; what has begun goes on.
        until(lambda: not listens(port))
        assert first + sum(batch.num_rows for batch in rows) == 6_000_000
        process.wait(PATIENCE)
        assert process.returncode == 0
        for left in (cursor, connection):
            suppressed(left.close)


@pytest.mark.parametrize(
    ("limit", "sql", "says"),
    [
        ("time: 300ms", CROSS, "time"),
        ("rows: 1000", "select sale_id from raw_shop.sales", "rows"),
        (
            "memory: 8MB",
            "select count(distinct customer || sale_id), count(distinct sale_id), sum(distinct amount) from raw_shop.sales",
            "memory",
        ),
        (
            "spill: 1kB, memory: 48MB",
            "select customer, sale_id, x from raw_shop.sales cross join generate_series(1, 10) g(x) order by customer, x, sale_id",
            "spill",
        ),
        ("waiting: 0, statements: 1", "select sum(amount) from raw_shop.sales", "waiting"),
    ],
)
def test_a_limit_says_which_it_is(tmp_path, limit, sql, says):
    project = project_of(tmp_path, server=f"limits: {{{limit}}}")
    with serving(project) as (process, port, _), ThreadPoolExecutor(1) as pool:
        one(port)
        holder = connect(url(port))
        cursor = holder.cursor()
        if says == "waiting":
            # The only turn is taken by somebody else.
            pool.submit(lambda: suppressed(lambda: cursor.execute(CROSS) or cursor.fetchall()))
            until(lambda: not is_quiet(process), process)
        said = outcome(lambda: ask(port, sql))
        assert isinstance(said, str) and f"`{says}`" in said and "server: {limits" in said, said
        for end in (cursor.adbc_cancel, cursor.close, holder.close):
            suppressed(end)
        one(port)


def test_a_role_has_limits_of_its_own(tmp_path):
    project = project_of(tmp_path, server="limits: {rows: 10}")
    config = (project.dir / "cordada.yml").read_text()
    wide = config.replace('{read: ["*"]}', '{read: ["*"], limits: {rows: 1000000}}')
    assert wide != config
    project.write({"cordada.yml": wide})
    with serving(project) as (_, port, _):
        assert ask(port, "select sale_id from raw_shop.sales").num_rows == 300_000


DEEP = {
    "coalesce": "select " + "coalesce(" * 450 + "1" + ", 2)" * 450,
    "parentheses": "select " + "(" * 480 + "1" + ")" * 480,
    "parentheses without end": "select " + "(" * 100_000 + "1" + ")" * 100_000,
    "case": "select " + "case when true then " * 300 + "1" + " end" * 300,
    "not": "select " + "not " * 3000 + "true",
    "minus": "select " + "- " * 3000 + "1",
    "1+1": "select " + " + ".join(["1"] * 20_000),
    "subqueries": "select " + "(select " * 300 + "1" + ")" * 300,
    "from": "select * from " + "(select * from " * 300 + "(values (1)) t" + ") t" * 300,
    "doubling": "with c0 as (select 1 as a), "
    + ", ".join(f"c{n} as (select x.a from c{n - 1} x, c{n - 1} y)" for n in range(1, 40))
    + " select count(*) from c39",
    "chain": "with c0 as (select 1 as a), " + ", ".join(f"c{n} as (select a + 1 as a from c{n - 1})" for n in range(1, 500)) + " select * from c499",
    "cube": "select count(*) from raw_shop.sales group by cube(" + ", ".join(f"sale_id + {n}" for n in range(40)) + ")",
    "in": "select 1 where 1 in (" + ", ".join(map(str, range(50_000))) + ")",
    "long": "select '" + "x" * 5_000_000 + "'",
    "array": "select " + "[" * 400 + "1" + "]" * 400,
    "union": " union all ".join(f"select {n} as a" for n in range(3000)),
    "like": "select " + " or ".join(f"'a' like '%{n}%'" for n in range(5000)),
    "concat": "select " + "concat('a', " * 400 + "'b'" + ")" * 400,
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_and_long_statements_are_answered_or_refused(shop, kind):
    with serving(shop) as (process, port, _):
        outcome(lambda: ask(port, DEEP[kind]))
        assert process.poll() is None
        one(port)


GREEDY = {
    "repeat": "select length(repeat('x', 2000000000))",
    "repeat of rows": "select sum(length(repeat(customer, 3000000))) from raw_shop.sales",
    "literal": "select repeat('x', 8000000) as a, sale_id from raw_shop.sales limit 20",
    "rpad": "select max(length(rpad(customer, 5000000))) from raw_shop.sales",
    "replace": "select length(replace(replace(repeat('a', 100000), 'a', repeat('b', 1000)), 'b', repeat('c', 100)))",
    "unnest": "select count(*) from (select unnest(range(0, 2000000)) as n, repeat('y', 1000000) as y)",
    "doubled": "select length(s) from (select "
    + " ".join(["s || s as s from (select"] * 34)
    + " customer as s from raw_shop.sales limit 1"
    + ")" * 34
    + ")",
    "string_agg": "select length(string_agg(customer || repeat('z', 1000), ',')) from raw_shop.sales cross join generate_series(1, 20)",
    "array_agg": "select array_length(array_agg(customer || x)) from raw_shop.sales cross join generate_series(1, 200) g(x)",
    "window": "select max(m) from (select max(x) over () as m from generate_series(1, 300000000) g(x))",
    "split": "select array_length(string_to_array(repeat(',', 15000000), ','))",
    "format": "select format('%2000000000s', 'x')",
}


@pytest.mark.parametrize("kind", GREEDY)
def test_greedy_statements_stay_within_the_memory_that_there_is(shop, kind):
    bounded = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))}
    with serving(shop, **bounded) as (process, port, _):
        outcome(lambda: ask(port, GREEDY[kind]))
        assert process.poll() is None, "the server ended"
        with open(f"/proc/{process.pid}/status") as status:
            peak = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
        assert peak < 2 << 30, f"{peak >> 20} MiB"
        one(port)


# Few bytes on the wire, and what they stand for.
EXPANDING = {
    "a run of 8 TB": lambda: pa.RunEndEncodedArray.from_arrays(pa.array([2**40], pa.int64()), pa.array([1])),
    "nulls": lambda: pa.nulls(2**31),
    "a word said 4 million times": lambda: pa.DictionaryArray.from_arrays(pa.array([0] * 4_000_000, pa.int8()), pa.array(["x" * 4_000_000])),
}


@pytest.mark.parametrize("kind", EXPANDING)
def test_values_that_stand_for_much_more_are_refused(tmp_path, kind):
    project = Project(tmp_path).write(
        {"cordada.yml": "name: acme\nlake: ./lake\n" + users().replace('{read: ["*"]}', '{read: ["*"], write: [crm]}')}
    )
    batch = pa.record_batch({"a": EXPANDING[kind]()})
    with serving(project) as (process, port, _), connect(url(port)) as connection, connection.cursor() as cursor:
        with pytest.raises(adbc_driver_manager.Error, match="fewer rows"):
            cursor.execute("select ? as x limit 1", batch)
        with pytest.raises(adbc_driver_manager.Error, match="fewer rows"):
            cursor.adbc_ingest("t", batch, mode="create", db_schema_name="crm")
        assert process.poll() is None
        one(port)


def test_clients_that_do_not_read_keep_no_turn(shop):
    large = "select sale_id, customer, x from raw_shop.sales cross join generate_series(1, 50) g(x)"
    with serving(shop) as (process, port, _):
        open_results = []
        for _ in range(12):
            connection = connect(url(port))
            cursor = connection.cursor()
            cursor.execute(large)
            open_results.append((connection, cursor, cursor.fetch_record_batch()))
        # Three times as many as there are turns, and none of them read any further.
        assert ask(port, "select sum(amount) > 0 as n from raw_shop.sales").to_pylist() == [{"n": True}]
        # Whoever reads on gets all.
        connection, cursor, rows = open_results.pop()
        assert sum(batch.num_rows for batch in rows) == 15_000_000
        for connection, cursor, _ in [*open_results, (connection, cursor, rows)]:
            for end in (cursor.adbc_cancel, cursor.close, connection.close):
                suppressed(end)
        until(lambda: is_quiet(process), process)


def test_threads_come_back(shop):
    with serving(shop) as (process, port, _):
        for _ in range(3):
            ask(port, "select store, count(*) from raw_shop.sales group by store")
        before = threads_of(process)
        for _ in range(20):
            ask(port, "select store, count(*) from raw_shop.sales group by store")
        until(lambda: threads_of(process) <= before + 4, process)
