"""The baton's promises, over a live server."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable

import pytest

from breezeway.config.settings import Settings
from breezeway.gateway.input import Spool
from breezeway.worker.baton import Baton
from breezeway.worker.process import SWITCH_SECONDS
from breezeway.worker.reactor import Reactor

from ..live import eventually
from ..wire.client import Client, request
from .parts import BURN_SECONDS, Parts, answers, asked, hello, is_worker, serving, workers

LATENCY_SECONDS = 0.3
"""What hello may take beside a request that computes: some hundred times what it does take."""


def test_hello_beside_a_request_that_computes() -> None:
    """One request burns two seconds of pure Python: the others are served all along."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with serving(threads=2) as (server, parts), Client(server.address) as client:
            hello(client)
            with asked(server, "/burn") as burning:
                eventually(lambda: parts.inside == 1, "the other request is in")
                ends = time.perf_counter() + BURN_SECONDS * 0.8
                times = []
                while time.perf_counter() < ends:
                    times.append(hello(client))
                assert parts.inside == 1
                assert answers(burning)[0].body == b"/burn"
            assert len(times) > 20
            assert sorted(times)[len(times) * 9 // 10] < LATENCY_SECONDS
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_start_on_demand(threads: int) -> None:
    """Fast requests need one thread; slow ones as many as there may be, and never more."""
    with serving(threads) as (server, parts), Client(server.address) as client:
        for _ in range(20):
            hello(client)
        assert len(workers()) <= min(threads, 2)
        with asked(server, "/wait", threads + 3) as waiting:
            eventually(lambda: parts.inside == threads, "all threads are in")
            assert len(workers()) == threads
            parts.go.set()
            assert [answer.body for answer in answers(waiting)] == [b"/wait"] * (threads + 3)
        assert parts.most_inside == threads
        assert len(workers()) == threads
        assert len(parts.threads) <= threads


def test_pool_is_entered_and_left() -> None:
    """Slow requests go to the pool; when they are fast again, they run to completion again."""
    with serving(threads=4) as (server, _), Client(server.address) as client:
        hello(client)
        assert not server.reactor.baton.pooled
        pooled = False
        ends = time.monotonic() + 5
        while not pooled and time.monotonic() < ends:
            client.get("/slow")
            pooled = server.reactor.baton.pooled
        assert pooled
        deadline = time.monotonic() + 5
        while server.reactor.baton.pooled and time.monotonic() < deadline:
            hello(client)
        assert not server.reactor.baton.pooled
        hello(client)


def test_pipelined_requests_beside_slow_ones() -> None:
    """Answers come in order on each connection while the baton changes hands."""
    paths = ["/a", "/slow", "/b", "/c", "/slow", "/slow", "/d"] * 3
    with serving(threads=3) as (server, _), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(6)]
        for client in clients:
            client.send(b"".join(request("GET", path) for path in paths))
        for client in clients:
            assert [client.response().body.decode() for _ in paths] == paths


def test_only_the_warden_leads_as_the_warden() -> None:
    """A thread that gets the baton just when the pool begins hands it to the warden."""
    reactor = Reactor(Parts(), [], Settings())
    reactor.baton.pooled = True
    reactor.lead()  # as a thread of the pool: returns at once
    assert reactor.baton._warden_holds
    reactor.close()


def test_stop_and_pool_at_once() -> None:
    """A stop that comes while the pool is being left is not forgotten."""
    for _ in range(20):
        with serving(threads=2) as (server, _), Client(server.address) as client:
            client.get("/slow")
            hello(client)


@pytest.mark.parametrize("blocked", [0, 1])
def test_baton_without_threads(monkeypatch: pytest.MonkeyPatch, blocked: int) -> None:
    """When the system has no more threads, those that there are do everything."""
    start: Callable[[threading.Thread], None] = threading.Thread.start
    started = []

    def refuse(thread: threading.Thread) -> None:
        if is_worker(thread):
            started.append(thread)
            if len(started) > 1:
                raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with serving(threads=4) as (server, parts), asked(server, "/wait", 1 + blocked) as waiting:
        assert parts.entered.acquire(timeout=5)
        with Client(server.address) as client:
            client.send(b"GARBAGE\r\n\r\n")
            assert client.response().status == 400
        parts.go.set()
        assert [answer.status for answer in answers(waiting)] == [200] * (1 + blocked)


def test_unused_baton_stops() -> None:
    """A baton that was never started can be stopped."""
    Baton(lambda: None, threads=1, queue_limit=1, queue_timeout=1).stop()


def test_slow_call_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The warden is awake for a call that begins late, after other work of the same batch."""
    write = Spool.write
    working = threading.Semaphore(0)

    def slow(spool: Spool, content: bytes) -> None:
        working.release()
        time.sleep(0.15)
        write(spool, content)

    monkeypatch.setattr(Spool, "write", slow)
    with (
        serving(threads=2) as (server, parts),
        asked(server, "/hello", 3) as (first, second, third),
        Client(server.address) as other,
    ):
        answers([first, second, third])
        for client in (first, second):
            client.send(request("POST", "/read", ("Content-Length", "100")))
        first.send(bytes(10))
        assert working.acquire(timeout=5)  # meanwhile a batch comes together:
        second.send(bytes(10))
        third.send(request("GET", "/wait"))
        assert working.acquire(timeout=5)
        eventually(lambda: parts.inside == 1, "the slow call has begun")
        hello(other)
        parts.go.set()
        assert third.response().body == b"/wait"


def test_requests_are_withdrawn_from_the_queue() -> None:
    """A request that waits can be taken back, once; one that a thread has taken cannot."""
    running, go = threading.Event(), threading.Event()
    done = []

    def busy() -> None:
        running.set()
        assert go.wait(5)

    jobs = [busy, *(lambda number=number: done.append(number) for number in range(3))]
    baton = Baton(lambda: None, threads=1, queue_limit=3, queue_timeout=60)
    now = time.monotonic()
    for job in jobs:
        assert baton.submit(job, lambda: None, now)
    assert running.wait(5)
    assert not baton.withdraw(jobs[0])
    assert baton.withdraw(jobs[2])
    assert not baton.withdraw(jobs[2])
    assert baton.submit(lambda: done.append(3), lambda: None, now)
    go.set()
    eventually(lambda: done == [0, 2, 3], "the others are run, in order")
    baton.stop()
    eventually(lambda: not workers(), "the thread ends")


def test_thread_that_is_written_off() -> None:
    """Another thread takes its place and the queue; it takes nothing more when it comes back."""
    go = threading.Event()
    ran: list[str] = []

    def job(wait: bool = False) -> None:
        ran.append(threading.current_thread().name)
        assert not wait or go.wait(5)

    baton = Baton(lambda: None, threads=1, queue_limit=9, queue_timeout=60)
    baton.submit(lambda: job(True), lambda: None, time.monotonic())
    eventually(lambda: len(ran) == 1, "the first one runs")
    for _ in range(3):
        baton.submit(job, lambda: None, time.monotonic())
    [stuck] = workers()
    assert stuck.ident is not None
    assert baton.written_off == 0
    baton.write_off(stuck.ident)
    assert baton.written_off == 1
    eventually(lambda: len(ran) == 4, "the queue is worked off")
    assert ran == ["breezeway-1"] + ["breezeway-2"] * 3
    go.set()
    stuck.join(5)
    assert baton.written_off == 0
    [other] = workers()
    baton.submit(job, lambda: None, time.monotonic())
    eventually(lambda: ran[4:] == [other.name], "one thread is left")
    baton.stop()
    other.join(5)
    assert not workers()
