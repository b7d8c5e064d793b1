"""Packages of Debian, unpacked into a folder: nothing is installed into the system."""

import shutil
import subprocess

from . import run

APT = {"Dir::State::Lists": "lists", "Dir::Cache": ".", "Debug::NoLocking": 1}


def unpack(folder, packages):
    """Fetch packages and unpack them into the folder."""
    try:
        run("apt-get", "download", *packages, cwd=folder)
    except subprocess.CalledProcessError:
        # This machine's lists are missing or out of date: new ones, in the folder, for which nobody has to be root.
        options = [f"-o{k}={v}" for k, v in APT.items()]
        (folder / "lists" / "partial").mkdir(parents=True)
        (folder / "archives").mkdir()
        run("apt-get", *options, "update", cwd=folder)
        run("apt-get", *options, "download", *packages, cwd=folder)
        for used in ("lists", "archives"):
            shutil.rmtree(folder / used)
    for package in folder.glob("*.deb"):
        run("dpkg", "-x", package, folder)
        package.unlink()
