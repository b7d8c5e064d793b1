"""The shop that the drivers read: a small project whose content is known, served in three ways."""

import contextlib
import datetime
import json
import re
import shutil
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from harness import BINARY, ROOT, USER, Project, users

from . import Address, Certificate

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
    # Tables keep every time as an instant in UTC.
    "moments": {"TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "DATETIME"},
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
    """Three servers: `open` without users, `guarded` with USER, `encrypted` with USER and TLS.

    `token` is an API token of USER at `guarded`, `certificate` one of USER for `encrypted`.
    """

    def __init__(self, addresses, first_release, token, certificate):
        self.open, self.guarded, self.encrypted = addresses
        self.first_release, self.token, self.certificate = first_release, token, certificate
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
    authority, certificate = client_certificate(folder)
    tls = {"certificate": CERTIFICATES / "certificate.pem", "key": CERTIFICATES / "key.pem"}
    server = {"tls": {name: str(file) for name, file in tls.items()} | {"clients": {"ca": str(authority)}}}
    everybody = users().replace('{read: ["*"]}', f'{{read: ["*"], write: [{WRITABLE}]}}')
    settings = {"open": "", "guarded": everybody, "encrypted": f"{everybody}server: {json.dumps(server)}\n"}
    with contextlib.ExitStack() as servers:
        addresses = []
        for name, more in settings.items():
            if name != "open":
                shutil.copytree(first.dir, folder / name)
            project = Project(folder / name).write({"cordada.yml": FILES["cordada.yml"] + more})
            if name == "guarded":
                token = project.run("token", "create", "drivers", "--user", USER).out.strip()
            port = int(servers.enter_context(project.serve()).rsplit(":", 1)[1])
            addresses.append(Address("127.0.0.1", port, CERTIFICATES / "ca.pem" if name == "encrypted" else None))
        yield Shop(addresses, first_release, token, certificate)


def client_certificate(folder):
    """The file of an authority for clients, and a certificate that it gave to USER."""
    now = datetime.datetime.now(datetime.UTC)

    def named(name):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def signed(name, key, by_name, by_key, is_authority):
        builder = x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(by_name))
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        constraints = x509.BasicConstraints(ca=is_authority, path_length=None)
        return builder.add_extension(constraints, critical=True).sign(by_key, hashes.SHA256())

    pem, key_format = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = signed("clients of acme", authority_key, "clients of acme", authority_key, True)
    files = folder / "clients-ca.pem", folder / "client.pem", folder / "client-key.pem"
    files[0].write_bytes(authority.public_bytes(pem))
    files[1].write_bytes(signed(USER, key, "clients of acme", authority_key, False).public_bytes(pem))
    files[2].write_bytes(key.private_bytes(pem, key_format, serialization.NoEncryption()))
    return files[0], Certificate(files[1], files[2])
