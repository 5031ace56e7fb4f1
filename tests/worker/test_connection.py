"""A connection driven by hand: events in an order that a live server meets only now and then."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from breezeway.config.settings import Settings
from breezeway.worker.connection import Connection
from breezeway.worker.ending import CLOSED, IDLE
from breezeway.worker.poller import READABLE
from breezeway.worker.reactor import Reactor


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the path."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


def get(path: str) -> bytes:
    """Return a request."""
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()


class Driven:
    """A connection whose event loop is the test."""

    def __init__(self, application: Callable[..., Any], **settings: Any) -> None:
        self.client, server = socket.socketpair()
        self.client.settimeout(5)
        self.reactor = Reactor(application, [], Settings(**settings))
        self.connection = Connection(self.reactor, server, "", {})

    def event(self, data: bytes, event: int = READABLE) -> bool:
        """Send data and tell the connection that it is there."""
        self.client.sendall(data)
        return self.connection.on_event(event)

    def settle(self) -> None:
        """Do what the event loop does for connections that need no event."""
        while self.reactor.ready:
            assert self.reactor.ready.popleft().resume()

    def bodies(self, count: int) -> list[bytes]:
        """Receive the bodies of so many responses, each of which is two bytes long."""
        received = b""
        while received.count(b"\r\n\r\n") < count or received[-4:] == b"\r\n\r\n":
            received += self.client.recv(65536)
        return [part[:2] for part in received.split(b"\r\n\r\n")[1:]]


@pytest.fixture
def driven() -> Iterator[Driven]:
    """Drive a connection to `echo`."""
    it = Driven(echo)
    yield it
    it.client.close()
    it.connection.close()
    it.reactor.close()


def test_pipelined_request_comes_before_a_later_one(driven: Driven) -> None:
    """What was received first is answered first, though an event comes before it was looked at."""
    assert driven.event(get("/0"))  # from now on the head is known
    assert driven.event(get("/0") + get("/1"))
    assert driven.event(get("/0"))
    driven.settle()
    assert driven.bodies(4) == [b"/0", b"/0", b"/1", b"/0"]


def test_event_without_data_changes_nothing(driven: Driven) -> None:
    """An event of a descriptor's former owner finds nothing to read."""
    assert driven.connection.on_event(READABLE)
    assert driven.connection.state == IDLE
    assert driven.event(get("/0"))
    assert driven.bodies(1) == [b"/0"]


def test_end_of_input_closes(driven: Driven) -> None:
    """A client that leaves at rest is forgotten."""
    driven.client.close()
    assert driven.connection.on_event(READABLE)
    assert driven.connection.state == CLOSED
    assert driven.reactor.connections() == []
    assert not driven.reactor.deadlines
