"""PEP 3333, 'Input and Error Streams': an application need not read the body of its request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN, plain
from ..live import Live
from ..wire.client import request
from .conftest import Play

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

LARGE = SMUGGLED * 30_000


def reading(size: int) -> Any:
    """Return an application that reads so many bytes and answers with the path."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        assert environ["PATH_INFO"] != "/smuggled"
        if size:
            environ["wsgi.input"].read(size)
        start_response("200 OK", [PLAIN])
        return [environ["PATH_INFO"].encode()]

    return application


def chunked(target: str, body: bytes) -> bytes:
    """Return a request with a body in chunks."""
    pieces = [body[at : at + 4000] for at in range(0, len(body), 4000)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return request("POST", target, ("Transfer-Encoding", "chunked")) + coded + b"0\r\n\r\n"


def sized(target: str, body: bytes) -> bytes:
    """Return a request with a body of known length."""
    return request("POST", target, body=body)


@pytest.mark.parametrize("framed", [sized, chunked])
@pytest.mark.parametrize("size", [0, 1, 20])
def test_small_rest_is_drained(play: Play, live: Live, framed: Any, size: int) -> None:
    """A small rest is read away, and the connection goes on where the next request begins."""
    play(reading(size))
    with live.connect() as client:
        for _ in range(3):
            client.send(framed("/1", SMUGGLED) + request("GET", "/2"))
            assert client.response().body == b"/1"
            assert client.response().body == b"/2"


@pytest.mark.parametrize("framed", [sized, chunked])
@pytest.mark.parametrize("size", [0, 20])
def test_large_rest_is_never_a_request(play: Play, live: Live, framed: Any, size: int) -> None:
    """A large rest is read away as well, or ends the connection; it is nothing else."""
    play(reading(size))
    with live.connect() as client:
        client.send(framed("/1", LARGE))
        response = client.response()
        assert response.body == b"/1"
        if "close" in response.options():
            assert client.rest() == b""
        else:
            assert client.get("/2").body == b"/2"


def test_small_rest_after_an_error(live: Live) -> None:
    """An application that fails before it reads leaves no rest behind either."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise LookupError("lost")

    with live.connect() as client:
        live.play(application)
        client.send(request("POST", "/", body=SMUGGLED))
        response = client.response()
        assert response.status == 500
        live.play(plain(b"after"))
        if "close" in response.options():
            assert client.rest() == b""
        else:
            assert client.get("/").body == b"after"


def test_unread_body_that_was_expected(live: Live) -> None:
    """A body that the client holds back until the 100 is not asked for when nobody reads it."""
    live.play(reading(0))
    with live.connect() as client:
        expect = ("Expect", "100-continue")
        client.send(request("POST", "/1", expect, ("Content-Length", str(len(LARGE)))))
        response = client.response()
        assert (response.body, response.interim) == (b"/1", ())
        assert response.options() == {"close"}
        assert client.rest() == b""
