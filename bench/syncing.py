"""What it costs that all is synchronised with the disk: the same work on one disk, by turns, where that is done and where
it is not.

Both are overlays over folders of the same disk; the one that is mounted `volatile` takes every fsync for done (Linux 5.10).
Nothing is loaded into the program for that. Needs root, to mount them.
"""

import http.client
import json
import os
import re
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import contest
from collector import Up
from land import fresh

TITLE = "Synchronising with the disk"
TABLES, FILES, FLUSHES = 40, 1_000, 50
WAYS = {"synchronised": "", "not": "volatile"}
CALLS = "fsync,fdatasync,sync_file_range,syncfs,msync"


def run(runs, folder):
    if os.geteuid() != 0:
        return "Skipped: only root may mount what takes every fsync for done."
    fresh(folder)
    with ExitStack() as mounted:
        disks = {way: mounted.enter_context(overlay(folder / way.split()[0], option)) for way, option in WAYS.items()}
        cases = {
            f"a load of one row, {FLUSHES} hits, each landed alone by `cordada up`": flushes,
            f"`cordada build` of {TABLES} tables": build,
            f"`cordada ingest` of {FILES:,} small files": ingest,
            "`cordada ingest` of one small file": lambda project, **how: ingest(project, files=1, **how),
        }
        contenders = {
            (case, way): contest.Contender(f"{case}, {way}", lambda work=work, disk=disk: work(fresh(disk / "project")))
            for case, work in cases.items()
            for way, disk in disks.items()
        }
        contest.alternate(contenders.values(), max(runs, 5))
        calls = {case: work(fresh(disks["synchronised"] / "project"), count=True) for case, work in cases.items()}
    lines = [
        "The same work by turns on two overlays over one disk, one of which takes every fsync for done (`volatile`); the calls "
        "are counted by strace in a run of their own.",
        "",
        "| | calls | synchronised, s | fastest–slowest | not, s | fastest–slowest | ratio |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for case in cases:
        ours, without = (contenders[case, way] for way in WAYS)
        ratio = ours.median("seconds") / without.median("seconds")
        lines.append(
            f"| {case} | {calls[case]} | {ours.median('seconds'):.3f} | {ours.spread('seconds')} | "
            f"{without.median('seconds'):.3f} | {without.spread('seconds')} | {ratio:.2f} |"
        )
    return "\n".join(lines)


@contextmanager
def overlay(folder, option):
    """A file system over an empty folder, mounted with that option."""
    lower, upper, work, merged = (folder / name for name in ("lower", "upper", "work", "merged"))
    for part in (lower, upper, work, merged):
        part.mkdir(parents=True)
    options = ",".join(filter(None, [f"lowerdir={lower},upperdir={upper},workdir={work}", option]))
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=True)
    try:
        yield merged
    finally:
        subprocess.run(["umount", merged], check=True)


def done(command, project, count):
    """The figures of a command; with `count`, only how many calls it made to synchronise."""
    command = [contest.CORDADA, command, "--project", str(project)]
    if not count:
        return contest.measured(*command)
    if not shutil.which("strace"):
        return "?"
    told = project / "calls"
    subprocess.run(["strace", "-f", "-e", f"trace={CALLS}", "-o", told, *command], check=True, capture_output=True)
    return counted(told)


def counted(told):
    return sum(bool(re.search(r"\b\w*sync\w*\(", line)) for line in told.read_text().splitlines())


def ingest(project, files=FILES, count=False):
    (project / "sources").mkdir()
    (project / "in").mkdir()
    (project / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
    (project / "sources" / "bench.yml").write_text("kind: files\nstreams:\n  t: {path: 'in/*.csv'}\n")
    for number in range(files):
        (project / "in" / f"{number}.csv").write_text(f"id,amount,name\n{number},1.5,a\n")
    return settled("ingest", project, count)


def build(project, count=False):
    (project / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
    (project / "sql" / "marts").mkdir(parents=True)
    (project / "sql" / "dbt_project.yml").write_text("name: bench\nmodel-paths: [marts]\n")
    for number in range(TABLES):
        model = "{{ config(materialized='table') }}select %d as id, 'a' as name" % number
        (project / "sql" / "marts" / f"t{number}.sql").write_text(model)
    return settled("build", project, count)


def settled(command, project, count):
    """Run the command once what was written before is on the disk: that is not its cost."""
    os.sync()
    return done(command, project, count)


def flushes(project, count=False):
    """Hits to a collector, each sent when the one before it has landed."""
    (project / "sources").mkdir()
    (project / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
    (project / "sources" / "web.yml").write_text("kind: events\nlisten: 127.0.0.1:0\nflush: 1ms\nstreams: {segment: {}}\n")
    up = Up(project)
    told, tracer = project / "calls", None
    if count:
        if not shutil.which("strace"):
            up.stop()
            return "?"
        command = ["strace", "-f", "-e", f"trace={CALLS}", "-o", told, "-p", str(up.process.pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(1)
    releases = project / "lake" / "_cordada" / "releases"
    connection = http.client.HTTPConnection(urlsplit(up.url).netloc)
    start = time.perf_counter()
    for number in range(1, FLUSHES + 1):
        hit = {"type": "track", "messageId": f"m{number}", "anonymousId": "a", "event": "E", "properties": {"n": number}}
        connection.request("POST", "/v1/track", json.dumps(hit), {"Content-Type": "application/json"})
        contest.expect("the answer to a hit", connection.getresponse().read() and True, True)
        while not (releases / f"{number:020}.json").exists():
            contest.expect("a release within a minute", time.perf_counter() - start < 60, True)
            time.sleep(0.001)
    seconds = time.perf_counter() - start
    if tracer:
        tracer.terminate()
        tracer.wait()
    up.stop()
    return counted(told) if tracer else {"seconds": seconds}
