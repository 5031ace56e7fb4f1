"""Expect: RFC 9110 section 10.1.1. The 100 goes out at the application's first read."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from wsgiref.types import InputStream, StartResponse, WSGIEnvironment

import pytest

from breezeway.http1.errors import ProtocolError
from breezeway.worker.baton import Baton
from breezeway.worker.connection import Connection

from ..applications import PLAIN, Recorder, plain
from ..live import Live, serving
from .client import Client, request

BODY = b"0123456789"
HEAD = request("POST", "/", ("Expect", "100-continue"), ("Content-Length", str(len(BODY))))
CHUNKED_HEAD = request("POST", "/", ("Expect", "100-continue"), ("Transfer-Encoding", "chunked"))


def continued(client: Client) -> None:
    """Read the 100."""
    interim = client.head()
    assert (interim.status, interim.fields) == (100, ())


def test_continue_at_the_first_read(live: Live) -> None:
    """RFC 9110 section 10.1.1: the 100 comes when the application reads, not before."""
    go = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        go.wait(5)
        body = environ["wsgi.input"].read(4)
        body += environ["wsgi.input"].read(-1)
        start_response("200 OK", [PLAIN])
        return [body]

    live.play(application)
    with live.connect() as client:
        client.send(HEAD)
        assert client.silent(0.05)
        go.set()
        continued(client)
        assert client.silent(0.02)
        client.send(BODY)
        response = client.response()
        assert response.body == BODY
        assert response.interim == ()
        live.play(plain(b"after"))
        assert client.get("/").body == b"after"


@pytest.mark.parametrize("read", ["read", "readline", "readlines", "iterate"])
def test_every_way_to_read_continues(live: Live, read: str) -> None:
    """RFC 9110 section 10.1.1: whichever method reads first."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        stream = environ["wsgi.input"]
        ways = {
            "read": stream.read,
            "readline": stream.readline,
            "readlines": lambda: b"".join(stream.readlines()),
            "iterate": lambda: b"".join(stream),
        }
        start_response("200 OK", [PLAIN])
        return [ways[read]()]

    live.play(application)
    with live.connect() as client:
        client.send(HEAD)
        continued(client)
        client.send(BODY)
        assert client.response().body == BODY


def test_chunked_body(live: Live) -> None:
    """RFC 9112 section 7.1: a chunked body that was waited for is decoded and framed as ever."""
    recorder = Recorder()
    live.play(recorder)
    with live.connect() as client:
        client.send(CHUNKED_HEAD)
        continued(client)
        client.send(b"a\r\n0123456789\r\n0\r\n\r\n")
        assert client.response().status == 200
        assert recorder.seen[0].body == BODY
        assert client.get("/").status == 200


def test_unread_body_is_not_asked_for(live: Live) -> None:
    """RFC 9110 section 10.1.1: an answer without reading sends no 100, and the server closes."""
    live.play(plain(b"no", status="403 Forbidden"))
    with live.connect() as client:
        client.send(HEAD)
        response = client.response()
        assert (response.status, response.interim) == (403, ())
        assert response.options() == {"close"}
        assert client.rest() == b""


def test_body_without_waiting(live: Live) -> None:
    """RFC 9110 section 10.1.1: a client need not wait for the 100."""
    recorder = Recorder()
    live.play(recorder)
    with live.connect() as client:
        for number in (1, 2, 3):
            client.send(HEAD + BODY)
            assert client.response().body == str(number).encode()
    assert [seen.body for seen in recorder.seen] == [BODY] * 3


def test_body_without_waiting_and_without_reading(live: Live) -> None:
    """RFC 9112 section 9.3: content that was not read is never taken for a request."""
    live.play(plain(b"no", status="403 Forbidden"))
    with live.connect() as client:
        client.send(HEAD + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[: len(BODY)])
        assert client.response().status == 403
        client.drip(request("GET", "/"))
        client.end()
        after = client.rest()
        assert after == b"" or after.startswith(b"HTTP/1.1 403 ")


def test_no_continue_without_content(live: Live) -> None:
    """RFC 9110 section 10.1.1: nothing is asked for where nothing will come."""
    live.play(Recorder())
    with live.connect() as client:
        response = client.get("/", ("Expect", "100-continue"))
        assert (response.status, response.interim) == (200, ())
        assert client.get("/").status == 200


def test_no_continue_to_1_0(live: Live) -> None:
    """RFC 9110 section 15.2: a 1.0 client is never sent an interim answer."""
    recorder = Recorder()
    live.play(recorder)
    with live.connect() as client:
        client.send(request("POST", "/", ("Expect", "100-continue"), version="1.0", body=BODY))
        response = client.response()
        assert (response.status, response.interim) == (200, ())
    assert recorder.seen[0].body == BODY


def test_other_expectation(live: Live) -> None:
    """RFC 9110 section 15.5.18: what the server cannot meet is 417, unread."""
    recorder = Recorder()
    live.play(recorder)
    with live.connect() as client:
        client.send(request("POST", "/", ("Expect", "coffee"), ("Content-Length", "10")))
        response = client.response()
        assert (response.status, response.interim) == (417, ())
        assert response.options() == {"close"}
        assert client.rest() == b""
    assert recorder.seen == []


def test_application_waits_for_a_slow_body(live: Live) -> None:
    """RFC 9110 section 10.1.1: the read returns when the body is there, however slowly it comes."""
    recorder = Recorder()
    live.play(recorder)
    with live.connect() as client:
        client.send(HEAD)
        continued(client)
        client.drip(BODY)
        assert client.response().status == 200
    assert recorder.seen[0].body == BODY


def test_client_leaves_in_place_of_the_body(live: Live) -> None:
    """PEP 3333: a body that never came is no empty body; the read raises, and is the end of it."""
    raised = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            environ["wsgi.input"].read(-1)
        except OSError:
            raised.set()
            raise
        start_response("200 OK", [PLAIN])
        return []

    live.play(application)
    with live.connect() as client:
        client.send(HEAD)
        continued(client)
        client.send(BODY[:5])
    assert raised.wait(5)


def test_body_that_breaks_after_the_continue(live: Live) -> None:
    """RFC 9112 section 7.1: a chunked body that breaks is refused, not cut off."""
    live.play(Recorder())
    with live.connect() as client:
        client.send(CHUNKED_HEAD)
        continued(client)
        client.send(b"5\r\nhelloXX\r\n0\r\n\r\n")
        response = client.response()
        assert response.status == 400
        assert response.options() == {"close"}
        assert client.rest() == b""


def test_body_that_does_not_follow_the_continue(log: pytest.LogCaptureFixture) -> None:
    """RFC 9110 section 15.5.9: a body that was asked for and stands still is told by a 408."""
    with serving(body_timeout=0.2) as live:
        live.play(Recorder())
        with live.connect() as client:
            client.send(HEAD)
            continued(client)
            client.send(BODY[:3])
            response = client.response()
            assert response.status == 408
            assert client.rest() == b""
    assert any("408" in record.getMessage() for record in log.records)


def test_only_thread_does_not_wait_for_a_body() -> None:
    """PEP 3333, wsgi.multithread: with one thread no call begins while another one reads."""
    recorder = Recorder()
    with serving(threads=1) as live:
        live.play(recorder)
        with live.connect() as client:
            client.send(HEAD)
            continued(client)
            assert live.get().status == 200
            assert len(recorder.seen) == 1
            client.send(BODY)
            assert client.response().status == 200


def test_chunked_body_has_its_length() -> None:
    """Applications go by CONTENT_LENGTH: a body in chunks is received before they are called."""
    recorder = Recorder()
    with serving() as live:
        live.play(recorder)
        with live.connect() as client:
            client.send(CHUNKED_HEAD)
            continued(client)
            client.send(b"3\r\nabc\r\n0\r\n\r\n")
            assert client.response().status == 200
    assert recorder.seen[0].environ["CONTENT_LENGTH"] == "3"


def test_body_is_not_asked_for_within_the_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor when another thread was about to ask for it as the response began."""
    asking, begun = threading.Event(), threading.Event()
    errors: list[Exception] = []

    def read(stream: InputStream) -> None:
        try:
            stream.read()
        except OSError as error:
            errors.append(error)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        reader = threading.Thread(target=read, args=(environ["wsgi.input"],))
        reader.start()
        asking.wait(20)
        start_response("200 OK", [PLAIN, ("Content-Length", "4")])(b"ab")
        begun.set()
        reader.join()
        return [b"cd"]

    def step_aside(self: Baton, call: object) -> None:
        asking.set()
        begun.wait(20)

    monkeypatch.setattr(Baton, "step_aside", step_aside)
    with serving() as live:
        live.play(application)
        with live.connect() as client:
            client.send(HEAD)
            assert client.response().body == b"abcd"
            assert client.rest() == b""
    assert len(errors) == 1


def test_body_that_comes_as_the_response_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body for another thread, that is complete while the response ends, is no second request."""
    received, ended = threading.Event(), threading.Event()
    calls: list[str] = []
    take_in, end_body = Connection._take_in, Connection._end_body

    def taking_in(self: Connection, data: bytes) -> bool | None:
        if data == BODY:
            received.set()
            ended.wait(0.1)
        return take_in(self, data)

    def ending_body(self: Connection) -> ProtocolError | None:
        refusal = end_body(self)
        if received.is_set():
            ended.set()
        return refusal

    def read(stream: InputStream) -> None:
        with contextlib.suppress(OSError, ValueError):
            stream.read()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        calls.append(environ["REQUEST_METHOD"])
        threading.Thread(target=read, args=(environ["wsgi.input"],)).start()
        received.wait(20)
        start_response("200 OK", [PLAIN])
        return [b"once"]

    monkeypatch.setattr(Connection, "_take_in", taking_in)
    monkeypatch.setattr(Connection, "_end_body", ending_body)
    with serving() as live:
        live.play(application)
        with live.connect() as client:
            client.send(HEAD)
            continued(client)
            client.send(BODY)
            assert client.response().body == b"once"
            client.end()
            assert client.rest() == b""
    assert calls == ["POST"]
