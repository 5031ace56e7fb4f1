"""PEP 3333, 'Buffering and Streaming': no block waits for the next."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN
from ..live import Live
from ..wire.client import request
from .conftest import Play

BLOCKS = [b"one", b"two", b"three"]


class Turns:
    """Gives a block at a time, each when the client has said that it has the one before."""

    def __init__(self) -> None:
        self._received = [threading.Event() for _ in BLOCKS]

    def __iter__(self) -> Iterator[bytes]:
        for block, received in zip(BLOCKS, self._received, strict=True):
            yield block
            assert received.wait(5)

    def received(self, number: int) -> None:
        """Say that the client has that block."""
        self._received[number].set()


def test_chunked(play: Play, live: Live) -> None:
    """The client has a block before the application is asked for the next one."""
    turns = Turns()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        yield from turns

    play(application)
    with live.connect() as client:
        client.send(request("GET", "/"))
        assert client.head().status == 200
        for number, block in enumerate(BLOCKS):
            assert client.chunk() == block
            turns.received(number)
        assert client.chunk() == b""


@pytest.mark.parametrize(("version", "length"), [("1.1", True), ("1.0", True), ("1.0", False)])
def test_not_chunked(play: Play, live: Live, version: str, length: bool) -> None:
    """The same with a Content-Length, and for a 1.0 client."""
    turns = Turns()
    fields = [PLAIN]
    if length:
        fields.append(("Content-Length", str(sum(map(len, BLOCKS)))))

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", fields)
        yield from turns

    play(application)
    with live.connect() as client:
        client.send(request("GET", "/", ("Connection", "close"), version=version))
        assert client.head().status == 200
        for number, block in enumerate(BLOCKS):
            assert client.take(len(block)) == block
            turns.received(number)
        assert client.rest() == b""


def test_own_iterator(play: Play, live: Live) -> None:
    """The same for any iterable, not for generators alone."""
    turns = Turns()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        return turns

    play(application)
    with live.connect() as client:
        client.send(request("GET", "/"))
        assert client.head().status == 200
        for number, block in enumerate(BLOCKS):
            assert client.chunk() == block
            turns.received(number)
        assert client.chunk() == b""


def test_several_streams_at_once(play: Play, live: Live) -> None:
    """Streams do not wait for each other."""
    all_turns = {f"/{number}": Turns() for number in range(4)}

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        return iter(all_turns[environ["PATH_INFO"]])

    play(application)
    clients = {path: live.connect() for path in all_turns}
    for path, client in clients.items():
        client.send(request("GET", path))
    for client in clients.values():
        assert client.head().status == 200
    for number, block in enumerate(BLOCKS):
        for path, client in clients.items():
            assert client.chunk() == block
            all_turns[path].received(number)
    for client in clients.values():
        assert client.chunk() == b""
        client.close()


@pytest.mark.parametrize("quick", [2, 3, 50])
def test_quick_blocks_are_not_kept_back(play: Play, live: Live, quick: int) -> None:
    """Blocks that follow each other at once arrive, though the application then takes its time."""
    received = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        for _ in range(quick):
            yield b"quick"
        assert received.wait(5)
        yield b"last"

    play(application)
    with live.connect() as client:
        for _ in range(3):  # also when the warden is alert
            received.clear()
            client.send(request("GET", "/"))
            assert client.head().status == 200
            for _ in range(quick):
                assert client.chunk() == b"quick"
            received.set()
            assert client.chunk() == b"last"
            assert client.chunk() == b""
