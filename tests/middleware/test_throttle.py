"""Throttle: so many at once, in turn, and no slot is ever lost."""

from __future__ import annotations

import io
import os
import random
import re
import threading
import time
from collections.abc import Callable
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from breezeway.middleware import Throttle
from breezeway.testing import LiveServer

from ..wire.client import Client
from .calling import Counted, call, make_environ

DEADLINE_SECONDS = 20.0
FREE = (0, 0)


class Gate:
    """An application that is inside until it is let go, and writes down who was there."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.most = 0
        self.order: list[str] = []
        self.go = threading.Semaphore(0)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.order.append(environ["PATH_INFO"])
        assert self.go.acquire(timeout=DEADLINE_SECONDS)
        with self.lock:
            self.inside -= 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]


class Caller:
    """A request in a thread of its own."""

    def __init__(self, piece: Throttle, path: str, **more: Any) -> None:
        self.codes: list[int] = []
        self.thread = threading.Thread(
            target=lambda: self.codes.append(call(piece, path, **more).code)
        )
        self.thread.start()

    def code(self) -> int:
        """Return the status code, when it is there."""
        self.thread.join(DEADLINE_SECONDS)
        return self.codes[0]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    ends = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.001)


def test_so_many_at_once() -> None:
    """Two are inside, two wait, the fifth is refused at once; then all is free."""
    gate = Gate()
    piece = Throttle(gate, requests=2, queue=2, wait=DEADLINE_SECONDS, retry_after=7)
    callers = []
    for number in range(4):
        callers.append(Caller(piece, f"/{number}"))
        until(lambda: sum(piece._slots.counts()) == len(callers))
    assert piece._slots.counts() == (2, 2)
    refused = call(piece, "/late")
    assert (refused.status, refused["retry-after"]) == ("503 Service Unavailable", "7")
    assert refused.body == b"503 Service Unavailable\n"
    for _ in range(4):
        gate.go.release()
    assert [caller.code() for caller in callers] == [200] * 4
    assert (gate.most, piece._slots.counts()) == (2, FREE)
    assert sorted(gate.order[:2]) == ["/0", "/1"]
    assert sorted(gate.order[2:]) == ["/2", "/3"]


def test_first_come_first_served() -> None:
    """Those who wait get in in the order in which they came."""
    gate = Gate()
    piece = Throttle(gate, requests=1, queue=8, wait=DEADLINE_SECONDS)
    callers = []
    for number in range(8):
        callers.append(Caller(piece, f"/{number}"))
        until(lambda: sum(piece._slots.counts()) == len(callers))
    for _ in range(8):
        gate.go.release()
    assert [caller.code() for caller in callers] == [200] * 8
    assert gate.order == [f"/{number}" for number in range(8)]
    assert piece._slots.counts() == FREE


def test_waiting_has_an_end() -> None:
    """Who has waited in vain gets 503, and leaves the queue."""
    gate = Gate()
    piece = Throttle(gate, requests=1, queue=1, wait=0.05)
    first = Caller(piece, "/")
    until(lambda: gate.inside == 1)
    began = time.monotonic()
    assert call(piece).code == 503
    assert 0.05 <= time.monotonic() - began < DEADLINE_SECONDS
    assert piece._slots.counts() == (1, 0)
    gate.go.release()
    assert first.code() == 200
    assert piece._slots.counts() == FREE


@pytest.mark.parametrize("options", [{"queue": 0}, {"wait": 0}])
def test_without_waiting(options: dict[str, Any]) -> None:
    """Without a queue, or without time, a request is refused at once."""
    gate = Gate()
    piece = Throttle(gate, requests=1, **options)
    first = Caller(piece, "/")
    until(lambda: gate.inside == 1)
    assert call(piece).code == 503
    gate.go.release()
    assert first.code() == 200


def test_keys_do_not_wait_for_each_other() -> None:
    """One client's requests take neither another's slots nor all the places to wait."""
    gate = Gate()
    piece = Throttle(gate, requests=1, queue=4, wait=DEADLINE_SECONDS, key="address")
    greedy = []
    for number in range(3):
        greedy.append(Caller(piece, f"/greedy{number}", REMOTE_ADDR="192.0.2.66"))
        until(lambda: sum(piece._slots.counts()) == len(greedy))
    assert call(piece, REMOTE_ADDR="192.0.2.66").code == 503
    others = []
    for number in range(3):
        others.append(Caller(piece, f"/other{number}", REMOTE_ADDR="192.0.2.77"))
        until(lambda: sum(piece._slots.counts()) == 3 + len(others))
    assert piece._slots.counts() == (2, 4)
    assert call(piece, REMOTE_ADDR="192.0.2.77").code == 503
    for _ in range(6):
        gate.go.release()
    assert [caller.code() for caller in greedy + others] == [200] * 6
    assert gate.most == 2
    assert (piece._slots.counts(), piece._slots._taken, piece._slots._queues) == (FREE, {}, {})


def test_streaming_holds_its_slot_until_it_is_closed() -> None:
    """Blocks go on one by one; close() frees the slot, once."""
    application = Counted(b"a", b"b")
    piece = Throttle(application, requests=1, queue=0)
    found: Any = piece(make_environ(), lambda *_: print)  # type: ignore[arg-type, return-value]
    blocks = iter(found)
    assert (next(blocks), application.yielded) == (b"a", 1)
    assert call(piece).code == 503
    found.close()
    assert (application.closed, piece._slots.counts()) == (1, FREE)
    found.close()
    assert (application.closed, piece._slots.counts()) == (1, FREE)
    assert call(piece).code == 200


def test_close_that_fails_frees_the_slot() -> None:
    """Also when the application's close() raises."""

    class Failing:
        def __iter__(self) -> Any:
            return iter([b"a"])

        def close(self) -> None:
            raise LookupError

    piece = Throttle(lambda environ, start_response: Failing(), requests=1)  # type: ignore[arg-type, return-value]
    found: Any = piece({"REQUEST_METHOD": "GET"}, lambda *_: print)  # type: ignore[arg-type, return-value]
    with pytest.raises(LookupError):
        found.close()
    assert piece._slots.counts() == FREE


def test_application_that_fails_frees_the_slot() -> None:
    """Before it returns, or within a block."""

    def fails(environ: Any, start_response: Any) -> Any:
        raise LookupError

    def fails_later(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"a"
        raise LookupError

    for application in (fails, fails_later):
        piece = Throttle(application, requests=1, queue=0)
        for _ in range(3):
            with pytest.raises(LookupError):
                call(piece)
        assert piece._slots.counts() == FREE


def test_nothing_returned() -> None:
    """An application that returns None has made a mistake, which costs no slot."""
    piece = Throttle(lambda environ, start_response: None, requests=1)  # type: ignore[arg-type, return-value]
    assert piece({"REQUEST_METHOD": "GET"}, lambda *_: print) is None  # type: ignore[arg-type, return-value]
    assert piece._slots.counts() == FREE


def test_whole_responses_go_on_untouched() -> None:
    """A list, a tuple and an object of wsgi.file_wrapper end the application's work."""
    for returned in ([b"a"], (b"a",), FileWrapper(io.BytesIO(b"a"))):
        piece = Throttle(lambda environ, start_response: returned, requests=1)
        assert piece(make_environ(), lambda *_: print) is returned  # type: ignore[arg-type, return-value]
        assert piece._slots.counts() == FREE


def test_signal_while_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that raises in a thread that waits leaves nobody in the queue."""
    gate = Gate()
    piece = Throttle(gate, requests=1, wait=DEADLINE_SECONDS)
    first = Caller(piece, "/")
    until(lambda: gate.inside == 1)

    class Interrupted:
        def __init__(self) -> None:
            self.lock = lock()

        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
            if timeout > 0:
                raise KeyboardInterrupt
            return self.lock.acquire(blocking)

        def release(self) -> None:
            self.lock.release()

    lock = threading.Lock
    monkeypatch.setattr(threading, "Lock", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        piece(make_environ(), lambda *_: print)  # type: ignore[arg-type, return-value]
    monkeypatch.undo()
    assert piece._slots.counts() == (1, 0)
    gate.go.release()
    assert first.code() == 200
    assert piece._slots.counts() == FREE


@pytest.mark.parametrize("key", ["all", "address"])
@pytest.mark.parametrize("wait", [0.0005, 0.02])
def test_no_slot_leaks(key: str, wait: float) -> None:
    """Sixteen threads, and applications that fail in all ways: never too many, and all is free then."""
    lock = threading.Lock()
    inside: dict[str, int] = {}
    most: dict[str, int] = {}

    def enter(who: str, by: int) -> None:
        with lock:
            inside[who] = inside.get(who, 0) + by
            most[who] = max(most.get(who, 0), inside[who])

    class Blocks:
        def __init__(self, who: str, chance: random.Random) -> None:
            self.who, self.chance = who, chance

        def __iter__(self) -> Any:
            for _ in range(self.chance.randrange(3)):
                time.sleep(self.chance.random() / 5_000)
                yield b"x"
            if self.chance.random() < 0.2:
                raise LookupError

        def close(self) -> None:
            enter(self.who, -1)

    def application(environ: Any, start_response: Any) -> Any:
        who, chance = environ["test.who"], environ["test.chance"]
        enter(who, 1)
        if chance.random() < 0.2:
            enter(who, -1)
            raise LookupError
        start_response("200 OK", [("Content-Type", "text/plain")])
        if chance.random() < 0.3:
            enter(who, -1)
            return [b"whole"]
        return Blocks(who, chance)

    piece = Throttle(application, requests=3, queue=6, wait=wait, key=key)

    def run(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(60):
            address = f"192.0.2.{chance.randrange(3)}"
            who = "all" if key == "all" else address
            environ = {"REQUEST_METHOD": "GET", "REMOTE_ADDR": address, "PATH_INFO": "/"}
            environ |= {"test.who": who, "test.chance": chance}
            try:
                found: Any = piece(environ, lambda *_: print)  # type: ignore[arg-type, return-value]
            except LookupError:
                continue
            try:
                for _ in found:
                    if chance.random() < 0.2:
                        break  # the client has left
            except LookupError:
                pass
            finally:
                getattr(found, "close", lambda: None)()

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()
    assert max(most.values()) == 3
    assert (piece._slots.counts(), piece._slots._taken, piece._slots._queues) == (FREE, {}, {})


def test_what_is_not_counted() -> None:
    """Other paths and exempt clients pass while all slots are taken."""
    gate = Gate()
    piece = Throttle(gate, requests=1, queue=0, paths=["/report"], exempt_networks=["10.0.0.0/8"])
    first = Caller(piece, "/report/1")
    until(lambda: gate.inside == 1)
    assert call(piece, "/report").code == 503
    more = [Caller(piece, "/"), Caller(piece, "/report", REMOTE_ADDR="10.0.0.1")]
    for _ in range(3):
        gate.go.release()
    assert [caller.code() for caller in [first, *more]] == [200] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"requests": 0}, "requests must be a number from 1, not 0"),
        ({"requests": "5"}, "requests must be a number from 1, not '5'"),
        ({"queue": -1}, "queue must be a number from 0"),
        ({"queue": 1.5}, "queue must be a number from 0"),
        ({"wait": -1}, "wait must be a number of seconds"),
        ({"wait": float("nan")}, "wait must be a number of seconds"),
        ({"wait": float("inf")}, "wait must be a number of seconds"),
        ({"wait": True}, "wait must be a number of seconds"),
        ({"retry_after": "soon"}, "retry_after must be a number from 0"),
        ({"key": "cookie"}, "key must be 'all'"),
        ({"paths": ["x"]}, "paths must be paths"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    """Each option is checked when the piece is made."""
    with pytest.raises(ValueError, match=re.escape(message)):
        Throttle(**{"requests": 5, **options})


def test_client_that_leaves_on_the_wire() -> None:
    """A slot of an endless response is free when its client has gone."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter(lambda: b"x" * 10_000, b"") if environ["PATH_INFO"] == "/endless" else [b"y"]

    piece = Throttle(application, requests=1, queue=0)
    with LiveServer(piece) as server:
        for _ in range(3):
            with Client(server.address) as client:
                client.send(b"GET /endless HTTP/1.1\r\nHost: test\r\n\r\n")
                until(lambda: piece._slots.counts() == (1, 0))
                with Client(server.address) as other:
                    assert other.get("/").status == 503
            until(lambda: piece._slots.counts() == FREE)
        with Client(server.address) as client:
            assert client.get("/").status == 200


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_within_a_request() -> None:
    """A child begins with all slots free, and the end of its parent's request does no harm."""
    application = Counted(b"a", b"b")
    piece = Throttle(application, requests=1, queue=0)
    found: Any = piece(make_environ(), lambda *given: print)
    next(iter(found))
    process = os.fork()
    if not process:
        code = 1
        try:
            if piece._slots.counts() == FREE and call(piece).code == 200:
                found.close()
                code = 0 if piece._slots.counts() == FREE else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert piece._slots.counts() == (1, 0)
    found.close()
    assert piece._slots.counts() == FREE
