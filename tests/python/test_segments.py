"""Segments, through the binary: counted, listed, kept current, named by a campaign; and the demo's own."""

import csv
import datetime
import re

import pytest

PEOPLE = "id;orders;town;email\n"
SQL = {
    "cordada.yml": "name: acme\nlake: ./lake\n",
    "sources/shop.yml": (
        "kind: files\nstreams:\n"
        "  people: {path: 'people/*.csv', csv: {delimiter: ';'}, key: [id], disposition: merge}\n"
        "  decisions: {path: 'decisions/*.csv', csv: {delimiter: ';'}}\n"
    ),
    "sql/dbt_project.yml": "name: acme\nmodel-paths: [staging, marts]\n",
    "sql/staging/sources.yml": "sources:\n  - {name: shop, tables: [{name: people}, {name: decisions}]}\n",
    "sql/marts/customers.sql": (
        "{{ config(materialized='table') }}\n"
        "select cast(id as varchar) as customer_id, orders, town, email from {{ source('shop', 'people') }}"
    ),
    "sql/marts/consents.sql": (
        "{{ config(materialized='table') }}\n"
        "select cast(person as varchar) as customer_id, purpose, status, ends_on as valid_until\n"
        "from {{ source('shop', 'decisions') }}"
    ),
    "sql/marts/marts.yml": (
        "models:\n  - name: customers\n    columns:\n      - {name: customer_id, data_tests: [unique, not_null]}\n"
        "      - {name: email, meta: {pii: email}}\n"
    ),
    "segments/keen.yml": (
        "description: Buy much.\nfrom: customers\nconsent: news\nfilters:\n  - orders >= 3\nexclude: [far]\n"
    ),
    "segments/far.yml": "from: customers\nwhere: town = 'Lugo'\n",
    "indicators/customers.yml": (
        "indicators:\n  - {name: buys_much, grain: customers, sql: orders >= 3, description: Much., unit: yes or no, owner: crm}\n"
    ),
    "campaigns/keen.yml": (
        "segment: keen\naudience: select customer_id, email from marts.customers\nconsent: news\n"
        "channel: {kind: csv, path: out/keen.csv}\nfields: {EMAIL: email}\n"
    ),
}
TOMORROW = datetime.date.today() + datetime.timedelta(days=2)
LONG_AGO = "2020-01-01"


def person(number, orders, town="Vigo"):
    return f"{number};{orders};{town};p{number}@example.com\n"


def decision(number, status="granted", until=TOMORROW, purpose="news"):
    return f"{number};{purpose};{status};{until}\n"


@pytest.fixture
def shop(project):
    people = "".join([person(1, 5), person(2, 1), person(3, 9, "Lugo"), person(4, 4), person(5, 7)])
    decisions = "".join([decision(1), decision(2), decision(3), decision(4, until=LONG_AGO), decision(5, "withdrawn")])
    project.write(SQL)
    project.write({"people/1.csv": PEOPLE + people, "decisions/1.csv": "person;purpose;status;ends_on\n" + decisions})
    project.run("ingest")
    project.run("build")
    return project


def members(project, segment="keen"):
    out = project.run("segment", "list", segment, "--format", "csv").out
    return [row["customer_id"] for row in csv.DictReader(out.splitlines())]


def test_counts_come_before_lists_and_a_list_has_who_consents_alone(shop):
    counted = shop.run("segment", "count", "keen").out
    assert "1 of 5 persons." in counted
    rows = [[cell.strip() for cell in line.split("┆")] for line in counted.replace("│", "┆").splitlines() if "┆" in line]
    shown = {row[1]: row[2] for row in rows[1:]}
    assert shown == {"all": "5", "consent to news": "3", "orders >= 3": "2", "not in far": "1"}
    assert members(shop) == ["1"]
    assert "did you mean `keen`?" in shop.run("segment", "count", "kean", code=2).err


def test_a_definition_is_counted_before_it_is_built(shop):
    shop.write({"segments/new.yml": "from: customers\nfilters: [orders > 4]\n"})
    assert "3 of 5 persons." in shop.run("segment", "count", "new").out
    assert "not built yet" in shop.run("segment", "list", "new", code=1).err
    # What is counted is the file, what is listed was built.
    shop.write({"segments/keen.yml": SQL["segments/keen.yml"].replace(">= 3", ">= 30")})
    assert "0 of 5 persons." in shop.run("segment", "count", "keen").out
    assert members(shop) == ["1"]


def test_who_left_is_not_listed_and_the_history_says_why(shop):
    shop.write({"people/2.csv": PEOPLE + person(1, 0) + person(2, 8), "decisions/2.csv": "person;purpose;status;ends_on\n" + decision(6)})
    shop.run("ingest")
    shop.run("build")
    assert members(shop) == ["2"]
    stays = "select member, entered_because, left_because from segments.membership where segment = 'keen' order by 1"
    assert shop.query(stays) == [("1", "first evaluation", "orders >= 3"), ("2", "orders >= 3", "")]
    release = shop.value("select count(*) from segments.keen__history")
    shop.run("build")
    assert shop.value("select count(*) from segments.keen__history") == release, "the second build"


def test_a_campaign_sends_to_the_members_of_its_segment(shop):
    shop.run("export")
    with open(shop.dir / "out" / "keen.csv", encoding="utf-8") as sent:
        assert [row["EMAIL"] for row in csv.DictReader(sent)] == ["p1@example.com"]


def test_what_is_wrong_has_its_place(shop):
    shop.write({"segments/far.yml": "from: customers\ninclude:\n  - keen\n"})
    error = shop.run("build", code=2).err
    assert "in a cycle" in error and re.search(r"segments/\w+\.yml:\d+:\d+", error), error
    shop.write({"segments/far.yml": "from: customers\nwhere: twon = 'Lugo'\n"})
    error = shop.run("build", code=2).err
    assert "segments/far.yml:2:8" in error and "did you mean `town`?" in error, error


def test_an_indicator_is_a_column_with_its_definition(shop):
    assert shop.query("select buys_much from marts.customers order by customer_id") == [("true",), ("false",)] + [("true",)] * 3
    described = shop.run("query", "select * from information_schema.columns where column_name = 'buys_much'", "--format", "json").out
    assert "buys_much" in described


def test_segments_are_selected_like_models(shop):
    listed = shop.run("ls", "--select", "keen").out
    assert "segments.keen" in listed and "segments.keen__history" in listed and "segments.far " not in listed
    assert "consent" in shop.run("compile", "keen").out
    built = shop.run("build", "--select", "+keen").out
    assert "segments.keen" in built
