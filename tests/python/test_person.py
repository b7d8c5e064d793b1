"""One person: found by what is known, shown whole, explained; and what stewards decide about who is who."""

import csv
import gzip
import json
import re
import subprocess
import textwrap
from collections import defaultdict

import pytest
from harness import BINARY, ROOT, Project

PAGE = ROOT / "docs" / "identity.md"


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """The demo's project, built."""
    directory = tmp_path_factory.mktemp("person") / "company"
    command = [BINARY, "demo", "--dir", str(directory), "--customers", "300"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return Project(directory)


def person(project, who):
    return json.loads(project.run("person", who, "--format", "json").out)


def explain(project, a, b):
    return json.loads(project.run("identity", "explain", a, b, "--format", "json").out)


def truth(project):
    """Who each record is of, by its key."""
    with gzip.open(project.dir / "truth" / "records.csv.gz", "rt") as file:
        return {f"{row['system']}:{row['record_id']}": row["person_id"] for row in csv.DictReader(file)}


def test_who_is_who_is_found_out_as_it_is(company):
    known = truth(company)
    found = dict(company.query("select record_key, customer_id from marts.customer_records"))
    assert found.keys() == known.keys()

    def pairs(persons):
        groups = defaultdict(list)
        for record, of in sorted(persons.items()):
            groups[of].append(record)
        return {(a, b) for group in groups.values() for a in group for b in group if a < b}

    right, made, there = len(pairs(found) & pairs(known)), len(pairs(found)), len(pairs(known))
    assert 2 * right / (made + there) > 0.95, f"{right} of {made} made and {there} there"


def test_a_person_is_found_by_all_that_is_known(company):
    [(id, email)] = company.query(
        "select customer_id, email from marts.customers where email is not null and orders > 20 and has_account and has_card"
        " and (select count(*) from marts.customer_identifiers as i where i.value = email) = 1 order by customer_id limit 1"
    )
    [(record,)] = company.query(f"select min(record_key) from marts.customer_records where customer_id = '{id}'")
    whole = person(company, id)
    assert whole["customer_id"] == id
    for known in (email, email.upper(), record, record.split(":")[1]):
        assert person(company, known) == whole, known
    for mart, rows in whole["marts"].items():
        assert len(rows) == int(company.value(f"select count(*) from marts.{mart} where customer_id = '{id}'")), mart
    assert {"customers", "orders", "consents", "golden_record", "customer_identifiers", "customer_scores"} <= whole["marts"].keys()
    out = company.run("person", id, "--rows", 3).out
    assert email in out and re.search(r"^orders \(\d+, the newest 3\)$", out, re.MULTILINE)
    assert all(score["reason"] for score in whole["marts"]["customer_scores"])


def test_who_is_not_there_is_not_repeated(company):
    result = company.run("person", "nobody.at.all@nowhere.example", code=1)
    assert "there is nobody" in result.err and "nowhere" not in result.err + result.out
    result = company.run("identity", "explain", "erp:nobody", "shop:nobody", code=1)
    assert "record_key" in result.err and "nobody" not in result.err


def test_each_value_of_the_golden_record_names_its_record(company):
    rows = company.query(
        "select golden.attribute, golden.value, customers.first_name, customers.email, customers.phone"
        " from marts.golden_record as golden join marts.customers using (customer_id)"
        " where attribute in ('first_name', 'email', 'phone')"
    )
    assert len(rows) > 600
    for attribute, value, *believed in rows:
        assert value == believed[["first_name", "email", "phone"].index(attribute)]
    by_shop = "select distinct golden.source from marts.golden_record as golden join marts.customers using (customer_id)"
    assert company.query(f"{by_shop} where attribute = 'first_name' and has_account") == [("shop",)]


def test_the_weights_of_a_pair_are_explained(company):
    a, b, weight, same = company.query(
        "select record_key_a, record_key_b, weight, same_person from ml.persons__pairs where why = 'alike' and same_person"
        " order by weight, record_key_a limit 1"
    )[0]
    said = explain(company, a, b)
    assert said == explain(company, b, a) | {"records": [a, b], "persons": said["persons"]}
    assert said["same_person"] and said["why"] == "alike"
    assert said["weight"] == pytest.approx(float(weight))
    assert said["prior_weight"] + sum(field["weight"] for field in said["fields"]) == pytest.approx(said["weight"])
    assert any(field["rarity"] for field in said["fields"] if field["level"] == "exact")


def test_two_who_have_nothing_in_common_are_weighed_too(company):
    rows = company.query("select min(record_key), max(record_key) from marts.customer_records")
    [(a, b)] = rows
    assert company.query(f"select 1 from ml.persons__pairs where record_key_a in ('{a}', '{b}') and record_key_b in ('{a}', '{b}')") == []
    said = explain(company, a, b)
    assert said["why"] == "too light" and not said["same_person"] and said["probability"] < 0.1
    assert len(said["fields"]) == 8 and any(field["level"] == "different" for field in said["fields"])


def test_the_picture_of_the_page_is_what_is_printed(company):
    page = PAGE.read_text(encoding="utf-8")
    [(command, picture)] = re.findall(r"^    \$ cordada (identity explain .+)\n((?:    .*\n|\n)+)", page, re.MULTILINE)
    printed = company.run(*command.split()).out
    assert textwrap.dedent(picture).strip() == printed.strip(), f"put this into {PAGE.name}:\n{printed}"


def test_labels_say_how_good_it_is(company, tmp_path):
    sheet = tmp_path / "pairs.csv"
    company.run("identity", "sample", "--pairs", 100, "--output", sheet)
    assert sheet.stat().st_mode & 0o777 == 0o600
    known = truth(company)
    with open(sheet, newline="") as file:
        rows = list(csv.DictReader(file))
    assert 50 <= len(rows) <= 110 and not any("weight" in column or "person" in column for column in rows[0])
    for row in rows:
        assert row["first_name_a"]
        row["same"] = "sí" if known[row["record_key_a"]] == known[row["record_key_b"]] else "no"
    with open(sheet, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    said = json.loads(company.run("identity", "measure", sheet, "--format", "json").out)
    assert said["labels"] == len(rows)
    pairs = company.query("select record_key_a, record_key_b, same_person from ml.persons__pairs where why <> 'decided'")
    right = sum(known[a] == known[b] for a, b, same in pairs if same == "true")
    made = sum(same == "true" for *_, same in pairs)
    there = sum(known[a] == known[b] for a, b, _ in pairs)
    for figure, value in (("precision", right / made), ("recall", right / there)):
        assert said[figure]["low"] <= value <= said[figure]["high"], f"{figure} {value}: {said}"


def test_decisions_hold_and_ids_stay(company):
    ids = "select record_key, customer_id from marts.customer_records"
    before = dict(company.query(ids))
    apart = company.query(
        "select customer_id, min(record_key), max(record_key) from marts.customer_records group by customer_id"
        " having count(*) = 2 order by customer_id limit 1"
    )[0]
    strangers = [row[0] for row in company.query(
        "select min(record_key) from marts.customer_records group by customer_id having count(*) = 1 order by customer_id limit 2"
    )]  # fmt: skip
    seed = company.dir / "sql" / "seeds" / "identity_decisions.csv"
    header = seed.read_text()
    decisions = f"{apart[1]},{apart[2]},never,2026-01-01 10:00:00\n{strangers[0]},{strangers[1]},link,2026-01-01 10:00:00\n"
    seed.write_text(header + decisions)
    company.run("build")
    after = dict(company.query(ids))
    assert after[apart[1]] != after[apart[2]] and after[strangers[0]] == after[strangers[1]]
    touched = {apart[1], apart[2], *strangers}
    assert {record: id for record, id in after.items() if record not in touched} == {
        record: id for record, id in before.items() if record not in touched
    }
    [gone] = {before[stranger] for stranger in strangers} - {after[strangers[0]]}
    assert person(company, gone) == person(company, after[strangers[0]]), "the id that the merge ended"
    assert explain(company, *strangers)["why"] == "decided"
    changes = company.query("select change from marts.customer_changes group by number, change order by change")
    assert changes == [("merge",), ("split",)]

    seed.write_text(header)
    company.run("build")
    again = dict(company.query(ids))
    groups = lambda ids: {frozenset(record for record in ids if ids[record] == id) for id in ids.values()}
    assert groups(again) == groups(before)
    assert all(again[record] == before[record] for record in before if record not in touched)
