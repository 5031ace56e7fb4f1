"""Deadlines of requests from within: who has the connection, what is closed, who is written off."""

from __future__ import annotations

import contextlib
import gc
import itertools
import logging
import math
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway import RequestTimeout
from breezeway.config.settings import Settings
from breezeway.gateway.failure import ClientGone
from breezeway.gateway.file_wrapper import FileRange
from breezeway.testing import LiveServer
from breezeway.worker import deadlines, reactor, request_timeout
from breezeway.worker.connection import Connection
from breezeway.worker.interruption import Interruption
from breezeway.worker.request_timeout import Guard, TimedConnection, TimedExchange, limit
from breezeway.worker.stacks import stacks

from ..applications import PLAIN, plain, streamed
from ..gil import needs_gil
from ..live import eventually
from ..wire.client import Client, Truncated, request
from .driven import Driven
from .parts import workers

STRESS_REQUESTS = 3000
"""How many calls end just when their deadline comes."""

pytestmark = needs_gil  # threads are interrupted; without it see test_gil

STRESS_LIMIT = 0.003
"""Seconds; the clock of that test ticks each millisecond."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the deadlines often, and write threads off soon."""
    monkeypatch.setattr(deadlines, "SLOT_SECONDS", 0.02)
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(request_timeout, "WRITE_OFF_SECONDS", 0.2)


class Stuck:
    """/stuck is in C code until `go` is set, /deaf catches everything; the rest says hello."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.back = threading.Semaphore(0)
        self._end, self._other_end = os.pipe()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/stuck":
            os.read(self._end, 1)
        while environ["PATH_INFO"] == "/deaf" and not self.go.is_set():
            with contextlib.suppress(RequestTimeout):
                time.sleep(0.001)
        start_response("200 OK", [PLAIN])
        return [b"hello"]

    def release(self) -> None:
        """Let all of them come back."""
        self.go.set()
        os.write(self._other_end, bytes(100))

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._end)
        os.close(self._other_end)


@contextlib.contextmanager
def serving(threads: int, **settings: Any) -> Iterator[tuple[LiveServer, Stuck]]:
    """Serve `Stuck` with short deadlines."""
    stuck = Stuck()
    with LiveServer(
        stuck, threads=threads, request_timeout=("/stuck=0.1", "/deaf=0.1"), **settings
    ) as server:
        try:
            yield server, stuck
        finally:
            stuck.release()
    eventually(lambda: not workers(), "all threads end")
    stuck.close()


def status(server: LiveServer, path: str) -> int:
    """Ask on a connection of its own."""
    with Client(server.address) as client:
        return client.get(path).status


# --- threads that do not come back ------------------------------------------------------------------


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("path", ["/stuck", "/deaf"])
def test_stuck_thread_is_replaced(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """The only thread does not come back: another one takes its place, and it ends when it does."""
    with serving(threads=1) as (server, stuck):
        baton = server.reactor.baton
        assert status(server, path) == 504
        with Client(server.address) as client:
            client.send(request("GET", "/hello"))  # waits for a thread until then
            assert client.response().body == b"hello"
        assert baton.written_off == 1
        assert len(workers()) == 2
        assert server.reactor.counters["threads.written_off"] == 1
        reason = "1 of its 1 threads do not come back from their requests"
        eventually(lambda: server.reactor.wants_replacement == reason, "it wants to be replaced")
        eventually(lambda: "wants to be replaced" in caplog.text, "it is logged")
        messages = [each.getMessage() for each in caplog.records]
        [message] = [each for each in messages if "does not come back" in each]
        assert message.startswith(f"GET {path}: breezeway-1 does not come back")
        assert f'File "{__file__}"' in message
        assert sum("wants to be replaced" in each for each in messages) == 1
        stuck.release()
        eventually(lambda: baton.written_off == 0, "it is not counted any more")
        eventually(lambda: len(workers()) == 1, "it ends")
        assert status(server, "/hello") == 200
        eventually(lambda: "come back after all" in caplog.text, "that is logged, too")


@pytest.mark.usefixtures("clock")
def test_half_of_the_threads_may_be_stuck() -> None:
    """A worker wants to be replaced when more than half of its threads are written off."""
    with serving(threads=2) as (server, _):
        assert status(server, "/stuck") == 504
        eventually(lambda: server.reactor.baton.written_off == 1, "one is written off")
        assert server.reactor.wants_replacement is None
        assert status(server, "/stuck") == 504
        eventually(lambda: server.reactor.wants_replacement is not None, "it wants to be replaced")
        assert status(server, "/hello") == 200


@pytest.mark.usefixtures("clock")
def test_replacements_are_bounded() -> None:
    """However many threads are stuck, there are never more than twice the limit."""
    with serving(threads=2, queue_timeout=0.3) as (server, _):
        statuses = [status(server, "/stuck") for _ in range(8)]
        assert statuses[:4] == [504] * 4
        # On a busy machine a thread may come back after all, and then takes one more.
        assert statuses.count(503) >= 2
        assert statuses[-1] == 503
        assert len(workers()) == 4
        assert status(server, "/hello") == 503


@pytest.mark.usefixtures("clock")
def test_stop_does_not_wait_for_stuck_threads() -> None:
    """A request that had its 504 is over: a stop has nothing to wait for."""
    with serving(threads=2) as (server, _):
        assert status(server, "/stuck") == 504
        server.reactor.stop()
        assert server.reactor.stopped.wait(5)


@pytest.mark.usefixtures("clock")
def test_stuck_threads_in_the_stacks() -> None:
    """A request that is over for its client is still shown for the thread that is in it."""
    with serving(threads=2) as (server, _):
        assert status(server, "/stuck") == 504
        [found] = [each for each in stacks() if each.request is not None]
        assert found.request == "GET /stuck"
        assert found.seconds is not None
        assert found.seconds >= 0.1


# --- who has the connection --------------------------------------------------------------------------


@pytest.mark.usefixtures("clock")
def test_just_about_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread comes too late by one step: the client has the 504 and nothing else."""
    perform = Guard.perform
    outcomes = []

    def late(guard: Guard, *args: Any, **options: Any) -> Any:
        eventually(lambda: guard.ousted, "the deadline comes before the first byte")
        try:
            return perform(guard, *args, **options)
        except ClientGone:
            outcomes.append("gone")
            raise

    monkeypatch.setattr(Guard, "perform", late)
    application = streamed(b"one", b"two")
    with (
        LiveServer(application, threads=2, request_timeout=("0.1",)) as server,
        Client(server.address) as client,
    ):
        assert client.get("/").status == 504
        assert client.rest() == b""
        eventually(lambda: bool(outcomes), "the thread has tried to send")
    assert outcomes == ["gone"]


@pytest.mark.usefixtures("clock")
def test_not_while_the_thread_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a thread is at its connection, the event loop leaves it alone; then it is its own."""
    send = Connection.send
    inside, go = threading.Event(), threading.Event()

    def slow(connection: Connection, *pieces: bytes) -> None:
        if b" 103 " in pieces[0]:
            inside.set()
            assert go.wait(5)
        send(connection, *pieces)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.early_hints"]([("Link", "</x>")])
        while True:
            pass

    monkeypatch.setattr(Connection, "send", slow)
    with (
        LiveServer(application, threads=2, request_timeout=("0.1",)) as server,
        Client(server.address) as client,
    ):
        client.send(request("GET", "/"))
        assert inside.wait(5)
        eventually(lambda: server.reactor.counters["timeout.request"] == 1, "the deadline comes")
        assert client.silent(0.1)
        go.set()
        response = client.response()
        assert response.status == 504
        assert [each.status for each in response.interim] == [103]
        assert client.rest() == b""


@pytest.mark.usefixtures("clock")
def test_thread_that_logs_is_interrupted_later() -> None:
    """At the deadline the thread has the lock of a log: the 504 comes then, the exception later."""
    inside, go = threading.Event(), threading.Event()
    seen = []

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            inside.set()
            assert go.wait(5)

    log = logging.Logger("test")
    log.addHandler(Slow())

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            log.error("here")
            seen.append("logged")
            while True:
                pass
        except RequestTimeout:
            seen.append("interrupted")
            raise

    with LiveServer(application, request_timeout=("0.1",)) as server:
        assert status(server, "/") == 504
        assert not seen
        go.set()
        eventually(lambda: len(seen) == 2, "it is interrupted")
    assert seen == ["logged", "interrupted"]


@pytest.mark.usefixtures("clock")
def test_nothing_is_left_behind() -> None:
    """A request that took too long gives everything back: body, connection, exchange."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/begin":
            start_response("200 OK", [PLAIN])(b"one")
        while True:
            pass

    def ask() -> None:
        for path in ("/", "/begin"):
            with Client(server.address) as client:
                client.send(request("POST", path, body=bytes(10_000)))
                with contextlib.suppress(Truncated):
                    assert client.response().status == 504
        eventually(lambda: not server.reactor.connections(), "all connections are closed")

    settings: dict[str, Any] = {"request_timeout": ("0.05",), "body_memory": 100}
    level = logging.getLogger("breezeway.worker").level
    logging.getLogger("breezeway.worker").setLevel(logging.CRITICAL)
    try:
        with LiveServer(application, threads=2, **settings) as server:
            ask()
            gc.collect()
            gc.disable()
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(5):
                ask()
            eventually(lambda: len(os.listdir("/proc/self/fd")) == before, "descriptors are closed")
            eventually(lambda: not server.reactor.deadlines, "no deadline is left")
            eventually(lambda: alive(TimedConnection, TimedExchange) < 6, "no object is left")
    finally:
        gc.enable()
        logging.getLogger("breezeway.worker").setLevel(level)


def alive(*kinds: type) -> int:
    """Count the objects of these types that are not garbage."""
    return sum(isinstance(each, kinds) for each in gc.get_objects())


class Ousted:
    """An exchange whose interruption comes at a moment that the test chooses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = Settings(request_timeout=("1h",))
        self.reactor = reactor.Reactor(plain(), [], settings)
        self._ends = socket.socketpair()
        self.connection = TimedConnection(self.reactor, self._ends[1], "", {})
        self.exchange = TimedExchange(self.connection, self.reactor.encoder, 0)
        self._patch = monkeypatch

    def interrupted(self, before: set[int], after: set[int]) -> None:
        """Have these calls of the application's code interrupted, before or after they are made."""
        call = Interruption.call
        calls = itertools.count()

        def interrupt(interruption: Interruption, function: Callable[[], Any]) -> Any:
            number = next(calls)
            self.exchange.guard.ousted = number in before | after or self.exchange.guard.ousted
            if number in before:
                raise RequestTimeout
            result = call(interruption, function)
            if number in after:
                raise RequestTimeout
            return result

        self._patch.setattr(Interruption, "call", interrupt)

    def end(self) -> None:
        """Close everything."""
        self.connection.close()
        self._ends[0].close()
        self.reactor.close()


@pytest.fixture
def ousted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ousted]:
    """Give an exchange to interrupt."""
    made = Ousted(monkeypatch)
    yield made
    made.end()


@pytest.mark.parametrize(
    ("before", "after", "closed"),
    [
        (set(), {0}, 1),  # the application has just returned its result
        ({0}, set(), 0),  # it was not called
        ({1}, set(), 1),  # before iter()
        ({2}, set(), 1),  # before the first block
        (set(), {2}, 1),  # after it
        ({5}, set(), 1),  # close() was not called yet
        (set(), {5}, 1),  # close() has just been called
    ],
)
def test_closed_once_wherever_it_comes(
    ousted: Ousted, caplog: pytest.LogCaptureFixture, before: set[int], after: set[int], closed: int
) -> None:
    """The result is closed exactly once if there is one, and nothing is logged as a failure."""
    calls = []

    class Stream:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"one", b"two"])

        def close(self) -> None:
            calls.append(True)

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        return Stream()

    ousted.interrupted(before, after)
    environ = {"REQUEST_METHOD": "GET", "RAW_URI": "/"}
    assert ousted.exchange.run(application, environ) == b""
    assert len(calls) == closed
    assert ousted.exchange.finished
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_errors_after_the_deadline_are_logged(
    ousted: Ousted, caplog: pytest.LogCaptureFixture
) -> None:
    """What else goes wrong while an application ends is told as ever."""

    class Stream:
        def __iter__(self) -> Iterator[bytes]:
            raise ValueError("planned 1")

        def close(self) -> None:
            raise ValueError("planned 2")

    ousted.interrupted(set(), {0})
    ousted.exchange.run(lambda *_: Stream(), {"REQUEST_METHOD": "GET", "RAW_URI": "/"})
    messages = [str(each.exc_info[1]) for each in caplog.records if each.exc_info]
    assert messages == ["planned 2", "planned 1"]


def test_application_that_raises_it_itself(caplog: pytest.LogCaptureFixture) -> None:
    """RequestTimeout before any deadline is an error like any other."""

    def application(*_: Any) -> Iterable[bytes]:
        raise RequestTimeout

    with LiveServer(application, request_timeout=("1h",)) as server:
        assert status(server, "/") == 500
    assert "breezeway.RequestTimeout" in caplog.text


def test_nothing_passes_a_guard() -> None:
    """Once a request is ousted, every way to the client raises ClientGone."""
    driven = Driven(plain())
    try:
        guard = Guard(driven.connection)
        guard.ousted = True
        for attempt in (
            lambda: guard.send(b"x", b"y"),
            lambda: guard.send_block(b"x"),
            lambda: guard.send_last(b"x"),
            lambda: guard.send_file(b"x", [FileRange(0, 0, 1)]),
        ):
            with pytest.raises(ClientGone):
                attempt()
        assert guard.answers(object())
        assert not guard.busy
        assert not guard.begun
    finally:
        driven.end()


@pytest.mark.parametrize(
    ("path", "seconds"),
    [("/", 30), ("/a", 60), ("/ab", 60), ("/a/b", 5), ("/a/b/c", 5), ("", 30), ("*", 30)],
)
def test_limits(path: str, seconds: float) -> None:
    """The first prefix that the path starts with counts: they are sorted."""
    timeouts = (("/a/b", 5.0), ("/a", 60.0), ("", 30.0))
    assert limit(timeouts, {"SCRIPT_NAME": "", "PATH_INFO": path}) == seconds
    assert limit(timeouts, {"SCRIPT_NAME": "/a", "PATH_INFO": "/b"}) == 5
    assert limit(timeouts[:1], {"SCRIPT_NAME": "", "PATH_INFO": "/x"}) == math.inf


# --- the deadline and the end of the call at once -----------------------------------------------------


class Edge:
    """Answers in all forms, most of them just at the deadline; counts what is opened and closed."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0
        self._mutex = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/hello":
            start_response("200 OK", [PLAIN])
            return [b"hello"]
        time.sleep(random.uniform(0.5, 1.2) * STRESS_LIMIT)
        if path == "/edge/list":
            start_response("200 OK", [PLAIN])
            return [b"edge"]
        if path == "/edge/write":
            start_response("200 OK", [PLAIN, ("Content-Length", "4")])(b"ed")
            return [b"ge"]
        return Result(self, start_response)

    def count(self, opened: int, closed: int) -> None:
        """Add to the counts."""
        with self._mutex:
            self.opened += opened
            self.closed += closed


class Result:
    """A result that steps through its body and has to be closed."""

    def __init__(self, edge: Edge, start_response: StartResponse) -> None:
        start_response("200 OK", [PLAIN])
        self._edge = edge
        self._blocks = iter([b"ed", b"", b"ge"])
        self._closed = False
        edge.count(1, 0)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = next(self._blocks)
        time.sleep(0)
        return block

    def close(self) -> None:
        """Must come once."""
        assert not self._closed
        self._closed = True
        self._edge.count(0, 1)


def ask_at_the_edge(server: LiveServer, count: int, outcomes: list[str]) -> None:
    """Ask so many times, on few connections; note what came of it."""
    client: Client | None = None
    for number in range(count):
        path = random.choice(["/edge/list", "/edge/write", "/edge/result"])
        client = client or Client(server.address, deadline=60)
        client.send(request("GET", path))
        try:
            response = client.response()
        except Truncated:
            outcomes.append("broken off")
        else:
            assert response.status in (200, 503, 504)
            assert response.status != 200 or response.body == b"edge"
            outcomes.append(str(response.status))
            if response.status == 200 and number % 50:
                continue
            assert response.status == 200 or client.rest() == b""
        client.close()
        client = None
    if client is not None:
        client.close()


def test_deadlines_at_the_end_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls end just when their deadline comes, thousands of times: no answer is out of order.

    No exception gets into the server's own code, every result is closed once, and no thread is lost.
    """
    monkeypatch.setattr(deadlines, "SLOT_SECONDS", 0.001)
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.001)
    logging.getLogger("breezeway.worker").setLevel(logging.CRITICAL)
    edge = Edge()
    outcomes: list[str] = []
    try:
        with LiveServer(edge, threads=4, request_timeout=(f"/edge={STRESS_LIMIT}",)) as server:
            askers = [
                threading.Thread(
                    target=ask_at_the_edge, args=(server, STRESS_REQUESTS // 6, outcomes)
                )
                for _ in range(6)
            ]
            for each in askers:
                each.start()
            while any(each.is_alive() for each in askers):
                with Client(server.address) as client:
                    assert client.get("/hello").body == b"hello"
            eventually(lambda: not server.reactor.baton._queue, "nothing waits")
            counters = server.reactor.counters
            assert counters["internal_error"] == 0
            assert server.reactor.baton.written_off == 0
            assert len(workers()) <= 4
    finally:
        logging.getLogger("breezeway.worker").setLevel(logging.NOTSET)
    eventually(lambda: not workers(), "all threads end")
    assert len(outcomes) == STRESS_REQUESTS // 6 * 6
    assert edge.opened == edge.closed
    assert outcomes.count("200") > 50
    assert outcomes.count("504") > 50
