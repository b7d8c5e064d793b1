"""Runs one command and writes, as the last line of its standard error and as JSON, its exit code, wall seconds,
processor seconds and peak resident megabytes.

A process of its own, because Linux counts the memory of the process that starts another into the other's peak:
whatever starts a measured command has to be small.
"""

import json
import os
import sys
import time


def main(command):
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    figures = {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.perf_counter() - start,
        "cpu": usage.ru_utime + usage.ru_stime,
        "megabytes": usage.ru_maxrss * 1024 / 1e6,
    }
    print(json.dumps(figures), file=sys.stderr)


main(sys.argv[1:])
