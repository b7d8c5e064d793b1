"""DuckDB: a CSV file into a Parquet file, typed over the whole file. Usage: duckdb_land.py CSV PARQUET"""

import sys

import duckdb


def main(csv, parquet):
    duckdb.sql("set enable_progress_bar = false")
    duckdb.sql(f"copy (from read_csv('{csv}', sample_size=-1)) to '{parquet}' (format parquet)")


main(*sys.argv[1:])
