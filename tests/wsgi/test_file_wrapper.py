"""PEP 3333, 'Optional Platform-Specific File Handling': wsgi.file_wrapper."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN, plain
from ..live import Live, eventually
from ..wire.client import Truncated, request
from .conftest import Play

SIZES = [0, 1, 100, 8191, 8192, 8193, 65536, 1_000_003]

Opened = Callable[[bytes], IO[bytes]]


@pytest.fixture(params=["file", "unbuffered", "memory", "pipe"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Make a file-like object of each kind that holds those bytes."""

    def make(content: bytes) -> IO[bytes]:
        if request.param == "memory":
            return io.BytesIO(content)
        if request.param == "pipe":
            return piped(content)
        path = tmp_path / "content"
        path.write_bytes(content)
        return path.open("rb", buffering=0 if request.param == "unbuffered" else -1)

    return make


def piped(content: bytes) -> IO[bytes]:
    """Return a pipe that gives those bytes: a file with a descriptor that has no size."""
    reading, writing = os.pipe()

    def feed() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb", buffering=0) as pipe:
            left = memoryview(content)
            while left:
                left = left[pipe.write(left) :]

    threading.Thread(target=feed, daemon=True).start()
    return os.fdopen(reading, "rb")


def wrapping(
    make: Callable[[], Any], fields: Iterable[tuple[str, str]] = (), block_size: int | None = None
) -> Any:
    """Return an application that returns a wrapped file."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN, *fields])
        sizes = () if block_size is None else (block_size,)
        return environ["wsgi.file_wrapper"](make(), *sizes)

    return application


def content_of(size: int) -> bytes:
    """Return that many bytes, of which no two parts are alike."""
    return b"".join(b"%07d." % number for number in range(size // 8 + 1))[:size]


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("size", SIZES)
def test_whole_file(play: Play, live: Live, opened: Opened, size: int, version: str) -> None:
    """A wrapped file goes out whole, whatever it is and however large."""
    content = content_of(size)
    play(wrapping(lambda: opened(content)))
    with live.connect() as client:
        client.send(request("GET", "/", version=version))
        assert client.response().body == content


@pytest.mark.parametrize("size", SIZES)
def test_with_its_length(play: Play, live: Live, opened: Opened, size: int) -> None:
    """With a Content-Length the file goes out without chunks, and the connection goes on."""
    content = content_of(size)
    play(wrapping(lambda: opened(content), [("Content-Length", str(size))]))
    with live.connect() as client:
        for _ in range(2):
            response = client.get("/")
            assert response.chunks is None
            assert response.body == content


@pytest.mark.parametrize("fields", [[], [("Content-Length", "90000")]])
def test_no_descriptor_left(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: list[tuple[str, str]]
) -> None:
    """The file is open already: without a descriptor for sendfile(2) it goes out block by block."""
    content = content_of(100_000)
    path = tmp_path / "content"
    path.write_bytes(content)
    live.play(wrapping(lambda: path.open("rb"), fields))

    def dup(descriptor: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "dup", dup)
    response = live.get()
    assert (response.status, response.body) == (200, content[: 90_000 if fields else None])


@pytest.mark.parametrize("length", [0, 1, 4096, 99_999])
def test_less_than_the_file(live: Live, opened: Opened, length: int) -> None:
    """A Content-Length that is smaller than the file bounds what is sent of it."""
    content = content_of(100_000)
    live.play(wrapping(lambda: opened(content), [("Content-Length", str(length))]))
    with live.connect() as client:
        assert client.get("/").body == content[:length]
        live.play(plain(b"after"))
        assert client.get("/").body == b"after"


@pytest.mark.parametrize("offset", [1, 1000, 8192, 49_999, 50_000])
def test_from_where_the_file_stands(play: Play, live: Live, opened: Opened, offset: int) -> None:
    """The file goes out from its current position, buffered reading taken into account."""
    content = content_of(50_000)

    def advanced() -> IO[bytes]:
        file = opened(content)
        assert len(file.read(offset)) == offset
        return file

    play(wrapping(advanced))
    assert live.get().body == content[offset:]


def test_range_of_a_file(live: Live, tmp_path: Path) -> None:
    """Position and Content-Length together are a part of the file: what 206 needs."""
    path = tmp_path / "content"
    path.write_bytes(content_of(50_000))

    def sought() -> IO[bytes]:
        file = path.open("rb")
        file.seek(10_000)
        return file

    live.play(wrapping(sought, [("Content-Length", "20000")]))
    assert live.get().body == content_of(50_000)[10_000:30_000]


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_more_than_the_file(
    live: Live, log: pytest.LogCaptureFixture, opened: Opened, version: str
) -> None:
    """A file that is shorter than its Content-Length never goes out as if whole."""
    live.play(wrapping(lambda: opened(b"hello"), [("Content-Length", "100")]))
    try:
        status = live.send(request("GET", "/", version=version)).status
    except Truncated:
        status = 500
    assert status == 500
    eventually(
        lambda: any(
            record.name.startswith("breezeway") and record.levelname in ("ERROR", "WARNING")
            for record in log.records
        ),
        "a log line",
    )


@pytest.mark.parametrize("block_size", [1, 7, 8192, 10_000_000])
def test_block_size(play: Play, live: Live, opened: Opened, block_size: int) -> None:
    """The block size is a suggestion: any gives the same bytes."""
    content = content_of(1000)
    play(wrapping(lambda: opened(content), block_size=block_size))
    assert live.get().body == content


def test_head(play: Play, live: Live, opened: Opened) -> None:
    """HEAD gets the fields and nothing of the file."""
    play(wrapping(lambda: opened(b"hello"), [("Content-Length", "5")]))
    with live.connect() as client:
        client.send(request("HEAD", "/"))
        assert client.response("HEAD").value("Content-Length") == "5"
        assert client.get("/").body == b"hello"


def test_file_is_closed(play: Play, live: Live, opened: Opened) -> None:
    """The file is closed when the answer is through."""
    files: list[IO[bytes]] = []

    def kept() -> IO[bytes]:
        files.append(opened(b"hello"))
        return files[-1]

    play(wrapping(kept))
    assert live.get().body == b"hello"
    eventually(lambda: files[0].closed, "the file is closed")


def test_file_is_closed_when_the_client_left(live: Live, tmp_path: Path) -> None:
    """The file is closed when nobody takes the rest of it."""
    path = tmp_path / "content"
    path.write_bytes(content_of(5_000_000))
    file = path.open("rb")
    live.play(wrapping(lambda: file))
    with live.connect(window=4096) as client:
        client.send(request("GET", "/"))
        assert client.head().status == 200
    eventually(lambda: file.closed, "the file is closed")


def test_close_is_optional(play: Play, live: Live) -> None:
    """A file-like object needs read() and nothing else."""

    class Reader:
        def __init__(self) -> None:
            self._left = [b"world", b"hello "]

        def read(self, size: int) -> bytes:
            assert size > 0
            return self._left.pop() if self._left else b""

    play(wrapping(Reader))
    assert live.get().body == b"hello world"


def test_wrapper_is_an_iterable(live: Live, opened: Opened) -> None:
    """Middleware may iterate over what the wrapper gave, and close it."""
    content = content_of(20_000)
    files: list[IO[bytes]] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        files.append(opened(content))
        wrapped = environ["wsgi.file_wrapper"](files[0], 1000)
        blocks = [block.swapcase() for block in wrapped]
        wrapped.close()
        return [b"%d," % max(map(len, blocks)), *blocks]

    live.play(application)
    assert live.get().body == b"1000," + content
    assert files[0].closed


def test_wrapper_that_is_not_returned(live: Live) -> None:
    """A wrapper that the application makes and drops has no effect."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.file_wrapper"](io.BytesIO(b"file"))
        start_response("200 OK", [PLAIN])
        return [b"list"]

    live.play(application)
    assert live.get().body == b"list"


def test_write_before_a_file(live: Live, opened: Opened) -> None:
    """What was written before comes before the file."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])(b"hello ")
        return environ["wsgi.file_wrapper"](opened(b"world"))

    live.play(application)
    assert live.get().body == b"hello world"


def test_error_while_reading(live: Live) -> None:
    """A file that fails in the middle cuts the answer short."""

    class Failing:
        def __init__(self) -> None:
            self._reads = 0

        def read(self, size: int) -> bytes:
            self._reads += 1
            if self._reads > 1:
                raise OSError("bad disk")
            return b"hello"

    live.play(wrapping(Failing))
    with pytest.raises(Truncated) as truncated:
        live.get()
    assert truncated.value.received == b"hello"


def test_slow_reader_of_a_file(live: Live, tmp_path: Path) -> None:
    """A large file arrives whole at a client with a small window."""
    path = tmp_path / "content"
    content = content_of(5_000_000)
    path.write_bytes(content)
    live.play(wrapping(lambda: path.open("rb"), [("Content-Length", str(len(content)))]))
    with live.connect(window=65536) as client:
        assert client.get("/").body == content
        assert client.get("/").body == content
