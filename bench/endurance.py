"""An hour of web hits: whether memory stays flat, and what the many small loads cost in storage and in queries."""

import os
import re
import subprocess
import threading
import time
from pathlib import Path
from statistics import median

import contest
from collector import WEB, Up, load, query
from land import fresh

TITLE = "An hour of web hits"
MINUTES, RATE = int(os.environ.get("MINUTES", "60")), 500
KEEP = "10m"

# The same rows, written at once.
MODEL = "{{ config(materialized='table') }}select * from {{ source('raw_web', 'snowplow') }}"
SOURCES = "sources:\n  - name: raw_web\n    schema: raw_web\n    tables: [{name: snowplow}]\n"
QUESTION = "select page_urlpath, count(*), count(distinct domain_userid), max(collector_tstamp) from {} group by 1"
QUERIES = 7


def run(_runs, folder):
    project = fresh(folder)
    (project / "sources").mkdir()
    (project / "sources" / "web.yml").write_text(WEB)
    (project / "cordada.yml").write_text(f"name: bench\nlake: ./lake\nmaintain: {{keep: {KEEP}}}\n")
    (project / "sql" / "marts").mkdir(parents=True)
    (project / "sql" / "dbt_project.yml").write_text("name: bench\nmodel-paths: [marts]\n")
    (project / "sql" / "marts" / "at_once.sql").write_text(MODEL)
    (project / "sql" / "marts" / "sources.yml").write_text(SOURCES)
    up = Up(project)
    used, ended = [], threading.Event()
    sampling = threading.Thread(target=sample, args=(up, used, ended))
    sampling.start()
    figures = load(up.url, "hour", "--seconds", str(MINUTES * 60), "--rate", str(RATE))
    ended.set()
    sampling.join()
    stored, files = size(project / "lake" / "raw_web" / "snowplow")
    releases = sum(1 for _ in (project / "lake" / "_cordada" / "releases").iterdir())
    up.stop()
    [(landed,)] = query(project, "select count(distinct event_id) from raw_web.snowplow")
    contest.expect("events landed", int(landed), figures["requests"])
    subprocess.run([contest.CORDADA, "build", "--quiet", "--project", str(project)], check=True)
    at_once, files_at_once = size(project / "lake" / "marts" / "at_once")
    slower = questions(project)
    early, late = median(used[5:15]), median(used[-10:])
    storage = stored / at_once
    return "\n".join([
        f"`cordada up` with its default flush takes {RATE} hits a second, one a request, for {MINUTES} minutes, and maintains "
        f"what it lands by need with `maintain.keep: {KEEP}`. Then the same rows are written at once, by a build.",
        "",
        "| | |",
        "|---|---:|",
        f"| hits acknowledged, all of them landed once | {figures['requests']:,} |",
        f"| p99, ms | {figures['p99']:.1f} |",
        f"| memory of the process after 5 to 15 minutes, and in the last 10, MB | {early:.0f}, {late:.0f} |",
        f"| its peak, MB | {up.peak:.0f} |",
        f"| the table's folder at the end, MB and files | {stored / 1e6:.0f}, {files} |",
        f"| written at once, MB and files | {at_once / 1e6:.0f}, {files_at_once} |",
        f"| releases at the end | {releases} |",
        "",
        contest.goal("Memory is flat", late <= 1.2 * early, f"{late / early:.2f}×"),
        contest.goal("Storage within 1.5× of one written at once", storage <= 1.5, f"{storage:.2f}×"),
        contest.goal("A query within 1.2×", slower <= 1.2, f"{slower:.2f}×, a process each, {QUERIES} by turns"),
    ])


def sample(up, used, ended):
    """Resident megabytes once a minute."""
    status = Path(f"/proc/{up.process.pid}/status")
    while not ended.wait(60):
        text = status.read_text(encoding="ascii")
        used.append(int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) / 1000)
        up.peak = up.megabytes()
        print(f"  minute {len(used)}: {used[-1]:.0f} MB", flush=True)


def size(folder):
    files = [file for file in folder.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files), len(files)


def questions(project):
    """How much longer the question takes of the table that grew than of the one that was written at once."""
    seconds = {"raw_web.snowplow": [], "marts.at_once": []}
    for _ in range(QUERIES):
        for table, times in seconds.items():
            start = time.perf_counter()
            query(project, QUESTION.format(table))
            times.append(time.perf_counter() - start)
    grown, at_once = (median(times) for times in seconds.values())
    return grown / at_once
