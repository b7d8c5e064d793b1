"""What a small load costs when a table is large: loads of one row against tables of few and of many versions and files,
a folder with nothing new, and many small flushes of a collector.

With CORDADA_BEFORE, another binary does the same by turns.
"""

import http.client
import json
import os
import sys
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import contest
from collector import Up
from deltalake import DeltaTable
from land import fresh

TITLE = "Growth"
VERSIONS, FILES, SEEN, FLUSHES = (100, 10_000), (100, 40_000), 3_000, 400
CHECKPOINT_EVERY = 100  # versions; the last ones are after a checkpoint, as they are in a table that grew

BINARIES = {"Cordada": contest.CORDADA}
if before := os.environ.get("CORDADA_BEFORE"):
    BINARIES["before"] = before


def run(runs, folder):
    cases = [
        *(Load(name, binary, folder, what, size) for what, sizes in (("versions", VERSIONS), ("files", FILES))
          for size in sizes for name, binary in BINARIES.items()),
        *(Nothing(name, binary, folder) for name, binary in BINARIES.items()),
    ]  # fmt: skip
    contenders = [contest.Contender(f"{case.name}: {case.what}", case.load) for case in cases]
    contest.alternate(contenders, max(runs, 5))
    columns = [
        ("seconds", lambda c: f"{c.median('seconds'):.3f}"),
        ("fastest–slowest", lambda c: c.spread("seconds")),
        ("processor seconds", lambda c: f"{c.median('cpu'):.2f}"),
        ("peak memory, MB", lambda c: f"{c.median('megabytes'):.0f}"),
    ]
    ours = {contender.name: contender for contender in contenders}
    megabytes = {name: flushes(binary, folder / f"up_{name}") for name, binary in BINARIES.items()}
    lines = [
        f"`cordada ingest` of a file of one row into a table of 3 columns that has few versions or files, or many; and over "
        f"a folder of {SEEN:,} files that have all landed.",
        "",
        contest.table(contenders, columns),
        "",
        f"`cordada up` after {FLUSHES} flushes of one hit each: "
        + ", ".join(f"{name} {peak:.0f} MB" for name, peak in megabytes.items())
        + " at most.",
        "",
    ]
    for what, (few, many) in (("versions", VERSIONS), ("files", FILES)):
        small, large = (ours[f"Cordada: {size:,} {what}"] for size in (few, many))
        for figure, word in (("seconds", "time"), ("megabytes", "memory")):
            ratio = large.median(figure) / small.median(figure)
            lines.append(contest.goal(f"At {many:,} {what} at most twice the {word} of {few}", ratio <= 2, f"{ratio:.2f}"))
    nothing = ours[f"Cordada: nothing new among {SEEN:,} files"].median("seconds")
    lines.append(contest.goal("Nothing new in less than 0.3 s", nothing < 0.3, f"{nothing:.2f} s"))
    lines.append(contest.goal("Below 300 MB after the flushes", megabytes["Cordada"] < 300, f"{megabytes['Cordada']:.0f} MB"))
    return "\n".join(lines)


class Load:
    """Loads of one row into a table that was made to have so many versions or files."""

    def __init__(self, name, binary, folder, kind, size):
        self.name, self.binary, self.what = name, binary, f"{size:,} {kind}"
        self.project = source(folder / f"{kind}_{size}_{name}")
        self.loads, self.rows = 0, size + 1
        self.land()
        grow(self.project / "lake", size, size if kind == "versions" else 1)
        self.load()  # the first one after that opens what nobody has read yet

    def land(self):
        (self.project / "in" / f"{self.loads}.csv").write_text(f"id,amount,name\n{self.loads},1.5,a\n")
        self.loads += 1
        return contest.measured(self.binary, "ingest", "--project", self.project)

    def load(self):
        figures = self.land()
        table = DeltaTable(self.project / "lake" / "raw_bench" / "t")
        contest.expect("rows", table.to_pyarrow_dataset().count_rows(), self.rows - 1 + self.loads)
        return figures


class Nothing:
    """Loads of a folder in which nothing is new."""

    def __init__(self, name, binary, folder):
        self.name, self.binary, self.what = name, binary, f"nothing new among {SEEN:,} files"
        self.project = source(folder / f"seen_{name}")
        for number in range(SEEN):
            (self.project / "in" / f"{number}.csv").write_text(f"id,amount,name\n{number},1.5,a\n")
        self.load()

    def load(self):
        figures = contest.measured(self.binary, "ingest", "--project", self.project)
        table = DeltaTable(self.project / "lake" / "raw_bench" / "t")
        contest.expect("rows", table.to_pyarrow_dataset().count_rows(), SEEN)
        return figures


def source(project):
    fresh(project)
    for name in ("sources", "in"):
        (project / name).mkdir()
    (project / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
    (project / "sources" / "bench.yml").write_text("kind: files\nstreams:\n  t: {path: 'in/*.csv'}\n")
    return project


def grow(lake, files, versions):
    """Gives the table of one version and one file so many more, each a copy of the first, and publishes the last."""
    folder = lake / "raw_bench" / "t"
    log = folder / "_delta_log"
    first = [json.loads(line) for line in (log / f"{0:020}.json").read_text().splitlines()]
    add = next(action["add"] for action in first if "add" in action)
    said = [action for action in first if "commitInfo" in action]
    landed = json.dumps([action for action in first if "txn" in action])
    for version in range(1, versions + 1):
        actions = [*said, *json.loads(landed.replace("0.csv", f"x{version}.csv"))]
        for _ in range(files // versions):
            path = f"part-{uuid.uuid4()}.parquet"
            os.link(folder / add["path"], folder / path)
            actions.append({"add": {**add, "path": path}})
        (log / f"{version:020}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))
    DeltaTable(folder, version=versions - versions % CHECKPOINT_EVERY or versions).create_checkpoint()
    releases = sorted((lake / "_cordada" / "releases").glob("*.json"))
    release = json.loads(releases[-1].read_text())
    release["relations"]["raw_bench.t"]["version"] = versions
    releases[-1].write_text(json.dumps(release))


def flushes(binary, project):
    """The peak memory of a collector that flushes each hit on its own."""
    fresh(project)
    (project / "sources").mkdir()
    (project / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
    (project / "sources" / "web.yml").write_text(
        "kind: events\nlisten: 127.0.0.1:0\nflush: 20ms\nstreams: {segment: {}}\n"
    )
    up = Up(project, binary)
    releases = project / "lake" / "_cordada" / "releases"
    connection = http.client.HTTPConnection(urlsplit(up.url).netloc)
    for number in range(1, FLUSHES + 1):
        hit = {"type": "track", "messageId": f"m{number}", "anonymousId": "a", "event": "E", "properties": {"n": number}}
        connection.request("POST", "/v1/track", json.dumps(hit), {"Content-Type": "application/json"})
        contest.expect("the answer to a hit", connection.getresponse().read() and True, True)
        deadline = time.monotonic() + 60
        while not (releases / f"{number:020}.json").exists():
            contest.expect("a release within a minute", time.monotonic() < deadline, True)
            time.sleep(0.005)
    megabytes = up.megabytes()
    up.stop()
    return megabytes


if __name__ == "__main__":
    print(run(5, Path(sys.argv[1])))
