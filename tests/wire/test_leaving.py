"""Clients that leave in the middle, politely or with a reset: the server goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN, Recorder, plain
from ..live import Live, eventually
from .client import Client, request

Leave = Callable[[Client], None]

POST = request("POST", "/", body=b"x" * 1000)
CHUNKED = request("POST", "/", ("Transfer-Encoding", "chunked")) + b"5\r\nhello\r\n0\r\n\r\n"

LARGE = b"x" * 5_000_000


@pytest.fixture(params=[Client.close, Client.reset], ids=["close", "reset"])
def leave(request: pytest.FixtureRequest) -> Leave:
    """Give both ways to leave."""
    return request.param


@pytest.mark.parametrize("size", [1, 10, 40, len(POST) - 1000, len(POST) - 500, len(POST) - 1])
def test_within_a_request(live: Live, leave: Leave, size: int) -> None:
    """RFC 9112 section 8: a request that stays incomplete never reaches the application."""
    recorder = Recorder()
    live.play(recorder)
    for _ in range(10):
        client = live.connect()
        client.send(POST[:size])
        leave(client)
    assert live.get("/after").status == 200
    assert [seen.environ["PATH_INFO"] for seen in recorder.seen] == ["/after"]


@pytest.mark.parametrize("cut", range(1, 12))
def test_within_chunks(live: Live, leave: Leave, cut: int) -> None:
    """RFC 9112 section 8: the same for a chunked body, wherever it ends."""
    recorder = Recorder()
    live.play(recorder)
    client = live.connect()
    client.send(CHUNKED[:-cut])
    leave(client)
    assert live.get("/after").status == 200
    assert [seen.environ["PATH_INFO"] for seen in recorder.seen] == ["/after"]


def test_between_requests(live: Live, leave: Leave) -> None:
    """RFC 9112 section 9.5: a client may leave whenever it likes."""
    live.play(plain(b"ok"))
    client = live.connect()
    assert client.get("/").status == 200
    leave(client)
    assert live.get("/").status == 200


def test_before_the_answer(live: Live, leave: Leave) -> None:
    """An answer that nobody takes hurts nobody."""
    called, go, closed = threading.Event(), threading.Event(), threading.Event()

    class Blocks:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"] * 100)

        def close(self) -> None:
            closed.set()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        called.set()
        go.wait(5)
        start_response("200 OK", [PLAIN])
        return Blocks()

    live.play(application)
    client = live.connect()
    client.send(request("GET", "/"))
    assert called.wait(5)
    leave(client)
    go.set()
    assert closed.wait(5)
    live.play(plain(b"ok"))
    assert live.get("/").body == b"ok"


def test_within_a_large_answer(live: Live, leave: Leave) -> None:
    """What is left of an answer goes with its client."""
    live.play(plain(LARGE))
    client = live.connect(window=4096)
    client.send(request("GET", "/"))
    assert client.head().status == 200
    leave(client)
    with live.connect() as other:
        assert other.get("/").body == LARGE


def test_within_a_stream(live: Live, leave: Leave) -> None:
    """PEP 3333: a stream whose client has left is closed, not run to its end."""
    ended = threading.Event()
    given = 0

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        nonlocal given
        start_response("200 OK", [PLAIN])
        try:
            while True:
                given += 1
                yield b"x" * 65536
        finally:
            ended.set()

    live.play(application)
    client = live.connect(window=4096)
    client.send(request("GET", "/"))
    assert client.head().status == 200
    leave(client)
    assert ended.wait(5)


def test_pipelined_rest_is_not_run(live: Live) -> None:
    """A client that reset its connection gets none of its later requests run for ever after."""
    first, go = threading.Event(), threading.Event()
    paths: list[str] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        paths.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/1":
            first.set()
            go.wait(5)
        start_response("200 OK", [PLAIN])
        return [b"x"]

    live.play(application)
    client = live.connect()
    client.send(b"".join(request("GET", f"/{number}") for number in range(1, 100)))
    assert first.wait(5)
    client.reset()
    go.set()
    assert live.get("/after").status == 200
    eventually(lambda: "/after" in paths, "the other request")
    assert len(paths) < 100


def test_many_at_once(live: Live, leave: Leave) -> None:
    """A crowd that leaves takes nobody along."""
    live.play(plain(b"ok"))
    crowd = [live.connect() for _ in range(100)]
    for number, client in enumerate(crowd):
        client.send(request("GET", "/")[: number or None])
    for client in crowd:
        leave(client)
    for _ in range(10):
        assert live.get("/").body == b"ok"
