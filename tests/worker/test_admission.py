"""Which connections are let in: whose are counted together, and who goes for a new one."""

from __future__ import annotations

import errno
import math
import os
import socket
import time
from typing import Any

import pytest

from breezeway.config.settings import Settings
from breezeway.http1.errors import ProtocolError
from breezeway.testing import LiveServer
from breezeway.worker.admission import (
    KEEP_SECONDS,
    PAID_PART,
    REFUSED_KEPT,
    REFUSED_SECONDS,
    SCAN_SHARE,
    Admission,
    client_of,
)
from breezeway.worker.connection import Connection
from breezeway.worker.ending import LINGER
from breezeway.worker.poller import READABLE
from breezeway.worker.proxied_layer import ProxiedLayer
from breezeway.worker.reactor import Reactor

from ..live import eventually
from ..wire.client import Client
from .driven import echo, get


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "::ffff:c000:201", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::1", True),
        ("fe80::1", "fe80::2", False),
        ("unknown:x", "unknown:y", False),
    ],
)
def test_client_of(one: str, other: str, same: bool) -> None:
    """An IPv4 address is a client, however it is written; of IPv6 the /64, but for neighbours."""
    assert (client_of(one) == client_of(other)) is same


class Door:
    """An admission, and connections through it; the test is the event loop."""

    def __init__(self, **settings: Any) -> None:
        self.reactor = Reactor(echo, [], Settings(**settings))
        self.admission: Admission = self.reactor.admission
        self.clients: list[socket.socket] = []
        self.connections: list[Connection] = []

    def come(self, address: str = "192.0.2.1") -> Connection | None:
        """Let a client come."""
        client, server = socket.socketpair()
        client.settimeout(5)
        self.clients.append(client)
        owner = self.admission.admit(server, (address, 1), plain=True)
        if owner is None:
            return None
        self.reactor.now = time.monotonic()
        connection = Connection(self.reactor, server, "", {})
        connection.owner = owner
        self.connections.append(connection)
        return connection

    def must_come(self, address: str = "192.0.2.1") -> Connection:
        """Let a client come, who is let in."""
        connection = self.come(address)
        assert connection is not None
        return connection

    def count(self, kind: str) -> int:
        """Return a counter."""
        return self.reactor.counters[kind]

    def close(self) -> None:
        """Close everything."""
        for client in self.clients:
            client.close()
        for connection in self.connections:
            connection.close()
        self.admission.close()
        self.reactor.close()


@pytest.fixture
def door(request: pytest.FixtureRequest) -> Any:
    """Give a door for three connections, two of each client, or with other settings."""
    limits = {"limit_connections": 3, "limit_connections_per_client": 2}
    found = Door(**{**limits, **getattr(request, "param", {})})
    yield found
    found.close()


def test_longest_idle_goes_first(door: Door) -> None:
    """At the limit the connection that has idled longest makes room, request after request."""
    a, b, c = (door.must_come(f"192.0.2.{number}") for number in range(3))
    door.reactor.now = time.monotonic()
    door.clients[0].sendall(get("/a"))
    a.on_event(5)
    assert door.come("192.0.2.8")
    assert b not in door.reactor.connections()
    assert a in door.reactor.connections()
    assert door.come("192.0.2.9")
    assert c not in door.reactor.connections()
    assert door.count("limit.idle") == 2
    assert door.count("limit.connections") == 0
    assert len(door.reactor.connections()) == 3


def test_no_request_is_lost(door: Door) -> None:
    """A connection on which a request has just come does not idle; 503 is the answer then."""
    for number in range(3):
        assert door.come(f"192.0.2.{number}")
        door.clients[number].sendall(get("/"))
    assert door.come("192.0.2.9") is None
    answer = door.clients[3].recv(65536)
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 1\r\n" in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert door.clients[3].recv(1) == b""
    assert door.count("limit.connections") == 1
    assert all(connection.on_event(5) for connection in door.connections)
    assert all(door.clients[number].recv(99).startswith(b"HTTP/1.1 200") for number in range(3))


def test_answered_connection_goes_with_its_input(door: Door) -> None:
    """Who goes on sending behind the last answer keeps nobody out."""
    answered, *busy = (door.must_come(f"192.0.2.{number}") for number in range(3))
    answered.state = LINGER
    for client in door.clients:
        client.sendall(b"more")
    assert door.come("192.0.2.9")
    assert answered not in door.reactor.connections()
    assert door.count("limit.lingering") == 1
    assert all(each in door.reactor.connections() for each in busy)


def test_closed_connections_pay_for_a_scan(door: Door) -> None:
    """A new connection is not refused for the time that a scan takes while there are some that idle."""
    for number in range(4):
        door.must_come(f"192.0.2.{number}")
    door.admission._next_scan = math.inf
    for number in range(4, 10):
        door.must_come(f"192.0.2.{number}")
    assert door.count("limit.connections") == 0


def test_what_a_scan_has_found_is_forgotten(door: Door) -> None:
    """It would keep connections that are closed."""
    for number in range(4):
        door.must_come(f"192.0.2.{number}")
    door.admission.advance(time.monotonic())
    assert door.admission._idle
    assert door.admission._idle_of == {}
    door.must_come("192.0.2.3")
    door.must_come("192.0.2.3")
    assert door.admission._idle_of
    door.admission.advance(time.monotonic() + KEEP_SECONDS)
    assert not door.admission._idle
    assert not door.admission._idle_of


def test_own_idle_connection_goes_first(door: Door) -> None:
    """A client past its own limit loses its own connections, and nobody else's."""
    other = door.come("192.0.2.7")
    first, second, third = (door.must_come() for _ in range(3))
    assert [each in door.reactor.connections() for each in (other, first, second, third)] == [
        True,
        False,
        True,
        True,
    ]
    door.clients[2].sendall(b"G")
    door.clients[3].sendall(b"G")
    assert door.come() is None
    assert door.clients[-1].recv(12) == b"HTTP/1.1 503"
    assert door.count("limit.client") == 1
    assert other in door.reactor.connections()


@pytest.mark.parametrize(
    "door",
    [
        {"limit_connections_per_client": 0},
        {"trusted_proxies": ("192.0.2.0/24",)},
        {"proxy_protocol": ("192.0.2.0/24",)},
    ],
    indirect=True,
    ids=["no limit", "trusted", "named later"],
)
def test_not_counted(door: Door) -> None:
    """Without a limit, and from proxies, any number may come."""
    for _ in range(3):
        door.must_come()
    assert door.count("limit.client") == 0
    assert door.admission._counts == {}


def test_counts_end_with_the_connections(door: Door) -> None:
    """What is remembered about clients is no more than there are connections."""
    for number in range(50):
        connection = door.come(f"192.0.2.{number}")
        assert connection
        connection.close()
        connection.close()
    assert door.admission._counts == {}


@pytest.mark.parametrize("door", [{"proxy_protocol": ("10.0.0.0/8",)}], indirect=True)
def test_client_that_a_proxy_names(door: Door) -> None:
    """A connection counts for the client whom the PROXY header names, once that is known."""
    first, second, third = (door.must_come("10.0.0.1") for _ in range(3))
    door.admission.move(first, "192.0.2.1")
    door.admission.move(second, "192.0.2.1")
    for client in door.clients[:2]:
        client.sendall(b"x")
    with pytest.raises(ProtocolError):
        door.admission.move(third, "192.0.2.1")
    assert door.count("limit.client") == 1
    door.admission.move(third, "192.0.2.2")
    for each in (first, second, third):
        each.close()
    assert door.admission._counts == {}


def test_empty_line_is_no_half_of_a_head(door: Door) -> None:
    """Some clients send one after a body: the connection idles all the same, and hears nothing more."""
    connection = door.must_come()
    door.clients[0].sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na\r\n")
    connection.on_event(READABLE)
    while door.reactor.ready:
        door.reactor.ready.popleft().resume()
    assert door.admission.close_idle()
    answer = b""
    while piece := door.clients[0].recv(1000):
        answer += piece
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b" 503 " not in answer
    assert door.count("limit.idle") == 1


@pytest.mark.parametrize("door", [{}], indirect=True)
def test_half_a_head_behind_a_proxy(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who goes for another is told so behind a PROXY header, too: it understands an answer."""
    monkeypatch.setattr("breezeway.worker.admission.SLOW_HEAD_SECONDS", 0.0)
    client, server = socket.socketpair()
    client.settimeout(5)
    with client:
        connection = Connection(door.reactor, ProxiedLayer(server, ""), "", {"SCRIPT_NAME": ""})
        client.sendall(b"PROXY TCP4 192.0.2.1 10.0.0.1 5555 80\r\nGET / HTTP/1.1\r\n")
        connection.on_event(READABLE)
        while door.reactor.ready:
            door.reactor.ready.popleft().resume()
        assert door.admission.close_idle()
        assert client.recv(1000).startswith(b"HTTP/1.1 503 ")
        assert client.recv(1) == b""


@pytest.mark.parametrize("door", [{"limit_connections": 1}], indirect=True)
def test_no_answer_before_a_handshake(door: Door) -> None:
    """A client that speaks TLS could not read it: it is closed, and that is all."""
    door.must_come()
    door.clients[0].sendall(b"x")
    client, server = socket.socketpair()
    with client:
        assert door.admission.admit(server, ("192.0.2.2", 1), plain=False) is None
        assert client.recv(1) == b""
    assert server.fileno() == -1
    assert not door.admission.refused


@pytest.mark.parametrize("door", [{"limit_connections": 1}], indirect=True)
def test_refused_connections_are_bounded(door: Door) -> None:
    """Refused clients have a moment to read their answer, so many at a time."""
    assert door.come("192.0.2.7")
    door.clients[0].sendall(b"x")
    for number in range(REFUSED_KEPT + 10):
        assert door.come(f"192.0.2.{number}") is None
    door.admission.advance(door.reactor.now + REFUSED_SECONDS / 2)
    assert len(door.admission.refused) == REFUSED_KEPT
    door.admission.advance(door.reactor.now + REFUSED_SECONDS)
    assert not door.admission.refused


@pytest.mark.parametrize("door", [{"limit_connections": 2000}], indirect=True)
def test_scans_are_rare(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of new connections costs few scans, whether one of the others idles or none."""
    scans: list[float] = []
    scan = Admission._scan

    def timed(self: Admission, now: float) -> None:
        began = time.perf_counter()
        scan(self, now)
        scans.append(time.perf_counter() - began)

    monkeypatch.setattr(Admission, "_scan", timed)
    door.admission.limit = 50
    for number in range(50):
        assert door.come(f"192.0.2.{number}")
    for number in range(500):
        assert door.come(f"198.51.100.{number}")
    assert len(scans) <= 500 * PAID_PART / 50 + 2
    busy = door.reactor.connections()
    for connection in busy:
        connection.state = 1
    scans.clear()
    began = time.perf_counter()
    for number in range(500):
        assert door.come(f"198.51.100.{number}") is None
    took = time.perf_counter() - began
    assert sum(scans) <= 2 * SCAN_SHARE * took + max(scans)
    for connection in busy:
        connection.state = 0


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.ENOMEM])
def test_connection_that_cannot_be_watched(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Where the system has no room to watch a connection, it is closed, and the next one is served."""
    with LiveServer(echo) as server:
        reactor = server.reactor
        add = reactor.poller.add

        def refuse(fd: int) -> None:
            monkeypatch.setattr(reactor.poller, "add", add)
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(reactor.poller, "add", refuse)
        with Client(server.address) as unlucky:
            assert unlucky.rest() == b""
        with Client(server.address) as client:
            assert client.get("/next").body == b"/next"
        assert reactor.counters["accept.failed"] == 1
        eventually(lambda: not reactor.connections(), "all of them gone")
        assert reactor.admission._counts == {}


def test_accept_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a connection that waits (accept(2)) costs that connection alone."""
    with LiveServer(echo) as server:
        acceptor = server.reactor.acceptors.each[0]
        accept = acceptor.listener.socket._accept
        failures = [errno.EPROTO, errno.ENETDOWN, errno.EPERM]

        class Socket:
            fileno = acceptor.listener.socket.fileno

            @staticmethod
            def _accept() -> Any:
                if failures:
                    raise OSError(failures.pop(), "it failed")
                return accept()

        class Listener:
            socket = Socket
            spec = acceptor.listener.spec
            close = acceptor.listener.close

        monkeypatch.setattr(acceptor, "listener", Listener)
        with Client(server.address) as client:
            assert client.get("/next").body == b"/next"
        assert server.reactor.counters["accept.failed"] == 3
