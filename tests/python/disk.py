"""A disk that loses power: ext4 on a block device that remembers each write, and which of them were flushed.

The device is a loop device over a file that a process of ours serves through FUSE, so that it works where the kernel
has no dm-log-writes. From what it remembers it makes the image that a power cut would have left at any write: whatever
was written before the last flush is there, and of what came after it each block is there or not, at random, as on a disk
with a cache of its own. So one run of a command is cut in many places.

The file system promises no more than POSIX does (`data=writeback,noauto_da_alloc`), and writes its journal each second:
names get to the disk before their content does, unless somebody asks for both.

Run as a program this is that process: `disk.py serve FILE`, with commands as JSON on its standard input.
"""

import ctypes
import errno
import json
import mmap
import os
import random
import select
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

SIZE = 96 << 20
BLOCK = 4096
MOST_WRITTEN = 1 << 17  # bytes that the kernel writes at once
OPTIONS = "commit=1,data=writeback,noauto_da_alloc,nodiscard"


class Unavailable(Exception):
    """What this machine lacks for such a disk."""


class Disk:
    """The disk, mounted at `root`."""

    def __enter__(self):
        if os.geteuid() != 0:
            raise Unavailable("only root may mount the disk that loses power")
        for device in ("/dev/fuse", "/dev/loop-control"):
            if not os.path.exists(device):
                raise Unavailable(f"there is no {device} for the disk that loses power")
        if not shutil.which("mke2fs", path=os.environ["PATH"] + ":/sbin:/usr/sbin"):
            raise Unavailable("there is no mke2fs to format the disk that loses power")
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.folder = Path(tempfile.mkdtemp(prefix="cordada-disk-", dir=memory))
        self.mounted, self.server = [], None
        try:
            self.device, self.counter = self.folder / "device", self.folder / "writes"
            with open(self.device, "wb") as device:
                device.truncate(SIZE)
            eager = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
            call("mke2fs", "-t", "ext4", "-q", "-F", "-E", eager, self.device)
            self.counter.write_bytes(bytes(8))
            self.server = subprocess.Popen(
                [sys.executable, __file__, "serve", self.device, self.counter],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.ask(do="mount")
            self.mounted.append(self.device)
            with open(self.counter, "rb") as counter:
                self.written = mmap.mmap(counter.fileno(), 8, prot=mmap.PROT_READ)
            self.root = self.mount(self.device, "root", OPTIONS)
            self.settle()
        except (Unavailable, OSError, subprocess.SubprocessError) as error:
            self.__exit__()
            raise Unavailable(f"the disk that loses power cannot be made: {error}") from error
        return self

    def __exit__(self, *_):
        for folder in reversed(self.mounted):
            unmount(folder)
        if self.server:
            self.server.stdin.close()
            self.server.wait(timeout=20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, **question):
        """Ask the process that serves the device."""
        self.server.stdin.write(json.dumps(question) + "\n")
        self.server.stdin.flush()
        answer = json.loads(self.server.stdout.readline() or '{"error": "it has ended"}')
        if "error" in answer:
            raise Unavailable(f"the process that serves the disk: {answer['error']}")
        return answer

    def mount(self, image, name, options):
        folder = self.folder / name
        folder.mkdir()
        call("mount", "-t", "ext4", "-o", f"loop,{options}", image, folder)
        self.mounted.append(folder)
        return folder

    def settle(self):
        """All that was written so far is safe from cuts; they are counted from here."""
        call("sync", "-f", self.root)
        self.ask(do="settle")

    def moment(self):
        """The writes since the disk settled: a cut after this many is a cut now."""
        return struct.unpack("Q", self.written[:8])[0]

    @contextmanager
    def cut(self, moment, seed):
        """Within this, the folder that is found when the power is back after a cut at that moment."""
        image = self.folder / "image"
        self.ask(do="cut", moment=moment, seed=seed, image=str(image))
        folder = self.mount(image, "after", "nodiscard")
        try:
            yield folder
        finally:
            self.mounted.remove(folder)
            unmount(folder)
            folder.rmdir()
            image.unlink()


def call(*command):
    path = os.environ["PATH"] + ":/sbin:/usr/sbin"
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env={**os.environ, "PATH": path})
    if done.returncode:
        raise Unavailable(f"{command[0]}: {done.stderr.strip()}")


def unmount(folder):
    """Unmount, as soon as those who have died have let go."""
    deadline = time.monotonic() + 20
    while subprocess.run(["umount", folder], capture_output=True).returncode and time.monotonic() < deadline:
        time.sleep(0.05)


# The process that serves the device: the file system in user space of one file, include/uapi/linux/fuse.h.

GETATTR, OPEN, READ, WRITE, RELEASE, FSYNC, FLUSH, INIT = 3, 14, 15, 16, 18, 20, 25, 26
FORGET, INTERRUPT, BATCH_FORGET = 2, 36, 42  # without an answer
BIG_WRITES, MAX_PAGES = 1 << 5, 1 << 22
IN, OUT = struct.Struct("<IIQQIIIHH"), struct.Struct("<IiQ")
SPAN = struct.Struct("<QQI")  # file handle, offset, size: how reads and writes begin
SPAN_SIZE = 40


class Device:
    """The device's content, what was written since it settled, and which of that was flushed."""

    def __init__(self, path, counter):
        self.path = path
        self.settled = bytearray(Path(path).read_bytes())
        self.content = bytearray(self.settled)
        self.log, self.flushed = [], [0]
        with open(counter, "r+b") as file:
            self.counter = mmap.mmap(file.fileno(), 8)

    def mount(self):
        self.fuse = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.fuse},rootmode={stat.S_IFREG:o},user_id=0,group_id=0"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"disk", os.fsencode(self.path), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def count(self):
        self.counter[:8] = struct.pack("Q", len(self.log))

    def settle(self):
        self.settled[:] = self.content
        self.log, self.flushed = [], [0]
        self.count()

    def cut(self, moment, seed, image):
        """Write the image that a power cut after so many writes would leave."""
        safe = max(flushed for flushed in self.flushed if flushed <= moment)
        content, chance = bytearray(self.settled), random.Random(seed)
        for offset, data in self.log[:safe]:
            content[offset : offset + len(data)] = data
        share = chance.choice((0, 0.5, 0.9, 1))
        for offset, data in self.log[safe:moment]:
            for at in range(0, len(data), BLOCK):
                if chance.random() < share:
                    block = data[at : at + BLOCK]
                    content[offset + at : offset + at + len(block)] = block
        with open(image, "wb") as file:
            file.truncate(len(content))
            nothing = bytes(MOST_WRITTEN)
            for at in range(0, len(content), MOST_WRITTEN):
                piece = content[at : at + MOST_WRITTEN]
                if piece != nothing:
                    file.seek(at)
                    file.write(piece)

    def serve(self):
        """Answer one request of the kernel."""
        request = os.read(self.fuse, MOST_WRITTEN + BLOCK)
        _, operation, unique, *_ = IN.unpack_from(request)
        if operation in (FORGET, BATCH_FORGET, INTERRUPT):
            return
        body = memoryview(request)[IN.size :]
        answer = self.answer(operation, body)
        error, answer = (0, answer) if isinstance(answer, (bytes, bytearray)) else (-answer, b"")
        os.write(self.fuse, OUT.pack(OUT.size + len(answer), error, unique) + answer)

    def answer(self, operation, body):
        """The answer to a request, or the number of an error."""
        if operation == INIT:
            flags = struct.unpack_from("<I", body, 12)[0] & (BIG_WRITES | MAX_PAGES)
            pages = MOST_WRITTEN // BLOCK
            return struct.pack("<IIIIHHIIHHI28x", 7, 31, MOST_WRITTEN, flags, 16, 12, MOST_WRITTEN, 1, pages, 0, 0)
        if operation == GETATTR:
            mode = stat.S_IFREG | 0o600
            numbers = (1, len(self.content), 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, BLOCK, 0)
            return struct.pack("<QII6Q10I", 3600, 0, 0, *numbers)
        if operation == OPEN:
            return struct.pack("<QIi", 0, 0, 0)
        if operation == READ:
            _, offset, size = SPAN.unpack_from(body)
            return bytes(self.content[offset : offset + size])
        if operation == WRITE:
            _, offset, size = SPAN.unpack_from(body)
            data = bytes(body[SPAN_SIZE : SPAN_SIZE + size])
            self.content[offset : offset + size] = data
            self.log.append((offset, data))
            self.count()
            return struct.pack("<II", size, 0)
        if operation == FSYNC:
            self.flushed.append(len(self.log))
            return b""
        if operation in (FLUSH, RELEASE):
            return b""
        return errno.ENOSYS

    def run(self):
        """Serve the kernel and whoever asks, until that one has ended."""
        mounted = []
        while True:
            ready, _, _ = select.select([sys.stdin, *mounted], [], [])
            if mounted and self.fuse in ready:
                try:
                    self.serve()
                except OSError as error:
                    if error.errno == errno.ENODEV:  # it was unmounted
                        mounted = []
                    elif error.errno not in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                        raise
            if sys.stdin in ready:
                line = sys.stdin.readline()
                if not line:
                    return
                question = json.loads(line)
                answer = {}
                try:
                    getattr(self, question.pop("do"))(**question)
                    mounted = [self.fuse]
                except OSError as error:
                    answer = {"error": str(error)}
                print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    Device(*sys.argv[2:]).run()
