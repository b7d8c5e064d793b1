"""The ADBC driver of Arrow Flight SQL, which Python, R, Power BI and many others use, from PyPI."""

import json

import adbc_driver_flightsql.dbapi as flight_sql
import adbc_driver_manager
import pyarrow as pa
from adbc_driver_flightsql import ConnectionOptions, DatabaseOptions
from adbc_driver_manager import DatabaseOptions as Options

from . import Answer, Connection, Driver, Lacks, Statement, text

TYPES = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "decimal": pa.decimal128(38, 10),
    "text": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
}
TYPE_NAME = b"ARROW:FLIGHT:SQL:TYPE_NAME"
SESSION = ConnectionOptions.OPTION_SESSION_OPTION_PREFIX.value


class Adbc(Driver):
    name = f"ADBC {adbc_driver_manager.__version__}"

    def connect(self, address, login=None, trusted=True, session=None):
        options = {DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true"}
        if address.ca and trusted:
            options[DatabaseOptions.TLS_ROOT_CERTS.value] = address.ca.read_text()
        options |= proof(login)
        connection = AdbcConnection(flight_sql.connect(address.uri, db_kwargs=options, autocommit=True))
        try:
            for name, value in (session or {}).items():
                connection.set_option(name, value)
        except BaseException:
            connection.close()
            raise
        return connection


def proof(login):
    """The options of the driver that say who connects."""
    options = {}
    if login and login.user:
        options |= {Options.USERNAME.value: login.user, Options.PASSWORD.value: login.password or ""}
    if login and login.token:
        options[DatabaseOptions.AUTHORIZATION_HEADER.value] = f"Bearer {login.token}"
    if login and login.certificate:
        options[DatabaseOptions.MTLS_CERT_CHAIN.value] = login.certificate.chain.read_text()
        options[DatabaseOptions.MTLS_PRIVATE_KEY.value] = login.certificate.key.read_text()
    return options


class AdbcConnection(Connection):
    def __init__(self, connection):
        self.connection = connection

    def query(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return answer(cursor.fetch_arrow_table())

    def take(self, sql, rows):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return [[text(value) for value in row] for row in cursor.fetchmany(rows)]

    def count(self, sql):
        rows = total = 0
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            for batch in cursor.fetch_record_batch():
                rows, total = rows + batch.num_rows, total + sum(batch.column(0).to_pylist())
        return rows, total

    def cancel(self, sql):
        rows = 0
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            try:
                for batch in cursor.fetch_record_batch():
                    rows += batch.num_rows
                    cursor.adbc_cancel()
            except (OSError, flight_sql.Error) as error:
                return rows, str(error)
        return rows, ""

    def update(self, sql):
        with self.connection.cursor() as cursor:
            cursor.executemany(sql, None)

    def prepare(self, sql):
        cursor = self.connection.cursor()
        try:
            cursor.adbc_prepare(sql)
        except BaseException:
            cursor.close()
            raise
        return AdbcStatement(cursor, sql)

    def ingest(self, schema, table, mode, rows):
        with self.connection.cursor() as cursor:
            numbers = pa.table({"id": pa.array(range(rows), pa.int64())})
            return cursor.adbc_ingest(table, numbers, mode=mode, db_schema_name=schema)

    def metadata(self, about, schema=None, table=None):
        match about:
            case "catalogs":
                return [[catalog["catalog_name"]] for catalog in self.tree("catalogs")]
            case "schemas":
                return [[schema["db_schema_name"]] for schema in self.schemas("db_schemas")]
            case "table_types":
                return [[kind] for kind in self.connection.adbc_get_table_types()]
            case "tables":
                return [
                    [found["db_schema_name"], table["table_name"], table["table_type"]]
                    for found in self.schemas("tables", db_schema_filter=schema)
                    for table in found["db_schema_tables"]
                ]
            case "columns":
                names = ("column_name", "xdbc_type_name", "xdbc_column_size", "xdbc_decimal_digits", "remarks")
                columns = self.table(schema, table)["table_columns"]
                return [[text(column[name]) for name in names] for column in columns]
            case "primary_key":
                keys = self.keys(schema, table, "PRIMARY KEY")
                return [[column] for key in keys for column in key["constraint_column_names"]]
            case "imported_keys":
                return [
                    [column, used["fk_db_schema"], used["fk_table"], used["fk_column_name"]]
                    for key in self.keys(schema, table, "FOREIGN KEY")
                    for column, used in zip(key["constraint_column_names"], key["constraint_column_usage"], strict=True)
                ]
            case "server":
                info = self.connection.adbc_get_info()
                return {"name": info["vendor_name"], "version": info["vendor_version"]}
        raise Lacks("ADBC has no call for that")

    def tree(self, depth, **filters):
        return self.connection.adbc_get_objects(depth=depth, **filters).read_all().to_pylist()

    def schemas(self, depth, **filters):
        return [schema for catalog in self.tree(depth, **filters) for schema in catalog["catalog_db_schemas"]]

    def table(self, schema, table):
        [found] = self.schemas("all", db_schema_filter=schema, table_name_filter=table)
        [table] = found["db_schema_tables"]
        return table

    def keys(self, schema, table, kind):
        constraints = self.table(schema, table)["table_constraints"] or []
        return [constraint for constraint in constraints if constraint["constraint_type"] == kind]

    def set_option(self, name, value):
        self.connection.adbc_connection.set_options(**{SESSION + name: value})

    def options(self):
        found = self.connection.adbc_connection.get_option(ConnectionOptions.OPTION_SESSION_OPTIONS.value)
        return {name: text(value) for name, value in json.loads(found).items()}

    def close(self):
        self.connection.close()


class AdbcStatement(Statement):
    def __init__(self, cursor, sql):
        self.cursor, self.sql = cursor, sql

    def execute(self, *rows):
        columns = [pa.array([value for _, value in column], TYPES[column[0][0]]) for column in zip(*rows, strict=True)]
        batch = pa.record_batch(columns, [f"${at + 1}" for at in range(len(columns))]) if columns else None
        self.cursor.execute(self.sql, batch)
        return answer(self.cursor.fetch_arrow_table())

    def close(self):
        self.cursor.close()


def answer(table):
    columns = [[field.name, (field.metadata or {}).get(TYPE_NAME, b"").decode()] for field in table.schema]
    values = (column.to_pylist() for column in table.columns)
    return Answer(columns, [[text(value) for value in row] for row in zip(*values, strict=True)])
