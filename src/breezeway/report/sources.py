"""Where lines come from: files, rotated and compressed ones, standard input.

All of it is cut into tasks of some megabytes. A task of a plain file says only where it is: the process
that counts it reads it, from the first line that begins in it to the end of the last one. What has to
be decompressed, or comes from a pipe, has its lines with it.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import IO, Any, Final, NamedTuple

from breezeway.errors import UserError

STANDARD_INPUT: Final = "-"

SLICE: Final = 8_000_000
"""Bytes of a task: a few tenths of a second, so that the bar moves, and all processes end together."""

CHUNK: Final = 65_536
"""Bytes that are decompressed at a time; what is damaged costs no more of what is before it."""

LONGEST_LINE: Final = 1_000_000
"""Bytes of a line that are read; our longest are some 70 KB. What is longer is no line of a log."""

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"

Warn = Callable[[str], None]


class Task(NamedTuple):
    """A piece to count: `data`, or without it the part of the file from `start` to `end`."""

    path: str
    start: int
    end: int
    data: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of the file that are done with it."""
        return self.end - self.start

    def text(self) -> str:
        """Return its lines.

        Raises:
            UserError: the file cannot be read.
        """
        data = self.data
        if data is None:
            try:
                data = _lines_between(self.path, self.start, self.end)
            except OSError as error:
                raise _unreadable(self.path, error) from None
        return data.decode("utf-8", "backslashreplace")


class Source:
    """A file, open to see what it is; or standard input."""

    def __init__(self, path: str) -> None:
        """Look at the file.

        Raises:
            UserError: it cannot be read.
        """
        self.path = path
        try:
            file = sys.stdin.buffer if path == STANDARD_INPUT else open(path, "rb")  # noqa: SIM115
        except OSError as error:
            raise _unreadable(path, error) from None
        with ExitStack() as stack:
            if path != STANDARD_INPUT:
                stack.callback(file.close)
            try:
                status = os.fstat(file.fileno())
                self.begin = file.peek(len(_ZSTD))[: len(_ZSTD)]  # type: ignore[union-attr]
            except OSError as error:
                raise _unreadable(path, error) from None
            self.size = status.st_size if stat.S_ISREG(status.st_mode) else 0
            self._is_plain = bool(self.size) and path != STANDARD_INPUT
            self._open = stack.pop_all()
        self._file = file

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def tasks(self, warn: Warn) -> Iterator[Task]:
        """Cut it into tasks, in its order; tell what is not whole.

        Raises:
            UserError: it cannot be read, or not without a library that is not there.
        """
        compressed = self.begin.startswith((_GZIP, _ZSTD))
        if self._is_plain and not compressed:
            for start in range(0, self.size, SLICE):
                yield Task(self.path, start, min(start + SLICE, self.size))
            return
        stream = _decompressed(self.path, self._file, self.begin) if compressed else self._file
        done = 0
        with closing(stream):
            for data in _pieces(stream, self.path, warn):
                position = self._file.tell() if self._is_plain else 0
                yield Task(self.path, done, position, data)
                done = position


def _lines_between(path: str, start: int, end: int) -> bytes:
    """Read the lines that begin in a part of a file."""
    before = max(start - 1, 0)
    with open(path, "rb") as file:
        file.seek(before)
        data = file.read(end - before)
        if start:
            data = data[data.find(b"\n") + 1 :] if b"\n" in data else b""
        if data and not data.endswith(b"\n"):
            data += file.readline(LONGEST_LINE)
    return data


def _pieces(stream: IO[bytes], path: str, warn: Warn) -> Iterator[bytes]:
    """Read a stream to its end, in pieces of whole lines."""
    parts: list[bytes] = []
    size = 0
    for data in _chunks(stream, path, warn):
        parts.append(data)
        size += len(data)
        if size < SLICE:
            continue
        whole = b"".join(parts)
        cut = whole.rfind(b"\n") + 1 or len(whole)
        yield whole[:cut]
        parts, size = [whole[cut:]], len(whole) - cut
    if size:
        yield b"".join(parts)


def _chunks(stream: IO[bytes], path: str, warn: Warn) -> Iterator[bytes]:
    """Read a stream to its end, or to where it is damaged."""
    try:
        while data := stream.read(CHUNK):
            yield data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        warn(f"{path} is damaged or not whole ({error}); what is before that is in the report.")
    except OSError as error:
        raise _unreadable(path, error) from None
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # its class is in a library that may not be there
            raise
        warn(f"{path} is damaged ({error}); what is before that is in the report.")


def _decompressed(path: str, file: Any, begin: bytes) -> IO[bytes]:
    stream: Any
    if begin.startswith(_GZIP):
        stream = gzip.GzipFile(fileobj=file, mode="rb")
        return io.BufferedReader(stream, CHUNK)
    try:
        import zstandard
    except ImportError:
        hint = f"pip install 'breezeway[zstd]', or: zstd -dc {path} | breezeway report -"
        raise UserError(f"{path} is compressed with zstd, which needs a library.", hint) from None
    stream = zstandard.ZstdDecompressor().stream_reader(
        file, read_across_frames=True, closefd=False
    )
    return io.BufferedReader(stream, CHUNK)


def _unreadable(path: str, error: OSError) -> UserError:
    if isinstance(error, IsADirectoryError):
        return UserError(
            f"{path} is a directory.", f"Name the files: breezeway report {path}/*.json"
        )
    return UserError(f"cannot read {path}: {error.strerror or error}.")
