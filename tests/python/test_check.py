"""`ingest --check`: sources are tried, and nothing lands."""

from databases import Source
from hostile import Hostile, always
from servers import free_port
from servers.sap_cap import PASSWORD, USER

MANIFEST = """
title: {0}
base_url: "{1}"
limits: {{timeout: 2s}}
retry: {{attempts: 1}}
streams:
  rows: {{request: {{path: /rows}}, records: /rows}}
"""


def test_all_is_well(project, postgres, sap_cap):
    with postgres.connect("acme") as connection:
        connection.execute("create table if not exists checked (id integer primary key, note text)")
    source = Source(project, postgres.url("acme"))
    source.streams(checked="{table: checked, key: [id], disposition: merge}")
    project.write(
        {
            "data/orders.csv": "id\n1\n",
            "sources/files.yml": "kind: files\nstreams:\n  orders: {path: data/orders.csv}\n",
            "sources/shop.yml": (
                f"kind: rest\nconnector: odata_v4\nconfig: {{base_url: '{sap_cap.url}', user: {USER}, password: {PASSWORD}}}\n"
                "streams:\n  brands: {config: {entity_set: Brands}, disposition: replace}\n"
            ),
        }
    )
    result = project.run("ingest", "--check")
    assert all(name in result.out for name in ("erp", "checked", "files", "orders", "shop", "brands")), result
    assert not (project.dir / "lake" / "_cordada" / "releases").exists(), "a check landed something"
    project.run("ingest", "--check", "erp")


def test_each_source_that_is_wrong_is_told(project, postgres):
    """All of them are tried, whichever is the first that is wrong."""
    with Hostile(always({}, status=401)) as refusing:
        for name, url in [("refusing", refusing.url), ("gone", f"http://127.0.0.1:{free_port()}")]:
            project.write({f"{name}.yml": MANIFEST.format(name, url), f"sources/{name}.yml": f"kind: rest\nmanifest: {name}.yml\n"})
        Source(project, postgres.url("acme")).streams(nowhere="{table: nowhere, disposition: replace}")
        result = project.run("ingest", "--check", code=None)
        said = result.out + result.err
        assert result.code in (1, 2, 3), result
        assert all(word in said for word in ("erp", "nowhere", "refusing", "401", "gone")), result
        assert "vira-3" not in said
        assert project.run("ingest", "--check", "gone", code=None).code == 3
        assert project.run("ingest", "--check", "erp", code=None).code == 2
