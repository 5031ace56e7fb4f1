"""A connection whose event loop is the test: events in an order that is rare in a live server."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any

from breezeway.config.settings import Settings
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
        self.connection = self.reactor.connection(self.reactor, server, "", {"SCRIPT_NAME": ""})

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

    def end(self) -> None:
        """Close both ends."""
        self.client.close()
        self.connection.close()
        self.reactor.close()
