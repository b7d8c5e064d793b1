"""Out of SAP's own OData server: pages of 1,000 with relative links, what changed, and when the server dies."""

from decimal import Decimal

from servers.proxy import Proxy
from servers.sap_cap import BRANDS, ORDERS, PASSWORD, PRODUCTS, USER
from systems import System, killed_in_the_middle

TYPES = "columns: {price: {type: 'decimal(12,3)'}}"
STREAMS = {
    "brands": "{config: {entity_set: Brands}, key: [code], disposition: replace}",
    "products": "{config: {entity_set: Products, changed: modifiedAt, order: id}, key: [id], " + TYPES + "}",
    "orders": "{config: {entity_set: Orders, changed: modifiedAt, expand: items, order: ID}, key: [ID]}",
}


def system(project, url):
    project.env["SAP_PASSWORD"] = PASSWORD
    config = {"base_url": url, "user": USER, "password": "${SAP_PASSWORD}"}
    return System(project, "connector: odata_v4", config, STREAMS).write()


def check(sap, server):
    """Every product and every order in the lake is as the server tells it."""
    theirs = all_of(server, "Products?$orderby=id")
    ours = sap.rows("products", "id")
    assert [row["id"] for row in ours] == [row["id"] for row in theirs]
    for row, expected in zip(ours, theirs):
        assert row["price"] == Decimal(str(expected["price"])), (row, expected)
        assert (row["title"], row["stock"], row["brand_code"]) == tuple(expected[k] for k in ("title", "stock", "brand_code"))
    theirs = all_of(server, "Orders?$expand=items&$orderby=ID")
    ours = sap.rows("orders", "id")
    items = [[(item["position"], item["quantity"]) for item in order["items"] or []] for order in ours]
    assert items == [[(item["position"], item["quantity"]) for item in order["items"]] for order in theirs]


def all_of(server, path):
    rows = []
    while path:
        page = server.get(path)
        rows += page["value"]
        path = page.get("@odata.nextLink")
    return rows


def test_changes_land(project, sap_cap):
    sap = system(project, sap_cap.url)
    sap.ingest()
    check(sap, sap_cap)
    assert len(sap.rows("brands", "code")) == BRANDS and sap.landed("products") == [PRODUCTS]
    assert len(sap.rows("orders", "id")) >= ORDERS

    sap_cap.insert("Products", id=10_001, title="Neu", price=0.001, brand_code="B1", stock=2**53 - 1)
    sap_cap.update("Products", 7, title="geändert", price=7.5)
    sap_cap.insert("Orders", number="X", items=[{"position": 1, "product_id": 7, "quantity": 3, "amount": 22.5}])
    sap.ingest()
    check(sap, sap_cap)
    assert sap.landed("products")[1] < PRODUCTS / 5, "what changed, and what is within the lag of five minutes"

    # OData does not tell what was deleted: reading all anew does.
    sap_cap.delete("Products", 10_001)
    sap.streams = {"products": "{config: {entity_set: Products, order: id}, key: [id], disposition: replace, " + TYPES + "}"}
    sap.write().ingest()
    check(sap, sap_cap)


def test_the_server_is_killed_in_the_middle(project, sap_cap):
    sap = system(project, sap_cap.url)
    with Proxy(sap_cap.port, hold_after=100_000) as wire:
        killed_in_the_middle(sap, sap_cap, wire, sap_cap.url.replace(str(sap_cap.port), str(wire.port)))
        check(sap, sap_cap)


def test_a_wrong_password(project, sap_cap):
    sap = system(project, sap_cap.url)
    project.env["SAP_PASSWORD"] = "vira-4"
    result = sap.ingest(code=2)
    assert "401" in result.err and "vira" not in result.err, result
