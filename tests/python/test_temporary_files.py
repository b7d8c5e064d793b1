"""kill -9 while temporary files are in use: nothing of what was in them stays on the disk."""

import gzip
import os
from pathlib import Path

import pytest
from harness import Project

PERSON = "ana.maria@example.org"
ROWS = 100_000

# More than there is memory for.
SORTED = """
select count(*), max(place) from (
    select row_number() over (order by note, generate_series) as place from raw_shop.plain, generate_series(1, 40))
"""

FILES = {
    "cordada.yml": "name: acme\nmemory: 128MB\npii_key: ${PII_KEY}\n",
    "sources/shop.yml": """
kind: files
streams:
  visits: {path: data/visits.csv.gz, columns: {email: {pii: email, transform: hash}}}
  plain: {path: data/plain.csv}
""",
    "data/visits.csv.gz": gzip.compress(("id,email\n" + "".join(f"{i},{PERSON}\n" for i in range(ROWS))).encode()),
    "data/plain.csv": "id,note\n" + "".join(f"{i * 7919 % ROWS},{PERSON} {i}\n" for i in range(ROWS)),
}


@pytest.fixture
def scratch(tmp_path):
    """The folder of temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def opened(process, folder):
    """What a process has open in a folder, with its size; what has no name is there too."""
    found = []
    for handle in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            if os.readlink(handle).startswith(f"{folder}/"):
                found.append(os.stat(handle).st_size)
        except FileNotFoundError:  # closed since
            pass
    return found


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    "command",
    [
        ("ingest", "shop.visits"),
        ("query", SORTED),
    ],
    ids=["load", "query"],
)
def test_a_killed_process_leaves_nothing(tmp_path, scratch, command):
    project = Project(tmp_path / "acme", {"TMPDIR": str(scratch), "PII_KEY": "summit-7-summit-7"}).write(FILES)
    project.run("ingest", "shop.plain")
    assert list(scratch.iterdir()) == [], "a load that ended"
    process = project.start(*command)
    while not any(size > 100_000 for size in opened(process, scratch)):
        assert process.poll() is None, "it ended without a temporary file, so this test proves nothing"
    process.kill()
    process.wait()
    assert list(scratch.iterdir()) == []
    project.run(*command)
    assert list(scratch.iterdir()) == []
