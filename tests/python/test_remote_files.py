"""Files on servers of FTP, FTPS and SFTP, against pyftpdlib and AsyncSSH on loopback; workbooks that openpyxl writes."""

import asyncio
import datetime
import io
import ipaddress
import logging
import threading
from contextlib import contextmanager

import asyncssh
import openpyxl
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

USER, PASSWORD = "ana", "summit-7"

logging.getLogger("pyftpdlib").setLevel(logging.WARNING)


@pytest.fixture
def files(tmp_path):
    """What the servers serve."""
    folder = tmp_path / "served"
    (folder / "2024" / "01").mkdir(parents=True)
    (folder / "orders-1.csv").write_text("id,name\n1,Ana\n2,Begoña\n")
    (folder / "orders-2.csv").write_text("id,name\n3,Carla\n")
    (folder / "notes.txt").write_text("nothing\n")
    (folder / "2024" / "01" / "orders.csv").write_text("id,name\n4,Dario\n")
    return folder


def certificate(folder):
    """A certificate for 127.0.0.1 that signs itself, with its key, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "both.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM) + private)
    return folder / "cert.pem", folder / "both.pem"


@contextmanager
def ftp_server(folder, handler_class=FTPHandler, **options):
    """An FTP server on a free port; yields the port."""
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(folder), perm="elr")
    handler = type("Handler", (handler_class,), {"authorizer": authorizer, **options})
    server = FTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=lambda: server.serve_forever(timeout=0.05, handle_exit=False))
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.close_all()
        thread.join(timeout=10)


class WithoutMlsd(FTPHandler):
    """A server from before RFC 3659."""

    proto_cmds = {name: value for name, value in FTPHandler.proto_cmds.items() if name not in ("MLSD", "MLST")}


@contextmanager
def sftp_server(folder, client_key):
    """An SFTP server on a free port; yields the port and the fingerprint of the host's key."""

    class Login(asyncssh.SSHServer):
        def password_auth_supported(self):
            return True

        def validate_password(self, username, password):
            return (username, password) == (USER, PASSWORD)

    host_key = asyncssh.generate_private_key("ssh-ed25519")
    loop = asyncio.new_event_loop()
    ready, stop, port = threading.Event(), asyncio.Event(), []

    async def serve():
        server = await asyncssh.create_server(
            Login,
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(client_key.export_public_key().decode()),
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(folder)),
        )
        port.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield port[0], host_key.get_fingerprint("sha256")
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=10)


def source(url, storage, more=""):
    """A source whose one stream is the files of a URL."""
    options = "".join(f"  {name}: {value}\n" for name, value in storage.items())
    return f"kind: files\nstorage:\n{options}streams:\n  orders: {{path: \"{url}\"{more}}}\n"


def names(project):
    return [name for (name,) in project.query("select name from raw_shop.orders order by id")]


PASSWORD_LOGIN = {"user": USER, "password": "${REMOTE_PASSWORD}"}


@pytest.mark.parametrize("handler", [FTPHandler, WithoutMlsd])
def test_ftp(project, files, handler):
    project.env["REMOTE_PASSWORD"] = PASSWORD
    with ftp_server(files, handler) as port:
        url = f"ftp://127.0.0.1:{port}/orders-*.csv"
        project.write({"sources/shop.yml": source(url, PASSWORD_LOGIN)})
        project.run("ingest")
        assert names(project) == ["Ana", "Begoña", "Carla"]
        origin = project.query("select _origin from raw_shop.orders where id = '3' or id = 3")
        assert origin == [(f"ftp://127.0.0.1:{port}/orders-2.csv:2",)]
        # Only what is new lands.
        (files / "orders-3.csv").write_text("id,name\n5,Eva\n")
        project.run("ingest")
        assert names(project) == ["Ana", "Begoña", "Carla", "Eva"]
        project.write({"sources/shop.yml": source(f"ftp://127.0.0.1:{port}/**/orders.csv", PASSWORD_LOGIN)})
        project.run("ingest")
        assert names(project)[-2:] == ["Dario", "Eva"]


def test_ftps_is_encrypted_and_its_certificate_checked(project, files, tmp_path):
    project.env["REMOTE_PASSWORD"] = PASSWORD
    public, both = certificate(tmp_path)
    options = {"certfile": str(both), "tls_control_required": True, "tls_data_required": True}
    with ftp_server(files, TLS_FTPHandler, **options) as port:
        url = f"ftps://127.0.0.1:{port}/orders-1.csv"
        project.write({"sources/shop.yml": source(url, PASSWORD_LOGIN)})
        assert "ca: FILE" in project.run("ingest", code=3).err
        project.write({"sources/shop.yml": source(url, {**PASSWORD_LOGIN, "ca": public})})
        project.run("ingest")
        assert names(project) == ["Ana", "Begoña"]
        plain = source(url.replace("ftps:", "ftp:"), PASSWORD_LOGIN)
        project.write({"sources/shop.yml": plain})
        assert PASSWORD not in project.run("ingest", code=2).err


def test_sftp_by_password_and_by_key(project, files, tmp_path):
    project.env["REMOTE_PASSWORD"] = PASSWORD
    client_key = asyncssh.generate_private_key("ssh-ed25519")
    with sftp_server(files, client_key) as (port, fingerprint):
        url = f"sftp://127.0.0.1:{port}/orders-*.csv"
        # A host that nobody has vouched for gets no password; the message has what is to be added.
        project.write({"sources/shop.yml": source(url, PASSWORD_LOGIN)})
        refused = project.run("ingest", code=2).err
        assert fingerprint in refused and "known_host" in refused and PASSWORD not in refused
        wrong = {**PASSWORD_LOGIN, "known_host": "SHA256:AAAA"}
        project.write({"sources/shop.yml": source(url, wrong)})
        assert fingerprint in project.run("ingest", code=2).err
        project.write({"sources/shop.yml": source(url, {**PASSWORD_LOGIN, "known_host": fingerprint})})
        project.run("ingest")
        assert names(project) == ["Ana", "Begoña", "Carla"]

        (project.dir / "id").write_bytes(client_key.export_private_key())
        by_key = {"user": USER, "private_key": "id", "known_host": fingerprint}
        (files / "orders-3.csv").write_text("id,name\n5,Eva\n")
        project.write({"sources/shop.yml": source(url, by_key)})
        project.run("ingest")
        assert names(project) == ["Ana", "Begoña", "Carla", "Eva"]
        stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key(passphrase="open")
        (project.dir / "id").write_bytes(stranger)
        (files / "orders-4.csv").write_text("id,name\n6,Fe\n")
        assert "private key cannot be read" in project.run("ingest", code=2).err
        project.write({"sources/shop.yml": source(url, {**by_key, "passphrase": "open"})})
        assert "refuses the login" in project.run("ingest", code=2).err


def test_what_is_wrong_is_said_without_the_password(project, files):
    project.env["REMOTE_PASSWORD"] = "not-" + PASSWORD
    with ftp_server(files) as port:
        url = f"ftp://127.0.0.1:{port}/orders-*.csv"
        project.write({"sources/shop.yml": source(url, PASSWORD_LOGIN)})
        wrong = project.run("ingest", code=2).err
        assert "refuses the login" in wrong and PASSWORD not in wrong
        project.env["REMOTE_PASSWORD"] = PASSWORD
        project.write({"sources/shop.yml": source(url.replace("orders", "invoices"), PASSWORD_LOGIN)})
        assert "no such file" in project.run("ingest", code=2).err
        project.write({"sources/shop.yml": source(url.replace("//", f"//{USER}:{PASSWORD}@"), {})})
        assert PASSWORD not in project.run("ingest", code=2).err.replace(f"{USER}:{PASSWORD}@", "")


def test_a_log_on_a_server_is_read_as_it_grows(project, files):
    project.env["REMOTE_PASSWORD"] = PASSWORD
    line = '1.2.3.4 - - [10/Feb/2012:16:42:{:02} +0000] "GET /{} HTTP/1.1" 200 5 "-" "M"\n'
    log = files / "access.log"
    log.write_text("".join(line.format(n, n) for n in range(3)))
    with ftp_server(files) as port:
        text = source(f"ftp://127.0.0.1:{port}/access.log*", PASSWORD_LOGIN).replace("kind: files", "kind: logs")
        project.write({"sources/shop.yml": text})
        project.run("ingest")
        with log.open("a") as grown:
            grown.write("".join(line.format(n, n) for n in range(3, 5)))
        project.run("ingest")
        log.rename(files / "access.log.1")
        log.write_text(line.format(5, 5))
        project.run("ingest")
    paths = project.query("select path from raw_shop.orders order by path")
    assert paths == [(f"/{n}",) for n in range(6)]


def test_a_workbook_as_excel_users_write_it(project):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Código", "Importe (€)", "Fecha", "Pagado", "Fórmula"])
    for number in range(1, 1001):
        day = datetime.date(2024, 1, 1) + datetime.timedelta(days=number)
        sheet.append([f"{number:05}", number / 4, day, number % 2 == 0, f"=B{number + 1}*2"])
    content = io.BytesIO()
    book.save(content)
    project.write(
        {
            "data/ventas.xlsx": content.getvalue(),
            "sources/shop.yml": "kind: files\nstreams: {orders: {path: data/ventas.xlsx}}\n",
        }
    )
    project.run("ingest")
    query = "select codigo, importe, fecha, pagado from raw_shop.orders where _origin = 'data/ventas.xlsx:5'"
    assert project.query(query) == [("00004", "1.00", "2024-01-05", "true")]
    assert project.value("select sum(importe) from raw_shop.orders") == "125125.00"
