"""PEP 3333, 'The write() Callable': the imperative way to send a body."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN
from ..live import Live
from ..wire.client import Truncated, request
from .conftest import Play

VERSIONS = pytest.mark.parametrize("version", ["1.1", "1.0"])


@VERSIONS
def test_write_comes_before_the_iterable(play: Play, live: Live, version: str) -> None:
    """What was written goes out before what is returned."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [PLAIN])
        write(b"one ")
        write(b"two ")
        return [b"three ", b"four"]

    play(application)
    with live.connect() as client:
        client.send(request("GET", "/", version=version))
        assert client.response().body == b"one two three four"


def test_write_sends_at_once(play: Play, live: Live) -> None:
    """The client has what was written before write() is called again."""
    go = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [PLAIN])
        write(b"one")
        assert go.wait(5)
        write(b"two")
        return []

    play(application)
    with live.connect() as client:
        client.send(request("GET", "/"))
        assert client.head().status == 200
        assert client.chunk() == b"one"
        go.set()
        assert client.chunk() == b"two"
        assert client.chunk() == b""


def test_write_with_a_length(play: Play, live: Live) -> None:
    """With Content-Length what is written is the body, without chunks."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [PLAIN, ("Content-Length", "10")])
        write(b"hello")
        return [b"world"]

    play(application)
    with live.connect() as client:
        for _ in range(2):
            response = client.get("/")
            assert (response.chunks, response.body) == (None, b"helloworld")


def test_only_write(play: Play, live: Live) -> None:
    """An application may write everything and return an empty iterable."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])(b"all")
        return []

    play(application)
    with live.connect() as client:
        assert client.get("/").body == b"all"
        assert client.get("/").body == b"all"


def test_nothing_written(play: Play, live: Live) -> None:
    """Empty writes send no bytes, and end no chunked body."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [PLAIN])
        for block in (b"", b"one", b"", b"two", b""):
            write(block)
        return [b""]

    play(application)
    with live.connect() as client:
        assert client.get("/").body == b"onetwo"
        assert client.get("/").body == b"onetwo"


def test_write_to_head(play: Play, live: Live) -> None:
    """What is written in answer to HEAD is not sent."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [PLAIN, ("Content-Length", "10")])
        write(b"hello")
        write(b"world")
        return []

    play(application)
    with live.connect() as client:
        client.send(request("HEAD", "/"))
        assert client.response("HEAD").value("Content-Length") == "10"
        assert client.get("/").body == b"helloworld"


@pytest.mark.parametrize("block", ["text", None, 5, ["list"]], ids=repr)
def test_write_takes_bytes(live: Live, block: object) -> None:
    """Anything but bytes is an error of the application, which it learns of."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [PLAIN])
        try:
            write(block)  # type: ignore[arg-type]
        except TypeError:
            return [b"TypeError"]
        return [b"taken"]

    live.play(application)
    assert live.get().body == b"TypeError"


def test_large_writes(play: Play, live: Live) -> None:
    """Writes that no socket takes at once arrive whole."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [PLAIN])
        for number in range(30):
            write(bytes([number]) * 100_000)
        return []

    play(application)
    assert live.get().body == b"".join(bytes([number]) * 100_000 for number in range(30))


def test_error_after_write(live: Live) -> None:
    """What was written cannot be taken back: the answer is cut short, and the client can tell."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])(b"hello")
        raise LookupError("lost")

    live.play(application)
    with pytest.raises(Truncated) as truncated:
        live.get()
    assert truncated.value.received == b"hello"


def test_write_of_an_ended_request(live: Live) -> None:
    """write() and start_response that an application has kept do not reach into a later request."""
    kept: list[Any] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not kept:
            kept.extend([start_response, start_response("200 OK", [PLAIN])])
            return [b"first"]
        start_response("200 OK", [PLAIN, ("X-Second", "yes")])
        with pytest.raises(RuntimeError):
            kept[1](b"stray")
        for exc_info in (None, (ValueError, ValueError(), None)):
            with pytest.raises(RuntimeError):
                kept[0]("404 Not Found", [PLAIN], exc_info)
        return [b"second"]

    live.play(application)
    with live.connect() as client:
        client.send(request("GET", "/"))
        assert client.response().body == b"first"
        client.send(request("GET", "/"))
        second = client.response()
        assert (second.status, second.body) == (200, b"second")
        assert second.values("X-Second") == ["yes"]


@pytest.mark.parametrize("size", [4, 100_000])
def test_write_behind_the_last_chunk(play: Play, live: Live, size: int) -> None:
    """In `close` of the result the body has ended: nothing comes between it and the next response."""
    errors: list[Exception] = []

    class Result:
        def __init__(self, write: Any) -> None:
            self.write = write

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"he", b"llo"])

        def close(self) -> None:
            try:
                self.write(b"x" * size)
            except Exception as error:
                errors.append(error)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return Result(start_response("200 OK", [PLAIN]))

    live.play(application)
    with live.connect() as client:
        for _ in range(2):
            assert client.get("/").body == b"hello"
        client.send(request("GET", "/", ("Connection", "close")))
        assert client.response().body == b"hello"
        assert client.rest() == b""
    assert len(errors) == 3


def test_write_of_another_thread(live: Live) -> None:
    """write() is refused to another thread, whose bytes could come in the middle of the end."""
    refused: list[bool] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [PLAIN])

        def stray() -> None:
            with pytest.raises(RuntimeError, match="another thread"):
                write(b"stray")
            refused.append(True)

        thread = threading.Thread(target=stray)
        thread.start()
        thread.join()
        write(b"hel")
        return [b"lo"]

    live.play(application)
    assert live.get().body == b"hello"
    assert refused
