"""A lake and a source in an object store that speaks S3, here moto's on loopback."""

import pytest
from harness import Project
from moto.server import ThreadedMotoServer

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}


@pytest.fixture
def s3(monkeypatch):
    """The endpoint of an S3 server with the empty buckets `lake` and `inbox`, and a client for it."""
    import boto3

    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=endpoint, region_name=KEYS["AWS_REGION"])
    for bucket in ("lake", "inbox"):
        client.create_bucket(Bucket=bucket)
    yield endpoint, client
    server.stop()


def test_lake_and_source_in_s3(tmp_path, s3):
    endpoint, client = s3
    project = Project(tmp_path, KEYS | {"ENDPOINT": endpoint}).write(
        {
            "cordada.yml": "name: acme\nlake: s3://lake/acme\nstorage: {endpoint: '${ENDPOINT}', region: us-east-1}\n",
            "sources/shop.yml": (
                "kind: files\nstorage: {endpoint: '${ENDPOINT}', region: us-east-1}\n"
                "streams:\n  orders: {path: 's3://inbox/orders/*.csv', key: [order_id], disposition: merge}\n"
            ),
            "sql/dbt_project.yml": "name: acme\nmodel-paths: [marts]\n",
            "sql/marts/sales.sql": (
                "{{ config(materialized='table') }}\n"
                "select count(*) as orders, sum(amount) as amount from {{ source('shop', 'orders') }}\n"
            ),
            "sql/marts/sources.yml": "version: 2\nsources: [{name: shop, schema: raw_shop, tables: [{name: orders}]}]\n",
        }
    )
    sales = "select orders, cast(amount as decimal(9, 2)) from marts.sales"

    client.put_object(Bucket="inbox", Key="orders/1.csv", Body=b"order_id,amount\n1,10.5\n2,20.5\n")
    project.run("ingest")
    project.run("build")
    assert project.query(sales) == [("2", "31.00")]

    client.put_object(Bucket="inbox", Key="orders/2.csv", Body=b"order_id,amount\n2,21.5\n3,30.5\n")
    project.run("ingest")
    project.run("build")
    assert project.query(sales) == [("3", "62.50")]

    keys = [entry["Key"] for entry in client.list_objects_v2(Bucket="lake")["Contents"]]
    assert all(key.startswith("acme/") for key in keys), keys
    assert any(key.startswith("acme/raw_shop/orders/_delta_log/") for key in keys), keys
    assert len([key for key in keys if key.startswith("acme/_cordada/releases/")]) == 4, keys


def test_an_object_store_that_is_away(tmp_path):
    """Nothing listens on the endpoint: exit code 3, within the patience of a person."""
    project = Project(tmp_path, KEYS).write(
        {
            "cordada.yml": "name: acme\nlake: s3://lake\nstorage: {endpoint: 'http://127.0.0.1:9', region: us-east-1}\n",
            "sources/shop.yml": "kind: files\nstreams:\n  orders: {path: data/orders.csv}\n",
            "data/orders.csv": "order_id\n1\n",
        }
    )
    result = project.run("ingest", code=3, timeout=240)
    assert "127.0.0.1:9" in result.err or "s3://lake" in result.err, result
    assert "testing" not in result.err, "credentials in an error"
