"""Sends web hits to a collector and tells how it went: hits.py URL --seconds S [--rate R] [--hits N] [--connections C].

With --rate, requests leave at fixed times whatever happened to those before, and latency counts from the time that each
should have left (so a collector that stands still cannot make itself look good); without it, each connection sends its
next request when it has the answer to the last one. One process without threads, so that it takes little of a machine
that it shares with the collector. Ends early when the collector goes away.
"""

import argparse
import json
import select
import socket
import sys
import time
from collections import deque
from urllib.parse import urlsplit

PATH = "/com.snowplowanalytics.snowplow/tp2"
SCHEMA = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"

# A page view as the JavaScript tracker sends it, about 900 bytes.
HIT = {
    "e": "pv", "eid": "@", "tv": "js-3.24.0", "tna": "sp", "aid": "shop", "p": "web", "cookie": "1", "cs": "UTF-8",
    "lang": "es-ES", "res": "1920x1080", "cd": "24", "tz": "Europe/Madrid", "dtm": "1700000000000", "stm": "1700000000100",
    "vp": "1200x800", "ds": "1200x4312", "vid": "3", "sid": "5d1a4b1c-5a41-4d0a-9c07-2f0b2b6d1f11",
    "duid": "0b7a9b1e-7c3f-4a52-9d5b-6e3b8f4f2d10", "page": "Rope 60 m | Acme", "refr": "https://www.google.com/",
    "url": "https://shop.example/ropes/rope-60?utm_source=newsletter&utm_medium=email&utm_campaign=may",
    "co": json.dumps({
        "schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0",
        "data": [{
            "schema": "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0",
            "data": {"id": "3f1a7d0e-95f0-4ff2-9a53-1d31a77c8e15"},
        }],
    }),
}


class Requests:
    """The requests, numbered; each has `hits` hits, whose event_id is `<label>-<request>-<hit>`."""

    def __init__(self, host, label, hits):
        self.label, self.hits = label, hits
        self.before, self.after = json.dumps(HIT).split("@")
        self.head = f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: "

    def __getitem__(self, number):
        ids = (f"{self.label}-{number}-{hit}" for hit in range(self.hits))
        data = ",".join(self.before + hit + self.after for hit in ids)
        body = f'{{"schema":"{SCHEMA}","data":[{data}]}}'
        return f"{self.head}{len(body)}\r\n\r\n{body}".encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, help="requests a second; as many as are answered by default")
    parser.add_argument("--hits", type=int, default=1, help="hits a request")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--label", default="hit")
    parser.add_argument("--acknowledged", help="write the numbers of the requests that were answered 200 here")
    options = parser.parse_args()
    where = urlsplit(options.url)
    requests = Requests(where.netloc, options.label, options.hits)
    poll, connections, free = select.epoll(), {}, deque()
    for _ in range(options.connections):
        connection = socket.create_connection((where.hostname, where.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(connection, select.EPOLLIN)
        connections[connection.fileno()] = connection
        free.append(connection)

    waiting, latencies, acknowledged, refused, sent, gone = {}, [], [], 0, 0, False
    start = now = time.perf_counter()
    end = start + options.seconds
    while not gone and (now < end or waiting):
        while now < end and free:
            due = start + sent / options.rate if options.rate else now
            if due > now:
                break
            connection = free.popleft()
            waiting[connection.fileno()] = (sent, due)
            try:
                connection.sendall(requests[sent])
            except OSError:
                gone = True
                break
            sent += 1
        wait = 1.0 if not options.rate or not free or now >= end else max(0.0, start + sent / options.rate - now)
        for file, _ in poll.poll(wait):
            try:
                answer = connections[file].recv(4096)
            except OSError:
                answer = b""
            if not answer:
                gone = True
                break
            number, due = waiting.pop(file)
            if answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\nok"):
                latencies.append(time.perf_counter() - due)
                acknowledged.append(number)
            else:
                refused += 1
            free.append(connections[file])
        now = time.perf_counter()
    latencies.sort()
    at = lambda share: 1000 * latencies[int(share * (len(latencies) - 1))] if latencies else None
    if options.acknowledged:
        with open(options.acknowledged, "w", encoding="ascii") as file:
            file.writelines(f"{number}\n" for number in acknowledged)
    figures = {
        "seconds": now - start,
        "requests": len(acknowledged),
        "events_per_second": len(acknowledged) * options.hits / (now - start),
        "p50": at(0.5),
        "p99": at(0.99),
        "slowest": at(1.0),
        "refused": refused,
        "sent": sent,
    }
    json.dump(figures, sys.stdout)


main()
