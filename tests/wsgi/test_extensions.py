"""What the environ has beyond PEP 3333: early hints, the client's presence, the server's end, trailers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway.testing import LiveServer
from breezeway.worker.reactor import Reactor

from ..applications import PLAIN, Recorder, plain
from ..live import Live, eventually
from ..wire.client import Client, request
from .conftest import Play

LINK = ("Link", "</s.css>; rel=preload")


def hinting(*fields: Any) -> Any:
    """Return an application that sends those hints before its answer."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.early_hints"](list(fields))
        start_response("200 OK", [PLAIN])
        return [b"hello"]

    return application


def test_early_hints(play: Play, live: Live) -> None:
    """RFC 8297: the hints go out as a 103 before the answer."""
    play(hinting(LINK, ("Link", "</s.js>; rel=preload")))
    with live.connect() as client:
        for _ in range(2):
            response = client.get("/")
            assert (response.status, response.body) == (200, b"hello")
            assert [hint.status for hint in response.interim] == [103]
            assert response.interim[0].values("Link") == [LINK[1], "</s.js>; rel=preload"]
            assert response.value("Link") is None


def test_early_hints_come_early(live: Live) -> None:
    """RFC 8297: the client has the hints while the application still works on its answer."""
    go = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.early_hints"]([LINK])
        assert go.wait(5)
        start_response("200 OK", [PLAIN])
        return [b"hello"]

    live.play(application)
    with live.connect() as client:
        client.send(request("GET", "/"))
        assert client.head().status == 103
        go.set()
        assert client.response().body == b"hello"


def test_early_hints_of_another_thread(live: Live) -> None:
    """A thread that goes on after its request sends no hints in the next one's response, or behind it."""
    kept: list[Any] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not kept:
            kept.append(environ["wsgi.early_hints"])
        thread = threading.Thread(target=kept[0], args=([LINK],))
        thread.start()
        thread.join()
        start_response("200 OK", [PLAIN])
        return [b"hello"]

    live.play(application)
    with live.connect() as client:
        for _ in range(2):
            response = client.get("/")
            assert (response.body, response.interim) == (b"hello", ())


def test_early_hints_several_times(live: Live) -> None:
    """RFC 8297: there may be several 103."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.early_hints"]([LINK])
        environ["wsgi.early_hints"]([("Link", "</s.js>; rel=preload")])
        start_response("200 OK", [PLAIN])
        return [b"hello"]

    live.play(application)
    assert [hint.status for hint in live.get().interim] == [103, 103]


def test_no_early_hints_to_1_0(live: Live) -> None:
    """RFC 9110 section 15.2: a 1.0 client is never sent an interim answer; the call does nothing."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        hint = environ.get("wsgi.early_hints")
        if hint is not None:
            hint([LINK])
        start_response("200 OK", [PLAIN])
        return [b"hello"]

    live.play(application)
    response = live.send(request("GET", "/", version="1.0"))
    assert (response.body, response.interim) == (b"hello", ())


@pytest.mark.parametrize(
    "field",
    [
        ("Link", "a\r\nX-Evil: 1"),
        ("Link\r\nX-Evil", "1"),
        ("Link", "\u20ac"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "5"),
        ("Connection", "close"),
        ("Link", b"bytes"),
    ],
    ids=repr,
)
def test_early_hints_are_checked(live: Live, field: Any) -> None:
    """RFC 9112 section 11.1: hints are checked as the fields of an answer are."""
    live.play(hinting(field))
    response = live.get()
    assert (response.status, response.interim) == (500, ())


def test_client_is_there(play: Play, live: Live) -> None:
    """breezeway.client_disconnected says no while the client waits, and is a bool."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        gone = environ["breezeway.client_disconnected"]()
        start_response("200 OK", [PLAIN])
        return [repr(gone).encode()]

    play(application)
    with live.connect() as client:
        for _ in range(3):
            assert client.get("/").body == b"False"
        client.send(request("POST", "/", body=b"unread") + request("GET", "/"))
        assert client.response().body == b"False"
        assert client.response().body == b"False"


@pytest.mark.parametrize("leave", [Client.close, Client.reset], ids=["close", "reset"])
def test_client_has_gone(live: Live, leave: Callable[[Client], None]) -> None:
    """breezeway.client_disconnected says yes soon after the client has gone."""
    called, noticed = threading.Event(), threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        called.set()
        eventually(environ["breezeway.client_disconnected"], "the client has gone")
        noticed.set()
        start_response("200 OK", [PLAIN])
        return [b"too late"]

    live.play(application)
    client = live.connect()
    client.send(request("GET", "/"))
    assert called.wait(5)
    leave(client)
    assert noticed.wait(5)
    live.play(plain(b"after"))
    assert live.get().body == b"after"


def test_client_has_gone_from_a_stream(live: Live) -> None:
    """breezeway.client_disconnected works between blocks too."""
    noticed = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        yield b"hello"
        eventually(environ["breezeway.client_disconnected"], "the client has gone")
        noticed.set()

    live.play(application)
    with live.connect() as client:
        client.send(request("GET", "/"))
        assert client.head().status == 200
        assert client.chunk() == b"hello"
    assert noticed.wait(5)


def test_client_with_more_to_ask_is_there(live: Live) -> None:
    """breezeway.client_disconnected is not misled by requests that wait in the pipeline."""
    called, go = threading.Event(), threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        called.set()
        assert go.wait(5)
        gone = environ["breezeway.client_disconnected"]()
        start_response("200 OK", [PLAIN])
        return [repr(gone).encode()]

    live.play(application)
    with live.connect() as client:
        client.send(request("GET", "/"))
        assert called.wait(5)
        client.send(request("GET", "/") * 3)
        assert live_is_served(live)
        go.set()
        for _ in range(4):
            assert client.response().body == b"False"


def live_is_served(live: Live) -> bool:
    """Make the server look at its connections, by asking for something that it refuses itself."""
    return live.send(b"GET / HTTP/1.1\r\n\r\n").status == 400


@pytest.mark.parametrize("begin", [Reactor.stop, Reactor.retire], ids=["stop", "retire"])
def test_stopping(begin: Callable[[Reactor], None]) -> None:
    """breezeway.stopping says yes as soon as the server, or this worker, waits for its last requests."""
    called = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        before = environ["breezeway.stopping"]()
        called.set()
        eventually(environ["breezeway.stopping"], "the server stops")
        start_response("200 OK", [PLAIN])
        return [repr(before).encode()]

    with LiveServer(application) as server, Client(server.address) as client:
        client.send(request("GET", "/"))
        assert called.wait(5)
        begin(server.reactor)
        assert client.response().body == b"False"


def test_trailers(live: Live) -> None:
    """breezeway.trailers is a list of names and values, there if the request had trailers."""
    recorder = Recorder()
    live.play(recorder)
    with live.connect() as client:
        head = request("POST", "/", ("Transfer-Encoding", "chunked"))
        client.send(head + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n")
        assert client.response().status == 200
        client.send(head + b"5\r\nhello\r\n0\r\n\r\n")
        assert client.response().status == 200
    trailers = recorder.seen[0].environ["breezeway.trailers"]
    assert type(trailers) is list
    assert [(name.lower(), value) for name, value in trailers] == [("x-sum", "1"), ("x-sum", "2")]
    assert "breezeway.trailers" not in recorder.seen[1].environ
