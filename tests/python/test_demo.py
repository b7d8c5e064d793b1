"""The demo: a company's systems generated, landed, built and exported, with figures that agree."""

import csv
import hashlib
import json
import re
import subprocess

import pytest
from harness import BINARY, Project


def demo(directory):
    command = [BINARY, "demo", "--dir", str(directory), "--customers", "300"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """The project that a demo has made, and what it said."""
    directory = tmp_path_factory.mktemp("demo") / "company"
    out = demo(directory)
    return Project(directory), out


def test_what_the_demo_says_is_so(company):
    project, out = company
    landed = int(re.search(r"landed +([\d,]+) rows", out).group(1).replace(",", ""))
    tables = project.query("select table_schema, table_name from information_schema.tables where table_schema like 'raw_%'")
    rows = [int(project.value(f"select count(*) from {schema}.{table}")) for schema, table in tables]
    # Records of the same key have become one row.
    assert 10_000 < sum(rows) <= landed
    assert "to the cent" in out
    for command in re.findall(r'^  cordada --project \S+ query "(.*)"$', out, re.MULTILINE):
        assert project.query(command)


def test_the_export_is_what_its_manifest_says(company):
    project, _ = company
    [manifest] = (project.dir / "out").glob("*.json")
    said = json.loads(manifest.read_text())
    [file] = (project.dir / "out").glob("*.csv")
    content = file.read_bytes()
    assert said["sha256"] == hashlib.sha256(content).hexdigest()
    assert said["rows"] == len(list(csv.reader(content.decode().splitlines()))) - 1 > 0


def test_a_second_demo_in_the_same_folder_changes_nothing(company):
    project, _ = company
    months = "select * from marts.monthly_revenue"
    before = sorted(project.query(months))
    demo(project.dir)
    assert sorted(project.query(months)) == before
