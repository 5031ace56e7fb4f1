"""One live server for many tests: each sets the application that it needs.

Starting a server for each test would be slow, and would miss what one request does to the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.testing import LiveServer
from breezeway.worker.poller import Poller, best_poller

from .wire.client import DEADLINE_SECONDS, Client, Response

POLL_SECONDS = 0.002
"""Pause between two looks at a condition that nothing signals."""

make_poller: Callable[[], Poller] = best_poller
"""Makes the poller of each server; the tests on the wire run on more than one."""


class Stage:
    """The application that the server sees; it plays the one of the test."""

    application: WSGIApplication

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.application(environ, start_response)


class Live:
    """A running server."""

    def __init__(self, stage: Stage, address: tuple[str, int]) -> None:
        self._stage = stage
        self.address = address

    def play(self, application: Callable[..., Any]) -> None:
        """Serve this application from the next request on."""
        self._stage.application = application

    def connect(self, *, deadline: float = DEADLINE_SECONDS, window: int = 0) -> Client:
        """Open a connection."""
        return Client(self.address, deadline=deadline, window=window)

    def get(self, target: str = "/", *fields: tuple[str, str]) -> Response:
        """Ask for a target on a connection of its own."""
        with self.connect() as client:
            return client.get(target, *fields)

    def send(self, data: bytes, method: str = "GET") -> Response:
        """Send bytes on a connection of their own and return the first answer."""
        with self.connect() as client:
            client.send(data)
            return client.response(method)


@contextmanager
def serving(**settings: Any) -> Iterator[Live]:
    """Run a server with those settings."""
    stage = Stage()
    with LiveServer(stage, poller=make_poller(), **settings) as server:
        yield Live(stage, server.address)


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds, and fail when it does not in time."""
    ends = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > ends:
            raise AssertionError(f"not in time: {what}")
        time.sleep(POLL_SECONDS)
