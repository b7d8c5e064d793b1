"""Connections, and what their sessions keep."""

from harness import PASSWORD, USER

from .. import Address, Login
from ..shop import ORDERS
from .registry import connected, feature, refused, value, with_connection, works


@feature("Connections", "without users")
def without_users(driver, shop):
    with connected(driver, shop) as connection:
        works(connection)


@feature("Connections", "user and password")
def user_and_password(driver, shop):
    connection = driver.connect(shop.guarded, Login(USER, PASSWORD))
    assert value(connection.query("select current_user")) == USER
    connection.close()


@feature("Connections", "wrong password refused")
def wrong_password(driver, shop):
    refused(lambda: driver.connect(shop.guarded, Login(USER, "wrong")), ["unauthenticated", "password"])


@feature("Connections", "no password refused")
def no_password(driver, shop):
    refused(lambda: driver.connect(shop.guarded, Login(USER, None)), ["unauthenticated", "password"])


@feature("Connections", "no user refused")
def no_user(driver, shop):
    # Some drivers send nothing before the first statement.
    refused(lambda: works(driver.connect(shop.guarded)), ["unauthenticated", "a user and a password"])


@feature("Connections", "API token")
def token(driver, shop):
    connection = driver.connect(shop.guarded, Login(token=shop.token))
    assert value(connection.query("select current_user")) == USER
    connection.close()


@feature("Connections", "API token in place of the password")
def token_for_password(driver, shop):
    connection = driver.connect(shop.guarded, Login(USER, shop.token))
    assert value(connection.query("select current_user")) == USER
    connection.close()


@feature("Connections", "wrong token refused")
def wrong_token(driver, shop):
    refused(lambda: works(driver.connect(shop.guarded, Login(token=shop.token + "x"))), ["unauthenticated", "token"])


@feature("Connections", "certificate of the client")
def certificate(driver, shop):
    connection = driver.connect(shop.encrypted, Login(certificate=shop.certificate))
    assert value(connection.query("select current_user")) == USER
    connection.close()


@feature("Connections", "TLS with an authority of one's own")
def tls(driver, shop):
    connection = driver.connect(shop.encrypted, Login(USER, PASSWORD))
    works(connection)
    connection.close()


@feature("Connections", "TLS: an unknown authority refused")
def unknown_authority(driver, shop):
    refused(lambda: driver.connect(shop.encrypted, Login(USER, PASSWORD), trusted=False), ["certificate", "ssl", "tls"])


@feature("Connections", "plain text to a TLS server refused")
def plain_text(driver, shop):
    plain = Address(shop.encrypted.host, shop.encrypted.port)
    refused(lambda: driver.connect(plain, Login(USER, PASSWORD)))


@feature("Connections", "usable after an error")
@with_connection
def after_an_error(connection, shop):
    words = refused(lambda: connection.query("select * from marts.no_such_table"), ["no_such_table"])
    assert "\n    at " not in words, words
    refused(lambda: connection.query("select 1 / 0"), ["division by zero", "divide by zero"])
    works(connection)


@feature("Connections", "closed for good")
def closed(driver, shop):
    connection = driver.connect(shop.guarded, Login(USER, PASSWORD))
    works(connection)
    connection.close()
    refused(lambda: works(connection))


@feature("Sessions", "a schema of the session")
def schema_of_the_session(driver, shop):
    with connected(driver, shop, session={"schema": "raw_shop"}) as connection:
        assert value(connection.query("select current_schema()")) == "raw_shop"
        assert value(connection.query("select count(*) from orders")) == str(ORDERS)


@feature("Sessions", "an older release")
def older_release(driver, shop):
    with connected(driver, shop, session={"release": str(shop.first_release)}) as connection:
        assert value(connection.query("select count(*) from marts.customers")) == "3"
    with connected(driver, shop) as connection:
        assert value(connection.query("select count(*) from marts.customers")) == "4"


@feature("Sessions", "`use` holds")
@with_connection
def use_holds(connection, shop):
    connection.query("use raw_shop")
    assert value(connection.query("select current_schema()")) == "raw_shop"


@feature("Sessions", "options set and read")
@with_connection
def options(connection, shop):
    connection.set_option("schema", "raw_shop")
    assert connection.options()["schema"] == "raw_shop"
    refused(lambda: connection.set_option("no_such_option", "1"))
    works(connection)
