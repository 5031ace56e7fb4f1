"""Limits on connections and on waiting, as clients meet them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from breezeway.testing import LiveServer

from .. import live as servers
from ..applications import plain
from ..live import eventually, serving
from .client import Client, Response, request
from .test_busy import Gate

ANSWER_SECONDS = 0.05
"""A request that is turned away is told so within this."""


def refused(client: Client) -> Response:
    """Check that a new connection is told 503 and closed."""
    response = client.response()
    assert response.status == 503
    assert (response.value("Retry-After") or "").isdigit()
    assert response.options() == {"close"}
    assert (response.value("Content-Type") or "").startswith("text/plain")
    assert response.value("Date")
    assert client.rest() == b""
    return response


def is_closed(client: Client) -> bool:
    """Whether the server has closed a connection in order."""
    return not client.silent(5) and client.rest() == b""


def test_idle_connection_makes_room(log: pytest.LogCaptureFixture) -> None:
    """At the limit the connection that has idled longest is closed, and the new one is served."""
    with serving(limit_connections=3) as live, ExitStack() as stack:
        live.play(plain(b"ok"))
        clients = [stack.enter_context(live.connect()) for _ in range(3)]
        for client in clients:
            assert client.get("/").body == b"ok"
        assert clients[0].get("/").body == b"ok"
        assert live.get().body == b"ok"
        assert is_closed(clients[1])
        for client in (clients[0], clients[2]):
            assert client.get("/").body == b"ok"
    assert any("idle connection closed for a new connection" in text for text in log.messages)


def test_connections_that_say_nothing_make_room() -> None:
    """A flood of connections without a request keeps nobody out."""
    with serving(limit_connections=5) as live, ExitStack() as stack:
        live.play(plain(b"ok"))
        for _ in range(20):
            stack.enter_context(live.connect())
        assert live.get().body == b"ok"


def test_no_connection_idles(log: pytest.LogCaptureFixture) -> None:
    """When all are at work a new connection is told 503, also if its request is there already."""
    gate = Gate()
    with serving(limit_connections=2, threads=2) as live, ExitStack() as stack:
        live.play(gate)
        busy = [stack.enter_context(live.connect()) for _ in range(2)]
        for client in busy:
            client.send(request("GET", "/wait"))
            assert gate.entered()
        for sent in (b"", request("GET", "/"), request("POST", "/", body=bytes(50_000))):
            with live.connect() as late:
                if sent:
                    late.send(sent)
                refused(late)
        gate.open()
        for client in busy:
            assert client.response().status == 200
        eventually(lambda: live.get().body == b"through", "they idle, and make room")
    assert any("this worker has its 2 connections" in text for text in log.messages)


def test_halves_of_requests_make_room(log: pytest.LogCaptureFixture) -> None:
    """Who fills the server with heads that never end keeps nobody out."""
    with serving(limit_connections=5) as live, ExitStack() as stack:
        live.play(plain(b"ok"))
        halves = [stack.enter_context(live.connect()) for _ in range(5)]
        for half in halves:
            half.send(b"GET / HTTP/1.1\r\n")
        began = time.monotonic()
        eventually(lambda: live.get().status == 200, "the first of them has gone")
        assert time.monotonic() - began > 0.5
        assert live.get().body == b"ok"
        assert refused(halves[0])
        for half in halves[3:]:
            half.send(b"Host: test\r\n\r\n")
            assert half.response().body == b"ok"
    assert any("half a request head closed for a new" in text for text in log.messages)


def test_answered_connections_make_room() -> None:
    """A client that does not close after its refusal keeps nobody out."""
    with serving(limit_connections=3) as live, ExitStack() as stack:
        live.play(plain(b"ok"))
        for _ in range(3):
            client = stack.enter_context(live.connect())
            client.send(b"no request\r\n\r\n")
            assert client.response().status == 400
        assert live.get().body == b"ok"


def test_limit_of_one_client(log: pytest.LogCaptureFixture) -> None:
    """Past its own limit a client's own connection that has idled longest goes; else it is told 503."""
    gate = Gate()
    with serving(limit_connections_per_client=2, threads=2) as live, ExitStack() as stack:
        live.play(gate)
        first, second = (stack.enter_context(live.connect()) for _ in range(2))
        assert first.get("/").status == second.get("/").status == 200
        third = stack.enter_context(live.connect())
        assert third.get("/").status == 200
        assert is_closed(first)
        for client in (second, third):
            client.send(request("GET", "/wait"))
            assert gate.entered()
        with live.connect() as late:
            refused(late)
        gate.open()
        for client in (second, third):
            assert client.response().status == 200
    assert any("has 2 connections to this worker already" in text for text in log.messages)


def test_other_addresses_are_other_clients() -> None:
    """The limit of one client is nobody else's."""
    with serving(limit_connections_per_client=1) as live, ExitStack() as stack:
        live.play(plain(b"ok"))
        for number in range(2, 12):
            client = socket.socket()
            stack.enter_context(client)
            client.bind((f"127.0.0.{number}", 0))
            client.settimeout(5)
            client.connect(live.address)
            client.sendall(request("GET", "/"))
            assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_unix_sockets_have_no_address(tmp_path: Path) -> None:
    """Whoever comes over a unix socket is a proxy: no limit of one client there."""
    path = f"{tmp_path}/web"

    def address(environ: dict[str, Any], start_response: Any) -> Any:
        told = environ["REMOTE_ADDR"] + environ["REMOTE_PORT"]
        return plain(told.encode())(environ, start_response)

    with (
        LiveServer(address, bind=(f"unix:{path}",), limit_connections_per_client=1),
        ExitStack() as stack,
    ):
        for _ in range(5):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(5)
            client.connect(path)
            client.sendall(request("GET", "/"))
            answer = client.recv(500)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"\r\nContent-Length: 0\r\n" in answer


def least_delay(attempt: Callable[[], float]) -> float:
    """Return the shortest of some delays: the machine may be busy with something else."""
    delays: list[float] = []
    while len(delays) < 10 and (not delays or min(delays) > ANSWER_SECONDS):
        delays.append(attempt())
    return min(delays)


def test_full_queue_answers_at_once() -> None:
    """What finds the queue full is told 503 within 50 ms."""
    gate = Gate()
    with serving(threads=1, queue_limit=0) as live, live.connect() as busy:
        live.play(gate)
        busy.send(request("GET", "/wait"))
        assert gate.entered()

        def attempt() -> float:
            with live.connect() as late:
                began = time.monotonic()
                late.send(request("GET", "/"))
                refused(late)
                return time.monotonic() - began

        assert least_delay(attempt) < ANSWER_SECONDS
        gate.open()
        assert busy.response().status == 200


@pytest.mark.parametrize("seconds", [0.1, 0.37])
def test_old_requests_are_answered_when_they_are_due(seconds: float) -> None:
    """What has waited as long as it may is told 503 within 50 ms of that."""
    gate = Gate()
    with serving(threads=1, queue_timeout=seconds) as live, live.connect() as busy:
        live.play(gate)
        busy.send(request("GET", "/wait"))
        assert gate.entered()

        def attempt() -> float:
            with live.connect() as late:
                began = time.monotonic()
                late.send(request("GET", "/"))
                refused(late)
                waited = time.monotonic() - began
                assert waited > seconds - 0.01
                return waited - seconds

        assert least_delay(attempt) < ANSWER_SECONDS
        gate.open()
        assert busy.response().status == 200


def test_refused_connection_that_stays() -> None:
    """A refused client that does not close is closed."""
    gate = Gate()
    with (
        LiveServer(gate, poller=servers.make_poller(), limit_connections=1, threads=1) as server,
        Client(server.address) as busy,
    ):
        busy.send(request("GET", "/wait"))
        assert gate.entered()
        with Client(server.address) as late:
            refused(late)
            eventually(lambda: not server.reactor.admission.refused, "it is closed")
        gate.open()
        assert busy.response().status == 200


def test_client_behind_a_proxy_protocol() -> None:
    """The limit is that of the client whom the header names, and not of the proxy."""
    gate = Gate()
    settings = {"proxy_protocol": ("127.0.0.0/8",), "limit_connections_per_client": 1}
    with serving(threads=2, **settings) as live, ExitStack() as stack:
        live.play(gate)

        def come(address: str, path: str) -> Client:
            client = stack.enter_context(live.connect())
            client.send(f"PROXY TCP4 {address} 192.0.2.9 1 80\r\n".encode())
            client.send(request("GET", path))
            return client

        first = come("192.0.2.1", "/wait")
        assert gate.entered()
        refused(come("192.0.2.1", "/"))
        assert come("192.0.2.2", "/").response().status == 200
        gate.open()
        assert first.response().status == 200
