"""An in-memory pyarrow Flight server: the ceiling of DoGet. Usage: flight_server.py PARQUET ROWS_A_BATCH

It says where it listens, answers every ticket with the whole table, and computes nothing.
"""

import sys

import pyarrow.flight as flight
import pyarrow.parquet as pq


class Server(flight.FlightServerBase):
    def __init__(self, table):
        super().__init__("grpc://127.0.0.1:0")
        self.table, self.batches = table, table.to_batches()

    def get_flight_info(self, context, descriptor):
        endpoint = flight.FlightEndpoint(b"all", [])
        return flight.FlightInfo(self.table.schema, descriptor, [endpoint], self.table.num_rows, -1)

    def do_get(self, context, ticket):
        return flight.GeneratorStream(self.table.schema, iter(self.batches))


def main(parquet, rows):
    table = pq.read_table(parquet)
    server = Server(type(table).from_batches(table.combine_chunks().to_batches(max_chunksize=int(rows))))
    print(f"listening on grpc://127.0.0.1:{server.port}", flush=True)
    server.serve()


main(*sys.argv[1:])
