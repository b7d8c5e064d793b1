"""An object store that fails: a server in front of another, which hands on what it is asked except where it is told to
break something."""

import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What S3 says when it fails.
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
INTERNAL = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
UNAVAILABLE = b"<Error><Code>ServiceUnavailable</Code><Message>Please try again.</Message></Error>"


def cut(handler, answer):
    """The connection ends before anything is answered."""
    handler.close_connection = True


def truncate(handler, answer):
    """The connection ends in the middle of the body."""
    status, headers, body = answer()
    begin(handler, status, headers, len(body))
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def shorten(handler, answer):
    """Half of the body, as if it were all of it: what a proxy that is broken keeps of an answer that broke off."""
    status, headers, body = answer()
    begin(handler, status, headers, len(body) // 2)
    handler.wfile.write(body[: len(body) // 2])


def failing(status, body):
    def fail(handler, answer):
        begin(handler, status, [("Content-Type", "application/xml")], len(body))
        if handler.command != "HEAD":
            handler.wfile.write(body)

    return fail


FAULTS = {
    "cut": cut,
    "truncated": truncate,
    "shortened": shorten,
    "500": failing(500, INTERNAL),
    "503": failing(503, UNAVAILABLE),
    "slow down": failing(503, SLOW_DOWN),
}

# Headers that are about one connection alone, or are written anew.
OF_A_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


def begin(handler, status, headers, length):
    handler.send_response(status)
    for name, value in headers:
        if name.lower() not in OF_A_CONNECTION:
            handler.send_header(name, value)
    handler.send_header("Content-Length", str(length))
    handler.end_headers()


class FaultyStore:
    """In front of the store at a port. `breaks(method, path)` says for each request which of `FAULTS` befalls it, or
    `None`; `broken` counts those that were."""

    def __init__(self, port):
        self.breaks, self.broken = lambda method, path: None, 0
        self.deciding = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(handler):
                # A client may leave in the middle of anything.
                with contextlib.suppress(OSError):
                    return super().handle_one_request()
                handler.close_connection = True

            def serve(handler):
                length = int(handler.headers.get("Content-Length") or 0)
                sent = handler.rfile.read(length)

                def answer():
                    upstream = http.client.HTTPConnection("127.0.0.1", port)
                    try:
                        upstream.request(handler.command, handler.path, sent, dict(handler.headers))
                        response = upstream.getresponse()
                        return response.status, response.getheaders(), response.read()
                    finally:
                        upstream.close()

                with self.deciding:
                    fault = self.breaks(handler.command, handler.path)
                    self.broken += fault is not None
                if fault is not None:
                    FAULTS[fault](handler, answer)
                    return
                status, headers, body = answer()
                # To HEAD there is only said how long it would be.
                said = next((value for name, value in headers if name.lower() == "content-length"), len(body))
                begin(handler, status, headers, said if handler.command == "HEAD" else len(body))
                handler.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

            def log_message(handler, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(server, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
