"""What there is, as drivers ask for it."""

from .. import Lacks
from ..shop import COLUMNS, COMMENTS
from .registry import feature, with_connection


def listed(connection, about, *of):
    return [tuple(row) for row in connection.metadata(about, *of)]


@feature("Metadata", "catalogs")
@with_connection
def catalogs(connection, shop):
    assert listed(connection, "catalogs") == [("lake",)]


@feature("Metadata", "schemas")
@with_connection
def schemas(connection, shop):
    found = listed(connection, "schemas")
    assert {("marts",), ("raw_shop",)} <= set(found), found
    assert len(found) == len(set(found)), found


@feature("Metadata", "tables and views")
@with_connection
def tables(connection, shop):
    found = {name: kind for schema, name, kind in listed(connection, "tables", "marts")}
    wanted = {"customers": "TABLE", "orders": "TABLE", "every_type": "TABLE", "recent_orders": "VIEW"}
    assert {name: kind.replace("BASE ", "") for name, kind in found.items()} == wanted, found


@feature("Metadata", "types of tables")
@with_connection
def table_types(connection, shop):
    found = {kind for (kind,) in listed(connection, "table_types")}
    assert "VIEW" in found and found & {"TABLE", "BASE TABLE"}, found


@feature("Metadata", "columns with types")
@with_connection
def columns(connection, shop):
    found = [(name, kind) for name, kind, *_ in listed(connection, "columns", "marts", "every_type")]
    assert [name for name, _ in found] == list(COLUMNS), found
    wrong = {name: kind for name, kind in found if kind.split("(")[0] not in COLUMNS[name]}
    assert not wrong, f"types: {wrong}"


@feature("Metadata", "digits of decimals")
@with_connection
def digits(connection, shop):
    [found] = [row for row in connection.metadata("columns", "marts", "every_type") if row[0] == "decimals"]
    if found[2] is None:
        raise Lacks("it does not hand them on")
    assert [str(digits) for digits in found[2:4]] == ["38", "10"], found


@feature("Metadata", "comments of columns")
@with_connection
def comments(connection, shop):
    found = {row[0]: row[4] for row in connection.metadata("columns", "marts", "customers")}
    assert {name: found[name] for name in COMMENTS} == COMMENTS, found


@feature("Metadata", "primary keys")
@with_connection
def primary_keys(connection, shop):
    assert listed(connection, "primary_key", "marts", "customers") == [("id",)]
    assert listed(connection, "primary_key", "marts", "every_type") == []


@feature("Metadata", "foreign keys")
@with_connection
def foreign_keys(connection, shop):
    assert listed(connection, "imported_keys", "marts", "orders") == [("customer_id", "marts", "customers", "id")]


@feature("Metadata", "what refers to a table")
@with_connection
def exported_keys(connection, shop):
    assert listed(connection, "exported_keys", "marts", "customers") == [("id", "marts", "orders", "customer_id")]


@feature("Metadata", "SQL types")
@with_connection
def sql_types(connection, shop):
    found = {name for name, *_ in connection.metadata("types")}
    assert {"BIGINT", "DECIMAL", "DATE", "BOOLEAN"} <= found, found


@feature("Metadata", "about the server")
@with_connection
def server(connection, shop):
    found = connection.metadata("server")
    assert found["name"] == "Cordada" and found["version"] == shop.version, found
    # Drivers hand on more or less of the rest.
    wanted = {"quote": '"', "longest_name": "0"}
    wrong = {name: found[name] for name in wanted if name in found and found[name] != wanted[name]}
    assert not wrong, wrong
    assert found.get("functions", "UPPER") and found.get("convert", "true"), found
