"""wsgi.file_wrapper: what is a plain file to sendfile(2), and what only looks like one."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from breezeway.gateway.file_wrapper import FilePieces, FileRange, FileWrapper, size_of

CONTENT = b"0123456789" * 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a file."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("mode", ["rb", "r+b"])
@pytest.mark.parametrize("buffering", [0, -1])
@pytest.mark.parametrize("offset", [0, 10, 1000, 2000])
def test_plain_files(path: Path, mode: str, buffering: int, offset: int) -> None:
    """A plain file is sent from where it stands to its end."""
    with open(path, mode, buffering=buffering) as file:
        file.seek(offset)
        left = max(0, 1000 - offset)
        assert FileWrapper(file).file_range() == FileRange(file.fileno(), offset, left)


def test_reading_ahead_does_not_matter(path: Path) -> None:
    """The position is the reader's, not that of the descriptor behind its buffer."""
    with path.open("rb") as file:
        file.read(3)
        file_range = FileWrapper(file).file_range()
        assert file_range is not None
        assert (file_range.offset, file_range.length) == (3, 997)


class Passing:
    """Passes on everything it has not got; reads in its own way."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int) -> bytes:
        block: bytes = self._file.read(size)
        return block.swapcase()


class Shouting(io.BufferedReader):
    """A reader that reads in its own way."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size).swapcase()


def gzipped(path: Path) -> Any:
    """Open a compressed file."""
    path.write_bytes(gzip.compress(CONTENT))
    return gzip.open(path)


def bzipped(path: Path) -> Any:
    """Open a compressed file."""
    path.write_bytes(bz2.compress(CONTENT))
    return bz2.open(path)


def spooled(path: Path) -> Any:
    """Open a temporary file that is in memory."""
    file = tempfile.SpooledTemporaryFile(max_size=10_000)  # noqa: SIM115
    file.write(CONTENT)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    "opened",
    [
        gzipped,
        bzipped,
        spooled,
        lambda path: io.BytesIO(CONTENT),
        lambda path: Passing(path.open("rb")),
        lambda path: Shouting(io.FileIO(path)),
        lambda path: io.BufferedReader(io.BytesIO(CONTENT)),
    ],
    ids=["gzip", "bz2", "spooled", "memory", "passing", "subclass", "buffered memory"],
)
def test_what_only_looks_like_a_file(path: Path, opened: Callable[[Path], Any]) -> None:
    """Whatever reads in its own way is read."""
    wrapper = FileWrapper(opened(path), 7)
    assert wrapper.file_range() is None
    assert b"".join(wrapper) == CONTENT
    wrapper.close()


def test_pipes() -> None:
    """A pipe has no position, and is read to its end."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"hello")
    os.close(write_end)
    wrapper = FileWrapper(os.fdopen(read_end, "rb"))
    assert wrapper.file_range() is None
    assert b"".join(wrapper) == b"hello"
    wrapper.close()


def test_files_longer_than_they_say() -> None:
    """Files of /proc say that they are empty, and are not."""
    with open("/proc/self/status", "rb") as file:
        wrapper = FileWrapper(file)
        assert wrapper.file_range() is None
        assert b"".join(wrapper).startswith(b"Name:")


def test_devices() -> None:
    """A device is no plain file; how much is taken of it is not up to the wrapper."""
    with open("/dev/zero", "rb") as file:
        wrapper = FileWrapper(file, 10)
        assert wrapper.file_range() is None
        assert list(itertools.islice(wrapper, 2)) == [bytes(10)] * 2


def test_closed_file(path: Path) -> None:
    """A file that the application has closed already is none to send."""
    file = path.open("rb")
    file.close()
    assert FileWrapper(file).file_range() is None


def test_close_is_optional() -> None:
    """PEP 3333: an object with `read` is enough."""
    FileWrapper(iter([])).close()


def test_pieces_of_one_file(tmp_path: Path) -> None:
    """Blocks and parts of a file come in order, by iteration as by what the server is told."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(200)))
    descriptor = os.open(path, os.O_RDONLY)
    wrapper = FilePieces(descriptor, [b"a", (10, 20), b"b", (0, 200)])
    wrapper.block_size = 7
    assert b"".join(wrapper) == b"a" + bytes(range(10, 20)) + b"b" + bytes(range(200))
    pieces = wrapper.pieces()
    assert pieces is not None
    assert size_of(pieces) == 212
    wrapper.close()
    wrapper.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_pieces_of_a_file_that_shrinks(tmp_path: Path) -> None:
    """Iteration ends where the file does, so that the server notices what is missing."""
    path = tmp_path / "file"
    path.write_bytes(b"short")
    wrapper = FilePieces(os.open(path, os.O_RDONLY), [(0, 100), b"end"])
    assert list(wrapper) == [b"short"]
    wrapper.close()
