"""Where lines come from: files, rotated and compressed ones, standard input.

All of it is cut into tasks of some megabytes. A task of a plain file says only where it is: the process
that counts it reads it, from the first line that begins in it to the end of the last one. What has to
be decompressed, or comes from a pipe, has its lines with it.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

from breezeway.errors import UserError

STANDARD_INPUT: Final = "-"

SLICE: Final = 8_000_000
"""Bytes of a task: a few tenths of a second, so that the bar moves, and all processes end together."""

CHUNK: Final = 65_536
"""Bytes that are read at a time."""

COMPRESSED_CHUNK: Final = 1024
"""The same of what is compressed: it becomes 32 MB at most, with zstd (RFC 8878: 4 bytes, 128 KB)."""

XZ_MEMORY: Final = 100_000_000
"""Bytes that a file may have its decompressor take: `xz -9` wants 65 MiB."""

LONGEST_LINE: Final = 1_000_000
"""Bytes of a line that are read; our longest are some 70 KB. What is longer is no line of a log."""

_GZIP: Final = b"\x1f\x8b"
_GZIP_FORMAT: Final = 16
"""Added to the bits of zlib's window: a header of gzip."""

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_XZ: Final = b"\xfd7zXZ\0"
_COMPRESSED: Final = (_GZIP, _ZSTD, _XZ)

_BYTE_ORDER_MARK: Final = "\ufeff"

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
        return data.decode("utf-8", "backslashreplace").removeprefix(_BYTE_ORDER_MARK)


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
                self.begin = file.peek(len(_XZ))[: len(_XZ)]  # type: ignore[union-attr]
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
        compressed = self.begin.startswith(_COMPRESSED)
        if self._is_plain and not compressed:
            for start in range(0, self.size, SLICE):
                yield Task(self.path, start, min(start + SLICE, self.size))
            return
        done = 0
        for data in _pieces(self._chunks(compressed, warn)):
            position = self._file.tell() if self._is_plain else 0
            yield Task(self.path, done, position, data)
            done = position

    def _chunks(self, compressed: bool, warn: Warn) -> Iterator[bytes]:
        """Read it to its end, or to where it is damaged."""
        if not compressed:
            while data := self._read(CHUNK):
                yield data
            return
        start, error_of_library = _decompressor(self.path, self.begin)
        try:
            yield from _decompressed(lambda: self._read(COMPRESSED_CHUNK), start)
        except (EOFError, error_of_library) as error:
            warn(f"{self.path} is damaged or not whole ({error}); what is before that is reported.")

    def _read(self, size: int) -> bytes:
        try:
            data: bytes = self._file.read(size)
            return data
        except OSError as error:
            raise _unreadable(self.path, error) from None


def _lines_between(path: str, start: int, end: int) -> bytes:
    """Read the lines that begin in a part of a file."""
    before = max(start - 1, 0)
    with open(path, "rb") as file:
        file.seek(before)
        data = file.read(end - before)
        if start:
            data = data[data.find(b"\n") + 1 :] if b"\n" in data else b""
        if data and not data.endswith(b"\n"):
            rest = file.readline(LONGEST_LINE)
            data += rest
            if len(rest) == LONGEST_LINE:  # too long, and not cut short by the end of the file
                data += b"\n"
    return data


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join what was read to pieces of whole lines."""
    parts: list[bytes] = []
    size = 0
    for data in chunks:
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


def _decompressed(read: Callable[[], bytes], start: Callable[[], Any]) -> Iterator[bytes]:
    """Decompress one part after another of what `read` returns, each by a new decompressor.

    Raises:
        EOFError: it ends within one.
    """
    current = None
    while data := read():
        while data:
            if current is None:
                data = data.lstrip(b"\0")  # tapes and disks fill up with zeros
                if not data:
                    break
                current = start()
            yield current.decompress(data)
            data = b""
            if current.eof:
                data, current = current.unused_data, None
    if current is not None:
        raise EOFError("it ends in the middle")


def _decompressor(path: str, begin: bytes) -> tuple[Callable[[], Any], type[Exception]]:
    """Return what makes decompressors for a file that begins so, and what they raise."""
    if begin.startswith(_GZIP):
        return lambda: zlib.decompressobj(zlib.MAX_WBITS | _GZIP_FORMAT), zlib.error
    if begin.startswith(_XZ):
        import lzma

        return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY), lzma.LZMAError
    try:
        import zstandard
    except ImportError:
        hint = f"pip install 'breezeway[zstd]', or: zstd -dc {path} | breezeway report -"
        raise UserError(f"{path} is compressed with zstd, which needs a library.", hint) from None
    return zstandard.ZstdDecompressor().decompressobj, zstandard.ZstdError


def _unreadable(path: str, error: OSError) -> UserError:
    if isinstance(error, IsADirectoryError):
        return UserError(
            f"{path} is a directory.", f"Name the files: breezeway report {path}/*.json"
        )
    return UserError(f"cannot read {path}: {error.strerror or error}.")
