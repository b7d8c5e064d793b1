"""The shop that the drivers read: a small project whose content is known, served in three ways."""

import contextlib
import re
import shutil
import subprocess

from harness import BINARY, ROOT, Project, users

from . import Address

CERTIFICATES = ROOT / "flight-server" / "tests" / "flight_sql" / "tls"
ORDERS = 4
# The schema that USER may write.
WRITABLE = "uploads"

CUSTOMERS = "id,name,city\n1,Ana,Cádiz\n2,Ben,Vigo\n3,Eva,Lugo\n"

# The columns of `every_type`, and the names that their types may have.
COLUMNS = {
    "booleans": {"BOOLEAN"},
    "integers": {"BIGINT"},
    "small": {"INTEGER"},
    "doubles": {"DOUBLE", "DOUBLE PRECISION", "FLOAT"},
    "decimals": {"DECIMAL", "NUMERIC"},
    "texts": {"VARCHAR", "TEXT"},
    "bytes": {"VARBINARY", "BINARY", "BYTEA", "BLOB"},
    "days": {"DATE"},
    "moments": {"TIMESTAMP", "DATETIME"},
    "instants": {"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ", "TIMESTAMP_WITH_TIMEZONE", "DATETIME"},
}
COMMENTS = {"id": "The number of the customer.", "name": "What the customer is called."}

FILES = {
    "cordada.yml": "name: acme\nlake: ./lake\n",
    "sources/shop.yml": """
kind: files
streams:
  customers: {path: "data/customers*.csv", key: [id], disposition: merge}
  orders: {path: "data/orders.csv", key: [id], disposition: merge}
""",
    "data/customers.csv": CUSTOMERS,
    "data/orders.csv": """id,customer_id,amount,ordered_at
1,1,10.00,2026-01-05T09:00:00
2,1,12.50,2026-01-07T10:30:00
3,2,7.25,2026-02-11T00:00:00
4,3,99.99,2025-12-31T23:59:59
""",
    "sql/dbt_project.yml": "name: acme\nmodel-paths: [marts]\n",
    "sql/marts/shop.yml": f"""
version: 2
sources:
  - {{name: shop, schema: raw_shop, tables: [{{name: customers}}, {{name: orders}}]}}
models:
  - name: customers
    description: One row for each customer.
    columns:
      - {{name: id, description: "{COMMENTS["id"]}", data_tests: [unique, not_null]}}
      - {{name: name, description: "{COMMENTS["name"]}"}}
  - name: orders
    columns:
      - {{name: id, data_tests: [unique, not_null]}}
      - name: customer_id
        data_tests:
          - relationships: {{arguments: {{to: ref('customers'), field: id}}}}
""",
    "sql/marts/customers.sql": """
{{ config(materialized='table') }}
select id, name, city from {{ source('shop', 'customers') }}
""",
    "sql/marts/orders.sql": """
{{ config(materialized='table') }}
select id, customer_id, cast(amount as decimal(12, 2)) as amount, cast(ordered_at as timestamp) as ordered_at
from {{ source('shop', 'orders') }}
""",
    "sql/marts/recent_orders.sql": """
{{ config(materialized='view') }}
select * from {{ ref('orders') }} where ordered_at >= timestamp '2026-01-01 00:00:00'
""",
    "sql/marts/every_type.sql": """
{{ config(materialized='table') }}
select * from (values
  (true, cast(-9223372036854775808 as bigint), cast(-2147483648 as integer), cast(0.1 as double),
   cast(-9999999999999999999999999999.9999999999 as decimal(38, 10)), 'ñandú', decode('00ff', 'hex'), date '0001-01-01',
   timestamp '1969-12-31 23:59:59.999999', timestamptz '1969-12-31 23:59:59.999999+00'),
  (false, cast(9223372036854775807 as bigint), cast(2147483647 as integer), cast(1.7976931348623157e308 as double),
   cast(9999999999999999999999999999.9999999999 as decimal(38, 10)), '', decode('', 'hex'), date '9999-12-31',
   timestamp '9999-12-31 23:59:59.999999', timestamptz '2026-07-07 10:30:00+02'),
  (null, null, null, null, null, null, null, null, null, null)
) rows(booleans, integers, small, doubles, decimals, texts, bytes, days, moments, instants)
""",
}


class Shop:
    """Three servers: `open` without users, `guarded` with USER, `encrypted` with USER and TLS."""

    def __init__(self, addresses, first_release):
        self.open, self.guarded, self.encrypted = addresses
        self.first_release = first_release
        self.version = subprocess.run([BINARY, "--version"], check=True, capture_output=True, text=True).stdout.split()[
            1
        ]


@contextlib.contextmanager
def served(folder):
    """The shop, built twice, and served from copies of it: each server is the only one over its lake."""
    first = Project(folder / "open").write(FILES)
    first.run("ingest")
    first.run("build")
    first_release = max(map(int, re.findall(r"^\W*(\d+)\W+20\d\d-", first.run("releases").out, re.MULTILINE)))
    first.write({"data/customers-2.csv": "id,name,city\n4,Leo,Soria\n"})
    first.run("ingest")
    first.run("build")
    tls = f"server: {{tls: {{certificate: {CERTIFICATES}/certificate.pem, key: {CERTIFICATES}/key.pem}}}}\n"
    everybody = users().replace('{read: ["*"]}', f'{{read: ["*"], write: [{WRITABLE}]}}')
    settings = {"open": "", "guarded": everybody, "encrypted": everybody + tls}
    with contextlib.ExitStack() as servers:
        addresses = []
        for name, more in settings.items():
            if name != "open":
                shutil.copytree(first.dir, folder / name)
            project = Project(folder / name).write({"cordada.yml": FILES["cordada.yml"] + more})
            uri = servers.enter_context(project.serve())
            port = int(uri.rsplit(":", 1)[1])
            addresses.append(Address("127.0.0.1", port, CERTIFICATES / "ca.pem" if name == "encrypted" else None))
        yield Shop(addresses, first_release)
