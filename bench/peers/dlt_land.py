"""dlt: a CSV file into a Delta table. Usage: dlt_land.py CSV FOLDER rows|arrow

`rows` is the reader as it comes, with rows as Python objects; `arrow` is the same with Arrow batches, which is
the fastest way that dlt documents. Both type over the whole file: DuckDB's default sample would fail on stock codes.
"""

import os
import sys
from pathlib import Path

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.sources.filesystem import filesystem, read_csv_duckdb


def main(csv, folder, way):
    arrow = way == "arrow"
    files = filesystem(bucket_url=f"file://{Path(csv).parent}", file_glob=Path(csv).name)
    reader = read_csv_duckdb(chunk_size=100_000 if arrow else 5_000, use_pyarrow=arrow, sample_size=-1)
    pipeline = dlt.pipeline(
        "land",
        pipelines_dir=f"{folder}/state",
        destination=dlt.destinations.filesystem(bucket_url=f"file://{folder}/lake"),
        dataset_name="raw",
    )
    pipeline.run((files | reader).with_name("lines"), table_format="delta", loader_file_format="parquet")


main(*sys.argv[1:])
