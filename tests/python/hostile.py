"""HTTP servers that behave badly, on loopback."""

import datetime
import gzip
import json
import socket
import ssl
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HUGE = 2 << 30


class Hostile:
    """Serves `behaviour(handler, n)` for the nth request; `requests` keeps what was asked."""

    def __init__(self, behaviour, certificate=None):
        self.requests = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(handler):
                self.requests.append((handler.path, handler.headers))
                try:
                    behaviour(handler, len(self.requests) - 1)
                except OSError:
                    handler.close_connection = True  # the client has had enough

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.scheme = "https" if certificate else "http"

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def answer(handler, body, status=200, length=None, **headers):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    headers = {"content_type": "application/json", "content_length": len(body) if length is None else length} | headers
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body)


def page(n, **more):
    return {"rows": [{"id": n * 10 + i, "name": "x"} for i in range(10)], **more}


def always(body, **options):
    return lambda handler, n: answer(handler, body, **options)


def endless(handler, n):
    answer(handler, page(n, next=f"page-{n + 1}"))


def circle(handler, n):
    answer(handler, page(n, next=f"page-{n % 3}"))


def storm(retry_after):
    return lambda handler, n: answer(handler, {}, status=429, retry_after=retry_after)


def cut(handler, n):
    """The connection ends before the body does."""
    answer(handler, json.dumps(page(n)).encode()[:40], length=4096)
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def huge(handler, n):
    """A valid document of 2 GB, without a length."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    handler.wfile.write(b'{"rows": [')
    block = b'{"id": 1, "name": "xxxxxxxxxxxxxxxx"},' * 25_000
    for _ in range(HUGE // len(block)):
        handler.wfile.write(block)
    handler.wfile.write(b"{}]}")


def bomb():
    """1 GB of spaces in about 1 MB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    spaces = b" " * (1 << 20)
    body = b"".join(packer.compress(spaces) for _ in range(1 << 10)) + packer.flush()
    return always(body, content_encoding="gzip")


def nested_bombs():
    return always(gzip.compress(gzip.compress(b" " * (64 << 20))), content_encoding="gzip, gzip")


def slow(handler, n):
    """One byte of the body now and then."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    stopped = threading.Event()
    while not stopped.wait(0.2):
        handler.wfile.write(b" ")


def endless_headers(handler, n):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for i in range(1 << 20):
        handler.wfile.write(f"X-{i}: {'x' * 1000}\r\n".encode())


def silent(handler, n):
    threading.Event().wait(600)


def garbage(handler, n):
    handler.wfile.write(b"\x16\x03\x01 SSH-2.0-OpenSSH_9.2 what?\r\n\r\n")
    handler.close_connection = True


def certificate(file):
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(secret + signed.public_bytes(pem))
    return file
