"""What drivers do otherwise.

By the drivers (the beginnings of their names) and the feature: a pattern of the failure, and what the page tells users.
A failure that is not here fails the tests, and so does what is here and comes out right by now.
"""

ADBC, JDBC, JDBC_17, GO, ALCHEMY = "ADBC", "JDBC", "JDBC 17", "arrow-go", "SQLAlchemy"

COMMENTS = "The driver drops comments. `information_schema.columns` has them."
KEYS = "The driver never asks for keys. `information_schema.table_constraints` and `key_column_usage` have them."

LIMITS = {
    ((GO,), "Connections: closed for good"): (
        "nil pointer dereference",
        "A statement on a client that was closed brings the program down.",
    ),
    ((ALCHEMY,), "Metadata: tables and views"): (
        "assert {} ==",
        "`get_table_names` and `get_view_names` are empty: the dialect looks for `table` and `view`, Flight SQL has "
        "`TABLE` and `VIEW`. `information_schema.tables` has them.",
    ),
    ((ADBC, ALCHEMY, JDBC_17), "Metadata: comments of columns"): ("None", COMMENTS),
    ((ADBC, ALCHEMY), "Metadata: primary keys"): (r"assert \[\] ==", KEYS),
    ((ADBC, ALCHEMY), "Metadata: foreign keys"): (r"assert \[\] ==", KEYS),
    ((JDBC,), "Metadata: columns with types"): (
        r"types: \{'instants': 'TIMESTAMP'\}",
        "Columns with a zone are told as `TIMESTAMP`, in UTC: with a zone, `getObject` of the driver fails.",
    ),
    ((JDBC,), "Metadata: SQL types"): (r"set\(\)", "`getTypeInfo` is empty: the driver never asks for it."),
    ((JDBC,), "Values: times with microseconds"): (
        "gives 10:00:00.000000",
        "`getTime` gives `java.sql.Time`, which has whole seconds.",
    ),
    ((JDBC,), "Values: timestamps with a zone"): (
        r"10:30:00.123456\+00' gives 2026-01-07T10:30:00.123456;",
        "They come as what a clock in UTC shows, without the zone: with a zone, `getObject` of the driver fails.",
    ),
    ((JDBC,), "Values: dates and times in a process that is not in UTC"): (
        "gives 2026-01-07T09:30:00.123456;",
        "`getTimestamp`, `getTime` and `getObject` are off by the offset of the JVM's zone. "
        "Start it with `-Duser.timezone=UTC`, or read with `getString`.",
    ),
    ((JDBC,), "Parameters: dates and times in a process that is not in UTC"): (
        r"8, 30, tzinfo=datetime.timezone.utc\) is not",
        "`setTimestamp` sends what a clock in the JVM's zone shows, which is another moment where a zone counts. "
        "Start it with `-Duser.timezone=UTC`.",
    ),
    ((JDBC,), "Results: no rows, but columns"): (
        r"'id'.*'id'",
        "A `Statement` whose result is empty names each column twice; a `PreparedStatement` does not.",
    ),
}
