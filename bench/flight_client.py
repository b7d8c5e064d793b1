"""A client of Flight SQL servers, the same for all: writes, as JSON, what came and how long it took.

Usage: flight_client.py URL read SQL                       the answer, once
       flight_client.py URL ask SQL CONNECTIONS SECONDS    the answer again and again, on so many connections at a time
       flight_client.py URL tables                         GetTables with the schemas, twice

A question is GetFlightInfo and then DoGet, on a connection that stays open.
"""

import json
import sys
import threading
import time
from statistics import median

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.flight as flight

SQL = b"type.googleapis.com/arrow.flight.protocol.sql."
INCLUDE_SCHEMA = bytes([5 << 3, 1])


def field(number, value):
    """A length-delimited field of a protobuf message."""
    size, length = b"", len(value)
    while length > 0x7F:
        size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + value


def command(name, message):
    return flight.FlightDescriptor.for_command(field(1, SQL + name) + field(2, message))


def statement(sql):
    return command(b"CommandStatementQuery", field(1, sql.encode()))


def chunks(client, descriptor):
    for endpoint in client.get_flight_info(descriptor).endpoints:
        for chunk in client.do_get(endpoint.ticket):
            yield chunk.data


def read(url, sql):
    with flight.connect(url) as client:
        start = time.perf_counter()
        batches, first = [], None
        for batch in chunks(client, statement(sql)):
            first = first or time.perf_counter() - start
            batches.append(batch)
        seconds = time.perf_counter() - start
    table = pa.Table.from_batches(batches)
    # The sums of the numbers, so that the answer is known to be right.
    numbers = [name for name in table.column_names if pa.types.is_integer(table[name].type) or pa.types.is_floating(table[name].type)]
    sums = {name: round(pc.sum(table[name]).as_py() or 0, 2) for name in numbers}
    return {"seconds": seconds, "first": first, "rows": table.num_rows, "bytes": table.nbytes, "sums": sums}


def ask(url, sql, connections, seconds):
    descriptor, took, wrong = statement(sql), [], []
    ready, begin = threading.Barrier(connections + 1), threading.Event()

    def one():
        with flight.connect(url) as client:
            expected = pa.Table.from_batches(list(chunks(client, descriptor))).to_pylist()
            ready.wait()
            begin.wait()
            while time.perf_counter() < end:
                start = time.perf_counter()
                (batch,) = (batch for batch in chunks(client, descriptor) if batch.num_rows)
                took.append(time.perf_counter() - start)
                if batch.to_pylist() != expected:
                    wrong.append(batch)

    threads = [threading.Thread(target=one) for _ in range(connections)]
    for thread in threads:
        thread.start()
    ready.wait()
    own, end = time.process_time(), time.perf_counter() + seconds
    begin.set()
    for thread in threads:
        thread.join()
    if wrong:
        raise SystemExit(f"{len(wrong)} wrong answers")
    took.sort()
    return {
        "seconds": seconds,
        "rate": len(took) / seconds,
        "p50": median(took) * 1000,
        "p99": took[len(took) * 99 // 100] * 1000,
        "client": (time.process_time() - own) / len(took) * 1000,
    }


def tables(url):
    descriptor = command(b"CommandGetTables", INCLUDE_SCHEMA)
    with flight.connect(url) as client:
        figures = {}
        for turn in ["seconds", "again"]:
            start = time.perf_counter()
            listed = pa.Table.from_batches(list(chunks(client, descriptor)))
            figures[turn] = time.perf_counter() - start
    schemas = [pa.ipc.read_schema(pa.py_buffer(schema)) for schema in listed["table_schema"].to_pylist()]
    return figures | {"tables": listed.num_rows, "columns": sum(map(len, schemas))}


def main(url, what, *arguments):
    match what:
        case "read":
            figures = read(url, *arguments)
        case "ask":
            sql, connections, seconds = arguments
            figures = ask(url, sql, int(connections), float(seconds))
        case "tables":
            figures = tables(url)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
