"""The demo: a company's systems generated, landed, built and exported, with figures that agree."""

import csv
import hashlib
import json
import re

from harness import Project


def test_demo(tmp_path):
    Project(tmp_path).write({})
    demo = Project(tmp_path / "demo")
    import subprocess

    from harness import BINARY

    done = subprocess.run(
        [BINARY, "demo", "--dir", str(demo.dir), "--customers", "300"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
