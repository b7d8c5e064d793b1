"""`cordada up` collecting hits, and clients that send them and know which were acknowledged."""

import http.client
import itertools
import json
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pyarrow as pa
from harness import connect

WEB = """
kind: events
listen: 127.0.0.1:0
flush: 300ms
streams: [snowplow, segment]
"""


class Collector:
    """`cordada up`, or another server, running."""

    def __init__(self, project, says=r"collecting web on (http://\S+)", command="up"):
        self.process = subprocess.Popen(
            project.command(command, "--addr", "127.0.0.1:0"),
            env=project.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self.process.stdout:
            if found := re.search(says, line):
                self.url = found.group(1)
                break
        else:
            raise AssertionError(f"it ended without listening: exit code {self.process.wait()}")
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
    """Sends numbered hits until told to stop, and keeps which were acknowledged, with what `moment` said then."""

    def __init__(self, name, where, moment=time.monotonic):
        super().__init__(daemon=True)
        self.label, self.where, self.moment, self.stopping = name, where, moment, threading.Event()
        self.sent, self.acknowledged, self.wrong = set(), {}, None

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
                self.acknowledged[hit] = self.moment()
            except urllib.error.HTTPError as error:
                self.wrong = error
                return
            except (OSError, http.client.HTTPException):
                # Killed while the hit was on its way: nobody knows, so it may land or not.
                time.sleep(0.01)


class Writer(threading.Thread):
    """Writes numbered batches of rows into `crm.t` through Flight SQL until told to stop, as [`Client`] sends hits."""

    ROWS = 20

    def __init__(self, name, where, moment=time.monotonic):
        super().__init__(daemon=True)
        self.label, self.where, self.moment, self.stopping = name, where, moment, threading.Event()
        self.sent, self.acknowledged, self.wrong = set(), {}, None

    def run(self):
        connection = None
        for number in itertools.count():
            if self.stopping.is_set():
                break
            batch = f"{self.label}-{number}"
            rows = pa.table({"batch": [batch] * self.ROWS, "n": range(self.ROWS)})
            self.sent.add(batch)
            try:
                connection = connection or connect(self.where["url"])
                with connection.cursor() as cursor:
                    cursor.adbc_ingest("t", rows, mode="create_append", db_schema_name="crm")
                self.acknowledged[batch] = self.moment()
            except Exception:
                # As with a hit; that nothing is acknowledged at all is seen by whoever waits for it.
                connection = None
                time.sleep(0.05)
        if connection:
            connection.close()
