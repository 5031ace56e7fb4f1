"""The one question that an application is asked before its worker takes connections."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from breezeway.config.settings import Settings
from breezeway.worker import probe
from breezeway.worker.listener import Listener
from breezeway.worker.reactor import Reactor

from ..applications import PLAIN

StartResponse = Callable[..., Any]


def asked(application: Callable[..., Any], path: str = "/") -> int:
    """Return what an application answers its probe with."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        reactor = Reactor(application, [], Settings())
        try:
            return probe.probe(reactor, Listener(sock, "127.0.0.1:0"), path)
        finally:
            reactor.close()


def test_request() -> None:
    """It is a GET as from a client that nothing is known of."""
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        seen.update(environ, body=environ["wsgi.input"].read())
        environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
        seen["left"] = environ["breezeway.client_disconnected"]()
        start_response("204 No Content", [])
        return []

    assert asked(application, "/health?deep=1") == 204
    assert (seen["REQUEST_METHOD"], seen["PATH_INFO"], seen["QUERY_STRING"]) == (
        "GET",
        "/health",
        "deep=1",
    )
    assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == ("", "")
    assert seen["HTTP_HOST"] == "localhost"
    assert (seen["body"], seen["left"]) == (b"", False)


def large(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer with more than is copied behind a head."""
    start_response("200 OK", [PLAIN])
    return [bytes(100_000)]


def blocks(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
    """Answer in pieces."""
    start_response("200 OK", [PLAIN])
    yield b"a"
    yield bytes(100_000)


def sized(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
    """Answer in pieces whose length is told."""
    start_response("200 OK", [PLAIN, ("Content-Length", "2")])
    yield b"a"
    yield b"b"


def written(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer through `write`."""
    start_response("200 OK", [PLAIN])(b"a")
    return [b"b"]


def file(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer with a file."""
    start_response("200 OK", [PLAIN])
    content = Path(__file__).open("rb")  # noqa: SIM115  (the server closes it)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](content)
    return wrapped


@pytest.mark.parametrize("application", [large, blocks, sized, written, file])
def test_every_kind_of_answer(application: Callable[..., Any]) -> None:
    """However it is given."""
    assert asked(application) == 200


def broken(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
    """Raise in the middle of the body."""
    start_response("200 OK", [PLAIN])
    yield b"a"
    raise RuntimeError("no database today")


def short(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
    """Answer with less than was told."""
    start_response("200 OK", [PLAIN, ("Content-Length", "2")])
    yield b"a"


@pytest.mark.parametrize("application", [broken, short])
def test_answer_that_breaks_off(application: Callable[..., Any]) -> None:
    """It is a failure, whatever its head has said."""
    assert asked(application) == 500


@pytest.mark.parametrize(
    ("status", "healthy"), [(199, False), (200, True), (302, True), (399, True), (400, False)]
)
def test_healthy(status: int, healthy: bool) -> None:
    """It is 2xx or 3xx."""
    assert (status in probe.HEALTHY) is healthy
