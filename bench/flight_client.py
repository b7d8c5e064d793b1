"""Reads the answer of a query from a Flight SQL server once and writes, as JSON, what came and how long it took.

Usage: flight_client.py URL SQL. The same for every server: GetFlightInfo with a CommandStatementQuery, then DoGet.
"""

import json
import sys
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.flight as flight

COMMAND = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"


def field(number, value):
    """A length-delimited field of a protobuf message."""
    size, length = b"", len(value)
    while length > 0x7F:
        size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + value


def main(url, sql):
    statement = field(1, sql.encode())
    with flight.connect(url) as client:
        start = time.perf_counter()
        info = client.get_flight_info(flight.FlightDescriptor.for_command(field(1, COMMAND) + field(2, statement)))
        batches, first = [], None
        for endpoint in info.endpoints:
            for chunk in client.do_get(endpoint.ticket):
                first = first or time.perf_counter() - start
                batches.append(chunk.data)
        seconds = time.perf_counter() - start
    table = pa.Table.from_batches(batches)
    figures = {
        "seconds": seconds,
        "first": first,
        "rows": table.num_rows,
        "bytes": table.nbytes,
        "quantity": pc.sum(table["quantity"]).as_py(),
        "price": round(pc.sum(table["price"]).as_py(), 2),
    }
    print(json.dumps(figures))


main(*sys.argv[1:])
