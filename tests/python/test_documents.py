"""The commands of the README and of the guide do what their pages say: every ```sh block is run.

A page's blocks run in order, in one fresh directory, with `cordada` on the PATH. What must not be run
(a server that stays, a build of the whole project) is fenced as ```console.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import skip_loudly
from harness import BINARY, DATA, ROOT

PAGES = sorted(
    page
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    if "```sh\n" in page.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_commands_of_the_page(page, tmp_path):
    blocks = re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    online_retail = DATA / "online_retail" / "onlineretail.csv.gz"
    if any("ONLINE_RETAIL" in block for block in blocks) and not online_retail.exists():
        skip_loudly(f"no {online_retail}")
    path = os.pathsep.join([str(Path(BINARY).parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "ONLINE_RETAIL": str(online_retail)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{page}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
