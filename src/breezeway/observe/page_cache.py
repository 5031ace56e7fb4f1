"""Memory that a file takes while it is appended to, given back to the system as the file grows.

What is written stays in the page cache until the system wants the memory for something else. Of a busy
log that is gigabytes which few read again: they push out what is read, count as a container's memory, and
cost more than the writing, for the kernel has to find new pages all the time (docs/decisions/0021).
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from typing import Final

STEP_BYTES: Final = 16 * 1024 * 1024
"""Given back at a time. The last one or two of them stay for those who follow the file."""


class PageCache:
    """The pages of the file behind a descriptor; another file may come to be there."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._noted = 0
        self._start = self._written = _size(fd)
        """Where the pages begin that are still there, and those whose writing has not begun."""
        self._giving_back: threading.Thread | None = None

    def note(self, size: int) -> None:
        """Note that so many bytes were appended; it does not wait for the disk."""
        self._noted += size
        if self._noted < STEP_BYTES or not hasattr(os, "posix_fadvise"):
            return
        if self._giving_back is not None and self._giving_back.is_alive():
            return  # the disk is behind; it has not more to do for that
        giving_back = threading.Thread(
            target=self._give_back, name="breezeway-page-cache", daemon=True
        )
        with contextlib.suppress(RuntimeError):  # there is none to be had: the next one has it all
            giving_back.start()
            self._noted, self._giving_back = 0, giving_back

    def _give_back(self) -> None:
        """Have the kernel begin to write what is new, and forget what it has written since last time."""
        size = _size(self._fd)
        if size < self._written:  # it was truncated, or is another file
            self._start = self._written = 0
        if size > self._start:
            with contextlib.suppress(OSError):  # it is advice
                os.posix_fadvise(self._fd, self._start, size - self._start, os.POSIX_FADV_DONTNEED)
        self._start, self._written = self._written, size


def _size(fd: int) -> int:
    """Return how much is in the file; 0 for what is no file, or is closed."""
    with contextlib.suppress(OSError):
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode):
            return found.st_size
    return 0
