"""One person among a million: the row and its parts, over Flight SQL and with `cordada person`."""

import random
import re
import shutil
import subprocess
import time
from statistics import median

import contest
import flight_client
import pyarrow as pa
import pyarrow.flight as flight

TITLE = "One person"

PERSONS = 1_000_000
# Rows a person of each part.
PARTS = {"orders": 8, "customer_identifiers": 5, "customer_scores": 6, "customer_visits": 4, "consents": 3}
ASKED = 200
GOAL = 0.020

PROJECT = {
    "cordada.yml": "name: bench\nlake: ./lake\n",
    "sql/dbt_project.yml": "name: bench\nmodel-paths: [models]\nmodels: {bench: {+schema: marts, +materialized: table}}\n",
    # As wide as the demo's.
    "sql/models/customers.sql": """
        select
            id as customer_id, 'Name' || (n % 5000) as first_name, 'Surname' || (n % 90000) as last_name,
            'p' || n || '@x.example' as email, cast(770000000 + n as varchar) as phone,
            date '1940-01-01' + cast(n % 25000 as int) as born_on, lpad(cast(n % 52000 as varchar), 5, '0') as postcode,
            'Town ' || (n % 8000) as city, lpad(cast(n % 52 as varchar), 2, '0') as province_code,
            'Province ' || (n % 52) as province_name, 'Community ' || (n % 17) as community,
            date '2024-01-01' + cast(n % 700 as int) as registered_on, n % 3 = 0 as has_card, n % 2 = 0 as has_account,
            n % 4 = 0 as consents_to_email, n % 5 = 0 as consents_to_sms, n % 6 = 0 as consents_to_profiling,
            date '2024-01-01' + cast(n % 400 as int) as first_order_on,
            date '2025-01-01' + cast(n % 300 as int) as last_order_on, n % 300 as recency_days, n % 90 as orders,
            n % 60 as store_orders, n % 30 as shop_orders, cast(n % 900000 as decimal(18, 2)) / 100 as lifetime_revenue,
            cast(n % 9000 as decimal(18, 2)) / 100 as average_order_value, cast(n % 5 as int) + 1 as recency_score,
            cast(n % 5 as int) + 1 as frequency_score, cast(n % 5 as int) + 1 as monetary_score,
            'segment ' || (n % 10) as segment, cast(n % 1000 as double) / 1000 as churn_risk,
            'T' || (n % 44) as preferred_store_id, 'Category ' || (n % 12) as preferred_category, n % 3 as abandoned_carts
        from {{ ref('persons') }}
        order by customer_id
    """,
    "sql/models/persons.sql": f"""
        {{{{ config(schema='warehouse') }}}}
        select n, concat_ws('-', substr(h, 1, 8), substr(h, 9, 4), substr(h, 13, 4), substr(h, 17, 4), substr(h, 21)) as id
        from (select n, md5(cast(n as varchar)) as h from (select unnest(generate_series(1, {PERSONS})) as n))
    """,
} | {
    f"sql/models/{part}.sql": f"""
        select id as customer_id, timestamp '2024-01-01' + cast(n * i % 700 as int) * interval '1 day' as happened_at,
            '{part} ' || (n % 50) as kind, md5(cast(n * {rows} + i as varchar)) as value,
            cast(n * i % 90000 as decimal(18, 2)) / 100 as amount, cast(i as bigint) as number, 'erp' as source
        from {{{{ ref('persons') }}}} cross join (select unnest(generate_series(1, {rows})) as i)
        order by customer_id, happened_at
    """
    for part, rows in PARTS.items()
}


def run(runs, folder):
    project = folder / "project"
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in PROJECT.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    contest.measured(contest.CORDADA, "build", "--project", project)
    server = subprocess.Popen(
        [contest.CORDADA, "serve", "--addr", "127.0.0.1:0", "--project", project], stdout=subprocess.PIPE, text=True
    )
    try:
        url = next(found.group() for line in server.stdout if (found := re.search(r"grpc://\S+:\d+", line)))
        with flight.connect(url) as client:
            ids = ask(client, "select id from warehouse.persons order by md5(id || 'asked') limit 1000")["id"].to_pylist()
            rows, parts = ["customers"], list(PARTS)
            lines = [("the row", *times(client, ids, rows)), ("the row and its parts", *times(client, ids, rows + parts))]
    finally:
        server.terminate()
        server.wait()
    whole = []
    for id in ids[:runs]:
        start = time.perf_counter()
        subprocess.run([contest.CORDADA, "person", id, "--project", project], check=True, stdout=subprocess.DEVNULL)
        whole.append(time.perf_counter() - start)
    counts = ", ".join(f"{PERSONS * rows / 1e6:.0f} M {part}" for part, rows in PARTS.items())
    table = ["| | first, ms | median, ms | 95 of 100, ms |", "|---|---|---|---|"]
    table += [f"| {name} | {1e3 * first:.1f} | {1e3 * middle:.1f} | {1e3 * most:.1f} |" for name, first, middle, most in lines]
    table.append(f"| `cordada person`, the whole process | | {1e3 * median(whole):.0f} | |")
    return "\n".join(
        [
            f"{PERSONS / 1e6:.0f} M persons of 33 columns, {counts}, each sorted by `customer_id`. {ASKED} persons, another "
            "one each time, one after the other over Flight SQL; a part is a statement of its own.",
            "",
            *table,
            "",
            contest.goal("The row of one person within 20 ms", lines[0][2] <= GOAL, f"{1e3 * lines[0][2]:.1f} ms"),
        ]
    )


def ask(client, sql):
    return pa.Table.from_batches(list(flight_client.chunks(client, flight_client.statement(sql))))


def times(client, ids, relations):
    """Seconds that a person takes: the first one, the median, and what 95 of 100 are within."""
    chance = random.Random(1)
    taken = []
    for id in chance.sample(ids, ASKED):
        start = time.perf_counter()
        for relation in relations:
            rows = ask(client, f"select * from marts.{relation} where customer_id = '{id}'")
            assert rows.num_rows == PARTS.get(relation, 1)
        taken.append(time.perf_counter() - start)
    return taken[0], median(taken), sorted(taken)[int(len(taken) * 0.95)]
