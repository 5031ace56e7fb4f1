"""Requests that test the patience of a server: late, long, refused, misused."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.testing import LiveServer

from ..applications import PLAIN, plain
from ..live import eventually
from ..wire.client import Client, request

LARGE = 3_000_000


def test_environ_of_the_application_is_its_own() -> None:
    """Whatever an application does to its environ, its request is logged and the next is served."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.clear()
        environ["HTTP_REFERER"] = 5
        start_response("200 OK", [PLAIN])
        return [b"ok"]

    with LiveServer(application, access_log=True) as server, Client(server.address) as client:
        for _ in range(3):
            assert client.get("/").body == b"ok"
        assert server.reactor.counters["internal_error"] == 0


def test_refused_upload_is_read_to_its_end() -> None:
    """RFC 9112 section 9.6: a refusal reaches a client that goes on sending megabytes."""
    with LiveServer(plain(), limit_body=1000) as server:
        for _ in range(5):
            with Client(server.address) as client:
                client.send(request("POST", "/", ("Content-Length", "20000000")))
                client.send(bytes(20_000_000))
                assert client.response().status == 413
                client.end()
                assert client.rest() == b""


def test_slow_client_after_a_pause() -> None:
    """The time limit for taking something begins with the bytes, not with the request."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        yield b"first"
        time.sleep(0.6)  # longer than the time limit
        yield bytes(LARGE)

    with (
        LiveServer(application, send_timeout=0.5, high_watermark=10_000_000) as server,
        Client(server.address, window=4096) as client,
    ):
        client.send(request("GET", "/"))
        assert client.head().status == 200
        assert client.chunk() == b"first"
        assert len(client.chunk()) == LARGE


def test_late_read_of_an_awaited_body() -> None:
    """The time limit of a body begins when the client is asked for it."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        time.sleep(0.6)  # longer than the time limit
        body = environ["wsgi.input"].read()
        start_response("200 OK", [PLAIN])
        return [body]

    with LiveServer(application, body_timeout=0.5) as server, Client(server.address) as client:
        client.send(request("POST", "/", ("Expect", "100-continue"), ("Content-Length", "5")))
        assert client.head().status == 100
        client.send(b"hello")
        assert client.response().body == b"hello"


def test_body_is_asked_for_once() -> None:
    """An application that tries again after a body did not come is told at once."""
    tries = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        for _ in range(3):
            try:
                environ["wsgi.input"].read()
            except OSError:
                tries.append(time.monotonic())
        start_response("200 OK", [PLAIN])
        return [b"late"]

    with LiveServer(application, limit_body=10) as server, Client(server.address) as client:
        client.send(request("POST", "/", ("Expect", "100-continue"), ("Content-Length", "5")))
        assert client.head().status == 100
        client.socket.shutdown(socket.SHUT_WR)
        eventually(lambda: len(tries) == 3, "three tries")


def test_root_path_beyond_ascii() -> None:
    """PEP 3333: SCRIPT_NAME is bytes told as latin-1, and comes off the front of PATH_INFO."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        return [f"{environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode("latin-1")]

    with (
        LiveServer(application, root_path="/été") as server,
        Client(server.address) as client,
    ):
        assert client.get("/%C3%A9t%c3%a9/a").body.decode() == "/été /a"
