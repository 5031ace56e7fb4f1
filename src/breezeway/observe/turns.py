"""Lets the processes of a server write to standard error one after another.

A pipe takes only 4 KiB as one piece, which a traceback or an object of JSON may well exceed: without turns,
the lines of two workers would stand within each other. The lock is one of fcntl(2), which belongs to a
process and is free when that dies, on a file without a name that all have inherited.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator

PAUSE_SECONDS = 0.0005
"""Between two tries, while another process writes."""

_fd: int | None = None


def prepare() -> None:
    """Make the file, before any process is forked; if that is impossible, there are no turns."""
    global _fd
    if _fd is None:
        with contextlib.suppress(OSError):
            _fd = _file_without_a_name()


@contextlib.contextmanager
def turn(seconds: float) -> Iterator[None]:
    """Wait for this process's turn, at most that long: better out of turn than not at all."""
    fd = _fd
    if fd is None:
        yield
        return
    ends = time.monotonic() + seconds
    while not _try(fd) and time.monotonic() < ends:
        time.sleep(PAUSE_SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.lockf(fd, fcntl.LOCK_UN)


def _try(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _file_without_a_name() -> int:
    if sys.platform == "linux":
        return os.memfd_create("breezeway-log")
    import tempfile

    fd, path = tempfile.mkstemp()
    os.unlink(path)
    return fd
