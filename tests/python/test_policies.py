"""What roles hide stays hidden from a real client, whatever it asks; and what it asked is on record.

The reference is a server whose tables really are what the role shows: the same statement has the same answer, or is refused,
on both.
"""

import hashlib
import itertools
import json
import os
import signal
import subprocess

import adbc_driver_manager
import pyarrow as pa
import pytest
from adbc_driver_flightsql import ConnectionOptions
from harness import BINARY, PASSWORD, Project, connect, fetch

COUNTRIES = ["ES", "FR", "PT"]
PEOPLE = [
    (number, f"Name{number}", f"user{number}@acme.example", COUNTRIES[number % 3], 666 if number % 3 == 2 else number, f"s3cr3t-{number}")
    for number in range(1, 61)
]
HEADER = "id,name,email,country,balance,secret"

SOURCE = """
kind: files
streams:
  people:
    path: data/people-*.csv
    key: [id]
    disposition: merge
    columns: {email: {pii: email}, name: {pii: name}}
"""
SQL = {
    "sql/dbt_project.yml": "name: acme\nmodel-paths: [models]\nmodels: {acme: {warehouse: {+schema: warehouse}, marts: {+schema: marts}}}\n",
    "sql/models/sources.yml": "version: 2\nsources: [{name: shop, schema: raw_shop, tables: [{name: people}]}]\n",
    "sql/models/marts/by_country.sql": (
        "{{ config(materialized='view') }}\n"
        "select country, count(*) as people, max(balance) as richest, min(email) as first_email\n"
        "from {{ source('shop', 'people') }} group by country\n"
    ),
    "sql/models/marts/spaniards.sql": (
        "{{ config(materialized='view') }}\nselect id, name, balance from {{ source('shop', 'people') }} where country = 'ES'\n"
    ),
}
POLICED = """
roles:
  analyst:
    read: [raw_shop, marts]
    rows: {raw_shop.people: "country = attribute('country')"}
    columns: {raw_shop.people: {balance: {constant: 0}, secret: hidden}}
    pii: masked
  french: {read: [raw_shop, marts], rows: {raw_shop.people: "country = 'FR'"}}
  viewer: {read: [marts]}
  admin: {read: ["*"]}
"""
PLAIN = """
roles:
  plain: {read: [raw_shop, marts]}
"""
PEOPLE_WHO_ASK = {
    "ana": ("analyst", {"country": "ES"}),
    "bea": ("analyst", {"country": "FR"}),
    "eva": ("analyst", {}),
    "both": ("analyst, french", {"country": "ES"}),
    "vic": ("viewer", {}),
    "root": ("admin", {}),
}


def users(**people):
    hashed = subprocess.run([BINARY, "hash-password"], input=PASSWORD, check=True, capture_output=True, text=True).stdout.strip()
    lines = [
        f"  - {{name: {name}, password_hash: \"{hashed}\", roles: [{role}], attributes: {json.dumps(attributes)}}}"
        for name, (role, attributes) in people.items()
    ]
    return "users:\n" + "\n".join(lines)


def csv(rows, header=HEADER):
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


def build(directory, rows, header=HEADER, access=None, source=SOURCE):
    """A project with two releases of its tables: the first of the first half of the people."""
    access = access or users(**PEOPLE_WHO_ASK) + POLICED
    project = Project(directory)
    project.write({"cordada.yml": f"name: acme\nlake: ./lake\n{access}", "sources/shop.yml": source, **SQL})
    first = [row for row in rows if row[0] <= 30]
    project.write({"data/people-1.csv": csv(first, header)})
    project.run("ingest")
    project.run("build")
    project.write({"data/people-2.csv": csv([row for row in rows if row[0] > 30], header)})
    project.run("ingest")
    project.run("build")
    return project


def seen(country):
    """What the role shows of the people to whom is of that country."""
    return [
        (number, f"{name[0]}***", f"{email[0]}***@{email.split('@')[1]}", of, 0)
        for number, name, email, of, _balance, _secret in PEOPLE
        if of == country
    ]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return build(tmp_path_factory.mktemp("policed"), PEOPLE)


@pytest.fixture(scope="module")
def server(project):
    with project.serve() as url:
        yield url


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """For each user, a server of what that user sees."""
    header = HEADER.rsplit(",", 1)[0]
    access = users(plain=("plain", {})) + PLAIN
    countries = {"ana": "ES", "bea": "FR"}
    projects = {user: build(tmp_path_factory.mktemp(user), seen(of), header, access) for user, of in countries.items()}
    with projects["ana"].serve() as ana, projects["bea"].serve() as bea:
        yield {"ana": ana, "bea": bea}


def answer(connection, sql, parameters=None):
    """The rows as sorted text, or that it was refused."""
    try:
        table = fetch(connection, sql, parameters)
    except adbc_driver_manager.Error as error:
        return "refused", str(error)
    return "rows", sorted(str(row) for row in table.to_pylist())


P = "raw_shop.people"
COLUMNS = "id, name, email, country, balance"
ATTEMPTS = [
    f"select {COLUMNS} from {P}",
    f"select {COLUMNS} from lake.{P} where id = 2",
    f"select secret from {P}",
    f"select p.secret from {P} p",
    f"select id from {P} where secret like 's3%'",
    f"select id from {P} order by secret",
    f"select max(secret) from {P}",
    f"select count(*) from {P}",
    f"select count(*), count(distinct country), count(balance) from {P}",
    f"select min(id), max(id), min(balance), max(balance), sum(balance) from {P}",
    f"select min(email), max(email), min(name), max(name) from {P}",
    f"select string_agg(email, ',' order by id) from {P}",
    f"select country, count(*) from {P} group by cube(country)",
    f"select id from {P} where balance = 666",
    f"select id from {P} where email = 'user3@acme.example'",
    f"select id from {P} where email like 'user3%'",
    f"select id from {P} where email > 'user3' and email < 'user4'",
    f"select id from {P} where name ~ '^Name'",
    f"select id from {P} where country <> 'ES' or true",
    f"select id from {P} where country is distinct from 'ES'",
    f"select id from {P} where 1 / (balance - 666) < 1",
    f"select 1 / (balance - 666) from {P}",
    f"select id from {P} where 1 / (id - 2) < 1",
    f"select id from {P} where 1 / (id % 3 - 2) < 5 and country = 'ES'",
    f"select id from {P} where cast(name as int) > 0",
    f"select cast(substr(email, 5, 1) as int) from {P}",
    f"select id from {P} where case when country = 'PT' then 1 / 0 > 0 else true end",
    f"select id from {P} order by balance desc, id limit 5",
    f"select id from {P} order by email, id limit 5 offset 2",
    f"select id, row_number() over (order by balance desc, id) as n from {P}",
    f"select id, lag(id) over (order by id) as before, sum(balance) over (order by id) as total from {P}",
    f"select id, ntile(3) over (order by name, id) as n from {P}",
    f"select distinct on (country) id from {P} order by country, id",
    f"select a.id from {P} a, {P} b where a.balance < b.balance",
    f"select a.id, b.id from {P} a left join {P} b on b.id = a.id + 1",
    f"select id from {P} a where exists (select 1 from {P} b where b.id = a.id + 1)",
    f"select id from {P} where id not in (select id from {P} where balance > 0)",
    f"select (select max(balance) from {P}) as richest",
    f"with p as (select * from {P}) select count(*), max(balance) from p",
    f"with recursive r as (select 1 as n union all select n + 1 from r where n < (select count(*) from {P})) select max(n) from r",
    f"with recursive r as (select id from {P} where id < 4 union all select p.id from {P} p join r on p.id = r.id + 1) select * from r",
    f"select id from {P} union select 2",
    f"select 2 intersect select id from {P}",
    f"select v.id from (values (2), (3)) v(id) where v.id not in (select id from {P})",
    f"select v.id, x.n from (values (2), (3)) v(id), lateral (select count(*) as n from {P} p where p.id = v.id) x",
    f"select count(*) from {P} tablesample (100 percent)",
    f"select u.part from {P}, unnest(string_to_array(email, '@')) as u(part)",
    f"select id from {P} group by id having max(balance) > 1",
    f"select id, rank() over (partition by country order by email) as r from {P}",
    "select * from marts.by_country",
    "select * from marts.by_country where 1 / (richest - 666) < 1",
    "select * from marts.spaniards where 1 / (balance - 666) < 1",
    "select max(richest), min(first_email), sum(people) from marts.by_country",
    f"select {COLUMNS} from {P} version as of 1",
    f"select count(*), max(balance) from {P} version as of 1",
    "select * from marts.by_country version as of 2",
    f"select secret from {P} version as of 1",
    f"select a.id from {P} version as of 1 a full join {P} b on a.id = b.id where a.id is null or b.id is null",
    "select column_name from information_schema.columns where table_name = 'people' and column_name not like '\\_%'",
    "select * from information_schema.key_column_usage",
    "select view_definition from information_schema.views where table_schema = 'marts'",
    "select relname, reltuples from pg_class where relname = 'people'",
    "select * from ops.audit",
    "select * from ops.runs",
]
SECRETS = ["s3cr3t", "user2@", "Name2", "666.0"]


@pytest.mark.parametrize("user", ["ana", "bea"])
def test_no_statement_sees_what_is_hidden(server, reference, user):
    assert len(ATTEMPTS) >= 60
    answered = 0
    with connect(server, user) as policed, connect(reference[user], "plain") as real:
        for sql in ATTEMPTS:
            (how, what), (expected_how, expected) = answer(policed, sql), answer(real, sql)
            assert how == expected_how and (how == "refused" or what == expected), f"{user}: {sql}\n{what}\n{expected}"
            answered += how == "rows"
            for secret in SECRETS:
                assert secret not in str(what) or secret in sql, f"{user}: {sql}: {what}"
    assert answered > 40


def test_prepared_statements_and_their_values(server, reference):
    sql = f"select id, email from {P} where balance < ? and id <> ?"
    with connect(server, "ana") as policed, connect(reference["ana"], "plain") as real:
        for values in [(1, 3), (700, 0), (-1, 2)]:
            assert answer(policed, sql, values) == answer(real, sql, values), values
        divided = f"select id from {P} where 1 / (balance - ?) < 1"
        assert answer(policed, divided, (666,)) == answer(real, divided, (666,))


def test_users_of_one_role_do_not_share_what_they_see(server):
    """Whoever asks first, plans and results that are kept are for those for whom policies say the same."""
    sql = f"select min(country), max(country), count(*) from {P}"
    with connect(server, "ana") as ana, connect(server, "bea") as bea, connect(server, "root") as root:
        for _ in range(3):
            assert fetch(root, sql).to_pylist()[0].popitem()[1] == 60
            for connection, country in [(ana, "ES"), (bea, "FR")]:
                assert list(fetch(connection, sql).to_pylist()[0].values()) == [country, country, 20]


def test_roles_add_up_by_rows(server):
    """A value is shown if a role that shows its row shows it: the French are clear, the Spanish masked."""
    sql = f"select country, count(*) as n, max(balance) as b, min(name) as m, max(secret) as s from {P} group by 1 order by 1"
    with connect(server, "both") as connection:
        rows = [tuple(row.values()) for row in fetch(connection, sql).to_pylist()]
        first = "select people, richest, first_email from marts.by_country order by country"
        behind = [tuple(row.values()) for row in fetch(connection, first).to_pylist()]
    assert rows == [("ES", 20, 0, "N***", None), ("FR", 20, 58, "Name1", "s3cr3t-7")]
    assert behind == [(20, 0, "u***@acme.example"), (20, 58, "user10@acme.example")]


def test_a_user_of_whom_nothing_is_known_sees_no_row(server):
    with connect(server, "eva") as connection:
        assert fetch(connection, f"select count(*) as n from {P}").to_pylist() == [{"n": 0}]
        assert fetch(connection, "select * from marts.by_country").num_rows == 0


def test_no_error_tells_of_rows_that_a_view_leaves_out(server):
    """The balance that divides by zero is that of the Portuguese."""
    with connect(server, "vic") as connection:
        for condition in ["1 / (balance - 666) < 1", "1 / (id % 3 - 2) < 1", "id > 0 and 1 / (balance - 666) < 1"]:
            sql = f"select count(*) as n from marts.spaniards where {condition}"
            assert fetch(connection, sql).to_pylist() == [{"n": 20}], sql
        assert answer(connection, f"select count(*) from {P}")[0] == "refused"


def test_a_plan_is_not_shown(server):
    with connect(server, "ana") as connection:
        for sql in [f"explain select * from {P}", f"explain analyze select * from {P}", "explain verbose select * from marts.by_country"]:
            how, what = answer(connection, sql)
            assert how == "refused" and "attribute" not in what and "666" not in what, what


def test_a_session_on_an_older_release_has_the_same_policies(server):
    release = ConnectionOptions.RPC_CALL_HEADER_PREFIX.value + "release"
    with connect(server, "ana") as connection:
        connection.adbc_connection.set_options(**{release: "1"})
        how, rows = answer(connection, f"select count(*), max(balance), min(country), max(email) from {P}")
        assert how == "rows", rows
        assert "666" not in str(rows) and "user" not in str(rows) and "FR" not in str(rows), rows


def test_a_tag_that_comes_later_holds_for_older_releases(tmp_path):
    untagged = SOURCE.replace("    columns: {email: {pii: email}, name: {pii: name}}\n", "")
    access = users(mia=("masked", {})) + "\nroles: {masked: {read: [raw_shop, marts], pii: masked}}\n"
    project = build(tmp_path, PEOPLE, access=access, source=untagged)
    sql = f"select min(email) as email, min(name) as name from {P}"
    clear, masked = {"email": "user10@acme.example", "name": "Name1"}, {"email": "u***@acme.example", "name": "N***"}
    release = ConnectionOptions.RPC_CALL_HEADER_PREFIX.value + "release"
    with project.serve() as url:
        with connect(url, "mia") as connection:
            assert fetch(connection, sql).to_pylist() == [clear]
        project.write({"sources/shop.yml": SOURCE, "data/people-3.csv": csv([(61, "Name61", "user61@acme.example", "ES", 1, "x")])})
        project.run("ingest")
        with connect(url, "mia") as connection:
            assert fetch(connection, sql).to_pylist() == [masked]
            assert fetch(connection, sql + " version as of 1").to_pylist() == [masked]
            assert fetch(connection, "select min(first_email) as e from marts.by_country").to_pylist() == [{"e": masked["email"]}]
            connection.adbc_connection.set_options(**{release: "1"})
            assert fetch(connection, sql).to_pylist() == [masked]


def test_metadata_is_of_what_is_seen(server):
    with connect(server, "ana") as connection:
        objects = connection.adbc_get_objects(depth="all", table_name_filter="people").read_all().to_pylist()
        text = str(objects)
        assert "email" in text and "secret" not in text
        schema = connection.adbc_get_table_schema("people", db_schema_filter="raw_shop")
        assert "secret" not in schema.names and pa.types.is_string(schema.field("email").type)


def test_another_users_ticket_shows_what_its_bearer_sees(server):
    """A partition is a ticket: whoever fetches it does so under their own policies."""
    with connect(server, "root") as root, connect(server, "ana") as ana:
        with root.cursor() as cursor:
            partitions, _ = cursor.adbc_execute_partitions(f"select country, email from {P}")
        with ana.cursor() as cursor:
            cursor.adbc_read_partition(partitions[0])
            rows = cursor.fetch_arrow_table().to_pylist()
        assert rows and all(row["country"] == "ES" and row["email"].startswith("u***@") for row in rows), rows


def test_what_is_misspelt_ends_the_start(project, tmp_path):
    config = (project.dir / "cordada.yml").read_text()
    for wrong, right, says in [
        ("contry = attribute", "country = attribute", "contry"),
        ("raw_shop.poeple: {balance", "raw_shop.people: {balance", "raw_shop.people"),
        ("secrt: hidden", "secret: hidden", "secrt"),
        ("secret: hiden", "secret: hidden", "hiden"),
        ("nosuch(country) = attribute", "country = attribute", "nosuch"),
    ]:
        broken = Project(tmp_path).write({"cordada.yml": config.replace(right, wrong).replace("./lake", str(project.dir / "lake"))})
        result = broken.run("serve", "--addr", "127.0.0.1:0", code=2)
        assert says in result.err and "cordada.yml" in result.err, result


@pytest.fixture
def audited(tmp_path):
    return build(tmp_path, PEOPLE)


def test_what_is_asked_is_on_record(audited):
    sql = f"select email from {P} where name = 'O''Hara' and id > 7"
    with audited.serve() as url:
        with pytest.raises(adbc_driver_manager.Error):
            connect(url, "ana", "hunter2").cursor().execute("select 1")
        with connect(url, "ana") as connection:
            fetch(connection, sql)
            fetch(connection, f"select id from {P}")
            answer(connection, "select * from ops.audit")
            answer(connection, f"explain select * from {P}")
    rows = audited.query(
        "select event, user_name, door, sql, sql_hash, relations, policies, outcome, error, rows, release is null,"
        " ended_at >= started_at and first_batch_at >= started_at from ops.audit order by number"
    )
    statements = [row for row in rows if row[0] == "statement"]
    assert {row[1] for row in statements} == {"ana"} and {row[2] for row in statements} == {"flight_sql"}
    asked = statements[0]
    assert asked[3] == f"select email from {P} where name = ? and id > ?"
    assert asked[4] == hashlib.sha256(sql.encode()).hexdigest()
    assert asked[5:10] == (P, "analyst", "done", "", "0")
    assert statements[1][7:] == ("done", "", "20", "false", "true")
    assert statements[2][7] == "failed" and "ops" in statements[2][3]
    assert statements[3][7:9] == ("refused", "PermissionDenied")
    assert any(row[0] == "refusal" for row in rows) and not any("hunter2" in str(row) for row in rows)
    assert any(row[0] == "login" and row[1] == "ana" for row in rows)
    out = audited.run("audit", "verify").out
    assert "1 servers" in out, out


def test_a_record_that_is_changed_shows(audited):
    from deltalake import DeltaTable, write_deltalake

    with audited.serve() as url, connect(url, "root") as connection:
        for number in range(5):
            fetch(connection, f"select {number} as n")
    audited.run("audit", "verify")
    path = str(audited.dir / "lake" / "ops" / "audit")
    rows = DeltaTable(path).to_pyarrow_table()
    users = pa.array(["ana"] * rows.num_rows, pa.string())
    changed = rows.set_column(rows.schema.get_field_index("user_name"), "user_name", users)
    write_deltalake(path, changed, mode="overwrite")
    result = audited.run("audit", "verify", code=1)
    assert "not what was put down" in result.err, result


def test_a_durable_audit_has_what_was_answered_before_a_kill(audited):
    settings = (audited.dir / "cordada.yml").read_text()
    audited.write({"cordada.yml": settings + "\nserver: {audit: durable}\n"})
    with audited.serve(kill=True) as url:
        with connect(url, "ana") as connection:
            fetch(connection, "select 'killed' as word")
            with pytest.raises(adbc_driver_manager.Error):
                fetch(connection, 'select "Ana López" from nowhere')
    with audited.serve() as url, connect(url, "root") as connection:
        fetch(connection, "select 1")
    rows = dict(audited.query("select sql, outcome from ops.audit where event = 'statement'"))
    assert rows["select ? as word"] in ("done", "unknown"), rows
    assert rows["select ? from nowhere"] == "failed", rows
    assert audited.value("select count(*) from ops.audit where event = 'login' and user_name = 'ana'") != "0"
    out = audited.run("audit", "verify").out
    assert "2 servers" in out, out


def test_what_was_written_outlives_a_kill_and_servers_have_chains_of_their_own(audited):
    with audited.serve() as url, connect(url, "root") as connection:
        fetch(connection, "select 'first'")
    server = subprocess.Popen(audited.command("serve", "--addr", "127.0.0.1:0"), stdout=subprocess.PIPE, text=True, env=os.environ)
    try:
        url = next(line for line in server.stdout if "grpc://" in line).split("grpc://")[1].split()[0].rstrip(".,;")
        with connect(f"grpc://{url}", "root") as connection:
            # What is put down is written when there is much of it, or when the clock says so.
            for _ in itertools.takewhile(lambda _: int(audited.value("select count(distinct chain) from ops.audit")) < 2, itertools.count()):
                with connection.cursor() as cursor:
                    for number in range(200):
                        cursor.execute(f"select {number}")
                        cursor.fetchall()
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
    out = audited.run("audit", "verify").out
    assert "2 servers" in out, out
