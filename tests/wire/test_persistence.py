"""Persistent connections, pipelining, and who closes when: RFC 9112 section 9."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN, Recorder, plain, streamed
from ..live import Live, serving
from .client import Client, request


def echo_path(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the path."""
    start_response("200 OK", [PLAIN])
    return [environ["PATH_INFO"].encode("latin-1")]


def test_many_requests_on_one_connection(live: Live) -> None:
    """RFC 9112 section 9.3: an HTTP/1.1 connection persists until somebody closes it."""
    live.play(echo_path)
    with live.connect() as client:
        for number in range(50):
            response = client.get(f"/{number}")
            assert response.body == f"/{number}".encode()
            assert "close" not in response.options()


def test_pipelined_answers_come_in_order(live: Live) -> None:
    """RFC 9112 section 9.3.2: answers go out in the order of the requests."""
    live.play(echo_path)
    with live.connect() as client:
        client.send(b"".join(request("GET", f"/{number}") for number in range(200)))
        for number in range(200):
            assert client.response().body == f"/{number}".encode()


def test_pipelined_requests_wait_for_a_slow_one(live: Live) -> None:
    """RFC 9112 section 9.3.2: a fast answer never overtakes the slow one before it."""
    go = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            go.wait(5)
        return echo_path(environ, start_response)

    live.play(application)
    with live.connect() as client, live.connect() as other:
        client.send(request("GET", "/slow") + request("GET", "/fast"))
        assert other.get("/fast").body == b"/fast"
        assert client.silent(0.05)
        go.set()
        assert client.response().body == b"/slow"
        assert client.response().body == b"/fast"


def test_pipelined_bodies(live: Live) -> None:
    """RFC 9112 section 9.3.2: each request's body goes to that request."""
    recorder = Recorder()
    live.play(recorder)
    bodies = [b"", b"a", b"b" * 1000, b"GET / HTTP/1.1\r\n\r\n", b"c" * 300_000, b"d"]
    with live.connect() as client:
        client.send(b"".join(request("POST", "/", body=body) for body in bodies))
        for _ in bodies:
            assert client.response().status == 200
    assert [seen.body for seen in recorder.seen] == bodies


def test_close_is_answered_with_close(live: Live) -> None:
    """RFC 9112 section 9.6: the last answer says close, and the server closes after it."""
    live.play(echo_path)
    with live.connect() as client:
        response = client.get("/", ("Connection", "close"))
        assert response.options() == {"close"}
        assert client.rest() == b""


def test_close_after_several(live: Live) -> None:
    """RFC 9112 section 9.6: close ends the connection whenever it comes."""
    live.play(echo_path)
    with live.connect() as client:
        assert client.get("/").status == 200
        assert client.get("/", ("Connection", "close")).options() == {"close"}
        assert client.rest() == b""


def test_1_0_closes(live: Live) -> None:
    """RFC 9112 section 9.3: without keep-alive a 1.0 connection ends after the answer."""
    live.play(plain(b"hello"))
    with live.connect() as client:
        client.send(request("GET", "/", version="1.0"))
        response = client.response()
        assert response.body == b"hello"
        assert "keep-alive" not in response.options()
        assert client.rest() == b""


def test_1_0_keep_alive(live: Live) -> None:
    """RFC 9112 section 9.3: asked to, the server keeps a 1.0 connection and says so."""
    live.play(plain(b"hello"))
    with live.connect() as client:
        for _ in range(3):
            client.send(request("GET", "/", ("Connection", "keep-alive"), version="1.0"))
            response = client.response()
            assert response.body == b"hello"
            assert response.value("Content-Length") == "5"
            assert response.options() == {"keep-alive"}


def test_1_0_keep_alive_needs_a_length(live: Live) -> None:
    """RFC 9112 section 6.3: a body without a length ends with the connection, asked or not."""
    live.play(streamed(b"hello", b"world"))
    with live.connect() as client:
        client.send(request("GET", "/", ("Connection", "keep-alive"), version="1.0"))
        response = client.response()
        assert response.body == b"helloworld"
        assert "keep-alive" not in response.options()
        assert response.value("Content-Length") is None


def test_client_that_sends_no_more_is_answered(live: Live) -> None:
    """RFC 9112 section 9.6: a client that half-closes still reads its answers."""
    live.play(echo_path)
    with live.connect() as client:
        client.send(request("GET", "/1") + request("GET", "/2"))
        client.end()
        assert client.response().body == b"/1"
        assert client.response().body == b"/2"
        assert client.rest() == b""


def test_silent_client_is_no_error(live: Live) -> None:
    """RFC 9112 section 9.5: a connection that ends without a request is not answered."""
    with live.connect() as client:
        client.end()
        assert client.rest() == b""


@pytest.mark.parametrize("before", [b"", request("GET", "/")], ids=["fresh", "used"])
def test_idle_connection_is_closed(before: bytes) -> None:
    """RFC 9112 section 9.5: an idle connection ends after the time limit, without a word."""
    with serving(keep_alive_timeout=0.2) as live:
        live.play(plain(b"hello"))
        with live.connect() as client:
            if before:
                client.send(before)
                assert client.response().status == 200
            assert client.rest() == b""


def test_idle_limit_starts_anew() -> None:
    """RFC 9112 section 9.5: the limit counts from the last answer, not from the connection."""
    with serving(keep_alive_timeout=0.4) as live:
        live.play(plain(b"hello"))
        with live.connect() as client:
            for _ in range(4):
                assert client.silent(0.2)
                assert client.get("/").status == 200


def test_connections_do_not_mix(live: Live) -> None:
    """RFC 9112 section 9: what one connection sends half never shows in another."""
    recorder = Recorder()
    live.play(recorder)
    clients: list[Client] = [live.connect() for _ in range(5)]
    for half in (slice(0, 30), slice(30, None)):
        for number, client in enumerate(clients):
            client.send(request("POST", f"/{number}", body=b"%d" % number * 50)[half])
    for client in clients:
        assert client.response().status == 200
        client.close()
    seen = sorted((seen.environ["PATH_INFO"], seen.body) for seen in recorder.seen)
    assert seen == [(f"/{number}", b"%d" % number * 50) for number in range(5)]
