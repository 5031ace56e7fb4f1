"""Clients that read slowly: the pace of each, and the memory for all of them."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway.testing import LiveServer
from breezeway.worker import slow_readers
from breezeway.worker.outbox import Outbox, rest_of
from breezeway.worker.slow_readers import Pace, Unsent

from ..applications import PLAIN
from ..live import eventually
from ..wire.client import Client, Truncated, request

BUFFER_BYTES = 8 * 1024
"""What the system keeps for a connection in these tests, twice: little, so that the server has to."""

BODY = bytes(range(250)) * 4000
"""A million bytes, which need an outbox."""


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer /1 with a million bytes, /3 with three, and so on; everything else at once."""
    start_response("200 OK", [PLAIN])
    name = environ["PATH_INFO"].strip("/")
    return [BODY * int(name)] if name.isdigit() else [b"hello"]


@contextmanager
def serving(app: Any = application, **settings: Any) -> Iterator[LiveServer]:
    """Serve through sockets with small buffers; nothing may be left of what was counted."""
    with LiveServer(app, **settings) as server:
        listener = server._listeners[0].socket
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        yield server
    assert server.reactor.unsent.total == 0
    assert server.reactor.unsent._readers == {}
    assert server.reactor.unsent._giant is None


def asking(server: LiveServer, target: str) -> Client:
    """Ask for something, and read no more than the head."""
    client = Client(server.address, window=4096, deadline=20)
    client.send(request("GET", target))
    assert client.head().status == 200
    return client


def drip(client: Client) -> None:
    """Read to the end, at 100,000 bytes a second."""
    while client.socket.recv(2000):
        time.sleep(0.02)  # this is the client's pace, not a wait for an event


class Clock:
    """A connection of which the system keeps as many bytes as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queued = 0
        monkeypatch.setattr(slow_readers, "queued", lambda _: self.queued)

    def pace(self) -> Pace:
        """Begin at second 100."""
        return Pace(self, 100.0)  # type: ignore[arg-type]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a connection for `Pace`."""
    return Clock(monkeypatch)


def test_pace_is_that_of_the_client(clock: Clock) -> None:
    """What the system keeps has not been taken; what it kept at the beginning comes to it."""
    clock.queued = 500
    pace = clock.pace()
    pace.wait(100.0)
    assert not pace.look(clock)  # type: ignore[arg-type]
    pace.sent += 2000
    clock.queued = 2500
    assert not pace.look(clock)  # type: ignore[arg-type]
    clock.queued = 1500
    assert pace.look(clock)  # type: ignore[arg-type]
    assert pace.taken == 1000
    assert pace.rate(110.0) == 100
    assert not pace.is_too_slow(100, 10, 110.0)
    assert pace.is_too_slow(101, 10, 110.0)
    assert not pace.is_too_slow(101, 10, 109.9)


def test_pace_counts_the_time_in_which_something_waits(clock: Clock) -> None:
    """An application that makes nothing is not the client's fault."""
    pace = clock.pace()
    pace.wait(100.0)
    pace.sent += 1000
    pace.look(clock)  # type: ignore[arg-type]
    pace.rest(101.0)
    pace.rest(150.0)
    assert pace.waited(200.0) == 1.0
    pace.wait(200.0)
    pace.wait(201.0)
    assert pace.waited(204.0) == 5.0
    assert pace.rate(204.0) == 200
    assert not pace.is_too_slow(240, 10, 204.0)
    assert pace.is_too_slow(240, 10, 209.0)


def test_pace_forgets(clock: Clock) -> None:
    """Who has taken a gigabyte at once may not rest for it."""
    pace = clock.pace()
    pace.wait(100.0)
    pace.sent += 10**9
    pace.look(clock)  # type: ignore[arg-type]
    assert not pace.is_too_slow(240, 10, 161.0)
    assert not pace.is_too_slow(240, 10, 170.0)
    assert pace.is_too_slow(240, 10, 172.0)


def test_rest_of() -> None:
    """What is left of a body keeps at most as many bytes again alive."""
    body = bytes(1000)
    view = rest_of(body, 400)
    assert (view.nbytes, view.obj is body) == (600, True)
    view = rest_of(view, 200)
    assert (view.nbytes, len(view.obj)) == (400, 400)  # type: ignore[arg-type]
    view = rest_of(view, 250)
    assert (view.nbytes, len(view.obj)) == (150, 150)  # type: ignore[arg-type]


def test_client_that_reads_too_slowly_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """A client that takes something now and then, but less than the rate, is dropped."""
    caplog.set_level(logging.WARNING, "breezeway")
    with serving(min_rate=200_000, min_rate_after=0.3) as server:
        with asking(server, "/1") as slow, pytest.raises(ConnectionResetError):
            drip(slow)
        assert server.reactor.counters["timeout.send_rate"] == 1
        assert any("takes less than 200000 bytes a second" in text for text in caplog.messages)


def test_client_that_reads_fast_enough_is_not(caplog: pytest.LogCaptureFixture) -> None:
    """Slower than the server, but above the rate: it gets all."""
    with serving(min_rate=100_000, min_rate_after=0.2, send_timeout=0.5) as server:
        with asking(server, "/1") as slow:
            received = b""
            while len(received) < len(BODY):
                received += slow.take(20_000)
                time.sleep(0.015)  # this is the client's pace, not a wait for an event
            assert received == BODY
        assert not server.reactor.counters


def rests(outbox: Outbox) -> bool:
    """Whether nothing is sent for a moment."""
    before = outbox.pace.sent
    time.sleep(0.05)  # the moment
    return outbox.pace.sent == before


def test_client_of_whom_only_the_system_knows() -> None:
    """Linux asks for more when much of its buffer has gone; until then the client reads all the same."""
    with LiveServer(application, send_timeout=0.3) as server:
        with asking(server, "/8") as slow:
            (connection,) = server.reactor.connections()
            eventually(lambda: bool(connection.outbox), "something waits")
            outbox = connection.outbox
            assert outbox is not None
            eventually(lambda: rests(outbox), "the socket is full")
            sent = outbox.pace.sent
            ends = time.monotonic() + 1.2
            received = 0
            while time.monotonic() < ends:
                received += len(slow.socket.recv(2000))
                time.sleep(0.05)  # this is the client's pace, not a wait for an event
            assert outbox.pace.sent == sent, "the buffer was not large enough for this test"
            assert outbox.pace.taken > 0
            received += len(slow.take(8 * len(BODY) - received))
        assert not server.reactor.counters


def test_stream_that_pauses(caplog: pytest.LogCaptureFixture) -> None:
    """The time in which the application makes nothing does not count."""
    go = threading.Event()

    def streamed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        yield BODY
        go.wait(5)
        yield b"end"

    with serving(streamed, min_rate=10**6, min_rate_after=0.3) as server:
        with asking(server, "/") as client:
            assert client.chunk()[:1] == b"\0"
            (connection,) = server.reactor.connections()
            eventually(lambda: not connection.outbox, "all of it sent")
            began = time.monotonic()
            assert client.silent(0.6)
            assert time.monotonic() - began > 0.5
            go.set()
            while block := client.chunk():
                assert block in (b"end", BODY)
        assert not server.reactor.counters


def test_memory_is_bounded() -> None:
    """Past the bound, those that are slow go, and the one who asks is served; at no time is it more."""
    limit = 4_500_000
    with serving(limit_unsent=limit) as server, ExitStack() as stack:
        unsent = server.reactor.unsent
        slow = [stack.enter_context(asking(server, "/1")) for _ in range(4)]
        eventually(lambda: unsent.total > 3_500_000, "four responses that wait")
        paces = [reader.pace for reader in unsent._readers]
        eventually(
            lambda: (
                time.monotonic() - max(pace.began for pace in paces) > slow_readers.YOUNG_SECONDS
            ),
            "they are known to be slow",
        )
        slow[2].take(100_000)
        late = stack.enter_context(asking(server, "/1"))
        eventually(lambda: server.reactor.counters["limit.unsent"] == 1, "one has gone")
        assert unsent.total <= limit
        assert late.take(len(BODY)) == BODY
        assert slow[2].take(len(BODY) - 100_000) == BODY[100_000:]
        lost = 0
        for client in (slow[0], slow[1], slow[3]):
            try:
                assert client.take(len(BODY)) == BODY
            except Truncated:
                lost += 1
        assert lost == 1
        eventually(lambda: unsent.total == 0, "nothing counted any more")


def test_what_one_takes_is_given_back(clock: Clock) -> None:
    """A response that outgrows the bound counts no more, and takes with it what was counted of it."""
    unsent = Unsent(100)
    sender: Any = None
    grown, small = Outbox(clock.pace()), Outbox(clock.pace())
    assert unsent.take(sender, grown, 60)
    assert unsent.total == 60
    assert unsent.take(sender, grown, 60)
    assert unsent.take(sender, grown, 10)
    assert unsent.total == 0
    assert unsent._readers == {}
    assert unsent.take(sender, small, 100)
    unsent.give(grown, 130)
    unsent.give(small, 100)
    assert (unsent.total, unsent._readers, unsent._giant) == (0, {}, None)


def test_slowest_goes_first(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what each has taken, in whatever order they came."""
    unsent = Unsent(100)
    dropped: list[int] = []

    class Reader:
        socket: Any = None

        def __init__(self, number: int, sent: int) -> None:
            self.number = number
            self.outbox = Outbox(clock.pace())
            self.outbox.pace.sent = sent
            self.outbox.pace.wait(100.0)

        def drop_slow(self, outbox: Outbox) -> None:
            assert outbox is self.outbox
            dropped.append(self.number)
            unsent.give(outbox, outbox.counted)

    readers: list[Any] = [Reader(number, sent) for number, sent in enumerate((500, 100, 300, 900))]
    for each in readers:
        assert unsent.take(each, each.outbox, 25)
    monkeypatch.setattr(slow_readers, "time", SimpleNamespace(monotonic=lambda: 200.0))
    late: Any = Reader(9, 0)
    late.outbox.pace.began = 200.0
    assert unsent.take(late, late.outbox, 50)
    assert dropped == [1, 2]


def test_who_has_just_begun_is_not_dropped_for_another() -> None:
    """While nobody is known to be slow, the one who would be too much goes."""
    with serving(limit_unsent=2_500_000) as server, ExitStack() as stack:
        first = [stack.enter_context(asking(server, "/1")) for _ in range(2)]
        eventually(lambda: server.reactor.unsent.total > 1_500_000, "both wait")
        late = stack.enter_context(asking(server, "/1"))
        with pytest.raises(Truncated):
            late.take(len(BODY))
        assert server.reactor.counters["limit.unsent"] == 1
        for client in first:
            assert client.take(len(BODY)) == BODY


def test_one_response_larger_than_the_bound() -> None:
    """It is let through, one at a time, and costs the others nothing."""
    with serving(limit_unsent=1_500_000) as server, ExitStack() as stack:
        small = stack.enter_context(asking(server, "/1"))
        large = stack.enter_context(asking(server, "/3"))
        eventually(lambda: server.reactor.unsent._giant is not None, "it waits")
        another = stack.enter_context(asking(server, "/3"))
        with pytest.raises(Truncated):
            another.take(len(BODY))
        assert small.take(len(BODY)) == BODY
        assert large.take(3 * len(BODY)) == 3 * BODY
        with asking(server, "/3") as again:
            assert again.take(3 * len(BODY)) == 3 * BODY
        assert server.reactor.counters["limit.unsent"] == 1


def test_large_response_gives_way_when_it_is_slow() -> None:
    """A slow one does not keep the next from being served."""
    with serving(limit_unsent=1_500_000) as server, ExitStack() as stack:
        slow = stack.enter_context(asking(server, "/3"))
        unsent = server.reactor.unsent
        eventually(lambda: unsent._giant is not None, "it waits")
        giant = unsent._giant
        assert giant is not None
        eventually(
            lambda: time.monotonic() - giant[0].pace.began > slow_readers.YOUNG_SECONDS,
            "it is slow",
        )
        with asking(server, "/3") as client:
            assert client.take(3 * len(BODY)) == 3 * BODY
        with pytest.raises(Truncated):
            slow.take(3 * len(BODY))


def test_slow_readers_cost_no_thread() -> None:
    """With two threads and fifty clients that read a kilobyte a second, others are served at once."""
    with serving(threads=2) as server, ExitStack() as stack:
        slow = [stack.enter_context(asking(server, "/1")) for _ in range(50)]
        other = stack.enter_context(Client(server.address, deadline=20))
        for _ in range(3):
            for client in slow:
                assert client.take(1000)
            for _ in range(10):
                began = time.perf_counter()
                assert other.get("/hello").body == b"hello"
                assert time.perf_counter() - began < 0.5
        assert server.reactor.baton.busy_threads <= 1
        assert server.reactor.unsent.total > 40 * len(BODY)
        for client in slow:
            assert client.take(len(BODY) - 3000) == BODY[3000:]
        assert not server.reactor.counters


def test_scan_is_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slowest are not looked for again for each response while there is nobody to drop."""
    scans = 0
    to_scan = Unsent._to_scan

    def count(self: Unsent, now: float) -> Any:
        nonlocal scans
        found = to_scan(self, now)
        scans += bool(found)
        return found

    monkeypatch.setattr(Unsent, "_to_scan", count)
    with serving(limit_unsent=1_200_000) as server, ExitStack() as stack:
        stack.enter_context(asking(server, "/1"))
        eventually(lambda: server.reactor.unsent.total > 500_000, "it waits")
        for _ in range(20):
            with asking(server, "/1") as late, pytest.raises(Truncated):
                late.take(len(BODY))
        assert scans <= 1
