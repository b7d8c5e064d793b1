"""kill -9 of `cordada up` under load: every acknowledged hit is in the lake, once."""

import itertools
import json
import random
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

from harness import Project

SEED = 20240229
KILLS = 5
CLIENTS = 8
SENT = 3000

WEB = """
kind: events
listen: 127.0.0.1:0
flush: 300ms
streams: [snowplow, segment]
"""


class Collector:
    """`cordada up`, running."""

    def __init__(self, project):
        self.process = subprocess.Popen(
            project.command("up", "--addr", "127.0.0.1:0"),
            env=project.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self.process.stdout:
            if found := re.search(r"collecting web on (http://\S+)", line):
                self.url = found.group(1)
                break
        else:
            raise AssertionError(f"it ended without collecting: exit code {self.process.wait()}")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0


def post(url, path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status


class Client(threading.Thread):
    """Sends numbered hits until told to stop, and keeps the numbers that were acknowledged."""

    def __init__(self, name, where):
        super().__init__(daemon=True)
        self.label, self.where, self.stopping = name, where, threading.Event()
        self.sent, self.acknowledged, self.wrong = set(), set(), None

    def run(self):
        for number in itertools.count():
            if self.stopping.is_set():
                return
            hit = f"{self.label}-{number}"
            self.sent.add(hit)
            try:
                if number % 2:
                    message = {"type": "track", "event": "x", "userId": "u", "messageId": hit}
                    post(self.where["url"], "/v1/track", message)
                else:
                    schema = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
                    body = {"schema": schema, "data": [{"e": "pv", "p": "web", "eid": hit}]}
                    post(self.where["url"], "/com.snowplowanalytics.snowplow/tp2", body)
                self.acknowledged.add(hit)
            except urllib.error.HTTPError as error:
                self.wrong = error
                return
            except OSError:
                # Killed while the hit was on its way: nobody knows, so it may land or not.
                time.sleep(0.01)


def landed(project):
    """The numbers that are in the lake, and how many rows have them."""
    both = "select event_id from raw_web.snowplow union all select event_id from raw_web.segment"
    rows = [row for (row,) in project.query(both)]
    return set(rows), len(rows)


def test_acknowledged_hits_survive_kill_9(tmp_path):
    project = Project(tmp_path).write({"cordada.yml": "name: acme\nlake: ./lake\n", "sources/web.yml": WEB})
    moments = random.Random(SEED)
    collector = Collector(project)
    where = {"url": collector.url}
    clients = [Client(f"c{number}", where) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    acknowledged = lambda: sum(len(client.acknowledged) for client in clients)
    for kill in range(1, KILLS + 1):
        while acknowledged() < SENT * kill // (KILLS + 1):
            assert all(client.wrong is None for client in clients), [client.wrong for client in clients]
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.6))
        collector.kill()
        collector = Collector(project)
        where["url"] = collector.url
    while acknowledged() < SENT:
        time.sleep(0.02)
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join()
    assert all(client.wrong is None for client in clients), [client.wrong for client in clients]
    collector.stop()

    hits, rows = landed(project)
    sent = set().union(*(client.sent for client in clients))
    kept = set().union(*(client.acknowledged for client in clients))
    assert len(kept) >= SENT
    assert kept - hits == set(), "acknowledged and lost"
    assert hits - sent == set(), "never sent"
    assert rows == len(hits), "landed twice"
    assert project.value("select count(*) from ops.rejected_rows") == "0"
    project.run("ingest")
    assert landed(project) == (hits, rows)


def test_ingest_lands_what_a_killed_collector_left(project):
    project.write({"sources/web.yml": WEB.replace("300ms", "1h")})
    collector = Collector(project)
    body = {"batch": [{"type": "page", "userId": "u", "messageId": str(number)} for number in range(50)]}
    assert post(collector.url, "/v1/batch", body) == 200
    # While it runs, it alone lands its log.
    project.run("ingest")
    collector.kill()
    project.run("ingest")
    assert project.value("select count(distinct event_id) from raw_web.segment") == "50"
    project.run("ingest")
    assert project.value("select count(*) from raw_web.segment") == "50"


def test_a_second_collector_is_refused(project):
    project.write({"sources/web.yml": WEB})
    collector = Collector(project)
    result = project.run("up", "--addr", "127.0.0.1:0", code=1)
    assert "another process collects the same" in result.err
    collector.stop()
