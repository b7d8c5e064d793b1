"""Web hits into the lake: how many a second are acknowledged, how fast, and whether kill -9 loses one."""

import csv
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from statistics import median

import contest
from land import fresh

TITLE = "Web hits to Delta"
RATE, SECONDS, BATCH = 5_000, 20, 50

WEB = "kind: events\nlisten: 127.0.0.1:0\nstreams: [snowplow]\n"


def run(runs, folder):
    attempts = [attempt(fresh(folder)) for _ in range(runs)]
    middle = lambda case, figure: median(figures[case][figure] for figures in attempts)
    lines = [
        f"`cordada up` and the load generator share the machine; 64 connections; each request is answered when its hits are "
        f"synchronised with the disk, and all of them land in Delta every 5 seconds meanwhile. At {RATE:,} requests a second "
        "each leaves at its time, and its latency counts from then.",
        "",
        "| | events/s acknowledged | p50, ms | p99, ms | slowest, ms |",
        "|---|---:|---:|---:|---:|",
    ]
    for case, name in (
        ("paced", f"one hit a request, {RATE:,} a second"),
        ("full", "one hit a request, as many as are answered"),
        ("batches", f"{BATCH} hits a request, as many as are answered"),
    ):
        cells = [f"{middle(case, 'events_per_second'):,.0f}"]
        cells += [f"{middle(case, figure):.1f}" for figure in ("p50", "p99", "slowest")]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    rate, p99 = middle("full", "events_per_second"), middle("paced", "p99")
    killed = [figures["killed"] for figures in attempts]
    lost = sum(figures["lost"] for figures in killed)
    doubled = sum(figures["doubled"] for figures in killed)
    kept = sum(figures["acknowledged"] for figures in killed)
    lines += [
        "",
        f"Peak memory of `cordada up`: {max(figures['megabytes'] for figures in attempts):.0f} MB.",
        "",
        contest.goal("At least 5,000 acknowledged events a second, one a request", rate >= 5_000, f"{rate:,.0f}"),
        contest.goal(f"p99 below 50 ms at {RATE:,} a second", p99 < 50, f"{p99:.1f} ms"),
        contest.goal(
            "None lost and none doubled by kill -9 under load",
            lost == doubled == 0,
            f"{kept:,} acknowledged, {lost} lost, {doubled} doubled",
        ),
    ]
    return "\n".join(lines)


def attempt(project):
    (project / "sources").mkdir()
    (project / "cordada.yml").write_text("name: bench\nlake: ./lake\n")
    (project / "sources" / "web.yml").write_text(WEB)
    up = Up(project)
    load(up.url, "warm", "--seconds", "3")
    figures = {
        "paced": load(up.url, "paced", "--seconds", str(SECONDS), "--rate", str(RATE)),
        "full": load(up.url, "full", "--seconds", str(SECONDS / 2)),
        "batches": load(up.url, "batches", "--seconds", str(SECONDS / 2), "--hits", str(BATCH)),
    }
    acknowledged = project / "acknowledged"
    timer = threading.Timer(4.5, up.process.kill)
    timer.start()
    figures["megabytes"] = up.megabytes()
    killed = load(up.url, "killed", "--seconds", "60", "--acknowledged", str(acknowledged))
    up.process.wait()
    Up(project).stop()
    figures["killed"] = check(project, acknowledged) | {"acknowledged": killed["requests"]}
    contest.expect("requests refused", sum(figures[case]["refused"] for case in ("paced", "full", "batches")), 0)
    total = sum(figures[case]["requests"] * hits for case, hits in (("paced", 1), ("full", 1), ("batches", BATCH)))
    [(landed,)] = query(project, "select count(*) from raw_web.snowplow where event_id not like 'killed-%' and event_id not like 'warm-%'")
    contest.expect("events landed", int(landed), total)
    return figures


def check(project, acknowledged):
    """What of the hits that were acknowledged before kill -9 is missing, and what is there twice."""
    rows = [row for (row,) in query(project, "select event_id from raw_web.snowplow where event_id like 'killed-%'")]
    landed = set(rows)
    numbers = acknowledged.read_text().split()
    return {"lost": len({f"killed-{number}-0" for number in numbers} - landed), "doubled": len(rows) - len(landed)}


def query(project, sql):
    out = project / "answer.csv"
    command = [contest.CORDADA, "query", sql, "--format", "csv", "--output", out, "--project", project]
    subprocess.run(list(map(str, command)), check=True)
    with open(out, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def load(url, label, *options):
    script = str(Path(__file__).parent / "hits.py")
    command = [sys.executable, script, url, "--label", label, *options]
    figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(f"  {label}: {figures['events_per_second']:,.0f} events/s, p99 {figures['p99']:.1f} ms", flush=True)
    return figures


class Up:
    """`cordada up`, running."""

    def __init__(self, project, binary=contest.CORDADA):
        command = [binary, "up", "--addr", "127.0.0.1:0", "--project", str(project)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if found := re.search(r"collecting web on (http://\S+)", line):
                self.url = found.group(1)
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def megabytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1000

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=120) != 0:
            raise SystemExit("`cordada up` did not end well")


if __name__ == "__main__":
    print(run(1, Path(sys.argv[1])))
