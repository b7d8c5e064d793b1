"""SQLAlchemy 2 with the dialect `sqlalchemy-adbc`, which stands on the ADBC driver, from PyPI."""

import sqlalchemy
from adbc_driver_flightsql import DatabaseOptions

from . import Answer, Connection, Driver, Lacks, Statement, text
from .adbc import proof

HEADER = DatabaseOptions.RPC_CALL_HEADER_PREFIX.value


class SqlAlchemy(Driver):
    name = f"SQLAlchemy {sqlalchemy.__version__}"

    def connect(self, address, login=None, trusted=True, session=None):
        query = {"tls": "true" if address.ca else "false", DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true"}
        if address.ca and trusted:
            query[DatabaseOptions.TLS_ROOT_CERTS.value] = address.ca.read_text()
        # The dialect takes a password of the URL as a token, and hands options of the driver on.
        query |= proof(login)
        query |= {HEADER + name: value for name, value in (session or {}).items()}
        url = sqlalchemy.URL.create("adbc+flightsql", host=address.host, port=address.port, query=query)
        # One connection and no pool: what is asked of it is then asked of the driver. It commits by itself.
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args={"autocommit": True})
        return SqlAlchemyConnection(engine.connect())


class SqlAlchemyConnection(Connection):
    def __init__(self, connection):
        self.connection = connection

    def query(self, sql):
        return self.run(lambda: answer(self.connection.exec_driver_sql(sql)))

    def take(self, sql, rows):
        def some():
            with self.connection.execution_options(stream_results=True).exec_driver_sql(sql) as result:
                return [[text(value) for value in row] for row in result.fetchmany(rows)]

        return self.run(some)

    def count(self, sql):
        def all():
            rows = total = 0
            for row in self.connection.execution_options(yield_per=8192).exec_driver_sql(sql):
                rows, total = rows + 1, total + row[0]
            return rows, total

        return self.run(all)

    def update(self, sql):
        self.run(lambda: self.connection.exec_driver_sql(sql))

    def prepare(self, sql):
        return SqlAlchemyStatement(self, sql)

    def run(self, do):
        """Ends the transaction after an error, as SQLAlchemy asks for."""
        try:
            return do()
        except sqlalchemy.exc.SQLAlchemyError:
            self.connection.rollback()
            raise

    def metadata(self, about, schema=None, table=None):
        inspector = sqlalchemy.inspect(self.connection)
        match about:
            case "schemas":
                return [[name] for name in inspector.get_schema_names()]
            case "tables":
                tables = [[schema, name, "TABLE"] for name in inspector.get_table_names(schema)]
                return tables + [[schema, name, "VIEW"] for name in inspector.get_view_names(schema)]
            case "columns":
                columns = inspector.get_columns(table, schema)
                return [[column["name"], str(column["type"]), None, None, column["comment"]] for column in columns]
            case "primary_key":
                return [[name] for name in inspector.get_pk_constraint(table, schema)["constrained_columns"]]
            case "imported_keys":
                return [
                    [own, key["referred_schema"], key["referred_table"], other]
                    for key in inspector.get_foreign_keys(table, schema)
                    for own, other in zip(key["constrained_columns"], key["referred_columns"], strict=True)
                ]
        raise Lacks("SQLAlchemy has no call for that")

    def close(self):
        self.connection.close()
        self.connection.engine.dispose()


class SqlAlchemyStatement(Statement):
    """SQLAlchemy prepares at each execution."""

    def __init__(self, connection, sql):
        self.connection, self.sql = connection, sql

    def execute(self, *rows):
        if len(rows) > 1:
            raise Lacks("SQLAlchemy takes many rows of parameters only for what gives none back")
        values = tuple(value for _, value in rows[0]) if rows else ()
        connection = self.connection.connection
        return self.connection.run(lambda: answer(connection.exec_driver_sql(self.sql, values)))

    def close(self):
        pass


def answer(result):
    with result:
        columns = [[name, ""] for name in result.keys()]
        return Answer(columns, [[text(value) for value in row] for row in result.fetchall()])
