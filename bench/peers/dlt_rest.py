"""dlt: a web API into Delta tables, lists as tables of their own. Usage: dlt_rest.py URL FOLDER RESOURCE"""

import os
import sys

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.sources.rest_api import rest_api_source


def main(url, folder, resource):
    paginator = {"type": "page_number", "base_page": 1, "page_param": "page", "total_path": "pages"}
    source = rest_api_source(
        {
            "client": {"base_url": url, "paginator": paginator},
            "resources": [{"name": resource, "endpoint": {"path": resource, "data_selector": "data"}}],
        }
    )
    pipeline = dlt.pipeline(
        "api",
        pipelines_dir=f"{folder}/state",
        destination=dlt.destinations.filesystem(bucket_url=f"file://{folder}/lake"),
        dataset_name="raw",
    )
    pipeline.run(source, table_format="delta", loader_file_format="parquet")


main(*sys.argv[1:])
