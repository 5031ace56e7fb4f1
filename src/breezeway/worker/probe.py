"""Asks the application one question before its worker takes connections: the probe path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from breezeway.gateway.exchange import Exchange
from breezeway.gateway.file_wrapper import FileRange
from breezeway.http1.response import Encoder
from breezeway.worker.listener import Listener
from breezeway.worker.reactor import Reactor

HEALTHY: Final = range(200, 400)
"""The status codes of an application that is ready."""

BROKEN_OFF: Final = 500
"""Stands for whatever the head has said: a client would have no whole answer."""


class _Nowhere:
    """A transport that throws the response away."""

    watched = False
    began = 0.0

    def send(self, *pieces: bytes) -> None:
        """Do nothing."""

    send_block = send

    def send_last(self, data: bytes) -> None:
        """Do nothing."""

    def send_file(self, head: bytes, pieces: Sequence[bytes | FileRange]) -> None:
        """Do nothing."""

    def begins(self) -> None:
        """Do nothing: there is no body."""

    def uncork(self) -> None:
        """Do nothing."""

    def answers(self, exchange: object) -> bool:
        """Say yes: `write` is welcome."""
        return True


def probe(reactor: Reactor, listener: Listener, path: str) -> int:
    """Run the application on `GET path` in this thread; return the status of its answer."""
    raw = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: breezeway-probe\r\n\r\n"
    environ = reactor.parser.parse(raw.encode("latin-1"), reactor.base_environ(listener)).environ
    environ["REMOTE_ADDR"] = environ["REMOTE_PORT"] = ""
    environ["wsgi.early_hints"] = lambda headers: None
    environ["breezeway.client_disconnected"] = lambda: False
    exchange = Exchange(_Nowhere(), Encoder(), 0)
    exchange.run(reactor.application, environ)
    return BROKEN_OFF if exchange.aborted else exchange.status
