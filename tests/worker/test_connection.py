"""A connection driven by hand: events in an order that a live server meets only now and then."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from breezeway.worker.deadlines import SLOT_SECONDS, Deadlines
from breezeway.worker.ending import (
    BODY,
    BUSY,
    CLOSED,
    DRAIN,
    HEAD,
    IDLE,
    LINGER,
    LINGER_SECONDS,
)
from breezeway.worker.gil import has_gil
from breezeway.worker.poller import HUP, IN, OUT, RDHUP, READABLE

from .driven import Driven, echo, get


@pytest.fixture
def driven() -> Iterator[Driven]:
    """Drive a connection to `echo`."""
    it = Driven(echo)
    yield it
    it.end()


def test_pipelined_request_comes_before_a_later_one(driven: Driven) -> None:
    """What was received first is answered first, though an event comes before it was looked at."""
    assert driven.event(get("/0"))  # from now on the head is known
    assert driven.event(get("/0") + get("/1"))
    assert driven.event(get("/0"))
    driven.settle()
    assert driven.bodies(4) == [b"/0", b"/0", b"/1", b"/0"]


def test_event_without_data_changes_nothing(driven: Driven) -> None:
    """An event of a descriptor's former owner finds nothing to read."""
    assert driven.connection.on_event(READABLE)
    assert driven.connection.state == IDLE
    assert driven.event(get("/0"))
    assert driven.bodies(1) == [b"/0"]


@pytest.mark.parametrize(("between", "state"), [(b"", IDLE), (b"\r\n", HEAD)])
def test_request_that_comes_as_the_connection_is_closed(
    driven: Driven, between: bytes, state: int
) -> None:
    """It is answered, although the event loop has not heard of it before."""
    assert driven.event(get("/0"))
    assert driven.event(between)
    driven.settle()
    now = time.monotonic()
    assert driven.connection.on_deadline(now) > now
    assert driven.connection.state == state
    driven.client.sendall(get("/1"))
    much_later = now + 1000
    assert driven.connection.on_deadline(much_later) >= much_later
    assert driven.connection.on_event(READABLE)
    driven.settle()
    assert driven.bodies(2) == [b"/0", b"/1"]
    assert driven.connection.on_deadline(much_later) == 0
    assert driven.connection.state == CLOSED


@pytest.mark.parametrize(("begun", "state"), [(20, HEAD), (52, BODY)])
def test_what_came_in_time_is_not_late(driven: Driven, begun: int, state: int) -> None:
    """When the event loop had no turn for longer than a time limit, it reads before it judges."""
    post = b"POST /0 HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nab"
    driven.reactor._tick(time.monotonic())
    assert driven.event(post[:begun])
    driven.settle()
    assert driven.connection.state == state
    driven.client.sendall(post[begun:])
    much_later = time.monotonic() + 1000
    driven.reactor._tick(much_later)
    assert driven.connection.on_event(READABLE)
    driven.settle()
    assert driven.bodies(1) == [b"/0"]
    driven.reactor._tick(much_later)
    assert driven.connection.state == CLOSED


def test_end_of_input_closes(driven: Driven) -> None:
    """A client that leaves at rest is forgotten."""
    driven.client.close()
    assert driven.connection.on_event(READABLE)
    assert driven.connection.state == CLOSED
    assert driven.reactor.connections() == []
    assert not driven.reactor.deadlines


def test_nothing_unread_is_forgotten() -> None:
    """What comes while a pipelined request waits is read, although its event was before that."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/0":
            assert driven.event(get("/2"))
            assert driven.connection.state == BUSY
        return echo(environ, start_response)

    driven = Driven(application)
    assert driven.event(get("/0") + get("/1"))
    driven.settle()
    assert driven.bodies(3) == [b"/0", b"/1", b"/2"]
    driven.end()


def test_end_of_input_comes_after_what_was_received() -> None:
    """Pipelined requests are answered although the client has ended its side meanwhile."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/0":
            driven.client.shutdown(socket.SHUT_WR)
            assert driven.connection.on_event(IN | OUT | RDHUP)
        return echo(environ, start_response)

    driven = Driven(application)
    assert driven.event(get("/0") + get("/1"))
    assert driven.connection.on_event(IN | OUT | RDHUP)
    driven.settle()
    assert driven.bodies(2) == [b"/0", b"/1"]
    assert driven.connection.state == CLOSED
    driven.end()


def test_event_of_who_had_the_descriptor_before() -> None:
    """An event of the turn in which a connection was accepted is that of a closed one: nobody has left."""
    driven = Driven(echo)
    assert driven.connection.on_event(IN | OUT | RDHUP)
    assert not driven.connection.client_disconnected()
    driven.reactor.now += 1
    assert driven.event(get("/0"), IN | OUT | RDHUP)
    assert driven.connection.client_disconnected()
    driven.end()


def test_end_of_input_in_the_turn_of_a_request(driven: Driven) -> None:
    """The client's end is noted also where a request of the same connection began in this turn."""
    driven.reactor.now += 1
    assert driven.event(get("/0"))
    driven.client.sendall(get("/1"))
    driven.client.shutdown(socket.SHUT_WR)
    assert driven.connection.on_event(IN | OUT | RDHUP)
    driven.settle()
    assert driven.bodies(2) == [b"/0", b"/1"]
    assert driven.connection.state == CLOSED


@pytest.mark.parametrize("extra", [b"", b"\r\n"], ids=["nothing", "empty line"])
def test_stop_answers_what_has_come(extra: bytes) -> None:
    """A connection at rest, an empty line of the next request or not, whose request is there unseen."""
    driven = Driven(echo)
    assert driven.event(get("/0") + extra)
    driven.settle()
    assert driven.bodies(1) == [b"/0"]
    driven.client.sendall(get("/1"))
    driven.connection.close_if_idle()
    assert driven.bodies(1) == [b"/1"]
    driven.end()


def test_retiring_worker_closes_only_after_it_has_said_so() -> None:
    """Who reads a response that is older than that has not been told, and may be about to ask again."""
    body = b"." * 1_000_000

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [body]

    def receive() -> bytes:
        received = b""
        while received.count(b".") < len(body):
            received += driven.client.recv(65536)
            driven.connection.on_event(OUT)
            driven.settle()
        return received

    driven = Driven(application)
    assert driven.event(get("/"))
    assert driven.connection.state == DRAIN
    driven.reactor.stopping, driven.reactor.retired_at = True, 1.0
    driven.reactor.encoder.close()
    assert b"\r\nConnection:" not in receive()
    assert driven.connection.state == IDLE
    assert driven.event(get("/"))
    assert b"\r\nConnection: close\r\n" in receive()
    assert driven.connection.state == LINGER
    driven.end()


def test_earlier_look_does_not_end_the_lingering(driven: Driven) -> None:
    """Input is thrown away for its time, also where another time limit has a look before."""
    connection = driven.connection
    began = time.monotonic()
    connection.last_active = began - 100  # it counts from the response on, however long that took
    assert driven.event(b"nonsense\r\n\r\n")
    assert connection.state == LINGER
    end = connection.last_active + LINGER_SECONDS
    assert end >= began + LINGER_SECONDS
    assert connection.on_deadline(end - 1) == end
    assert connection.state == LINGER
    assert connection.on_deadline(end) == 0
    assert connection.state == CLOSED


@pytest.mark.parametrize("early", [False, True], ids=["before the end", "before that is watched"])
def test_client_that_leaves_with_the_whole_response_has_not_left_early(
    early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system has taken by then is whole, although the thread is not through with it."""
    body = b"." * 1_000_000

    def take_all_and_leave(*_: object) -> None:
        received = b""
        while received.count(b".") < len(body):
            received += driven.client.recv(65536)
            driven.connection.on_event(OUT)
        driven.client.close()
        monkeypatch.undo()
        driven.connection.on_event(IN | OUT | RDHUP | HUP)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        write = start_response("200 OK", [("Content-Length", str(len(body)))])
        if early:
            monkeypatch.setattr(Deadlines, "schedule", take_all_and_leave)
        write(body)
        if not early:
            take_all_and_leave()
        return []

    driven = Driven(application, high_watermark=2 * len(body))
    assert driven.event(get("/"))
    assert driven.connection.state == CLOSED
    assert not driven.reactor.counters["aborted"]
    driven.end()


def test_limits_hold_for_the_second_head() -> None:
    """A head that differs from the last one in its request line alone may not be longer either."""
    driven = Driven(echo, limit_head=60, limit_request_line=100)
    assert driven.event(get("/0"))
    assert driven.bodies(1) == [b"/0"]
    assert driven.event(get("/" + "0" * 60))
    assert driven.client.recv(1000).startswith(b"HTTP/1.1 431 ")
    driven.end()


@pytest.mark.parametrize("kept", ["nothing", "start_response", "write"])
@pytest.mark.parametrize("timeout", [(), ("60",)])
def test_exchange_serves_again(kept: str, timeout: tuple[str, ...]) -> None:
    """An exchange serves again, unless somebody else holds it, it has a deadline, or there is no GIL."""
    held: list[object] = []
    seen: list[object] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        if not held and kept != "nothing":
            held.append(start_response if kept == "start_response" else write)
        seen.append(driven.connection.exchange)
        seen[-1] = id(seen[-1])  # and no reference
        return [b"hi"]

    driven = Driven(application, request_timeout=timeout)
    for path in ("/1", *["/2"] * 50):  # often enough for the interpreter to adapt its instructions
        assert driven.event(get(path))
        assert driven.bodies(1) == [b"hi"]
    first, *others = seen
    serves_again = not timeout and has_gil()
    assert (others[0] == first) == (kept == "nothing" and serves_again)
    assert (len(set(others)) == 1) == serves_again
    driven.end()


def test_refused_connection_is_closed_in_time(driven: Driven) -> None:
    """A client that stays after its refusal has a moment to read it, and need not try again soon."""
    assert driven.event(b"bad\r\n\r\n")
    answer = driven.client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Retry-After" not in answer
    assert driven.connection.state == LINGER
    driven.reactor.deadlines.advance(time.monotonic() + LINGER_SECONDS + SLOT_SECONDS)
    assert driven.connection.state == CLOSED


@pytest.mark.parametrize("turns", [1, 16])
def test_what_follows_a_refusal_is_thrown_away(
    driven: Driven, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection stays for the client to read its answer, whatever comes, until the client closes."""
    monkeypatch.setattr("breezeway.worker.ending.DISCARD_TURNS", turns)
    monkeypatch.setattr("breezeway.worker.ending.BODY_RECEIVE_BYTES", 2)
    assert driven.event(b"bad\r\n\r\nmore")
    driven.settle()
    for _ in range(3):
        assert driven.event(b"more")
        driven.settle()
        assert driven.connection.state == LINGER
    assert driven.client.recv(65536).startswith(b"HTTP/1.1 400 ")
    driven.client.shutdown(socket.SHUT_WR)
    driven.connection.on_event(READABLE)
    driven.settle()
    assert driven.connection.state == CLOSED


def test_client_that_takes_nothing_is_dropped() -> None:
    """Its connection ends with its time, for no event tells of it any more."""
    body = bytes(1_000_000)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [body]

    driven = Driven(application, high_watermark=2 * len(body))
    assert driven.event(get("/"))
    assert driven.connection.state == DRAIN
    assert driven.connection.on_deadline(time.monotonic() + 1000) == 0
    assert driven.connection.state == CLOSED
    assert driven.reactor.counters["timeout.send"] == 1
    driven.end()


class NextRequest:
    """A mutex after whose release the next request is under way at once, and loses its client."""

    def __init__(self, driven: Driven) -> None:
        self._driven = driven

    def __enter__(self) -> None:
        assert self._driven.connection.state == BUSY

    def __exit__(self, *_: object) -> None:
        assert self._driven.connection.state == IDLE
        self._driven.connection.state = BUSY
        self._driven.connection.gone = True


def test_a_thread_lets_go_of_a_connection_at_rest(driven: Driven) -> None:
    """What comes of the next request is not for the thread that has just answered the last one."""
    driven.connection.state = BUSY
    mutex = driven.reactor.mutex
    driven.reactor.mutex = NextRequest(driven)
    driven.connection._settle(close=False)
    driven.reactor.mutex = mutex
    assert driven.connection.state == BUSY
