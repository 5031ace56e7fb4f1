"""Programs from Debian that tests need: found, and installed where we may."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def find(name: str) -> str | None:
    """Return the path of a program; None if it is not there."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


def program(name: str) -> str:
    """Return the path of a program, its name if it is not there."""
    return find(name) or name


def missing(programs: Iterable[str]) -> list[str]:
    """Name the packages that are not installed; each is called like its program."""
    return sorted({name for name in programs if find(name) is None})


def install(programs: Iterable[str]) -> list[str]:
    """Install what is missing if we may; return what stays missing."""
    wanted = [*programs]
    with _alone():
        packages = missing(wanted)
        if packages and os.geteuid() == 0 and shutil.which("apt-get"):
            print(f"Installing {' '.join(packages)}", flush=True)
            for command in (
                ["update", "-qq"],
                ["install", "-y", "--no-install-recommends", *packages],
            ):
                patient = ["apt-get", "-o", "DPkg::Lock::Timeout=120", *command]
                subprocess.run(patient, check=False, stdout=subprocess.DEVNULL)
    return missing(wanted)


def advice(packages: Iterable[str]) -> str:
    """Say how to install packages."""
    return f"As root on Debian: apt-get install {' '.join(packages)}"


@contextmanager
def _alone() -> Iterator[None]:
    """Hold a lock of this user's: the tests of several Pythons may want to install at the same time."""
    with open(Path(tempfile.gettempdir()) / f"breezeway-install-{os.getuid()}", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
