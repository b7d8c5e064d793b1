"""The list of features, and what they share."""

import contextlib
import functools

from harness import PASSWORD

from .. import Crashed, Lacks

GROUPS = {}


def feature(group, name):
    """Puts a function among the features, which it is until the end of the session."""

    def put(check):
        GROUPS.setdefault(group, {})[name] = check
        return check

    return put


@contextlib.contextmanager
def connected(driver, shop, **how):
    connection = driver.connect(shop.open, **how)
    try:
        yield connection
    finally:
        connection.close()


def with_connection(check):
    """The check gets a connection without a user instead of the driver."""

    @functools.wraps(check)
    def connects(driver, shop):
        with connected(driver, shop) as connection:
            check(connection, shop)

    return connects


def value(answer):
    [[found]] = answer.rows
    return found


def refused(do, says=()):
    """The words of the error that this ends with."""
    try:
        do()
    except (Lacks, Crashed, AssertionError):
        raise
    except Exception as error:
        words = str(error)
        assert PASSWORD not in words, f"the password is in the error: {words}"
        assert not says or any(word.lower() in words.lower() for word in says), (
            f"the error says none of {says}: {words}"
        )
        return words
    raise AssertionError("it was not refused")


def works(connection):
    assert value(connection.query("select 41 + 1")) == "42", "`select 41 + 1` is not 42"


@contextlib.contextmanager
def prepared(connection, sql):
    statement = connection.prepare(sql)
    try:
        yield statement
    finally:
        statement.close()
