"""Who asks: sessions that outlive a kill, guesses that wait, API tokens, an identity provider, new certificates."""

import base64
import datetime
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import adbc_driver_flightsql.dbapi as flight_sql
import pyarrow.flight as flight
import pytest
from adbc_driver_flightsql import DatabaseOptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from harness import BINARY, PASSWORD, ROOT, USER, connect, fetch, users

# Seconds for something that comes by itself: a restart, another server's look.
PATIENCE = 60


class Server:
    """A server that can be killed and started again, and what it says."""

    def __init__(self, project, port=0):
        command = project.command("-v", "serve", "--addr", f"127.0.0.1:{port}")
        log = open(project.dir / "server.log", "a")
        self.process = subprocess.Popen(
            command, env=project.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.close()
        self.log = project.dir / "server.log"
        for line in self.process.stdout:
            if found := re.search(r"(grpc\S*)://127\.0\.0\.1:(\d+)", line):
                self.url, self.port = found.group(), int(found.group(2))
                break
        else:
            raise AssertionError(f"the server ended without listening: {self.log.read_text()}")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(timeout=PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.end(signal.SIGKILL)


def eventually(done):
    """Tries until it is done, or patience ends."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(Exception):
            if done():
                return
        assert time.monotonic() < deadline, "it did not come about"


def value(connection, sql="select 1"):
    return fetch(connection, sql).column(0).to_pylist()[0]


def with_bearer(url, token):
    return flight_sql.connect(url, db_kwargs={DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}, autocommit=True)


def refusal(attempt):
    """What is said to who is not let in."""
    try:
        got = attempt()
    except Exception as refused:
        return str(refused)
    raise AssertionError(f"was let in, and got {got}")


def login(server, user=USER, password=PASSWORD):
    """The token of a new session."""
    client = flight.FlightClient(f"grpc://127.0.0.1:{server.port}")
    return client.authenticate_basic_token(user, password)[1].decode().removeprefix("Bearer ")


def with_token(token):
    return flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {token}".encode())], timeout=PATIENCE)


def close_session(server, token):
    return list(flight.FlightClient(f"grpc://127.0.0.1:{server.port}").do_action(("CloseSession", b""), with_token(token)))


def ask(server, token):
    """The answer to a token, without closing its session after it, as ADBC would."""
    client = flight.FlightClient(f"grpc://127.0.0.1:{server.port}")

    def field(number, value):
        return bytes([number << 3 | 2, len(value)]) + value

    command = field(1, b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery") + field(2, field(1, b"select 1"))
    info = client.get_flight_info(flight.FlightDescriptor.for_command(command), with_token(token))
    return client.do_get(info.endpoints[0].ticket, with_token(token)).read_all().column(0).to_pylist()[0]


@pytest.fixture
def with_users(project):
    return project.write({"cordada.yml": f"name: acme\nlake: ./lake\n{users()}"})


def test_pooled_connections_go_on_after_a_kill(with_users):
    with Server(with_users) as server:
        pool = [connect(server.url) for _ in range(4)]
        assert [value(connection) for connection in pool] == [1] * 4
        server.end(signal.SIGKILL)
        with Server(with_users, server.port):
            for connection in pool:
                eventually(lambda: value(connection) == 1)


def test_a_token_is_good_at_both_servers_of_a_lake_until_its_session_is_closed(with_users):
    with Server(with_users) as one, Server(with_users) as two:
        token, other = login(one), login(one)
        assert ask(two, token) == 1
        close_session(one, token)
        assert "session was closed" in refusal(lambda: ask(one, token))
        eventually(lambda: "session was closed" in refusal(lambda: ask(two, token)))
        assert ask(two, other) == 1
        one.end(signal.SIGKILL)
        with Server(with_users) as three:
            assert "session was closed" in refusal(lambda: ask(three, token))
            assert ask(three, other) == 1


def test_a_driver_closes_the_session_that_it_has_begun_and_no_other(with_users):
    with Server(with_users) as server:
        token = login(server)
        connect(server.url).close()
        assert ask(server, token) == 1
        with_bearer(server.url, token).close()
        assert "session was closed" in refusal(lambda: ask(server, token))


def test_what_was_signed_elsewhere_or_changed_is_refused(with_users, tmp_path_factory):
    elsewhere = type(with_users)(tmp_path_factory.mktemp("elsewhere"))
    elsewhere.write({"cordada.yml": f"name: other\nlake: ./lake\n{users()}"})
    with Server(with_users) as server, Server(elsewhere) as other:
        token = login(server)
        raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        raw[-1] ^= 1
        changed = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        for forged in (login(other), changed, token[:-4], "x.y.z"):
            assert "unknown or has expired" in refusal(lambda: ask(server, forged))
        assert ask(server, token) == 1


def test_a_new_password_ends_the_sessions_of_the_old_one(with_users):
    with Server(with_users) as server:
        token = login(server)
    anew = subprocess.run([BINARY, "hash-password"], input=PASSWORD, check=True, capture_output=True, text=True)
    text = (with_users.dir / "cordada.yml").read_text()
    changed = re.sub(r'password_hash: "[^"]+"', lambda _: f'password_hash: "{anew.stdout.strip()}"', text)
    with_users.write({"cordada.yml": changed})
    with Server(with_users) as server:
        assert "unknown or has expired" in refusal(lambda: ask(server, token))


def test_keys_are_their_owners_alone(with_users):
    with Server(with_users) as server:
        login(server)
    private = with_users.dir / "lake" / "_cordada" / "private"
    files = [path for path in private.rglob("*") if path.is_file()]
    assert files and stat.S_IMODE(private.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_guessing_becomes_waiting_and_stops_nobody_who_is_in(with_users):
    with Server(with_users) as server:
        before = connect(server.url)
        assert value(before) == 1
        said = [refusal(lambda: value(connect(server.url, USER, f"a guess {n}"))) for n in range(40)]
        heard = [text for text in said if "user or password is wrong" in text]
        waiting = [text for text in said if "too many wrong passwords" in text]
        assert len(heard) + len(waiting) == len(said) and len(waiting) > len(heard), said
        assert value(before) == 1
        # A name that nobody has is answered as one that somebody has.
        assert "user or password is wrong" in refusal(lambda: value(connect(server.url, "summit-8", "x")))
        log = server.log.read_text()
        assert "the next guess has to wait" in log
        assert "a guess" not in log and "summit" not in log
        # Nobody is locked out for ever.
        eventually(lambda: value(connect(server.url)) == 1)


def test_an_api_token_is_shown_once_and_works_until_it_is_revoked(with_users):
    with Server(with_users) as server:
        token = with_users.run("token", "create", "nightly", "--user", USER).out.strip()
        assert token.startswith("cordada_nightly_")
        assert value(with_bearer(server.url, token), "select current_user") == USER
        assert value(connect(server.url, USER, token), "select current_user") == USER
        listed = with_users.run("token", "list").out
        assert "nightly" in listed and USER in listed and token.rsplit("_")[-1] not in listed
        kept = b"".join(path.read_bytes() for path in (with_users.dir / "lake").rglob("*") if path.is_file())
        assert token.rsplit("_")[-1].encode() not in kept
        assert "there is a token" in with_users.run("token", "create", "nightly", "--user", USER, code=2).err
        assert "no user `anna`" in with_users.run("token", "create", "other", "--user", "anna", code=2).err
        with_users.run("token", "revoke", "nightly")
        eventually(lambda: "unknown or has expired" in refusal(lambda: value(with_bearer(server.url, token))))
        assert "no token `nightly`" in with_users.run("token", "revoke", "nightly", code=2).err
        assert token not in server.log.read_text()


def test_a_session_without_a_login_is_a_cookie_that_outlives_the_server(project):
    with Server(project) as server:
        options = {DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true"}
        connection = flight_sql.connect(server.url, db_kwargs=options, autocommit=True)
        assert value(connection, "select current_schema()") == "marts"
        connection.adbc_connection.set_options(**{"adbc.connection.db_schema": "ops"})
        assert value(connection, "select current_schema()") == "ops"
        server.end(signal.SIGKILL)
        with Server(project, server.port) as restarted:
            eventually(lambda: value(connection, "select current_schema()") == "ops")
            # Who keeps no cookie is refused what would be forgotten, and sees nothing of others.
            other = flight_sql.connect(restarted.url, autocommit=True)
            said = refusal(lambda: other.adbc_connection.set_options(**{"adbc.connection.db_schema": "ops"}))
            assert "has no session" in said
            assert "has no session" in refusal(lambda: value(other, "use ops"))
            assert value(other, "select current_schema()") == "marts"


@pytest.mark.parametrize("required", ["false", "true"])
def test_the_certificate_of_a_client_stands_for_its_user(project, required):
    texts = {path.name: path.read_text() for path in (ROOT / "flight-server/tests/flight_sql/tls").glob("*.pem")}
    clients = f"{{ca: clients-ca.pem, required: {required}}}"
    project.write(
        {
            **texts,
            "cordada.yml": f"""
name: acme
lake: ./lake
users: [{{name: ana}}, {{name: bea}}]
server: {{tls: {{certificate: certificate.pem, key: key.pem, clients: {clients}}}}}
""",
        }
    )

    def user(port, certificate=None, key="client-key.pem"):
        options = {DatabaseOptions.TLS_ROOT_CERTS.value: texts["ca.pem"]}
        if certificate:
            options[DatabaseOptions.MTLS_CERT_CHAIN.value] = texts[certificate]
            options[DatabaseOptions.MTLS_PRIVATE_KEY.value] = texts[key]
        url = f"grpc+tls://localhost:{port}"
        return value(flight_sql.connect(url, db_kwargs=options, autocommit=True), "select current_user")

    with Server(project) as server:
        assert user(server.port, "client.pem") == "bea", "an alternative name"
        assert user(server.port, "client-cn.pem") == "ana", "the common name"
        # Of another authority, and none.
        refusal(lambda: user(server.port, "certificate.pem", "key.pem"))
        refusal(lambda: user(server.port))


def encoded(part):
    part = json.dumps(part).encode() if isinstance(part, dict) else part
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


class IdentityProvider:
    """A provider that signs with keys of RSA and publishes their public halves."""

    def __init__(self):
        self.keys, self.asked = {}, 0
        provider = self

        class Answers(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                provider.asked += 1
                pages = {
                    "/.well-known/openid-configuration": {"issuer": provider.issuer, "jwks_uri": f"{provider.issuer}/jwks"},
                    "/jwks": {"keys": [provider.jwk(name) for name in provider.keys]},
                }
                page = json.dumps(pages[self.path]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name):
        self.keys[name] = rsa.generate_private_key(65537, 2048)

    def jwk(self, name):
        numbers = self.keys[name].public_key().public_numbers()
        n, e = (number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (numbers.n, numbers.e))
        return {"kty": "RSA", "kid": name, "use": "sig", "n": encoded(n), "e": encoded(e)}

    def claims(self, **more):
        now = time.time()
        return {"iss": self.issuer, "aud": "cordada", "sub": "eva", "exp": now + 3600, "groups": ["lake-readers"], **more}

    def token(self, key="one", header=None, **claims):
        signed = f"{encoded({'alg': 'RS256', 'kid': key, **(header or {})})}.{encoded(self.claims(**claims))}"
        signature = self.keys[key].sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{encoded(signature)}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def provider():
    provider = IdentityProvider()
    provider.add("one")
    yield provider
    provider.close()


def test_the_identity_providers_tokens_let_in_with_the_roles_that_they_give(project, provider):
    project.write(
        {
            "cordada.yml": f"""
name: acme
lake: ./lake
roles: {{reader: {{read: [ops]}}}}
login:
  jwt:
    issuer: {provider.issuer}
    audience: cordada
    algorithms: [RS256]
    roles: {{claim: groups, map: {{lake-readers: reader}}}}
"""
        }
    )
    with Server(project) as server:
        assert value(with_bearer(server.url, provider.token()), "select current_user") == "eva"
        assert "wants a user and a password" in refusal(lambda: value(connect(server.url, None)))
        # The public key as the secret of an HMAC, as verifiers are cheated that trust what a token says of itself.
        public = provider.keys["one"].public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        signed = f"{encoded({'alg': 'HS256', 'kid': 'one'})}.{encoded(provider.claims())}"
        secret = hmac.HMAC(pem, hashes.SHA256())
        secret.update(signed.encode())
        stranger = IdentityProvider()
        stranger.add("one")
        forged = {
            "its algorithm is not allowed": [
                f"{signed}.{encoded(secret.finalize())}",
                f"{encoded({'alg': 'none'})}.{encoded(provider.claims())}.",
                provider.token(header={"alg": "RS512"}),
            ],
            "its signature is not the provider's": [stranger.token(iss=provider.issuer), provider.token()[:-6] + "AAAAAA"],
            "it has expired": [provider.token(exp=time.time() - 120)],
            "it is not good yet": [provider.token(nbf=time.time() + 600)],
            "it is for another audience": [provider.token(aud="other")],
            "its issuer is another": [provider.token(iss="https://other.example")],
            "gives no role here": [provider.token(groups=["everybody"])],
        }
        stranger.close()
        for why, tokens in forged.items():
            for token in tokens:
                said = refusal(lambda: value(with_bearer(server.url, token)))
                assert why in said and token not in said, said
        # A new key is found without a restart, once the last question is a while ago.
        provider.add("two")
        eventually(lambda: value(with_bearer(server.url, provider.token("two"))) == 1)
        asked = provider.asked
        for _ in range(20):
            refusal(lambda: value(with_bearer(server.url, provider.token("two", header={"kid": "made up"}))))
        assert provider.asked - asked <= 4, "names that are made up do not make a flood of questions"
        assert "eyJ" not in server.log.read_text()


def certificate(serial):
    """A certificate for this machine, signed by itself, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(serialization.Encoding.PEM), text


def shown(port):
    """The serial number of the certificate that the server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as secure:
        return x509.load_der_x509_certificate(secure.getpeercert(True)).serial_number


def replace(project, name, content):
    """Puts a file in the place of another, as tools that renew certificates do."""
    (project.dir / f"{name}.new").write_bytes(content)
    os.replace(project.dir / f"{name}.new", project.dir / name)


def test_a_new_certificate_is_shown_without_a_restart_and_a_broken_one_is_not(with_users):
    text = (with_users.dir / "cordada.yml").read_text()
    made, key = certificate(1)
    with_users.write(
        {"cordada.yml": text + "server: {tls: {certificate: cert.pem, key: key.pem}}\n", "cert.pem": made, "key.pem": key}
    )
    with Server(with_users) as server:
        assert shown(server.port) == 1
        replace(with_users, "cert.pem", b"broken")
        eventually(lambda: "cannot be used; the one before goes on" in server.log.read_text())
        assert shown(server.port) == 1
        made, key = certificate(2)
        replace(with_users, "key.pem", key)
        replace(with_users, "cert.pem", made)
        eventually(lambda: shown(server.port) == 2)
