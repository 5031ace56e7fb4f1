"""wsgi.file_wrapper (PEP 3333, 'Optional Platform-Specific File Handling')."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

BLOCK_BYTES = 64 * 1024
"""What one read takes where sendfile(2) cannot be used; a default socket buffer holds about that."""


class FileRange(NamedTuple):
    """Where a file's content lies, for sendfile(2)."""

    descriptor: int
    offset: int
    length: int


class FileWrapper:
    """An iterable over the content of a file-like object, which the server may send in another way."""

    def __init__(self, filelike: Any, block_size: int = BLOCK_BYTES) -> None:
        """`filelike` has `read(size)` and maybe `close()`; `block_size` is in bytes."""
        self.filelike = filelike
        self.block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the content in blocks."""
        while block := self.filelike.read(self.block_size):
            yield block

    def close(self) -> None:
        """Close the file."""
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()

    def file_range(self) -> FileRange | None:
        """Tell where the content from the current position on lies; None when not in a plain file.

        A `fileno` alone proves nothing: that of a `gzip.GzipFile` is the compressed file's. Nor
        does a `raw`: an object that passes on what it has not got may well read in its own way.
        """
        buffered = type(self.filelike) in (io.BufferedReader, io.BufferedRandom)
        raw = self.filelike.raw if buffered else self.filelike
        if type(raw) is not io.FileIO:
            return None
        try:
            descriptor = raw.fileno()
            status = os.fstat(descriptor)
            position = self.filelike.tell()
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return None  # files of /proc are longer than they say
        return FileRange(descriptor, position, max(0, status.st_size - position))
