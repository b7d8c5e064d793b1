"""Out of Tryton, a real ERP, over JSON-RPC: parties, products and sales."""

import datetime
from decimal import Decimal

from servers.proxy import Proxy
from servers.tryton import DATABASE, PASSWORD, USER
from systems import System, killed_in_the_middle

STREAMS = ["parties", "addresses", "contact_mechanisms", "products", "sales", "sale_lines"]


def system(project, server):
    project.env["ERP_PASSWORD"] = PASSWORD
    config = {"url": f"http://127.0.0.1:{server.port}", "database": DATABASE, "user": USER, "password": "${ERP_PASSWORD}"}
    return System(project, "connector: tryton", config, {name: "{}" for name in STREAMS}).write()


def plain(value):
    """Tryton's JSON for decimals and dates, as Python has them."""
    if isinstance(value, dict):
        parts = {name: part for name, part in value.items() if name != "__class__"}
        match value["__class__"]:
            case "Decimal":
                return Decimal(parts["decimal"])
            case "date":
                return datetime.date(**parts)
            case "datetime":
                return datetime.datetime(**parts, tzinfo=datetime.timezone.utc)
    return value


def check(erp, server):
    """Every record in the lake is as the server tells it."""
    for table, model, fields in [
        ("parties", "party.party", ["id", "name", "code", "active", "write_date"]),
        ("addresses", "party.address", ["id", "party", "city", "postal_code"]),
        ("contact_mechanisms", "party.contact_mechanism", ["id", "party", "type", "value"]),
        ("products", "product.product", ["id", "code", "template"]),
        ("sales", "sale.sale", ["id", "party", "state", "sale_date", "total_amount"]),
        ("sale_lines", "sale.line", ["id", "sale", "quantity", "unit_price"]),
    ]:
        theirs = server.search(model, *fields)
        ours = erp.rows(table, "id")
        assert len(ours) == len(theirs) > 0, table
        for row, expected in zip(ours, theirs):
            expected = {name: plain(value) for name, value in expected.items() if name in fields}
            assert {name: row[name] for name in fields} == expected, table


def test_changes_land(project, tryton):
    erp = system(project, tryton)
    erp.ingest()
    check(erp, tryton)
    party = tryton.create("party.party", name="Nueva S.L.", code="N1")
    [known, *_] = tryton.search("party.party", "id", domain=[["code", "=", "C00007"]])
    tryton.write("party.party", known["id"], name="Renombrada")
    [product, *_] = tryton.search("product.product", "id")
    tryton.write("product.product", product["id"], description="más")
    erp.ingest()
    check(erp, tryton)
    assert party in [row["id"] for row in erp.rows("parties", "id")]


def test_the_server_is_killed_in_the_middle(project, tryton):
    erp = system(project, tryton)
    with Proxy(tryton.port, hold_after=5_000) as wire:
        killed_in_the_middle(erp, tryton, wire, f"http://127.0.0.1:{wire.port}/{DATABASE}/rpc")
        check(erp, tryton)


def test_a_wrong_password(project, tryton):
    erp = system(project, tryton)
    project.env["ERP_PASSWORD"] = "vira-4"
    result = project.run("ingest", code=2)
    assert "vira" not in result.err and "password" in result.err, result
