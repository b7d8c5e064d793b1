"""Out of Vendure, a real shop, over GraphQL: products and their variants."""

from servers.proxy import Proxy
from servers.vendure import PASSWORD, USER
from systems import System, killed_in_the_middle

STREAMS = ["products", "product_variants", "collections", "customers", "orders"]
SAMPLES = 54


def system(project, server):
    project.env["SHOP_PASSWORD"] = PASSWORD
    config = {"url": server.url, "user": USER, "password": "${SHOP_PASSWORD}"}
    return System(project, "connector: vendure", config, {name: "{}" for name in STREAMS}).write()


def check(shop, server):
    """Every product in the lake is as the server tells it."""
    ours = shop.rows("products", "cast(id as int)")
    fields = ("id", "name", "slug")
    assert [[row[f] for f in fields] for row in ours] == [[row[f] for f in fields] for row in server.products()]


def test_changes_land(project, vendure):
    shop = system(project, vendure)
    shop.ingest()
    check(shop, vendure)
    assert shop.landed("products") == [SAMPLES]
    variants = vendure.query("{productVariants {totalItems}}")["productVariants"]["totalItems"]
    assert len(shop.rows("product_variants", "id")) == variants > SAMPLES
    prices = int(project.value("select sum(price) from raw_shop.product_variants"))
    page = vendure.query("{productVariants(options: {take: 100}) {items {price}}}")["productVariants"]["items"]
    assert prices == sum(variant["price"] for variant in page)

    new = vendure.insert("Ice screw")
    vendure.rename("3", "Renamed")
    shop.ingest()
    check(shop, vendure)
    vendure.delete(new)


def test_the_server_is_killed_in_the_middle(project, vendure):
    shop = system(project, vendure)
    with Proxy(vendure.port, hold_after=10_000) as wire:
        killed_in_the_middle(shop, vendure, wire, f"http://127.0.0.1:{wire.port}/admin-api")
        check(shop, vendure)


def test_a_wrong_password(project, vendure):
    shop = system(project, vendure)
    project.env["SHOP_PASSWORD"] = "vira-4"
    result = project.run("ingest", code=2)
    assert "vira" not in result.err and "password" in result.err, result
