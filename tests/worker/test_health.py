"""The health path: answered by the event loop, whatever the application does."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from breezeway.testing import LiveServer

from ..live import eventually
from ..wire.client import Client, request
from .driven import Driven, echo, get
from .parts import answers, asked, serving

HEALTH = "/-/health"


def test_answer() -> None:
    """It is 200 and `ok`, for GET and HEAD, and no cache keeps it; the rest is the application's."""
    with serving(2, health_path=HEALTH) as (server, _), Client(server.address) as client:
        answer = client.get(HEALTH)
        assert (answer.status, answer.body) == (200, b"ok\n")
        assert answer.value("Cache-Control") == "no-store"
        client.send(request("HEAD", HEALTH))
        answer = client.response("HEAD")
        assert (answer.status, answer.value("Content-Length")) == (200, "3")
        client.send(request("POST", HEALTH, body=b"x"))
        answer = client.response()
        assert (answer.status, answer.value("Allow")) == (405, "GET, HEAD")
        assert client.get(HEALTH + "?verbose").body == b"ok\n"
        assert client.get(HEALTH + "/").body == b"/-/health/"
        assert client.get("/hello").body == b"/hello"


def test_root_path() -> None:
    """The path is the one that clients ask for."""
    with (
        serving(2, health_path="/health", root_path="/shop") as (server, _),
        Client(server.address) as client,
    ):
        assert client.get("/health").body == b"ok\n"
        assert client.get("/shop/health").body == b"/health"


def test_all_threads_busy_and_the_queue_full() -> None:
    """It is answered when nothing else is."""
    with (
        serving(2, health_path=HEALTH, queue_limit=1) as (server, parts),
        asked(server, "/wait", 2) as busy,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(2):
            assert parts.entered.acquire(timeout=5)
        (queued,) = stack.enter_context(asked(server, "/queued"))
        eventually(lambda: len(server.reactor.baton._queue) == 1, "it waits")
        with Client(server.address) as client:
            for _ in range(3):
                assert client.get(HEALTH).body == b"ok\n"
            assert client.get("/hello").status == 503
        parts.go.set()
        assert [answer.status for answer in answers([*busy, queued])] == [200] * 3


@pytest.mark.parametrize("retires", [False, True], ids=["stops", "retires"])
def test_on_the_way_out(retires: bool) -> None:
    """A worker that stops, or leaves to others, says 503 to who asks on an open connection."""
    driven = Driven(echo, health_path=HEALTH)
    driven.reactor.stopping = True
    driven.reactor.retired_at = float(retires)
    driven.event(get(HEALTH))
    received = driven.client.recv(65536)
    assert received.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert received.endswith(b"\r\n\r\nstopping\n")
    driven.end()


def test_hosts() -> None:
    """It is answered for any host: load balancers ask by address."""
    settings = {"health_path": HEALTH, "allowed_hosts": ("example.org",)}
    with serving(2, **settings) as (server, _), Client(server.address) as client:
        assert client.get(HEALTH).body == b"ok\n"
        assert client.get("/hello").status == 421


def test_access_log(tmp_path: Path) -> None:
    """It leaves no line in the access log."""
    path = tmp_path / "access"
    with LiveServer(echo, health_path=HEALTH, access_log_file=str(path)) as server:
        with Client(server.address) as client:
            assert client.get(HEALTH).body == b"ok\n"
            assert client.get("/one").body == b"/one"
            assert client.get(HEALTH).body == b"ok\n"
            assert client.get("/two").body == b"/two"
        eventually(lambda: len(path.read_text().splitlines()) == 2, "two lines")
    lines = io.StringIO(path.read_text()).readlines()
    assert [line.split()[6] for line in lines] == ["/one", "/two"]


def test_limit_of_connections() -> None:
    """At the limit of connections one that idles makes room for who asks."""
    with (
        serving(2, health_path=HEALTH, limit_connections=3) as (server, _),
        contextlib.ExitStack() as stack,
    ):
        idle = [stack.enter_context(Client(server.address)) for _ in range(3)]
        for client in idle:
            assert client.get("/hello").status == 200
        with Client(server.address) as client:
            assert client.get(HEALTH).body == b"ok\n"
        assert idle[0].rest() == b""
        assert idle[1].get("/hello").status == 200
