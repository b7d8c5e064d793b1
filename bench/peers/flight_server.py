"""An in-memory pyarrow Flight server: the limit of what a client can be sent. Usage: flight_server.py PARQUET ROWS COLUMNS

It says where it listens and answers every ticket with those columns of the file, so many rows a batch; with `one` for
the columns, with a single number. It computes nothing.
"""

import sys

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq


class Server(flight.FlightServerBase):
    def __init__(self, table, rows):
        super().__init__("grpc://127.0.0.1:0")
        self.table, self.batches = table, table.combine_chunks().to_batches(max_chunksize=rows)

    def get_flight_info(self, context, descriptor):
        endpoint = flight.FlightEndpoint(b"all", [])
        return flight.FlightInfo(self.table.schema, descriptor, [endpoint], self.table.num_rows, -1)

    def do_get(self, context, ticket):
        return flight.GeneratorStream(self.table.schema, iter(self.batches))


def main(parquet, rows, columns):
    table = pa.table({"1": [1]}) if columns == "one" else pq.read_table(parquet, columns=columns.split(", "))
    server = Server(table, int(rows))
    print(f"listening on grpc://127.0.0.1:{server.port}", flush=True)
    server.serve()


main(*sys.argv[1:])
