"""Servers that behave badly: every load ends, in bounded memory, with a clear error and nothing landed."""

import json
import subprocess
import sys

import hostile
import pytest
from harness import ROOT
from hostile import Hostile, always, answer, page

TOKEN = "vira-3-token"
PATIENCE = 60  # seconds; far above what the manifest allows
MEMORY = 450  # megabytes, of a process whose `memory` is 256MB

MANIFEST = """
title: Hostile
config:
  base_url: {{}}
  token: {{secret: true}}
base_url: "{{{{ config.base_url }}}}"
auth: {{kind: bearer, token: "{{{{ config.token }}}}"}}
limits: {{timeout: 2s, deadline: 3s, max_response: 4MB, max_pages: 30}}
retry: {{attempts: 3, first: 50ms, max: 100ms}}
streams:
  rows:
    request: {{path: /rows}}
    records: /rows
    paginate: {paginate}
"""
CURSOR = "{kind: cursor, next: {body: /next}, param: after}"
PAGE = "{kind: page, param: page}"
NEXT_URL = "{kind: next_url, body: /next}"
NONE = "{kind: none}"


@pytest.fixture
def ingest(project, tmp_path):
    """Run `ingest` over a server; how it ended, after checking what holds however it did."""

    def run(url, paginate, code):
        project.env["TOKEN"] = TOKEN
        project.write(
            {
                "cordada.yml": "name: acme\nlake: ./lake\nmemory: 256MB\n",
                "api.yml": MANIFEST.format(paginate=paginate),
                "sources/shop.yml": f"kind: rest\nmanifest: api.yml\nconfig: {{base_url: '{url}', token: '${{TOKEN}}'}}\n",
            }
        )
        measured = [sys.executable, str(ROOT / "bench" / "measure.py"), *project.command("ingest")]
        done = subprocess.run(measured, env=project.env, capture_output=True, text=True, timeout=PATIENCE)
        said, _, last = done.stderr.rstrip().rpartition("\n")
        figures = json.loads(last)
        assert figures["code"] in code, f"exit code {figures['code']}, wanted {code}: {said}"
        assert figures["megabytes"] < MEMORY, figures
        assert TOKEN not in said + done.stdout and "panicked" not in said, said
        assert not (tmp_path / "lake" / "_cordada" / "releases").exists() or 0 in code, "something was published"
        return said

    return run


# What the server does, how it is paged, the exit codes that are right, and what the error has to mention.
CASES = {
    "a new page for ever": (hostile.endless, CURSOR, {1}, ["30", "pages"]),
    "pages in a circle": (hostile.circle, CURSOR, {1}, ["never end"]),
    "the same page for ever": (always(page(0)), PAGE, {1}, ["page"]),
    "a next link to itself": (always(page(0, next="/rows")), NEXT_URL, {1}, ["/rows"]),
    "too many requests, for ever": (hostile.storm(0), NONE, {3}, ["429"]),
    "too many requests, come back tomorrow": (hostile.storm(86_400), NONE, {3}, ["429"]),
    "too many requests, come back in the year 9999": (hostile.storm("Fri, 31 Dec 9999 23:59:59 GMT"), NONE, {3}, ["429"]),
    "it fails for ever": (always({}, status=503), NONE, {3}, ["503"]),
    "not authorized": (always({}, status=401), NONE, {1, 2}, ["401"]),
    "not found": (always({}, status=404), NONE, {1, 2}, ["404"]),
    "JSON that ends early": (always(json.dumps(page(0)).encode()[:-9]), NONE, {3}, ["breaks off"]),
    "a connection that ends early": (hostile.cut, NONE, {3}, []),
    "2 GB": (hostile.huge, NONE, {1}, ["4"]),
    "a gzip bomb": (hostile.bomb(), NONE, {1}, ["4"]),
    "gzip in gzip": (hostile.nested_bombs(), NONE, {1, 3}, []),
    "gzip that is none": (always(b"rows", content_encoding="gzip"), NONE, {1, 3}, []),
    "a login page": (always(b"<!doctype html><title>Log in</title>", content_type="text/html"), NONE, {1}, []),
    "no rows where they should be": (always({"error": "what?"}), NONE, {1}, ["/rows"]),
    "rows that are none": (always({"rows": [1, 2, 3]}), NONE, {1}, []),
    "rows that are a text": (always({"rows": "none"}), NONE, {1}, []),
    "a hundred thousand brackets": (always(b'{"rows": ' + b"[" * 100_000), NONE, {1, 3}, ["breaks off"]),
    "bytes that are not text": (always(b'{"rows": [{"id": 1, "name": "\xff\xfe"}]}'), NONE, {1, 3}, ["UTF-8"]),
    "a byte now and then": (hostile.slow, NONE, {3}, []),
    "silence": (hostile.silent, NONE, {3}, []),
    "headers without end": (hostile.endless_headers, NONE, {1, 3}, []),
    "not HTTP at all": (hostile.garbage, NONE, {1, 3}, []),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_servers(ingest, case):
    behaviour, paginate, code, mentioned = CASES[case]
    with Hostile(behaviour) as server:
        said = ingest(server.url, paginate, code)
        assert f"127.0.0.1:{server.port}" in said or "reading the records" in said, f"which server it was: {said}"
        assert all(word in said for word in mentioned), said
        assert len(server.requests) <= 31, f"{len(server.requests)} requests"


def test_an_empty_body(ingest):
    with Hostile(always(b"")) as server:
        ingest(server.url, NONE, {1, 3})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_to_elsewhere_carry_no_credentials(ingest, status):
    with Hostile(always(page(0))) as elsewhere:
        away = lambda handler, n: answer(handler, {}, status=status, location=f"http://localhost:{elsewhere.port}/rows")
        with Hostile(away) as server:
            said = ingest(server.url, NONE, {1, 2})
            assert server.requests[0][1]["Authorization"] == f"Bearer {TOKEN}"
            assert "localhost" in said, said
        assert not any("Authorization" in headers for _, headers in elsewhere.requests), elsewhere.requests


def test_next_links_to_elsewhere_carry_no_credentials(ingest):
    with Hostile(always(page(1))) as elsewhere:
        with Hostile(always(page(0, next=f"http://localhost:{elsewhere.port}/rows"))) as server:
            ingest(server.url, NEXT_URL, {1, 2})
        assert not any("Authorization" in headers for _, headers in elsewhere.requests), elsewhere.requests


def test_redirects_without_end(ingest):
    with Hostile(lambda handler, n: answer(handler, {}, status=302, location=f"/rows?n={n}")) as server:
        ingest(server.url, NONE, {1})
        assert len(server.requests) <= 31


def test_a_certificate_that_nobody_vouches_for(ingest, tmp_path):
    with Hostile(always(page(0)), hostile.certificate(tmp_path / "certificate.pem")) as server:
        said = ingest(server.url, NONE, {1, 3})
        assert "certificate" in said, said
        assert not server.requests


def test_nobody_listens(ingest):
    with Hostile(always(page(0))) as server:
        url = server.url
    assert "127.0.0.1" in ingest(url, NONE, {3})


def test_a_server_that_recovers(ingest, project):
    """A failure now and then is not a failure: every row lands, once."""

    def moody(handler, n):
        number = int(handler.path.partition("page=")[2])
        if n % 3 == 0:
            answer(handler, {}, status=503, retry_after=0)
        elif n % 3 == 1:
            hostile.cut(handler, n)
        else:
            answer(handler, page(number) if number < 5 else {"rows": []})

    with Hostile(moody) as server:
        ingest(server.url, PAGE, {0})
    assert project.query("select count(*), count(distinct id) from raw_shop.rows") == [("40", "40")]
