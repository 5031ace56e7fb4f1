"""Slow bodies: how slow they may be, and whose time it is. On one poller: the clocks are the same."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway.testing import LiveServer

from ..applications import PLAIN, Recorder, plain
from ..live import serving
from ..wire.client import Client, request
from ..wire.test_stream_body import STREAM, Reading, all_of_it, posted, so_much

CHUNKED = ("Transfer-Encoding", "chunked")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Capture what the server logs."""
    caplog.set_level(logging.DEBUG, "breezeway")
    return caplog


RATE = {"min_rate": 1000, "min_rate_after": 0.3}
RATED = {**STREAM, **RATE}


def drip_until_answered(client: Client, text: bytes = b"x", pause: float = 0.05) -> float:
    """Send so much again and again until the server answers; return for how long."""
    began = time.monotonic()
    while client.silent(pause):
        client.send(text)
        assert time.monotonic() - began < 5
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (posted(100_000, path="/"), b"x"),
        (request("POST", "/", CHUNKED), b"1\r\nx\r\n"),
        (request("POST", "/up", ("Content-Length", "100000")), b"x"),
    ],
    ids=["length", "chunked", "streamed"],
)
def test_too_slow(log: pytest.LogCaptureFixture, head: bytes, drop: bytes) -> None:
    """RFC 9110 section 15.5.9: a body slower than --min-rate on average is 408."""
    with LiveServer(Recorder(), **RATED) as server:
        with Client(server.address) as client:
            client.send(head)
            assert drip_until_answered(client, drop) >= 0.2
            response = client.response()
            assert (response.status, response.options()) == (408, {"close"})
            assert b"too slowly" in response.body
        assert server.reactor.counters["timeout.body_rate"] == 1
    assert any("too slowly" in record.getMessage() for record in log.records)


def test_fast_enough() -> None:
    """A body that has been fast may be slow for a while: the average counts."""
    recorder = Recorder()
    with serving(**RATE) as live:
        live.play(recorder)
        with live.connect() as client:
            client.send(posted(5000, path="/") + b"x" * 4000)
            assert client.silent(0.8)
            client.send(b"x" * 1000)
            assert client.response().status == 200


def test_no_minimum() -> None:
    """With --min-rate 0 a body may be as slow as --body-timeout allows."""
    with serving(min_rate=0, min_rate_after=0.1) as live:
        live.play(Recorder())
        with live.connect() as client:
            client.send(posted(10, path="/"))
            for _ in range(5):
                assert client.silent(0.1)
                client.send(b"xx")
            assert client.response().status == 200


@pytest.mark.parametrize("path", ["/", "/up"])
def test_time_of_the_application_does_not_count(path: str) -> None:
    """The clock runs from the time when the body was asked for, and not while nobody wants it."""
    go = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        stream = environ["wsgi.input"]
        go.wait(5)
        body = stream.read(5)
        time.sleep(0.5)  # longer than a body as slow as that may take: what the test is about
        body += stream.read()
        start_response("200 OK", [PLAIN])
        return [body]

    with serving(**RATED) as live:
        live.play(application)
        with live.connect() as client:
            fields = [("Content-Length", "10"), ("Expect", "100-continue")]
            client.send(request("POST", path, *fields))
            assert client.silent(0.6)
            go.set()
            assert client.head().status == 100
            client.send(b"01234")
            if path == "/up":
                assert client.silent(0.6)
            client.send(b"56789")
            assert client.response().body == b"0123456789"


def test_many_slow_bodies(log: pytest.LogCaptureFixture) -> None:
    """Clients that drip their bodies take no thread, and are all gone soon."""
    with serving(threads=1, min_rate=240, min_rate_after=0.5) as live:
        live.play(plain(b"ok"))
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(live.connect(deadline=10)) for _ in range(300)]
            for client in slow:
                client.send(posted(1000, path="/"))
            for client in slow:
                client.send(b"x")
            assert live.get("/").body == b"ok"
            assert [client.response().status for client in slow] == [408] * len(slow)


# --- of a body that is read as it comes ----------------------------------------------------------------


def test_body_that_stands_still() -> None:
    """RFC 9110 section 15.5.9: the time limit counts while the application waits, and not before."""
    with serving(threads=2, body_timeout=0.3, **STREAM) as live:
        application = Reading(all_of_it)
        live.play(application)
        with live.connect() as client:
            client.send(posted(10) + b"hello")
            assert application.called.wait(5)
            assert client.silent(0.9)  # the application's own time
            application.go.release()
            assert client.response().status == 408
            assert client.rest() == b""
        assert application.ended.wait(5)
        assert isinstance(application.error, OSError)


def test_time_for_the_client_is_not_the_applications() -> None:
    """--request-timeout counts the application's own time, not that in which it waits for a body."""
    with serving(threads=2, request_timeout=("0.6",), **STREAM) as live:
        application = Reading(so_much(1), so_much(1), so_much(1), all_of_it)
        live.play(application)
        application.go.release(4)
        with live.connect() as client:
            client.send(posted(4))
            for byte in (b"a", b"b", b"c", b"d"):
                assert client.silent(0.4)
                client.send(byte)
            assert client.response().body == b"4"


def test_request_timeout_in_a_stream() -> None:
    """--request-timeout ends an application that has its body and goes on for too long."""
    with serving(threads=2, request_timeout=("0.3",), **STREAM) as live:
        application = Reading(so_much(1), all_of_it)
        live.play(application)
        application.go.release(1)
        with live.connect() as client:
            client.send(posted(4) + b"a")
            assert client.response().status == 504
            assert client.rest() == b""
        application.go.release(1)
        assert application.ended.wait(10)
