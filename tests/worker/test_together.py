"""Responses that leave together: none waits for a call that takes its time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway.worker.baton import Baton

from ..applications import PLAIN
from ..live import serving
from ..wire.client import request
from .driven import Driven, get

ROUNDS = 30


def test_no_response_waits_for_a_slow_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that the kernel keeps for the end of the batch goes when a call in it is slow."""
    estimate = Baton._estimate

    def always_together(self: Baton, *calls: object) -> None:
        estimate(self, *calls)  # type: ignore[arg-type]
        self.together = 1000

    monkeypatch.setattr(Baton, "_estimate", always_together)
    go_on = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN, ("Content-Length", "2")])
        if environ["PATH_INFO"] == "/slow":
            assert go_on.wait(5)
        return single()

    def single() -> Iterator[bytes]:
        yield b"ok"

    with serving(threads=2) as live:
        live.play(application)
        with live.connect() as quick, live.connect() as slow:
            for _ in range(ROUNDS):
                go_on.clear()
                quick.send(request("GET", "/"))
                slow.send(request("GET", "/slow"))
                assert quick.response().body == b"ok"
                go_on.set()
                assert slow.response().body == b"ok"


def test_unix_socket_keeps_nothing() -> None:
    """On a unix socket, where the kernel joins nothing, no response waits to be pushed out."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN, ("Content-Length", "2")])
        yield b"ok"

    driven = Driven(application)
    driven.reactor.baton.together = 10
    assert driven.event(get("/"))
    assert driven.bodies(1) == [b"ok"]
    assert not driven.reactor.corked
    driven.end()
