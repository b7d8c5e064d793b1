"""The example project on the UCI Online Retail file: known figures, landed, built, and read through ADBC."""

import decimal
import shutil

import adbc_driver_manager
import pyarrow as pa
import pytest
from harness import ROOT, Project, connect, fetch, users

RAW = "raw_retail.invoice_lines"
COLUMNS = {"invoice_no", "stock_code", "description", "quantity", "invoice_date", "unit_price", "customer_id", "country"}

ROWS, CUSTOMERS, INVOICES, STOCK_CODES, COUNTRIES = 541_909, 4_372, 25_900, 4_070, 38
NO_CUSTOMER, NO_DESCRIPTION = 135_080, 1_454
REVENUE = decimal.Decimal("9747747.93")  # quantity times price, cancellations deducted

FIGURES = f"""
select count(*), count(distinct customer_id), count(distinct invoice_no), count(distinct stock_code),
       count(distinct country), count(*) filter (where customer_id is null),
       count(*) filter (where description is null),
       cast(round(sum(quantity * cast(unit_price as decimal(18, 4))), 2) as decimal(18, 2))
from {RAW}
"""
EXPECTED = tuple(
    map(str, (ROWS, CUSTOMERS, INVOICES, STOCK_CODES, COUNTRIES, NO_CUSTOMER, NO_DESCRIPTION, REVENUE))
)


@pytest.fixture(scope="module", params=["onlineretail.csv.gz", "onlineretail.parquet"])
def shop(request, tmp_path_factory, online_retail_data):
    """The example, pointed at one of the two copies of the file, landed and built."""
    directory = tmp_path_factory.mktemp("shop") / "online-retail"
    shutil.copytree(ROOT / "examples" / "online-retail", directory)
    configuration = directory / "cordada.yml"
    configuration.write_text(configuration.read_text() + users())
    project = Project(directory, {"ONLINE_RETAIL": str(online_retail_data / request.param)})
    project.run("ingest")
    project.run("build")
    return project


@pytest.fixture(scope="module")
def server(shop):
    with shop.serve() as url:
        yield url


@pytest.fixture(scope="module")
def connection(server):
    with connect(server) as connection:
        yield connection


def test_every_line_lands_unchanged(shop):
    assert shop.query(FIGURES) == [EXPECTED]


def test_landing_again_adds_nothing(shop):
    releases = shop.run("releases").out
    shop.run("ingest")
    assert shop.query(FIGURES) == [EXPECTED]
    assert shop.run("releases").out == releases, "a landing that found nothing new has published a release"


def test_the_marts_hold_the_same_business(connection):
    def value(expression, table):
        [row] = fetch(connection, f"select {expression} as value from {table}").to_pylist()
        return row["value"]

    assert value("count(*)", "warehouse.fct_invoice_line") == ROWS
    assert value("count(distinct invoice_id)", "warehouse.fct_invoice_line") == INVOICES
    assert value("count(*)", "warehouse.dim_customer") == CUSTOMERS
    for table, column in (("warehouse.fct_invoice_line", "amount"), ("marts.monthly_revenue", "revenue")):
        assert value(f"round(sum({column}), 2)", table) == REVENUE, table
    # Known customers without cancellations: 397,924 lines, a few of them free of charge.
    assert value("round(sum(monetary), 2)", "marts.rfm") == decimal.Decimal("8911407.90")
    assert value("count(*)", "ml.customer_segments") == value("count(*)", "marts.rfm")
    assert value("count(distinct cluster)", "ml.customer_segments") >= 2


def test_metadata(connection):
    catalogs = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    [lake] = [catalog for catalog in catalogs if catalog["catalog_name"] == "lake"]
    schemas = {schema["db_schema_name"]: schema["db_schema_tables"] for schema in lake["catalog_db_schemas"]}
    assert {"raw_retail", "staging", "warehouse", "marts", "ml"} <= set(schemas)
    [raw] = schemas["raw_retail"]
    assert raw["table_name"] == "invoice_lines"
    assert COLUMNS <= {column["column_name"] for column in raw["table_columns"]}
    kinds = {table["table_name"]: table["table_type"] for tables in schemas.values() for table in tables}
    assert len(set(kinds.values())) >= 2, f"no views among {kinds}"

    [only] = connection.adbc_get_objects(depth="tables", table_name_filter="dim_customer").read_all().to_pylist()
    names = [
        (schema["db_schema_name"], table["table_name"])
        for schema in only["catalog_db_schemas"]
        for table in schema["db_schema_tables"]
    ]
    assert names == [("warehouse", "dim_customer")]
    schema = connection.adbc_get_table_schema("fct_invoice_line", db_schema_filter="warehouse")
    assert schema == fetch(connection, "select * from warehouse.fct_invoice_line limit 0").schema.remove_metadata()
    assert connection.adbc_get_info()["vendor_name"].startswith("Cordada")


def test_every_mart_can_be_read(connection):
    tables = fetch(
        connection,
        "select table_schema, table_name from information_schema.tables where table_schema in ('marts', 'ml')",
    ).to_pylist()
    assert len(tables) >= 3
    for table in tables:
        assert fetch(connection, f"select * from {table['table_schema']}.{table['table_name']}").num_rows > 0, table


@pytest.mark.parametrize("placeholder", ["?", "$1"])
def test_parameters(connection, placeholder):
    sql = f"select count(*) as n from warehouse.fct_invoice_line where country = {placeholder}"
    assert fetch(connection, sql, ["France"]).to_pylist() == [{"n": 8557}]
    assert fetch(connection, sql, ["Nowhere"]).to_pylist() == [{"n": 0}]


def test_an_empty_answer_keeps_its_columns(connection):
    full = fetch(connection, "select * from warehouse.fct_invoice_line limit 1")
    empty = fetch(connection, "select * from warehouse.fct_invoice_line where 1 = 0")
    assert empty.num_rows == 0
    assert empty.schema == full.schema
    assert not any(pa.types.is_string_view(kind) for kind in empty.schema.types)


def test_bad_sql_is_the_clients_error(connection):
    for sql, says in (("selekt 1", "selekt"), ("select nope from warehouse.dim_customer", "customer_id")):
        with pytest.raises(adbc_driver_manager.ProgrammingError) as error:
            fetch(connection, sql)
        assert error.value.status_code == adbc_driver_manager.AdbcStatusCode.INVALID_ARGUMENT
        assert says in str(error.value).lower()


@pytest.mark.parametrize(("user", "password"), [("ana", "wrong"), ("nobody", "summit-7"), (None, None)])
def test_nobody_gets_in_without_the_password(server, user, password):
    with pytest.raises(adbc_driver_manager.Error) as error, connect(server, user, password) as connection:
        fetch(connection, "select 1")
    assert error.value.status_code == adbc_driver_manager.AdbcStatusCode.UNAUTHENTICATED
    assert "summit-7" not in str(error.value)
