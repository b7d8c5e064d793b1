"""deltalake: MERGE of a Parquet file into a Delta table by `id`. Usage: deltalake_merge.py TABLE PARQUET

Prints the seconds that reading the file and merging took, without the start of Python.
"""

import sys
import time

import pyarrow.parquet as pq
from deltalake import DeltaTable


def main(table, source):
    start = time.perf_counter()
    merge = DeltaTable(table).merge(pq.read_table(source), predicate="t.id = s.id", source_alias="s", target_alias="t")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()
    print(time.perf_counter() - start)


main(*sys.argv[1:])
