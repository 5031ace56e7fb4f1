"""A body that does not fit its Content-Length never goes out as if whole: RFC 9112 section 8."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN, plain
from ..live import Live, eventually
from .client import Truncated, request


def as_list(*blocks: bytes) -> Iterable[bytes]:
    """Give the blocks as a list."""
    return list(blocks)


def as_generator(*blocks: bytes) -> Iterator[bytes]:
    """Give the blocks one by one."""
    yield from blocks


SHAPES = pytest.mark.parametrize("shape", [as_list, as_generator])
VERSIONS = pytest.mark.parametrize("version", ["1.1", "1.0"])


def sized(length: int, body: Callable[[], Iterable[bytes]]) -> Any:
    """Return an application that announces a length and gives a body."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN, ("Content-Length", str(length))])
        return body()

    return application


def written(length: int, *blocks: bytes) -> Any:
    """Return an application that announces a length and writes a body."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [PLAIN, ("Content-Length", str(length))])
        for block in blocks:
            write(block)
        return []

    return application


def never_whole(live: Live, application: Any, version: str, log: pytest.LogCaptureFixture) -> None:
    """Check that the client gets a 500 or an answer cut short, and the operator a log line."""
    live.play(application)
    with live.connect() as client:
        client.send(request("GET", "/", ("Connection", "keep-alive"), version=version))
        try:
            response = client.response()
        except Truncated:
            pass
        else:
            assert response.status == 500
    eventually(
        lambda: any(
            record.name.startswith("breezeway") and record.levelname in ("ERROR", "WARNING")
            for record in log.records
        ),
        "a warning or an error in the log",
    )
    live.play(plain(b"after"))
    assert live.get("/").body == b"after"


@SHAPES
@VERSIONS
def test_too_short(live: Live, log: pytest.LogCaptureFixture, shape: Any, version: str) -> None:
    """RFC 9112 section 8: fewer bytes than announced; the client can tell."""
    never_whole(live, sized(10, lambda: shape(b"hello", b"!")), version, log)


@SHAPES
@VERSIONS
def test_empty(live: Live, log: pytest.LogCaptureFixture, shape: Any, version: str) -> None:
    """RFC 9112 section 8: nothing at all where something was announced."""
    never_whole(live, sized(10, lambda: shape()), version, log)


@SHAPES
@VERSIONS
def test_too_long(live: Live, log: pytest.LogCaptureFixture, shape: Any, version: str) -> None:
    """RFC 9112 section 6.3: more bytes than announced; none of them become the next answer."""
    never_whole(live, sized(7, lambda: shape(b"hello", b"HTTP/1.1 200 OK\r\n\r\n")), version, log)


@SHAPES
@VERSIONS
def test_first_block_too_long(
    live: Live, log: pytest.LogCaptureFixture, shape: Any, version: str
) -> None:
    """RFC 9112 section 6.3: more bytes than announced in the first block."""
    never_whole(live, sized(3, lambda: shape(b"hello")), version, log)


@VERSIONS
def test_zero_announced(live: Live, log: pytest.LogCaptureFixture, version: str) -> None:
    """RFC 9112 section 6.3: an announced length of zero with a body."""
    never_whole(live, sized(0, lambda: [b"hello"]), version, log)


@VERSIONS
def test_written_too_short(live: Live, log: pytest.LogCaptureFixture, version: str) -> None:
    """PEP 3333: write() counts as any block does."""
    never_whole(live, written(10, b"hello"), version, log)


@VERSIONS
def test_written_too_long(live: Live, log: pytest.LogCaptureFixture, version: str) -> None:
    """PEP 3333: write() counts as any block does."""
    never_whole(live, written(7, b"hello", b"world"), version, log)


def test_bytes_beyond_the_length_are_not_sent(live: Live) -> None:
    """RFC 9112 section 11.1: what comes when the length is used up is not the next answer."""
    live.play(sized(5, lambda: as_generator(b"hello", b"HTTP/1.1 200 OK\r\n\r\n")))
    with live.connect() as client:
        client.send(request("GET", "/") + request("GET", "/"))
        assert client.response().body == b"hello"
        try:
            after = client.rest()
        except Truncated as reset:
            after = reset.received
        assert after == b""
