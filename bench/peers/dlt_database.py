"""dlt: a PostgreSQL table into a Delta table, with Arrow batches, the fastest backend that it has for any database.
Usage: dlt_database.py URL FOLDER"""

import os
import sys

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.sources.sql_database import sql_table


def main(url, folder):
    sales = sql_table(credentials=url, table="sales", schema="public", backend="pyarrow", chunk_size=100_000)
    pipeline = dlt.pipeline(
        "database",
        pipelines_dir=f"{folder}/state",
        destination=dlt.destinations.filesystem(bucket_url=f"file://{folder}/lake"),
        dataset_name="raw",
    )
    pipeline.run(sales, table_format="delta", loader_file_format="parquet", write_disposition="replace")


main(*sys.argv[1:])
