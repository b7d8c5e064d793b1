"""A wire between `ingest` and a server that can be held, so that a server is killed in the middle of an answer."""

import contextlib
import socket
import threading


class Proxy:
    """Forwards connections to a port. Once a connection has brought `hold_after` bytes of answers, all of them stop
    and `held` is set, until `release()`."""

    def __init__(self, port, hold_after=None):
        self.upstream, self.hold_after = port, hold_after
        self.held, self.free = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = []

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.release()
        for one in [self.listener, *self.sockets]:
            close(one)

    def release(self):
        self.hold_after = None
        self.free.set()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.upstream))
                except OSError:
                    close(client)
                    continue
                self.sockets += [client, server]
                threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def pump(self, source, sink, answers):
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 14):
                passed += len(data)
                if answers and self.hold_after is not None and passed > self.hold_after:
                    self.held.set()
                    self.free.wait()
                sink.sendall(data)
        close(source)
        close(sink)


def close(one):
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
