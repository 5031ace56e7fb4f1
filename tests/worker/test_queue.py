"""The queue of requests that wait for a thread, and bodies that wait for their client."""

from __future__ import annotations

import contextlib

import pytest

from ..live import eventually
from ..wire.client import Client, request
from .parts import answers, asked, hello, serving, workers


def test_queue_is_bounded_and_in_order() -> None:
    """All threads in use: so many requests wait, the next is turned away, those go on in order."""
    with serving(threads=1, queue_limit=3) as (server, parts), asked(server, "/wait") as first:
        assert parts.entered.acquire(timeout=5)
        with contextlib.ExitStack() as stack:
            queued = []
            for number in range(3):
                queued += stack.enter_context(asked(server, f"/{number}"))
                waiting = number + 1
                eventually(lambda n=waiting: len(server.reactor.baton._queue) == n, "it waits")
            with asked(server, "/late") as late:
                answer = answers(late)[0]
            assert answer.status == 503
            assert answer.value("Retry-After")
            parts.go.set()
            assert answers(first)[0].status == 200
            assert [answer.body for answer in answers(queued)] == [b"/0", b"/1", b"/2"]


def test_old_requests_are_turned_away() -> None:
    """What has waited too long is answered although every thread is still in use."""
    with (
        serving(threads=1, queue_timeout=0.1) as (server, parts),
        asked(server, "/wait") as first,
    ):
        assert parts.entered.acquire(timeout=5)
        with asked(server, "/old", 3) as old:
            assert [answer.status for answer in answers(old)] == [503] * 3
        parts.go.set()
        assert answers(first)[0].status == 200
        assert parts.threads == parts.threads & {thread.ident for thread in workers()}


def test_turned_away_requests_leave_nothing() -> None:
    """A request with a body on disk, or with one that is awaited, gives all back at a 503.

    And the answer to a HEAD has no body.
    """
    with (
        serving(threads=2, queue_limit=0, body_memory=10) as (server, parts),
        asked(server, "/wait", 2) as busy,
    ):
        for _ in range(2):
            assert parts.entered.acquire(timeout=5)
        for _ in range(5):
            with Client(server.address) as client:
                client.send(request("POST", "/", body=bytes(1000)))
                assert client.response().status == 503
            with Client(server.address) as client:
                expect = ("Expect", "100-continue"), ("Content-Length", "5")
                client.send(request("POST", "/read", *expect))
                assert client.response().status == 503
            with Client(server.address) as client:
                client.send(request("HEAD", "/"))
                assert client.response("HEAD").status == 503
                assert client.rest() == b""
        assert server.reactor.awaited_bodies == 0
        parts.go.set()
        assert [answer.status for answer in answers(busy)] == [200, 200]


@pytest.mark.parametrize("threads", [1, 2])
def test_awaited_bodies_hold_no_thread(threads: int) -> None:
    """Bodies that never come keep no thread from others, and the threads for them are bounded."""
    with serving(threads) as (server, parts), contextlib.ExitStack() as stack:
        expect = ("Expect", "100-continue"), ("Content-Length", "5")
        silent = [stack.enter_context(Client(server.address)) for _ in range(3 * threads + 2)]
        for client in silent:
            client.send(request("POST", "/read", *expect))
            assert client.head().status == 100
        with Client(server.address) as client:
            for _ in range(10):
                hello(client)
        with asked(server, "/wait", threads) as waiting:
            eventually(lambda: parts.inside >= threads, "others get their threads")
            parts.go.set()
            assert [answer.status for answer in answers(waiting)] == [200] * threads
        assert len(workers()) <= 2 * threads
        for client in silent:
            client.send(b"hello")
        assert [answer.body for answer in answers(silent)] == [b"/read"] * len(silent)
        eventually(lambda: len(workers()) <= threads, "the additional threads end")
        eventually(lambda: server.reactor.awaited_bodies == 0, "their places are free again")
        assert server.reactor.baton.parked == 0
