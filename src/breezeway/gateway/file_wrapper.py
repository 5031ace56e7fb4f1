"""wsgi.file_wrapper (PEP 3333, 'Optional Platform-Specific File Handling')."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Sequence
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

    def pieces(self) -> Sequence[bytes | FileRange] | None:
        """Return what there is to send, in order; None when it has to be iterated over."""
        file_range = self.file_range()
        return None if file_range is None else [file_range]

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


class FilePieces(FileWrapper):
    """Blocks, and parts of one open file, one after the other."""

    def __init__(self, descriptor: int, pieces: Sequence[bytes | tuple[int, int]]) -> None:
        """Take over the descriptor of a regular file; a part is its `(start, stop)`, in bytes."""
        super().__init__(None)
        self._descriptor = descriptor
        self._pieces = [
            piece
            if isinstance(piece, bytes)
            else FileRange(descriptor, piece[0], piece[1] - piece[0])
            for piece in pieces
        ]

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the content in blocks; it ends early when the file has become shorter."""
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            at, stop = piece.offset, piece.offset + piece.length
            while at < stop:
                block = os.pread(self._descriptor, min(self.block_size, stop - at), at)
                if not block:
                    return
                at += len(block)
                yield block

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def pieces(self) -> Sequence[bytes | FileRange] | None:
        """Return what there is to send, in order."""
        return self._pieces


def size_of(pieces: Sequence[bytes | FileRange]) -> int:
    """Return how many bytes there are in pieces."""
    return sum(len(each) if isinstance(each, bytes) else each.length for each in pieces)
