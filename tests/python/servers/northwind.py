"""The Northwind dump, as statements that PostgreSQL and MariaDB understand."""

import re

from harness import DATA

from . import Unavailable

# Tables and their rows, and what the data set's description says about it.
ROWS = {"customers": 91, "orders": 830, "order_details": 2155, "products": 77, "employees": 9, "suppliers": 29}


def postgres():
    file = DATA / "northwind" / "northwind.sql"
    if not file.exists():
        raise Unavailable(f"no Northwind dump at {file}; set CORDADA_TEST_DATA to the folder that has it")
    # A setting that PostgreSQL dropped in version 12.
    return file.read_text(encoding="utf-8").replace("SET default_with_oids = false;", "")


def mariadb():
    """One statement at a time, for a session in ANSI mode without backslash escapes."""
    text = re.sub(r"^(--.*|SET .*)$", "", postgres(), flags=re.MULTILINE)
    for old, new in [("ALTER TABLE ONLY", "ALTER TABLE"), ("bytea", "longblob"), (r"'\x'", "''")]:
        text = text.replace(old, new)
    for statement in text.split(";\n"):
        if statement.strip() and "FOREIGN KEY" not in statement:  # these name no columns, which MariaDB asks for
            yield statement
