"""A company with parties, products and sales, made through Tryton's own client library. Usage: fill.py CONFIG DATABASE KEYFILE"""

import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from proteus import Model, config

PARTIES, CUSTOMERS, PRODUCTS, SALES = 1200, 20, 20, 40


def main(configuration, database, key_file):
    config.set_trytond(f"sqlite:///{database}", config_file=configuration)
    from trytond.modules.account.tests.tools import create_chart, get_accounts
    from trytond.modules.company.tests.tools import create_company

    create_company(currency=currency())
    create_chart()
    parties, products = make_parties(), make_products(get_accounts()["revenue"])
    make_sales(parties, products)
    Path(key_file).write_text(application_key())


def currency():
    euro = Model.get("currency.currency")(name="Euro", symbol="€", code="EUR", rounding=Decimal("0.01"), digits=2)
    euro.rates.new(date=date(2020, 1, 1), rate=Decimal(1))
    euro.save()
    return euro


def make_parties():
    """In one call: one by one, each would take a fifth of a second."""
    Party = Model.get("party.party")
    values = [
        {
            "name": f"Cliente {i:04} Ñandú",
            "code": f"C{i:05}",
            "addresses": [("create", [{"city": f"Ciudad {i % 40}", "postal_code": f"{28000 + i % 50}"}])],
            "contact_mechanisms": [("create", [{"type": "email", "value": f"cliente{i}@example.com"}])] if i % 3 == 0 else [],
        }
        for i in range(PARTIES)
    ]
    return [Party(id) for id in Party._proxy.create(values, config.get_config().context)[:CUSTOMERS]]


def make_products(revenue):
    [unit] = Model.get("product.uom").find([("name", "=", "Unit")])
    category = Model.get("product.category")(name="Goods", accounting=True, account_revenue=revenue)
    category.save()
    products = []
    for i in range(PRODUCTS):
        template = Model.get("product.template")(
            name=f"Cuerda {i}", type="goods", salable=True, default_uom=unit, list_price=i + Decimal("0.1234")
        )
        template.account_category = category
        template.products[0].code = f"P{i:03}"
        template.save()
        products.append(template.products[0])
    return products


def make_sales(parties, products):
    Sale = Model.get("sale.sale")
    term = payment_term()
    for i in range(SALES):
        sale = Sale(party=parties[i % CUSTOMERS], payment_term=term, sale_date=date(2026, 1, 1) + timedelta(days=i % 90))
        for j in range(i % 3 + 1):
            sale.lines.new(product=products[(i + j) % PRODUCTS], quantity=j + 1.0, unit_price=Decimal(i) + Decimal("0.25"))
        sale.save()
        if i % 2:
            sale.click("quote")


def payment_term():
    term = Model.get("account.invoice.payment_term")(name="At once")
    term.lines.new(type="remainder")
    term.save()
    return term


def application_key():
    """The key that the REST interface asks for."""
    Application = Model.get("res.user.application")
    [admin] = Model.get("res.user").find([("login", "=", "admin")])
    application = Application(application="rest", user=admin)
    application.save()
    return application.key


main(*sys.argv[1:])
