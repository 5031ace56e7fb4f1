"""PEP 3333, 'The Server/Gateway Side': close() is called once, however a request ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN, plain
from ..live import Live, eventually
from ..wire.client import Client, Truncated, request
from .conftest import Play


class Closing:
    """An iterable that counts how often it is closed."""

    def __init__(self, blocks: Callable[[], Iterator[bytes]]) -> None:
        self._blocks = blocks
        self.closed = 0
        self.called = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks()

    def close(self) -> None:
        """Count."""
        self.closed += 1
        self.called.set()


def two_blocks() -> Iterator[bytes]:
    """Give two blocks."""
    yield from [b"hello", b"world"]


def no_blocks() -> Iterator[bytes]:
    """Give nothing."""
    yield from ()


def raises_at_once() -> Iterator[bytes]:
    """Fail before the first block."""
    raise LookupError("lost")
    yield b""


def raises_after_a_block() -> Iterator[bytes]:
    """Fail after the first block."""
    yield b"hello"
    raise LookupError("lost")


def exits_after_a_block() -> Iterator[bytes]:
    """Leave after the first block."""
    yield b"hello"
    raise SystemExit(1)


def gives_text() -> Iterator[Any]:
    """Give what is no bytes."""
    yield "hello"


def gives_text_later() -> Iterator[Any]:
    """Give what is no bytes after what is."""
    yield b"hello"
    yield "world"


def cannot_begin() -> Iterator[bytes]:
    """Fail where iter() is called."""
    raise LookupError("lost")


def closed_once(live: Live, closing: Closing) -> None:
    """Wait for the call, and check after another request that it was the only one."""
    assert closing.called.wait(5)
    live.play(plain(b"after"))
    assert live.get().body == b"after"
    assert closing.closed == 1


def returning(
    closing: Closing, status: str = "200 OK", fields: Iterable[tuple[str, str]] = (PLAIN,)
) -> Any:
    """Return an application that returns that iterable."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, list(fields))
        return closing

    return application


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("blocks", [two_blocks, no_blocks])
def test_good_ending(
    play: Play, live: Live, method: str, version: str, blocks: Callable[[], Iterator[bytes]]
) -> None:
    """close() is called when all is sent, also of nothing, and in answer to HEAD."""
    closing = Closing(blocks)
    play(returning(closing))
    assert live.send(request(method, "/", version=version), method).status == 200
    closed_once(live, closing)


def test_before_the_next_request(play: Play, live: Live) -> None:
    """close() is called at the end of the current request: the next on the connection comes after."""
    closings: list[Closing] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        assert all(closing.closed == 1 for closing in closings)
        closings.append(Closing(two_blocks))
        start_response("200 OK", [PLAIN])
        return closings[-1]

    play(application)
    with live.connect() as client:
        client.send(request("GET", "/") * 20)
        for _ in range(20):
            assert client.response().status == 200


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_no_content(play: Play, live: Live, status: str) -> None:
    """close() is called where no content may be sent."""
    closing = Closing(no_blocks)
    play(returning(closing, status, []))
    assert live.get().status == int(status[:3])
    closed_once(live, closing)


@pytest.mark.parametrize(
    "blocks",
    [
        raises_at_once,
        raises_after_a_block,
        exits_after_a_block,
        gives_text,
        gives_text_later,
        cannot_begin,
    ],
)
def test_error_in_the_iterable(live: Live, blocks: Callable[[], Iterator[bytes]]) -> None:
    """close() is called when the iterable fails, before or after the head has gone."""
    closing = Closing(blocks)
    live.play(returning(closing))
    try:
        status = live.get().status
    except Truncated:
        status = 500
    assert status == 500
    closed_once(live, closing)


@pytest.mark.parametrize("length", ["3", "7", "10", "100"])
def test_wrong_length(live: Live, length: str) -> None:
    """close() is called when the body does not fit its Content-Length."""
    closing = Closing(two_blocks)
    live.play(returning(closing, fields=[PLAIN, ("Content-Length", length)]))
    try:
        live.get()
    except Truncated:
        pass
    closed_once(live, closing)


def test_start_response_never_called(live: Live) -> None:
    """close() is called of an iterable that came without start_response."""
    closing = Closing(two_blocks)
    live.play(lambda environ, start_response: closing)
    assert live.get().status == 500
    closed_once(live, closing)


def test_after_write(live: Live) -> None:
    """close() is called of an iterable that comes after write()."""
    closing = Closing(two_blocks)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])(b"one ")
        return closing

    live.play(application)
    assert live.get().body == b"one helloworld"
    closed_once(live, closing)


@pytest.mark.parametrize("leave", [Client.close, Client.reset], ids=["close", "reset"])
def test_client_that_left(live: Live, leave: Callable[[Client], None]) -> None:
    """close() is called when nobody is there any more to send to."""

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    closing = Closing(endless)
    live.play(returning(closing))
    client = live.connect(window=4096)
    client.send(request("GET", "/"))
    assert client.head().status == 200
    leave(client)
    closed_once(live, closing)


@pytest.mark.parametrize("leave", [Client.close, Client.reset], ids=["close", "reset"])
def test_client_that_left_before_the_answer(live: Live, leave: Callable[[Client], None]) -> None:
    """close() is called when the client was gone before the first block."""
    called, go = threading.Event(), threading.Event()
    closing = Closing(two_blocks)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        called.set()
        go.wait(5)
        start_response("200 OK", [PLAIN])
        return closing

    live.play(application)
    client = live.connect()
    client.send(request("GET", "/"))
    assert called.wait(5)
    leave(client)
    go.set()
    closed_once(live, closing)


@pytest.mark.parametrize("base", [list, tuple])
def test_list_with_close(live: Live, base: type) -> None:
    """A subclass of list or tuple may have a close() as well."""
    closed = threading.Event()

    class Body(base):  # type: ignore[misc]
        def close(self) -> None:
            closed.set()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        return Body([b"hello"])

    live.play(application)
    assert live.get().body == b"hello"
    assert closed.wait(5)


def test_generator_is_finished(live: Live) -> None:
    """The `finally` of a generator runs, as its close() does that."""
    ended = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN, ("Content-Length", "5")])
        try:
            yield b"hello"
        finally:
            ended.set()

    live.play(application)
    assert live.get().body == b"hello"
    assert ended.wait(5)


@pytest.mark.parametrize("error", [LookupError, SystemExit, KeyboardInterrupt])
def test_close_that_raises(
    live: Live, log: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    """An error in close() is logged; the answer has gone out, and the server goes on."""

    class Failing(Closing):
        def close(self) -> None:
            super().close()
            raise error("at the very end")

    closing = Failing(two_blocks)
    live.play(returning(closing))
    try:
        assert live.get().body == b"helloworld"
    except Truncated as truncated:
        received = truncated.received
    else:
        received = b"helloworld"
    assert received == b"helloworld"
    closed_once(live, closing)
    eventually(
        lambda: any(
            "at the very end" in log.handler.format(record)
            for record in log.records
            if record.name.startswith("breezeway")
        ),
        "a log line",
    )
