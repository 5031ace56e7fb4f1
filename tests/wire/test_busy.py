"""All threads are in application calls: the server goes on with everything that needs none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN
from ..live import Live, eventually, serving
from .client import Client, Response, request

THREADS = 2


class Gate:
    """An application whose calls for /wait stay in it until the gate opens."""

    def __init__(self) -> None:
        self._entered = threading.Semaphore(0)
        self._open = threading.Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/wait":
            self._entered.release()
            self._open.wait(5)
        start_response("200 OK", [PLAIN])
        return [b"through"]

    def entered(self) -> bool:
        """Wait until one more call is in."""
        return self._entered.acquire(timeout=5)

    def open(self) -> None:
        """Let all calls go."""
        self._open.set()


@contextmanager
def busy(live: Live) -> Iterator[Callable[[], list[Response]]]:
    """Occupy all threads; give a function that frees them and returns their answers."""
    gate = Gate()
    live.play(gate)
    with ExitStack() as stack:
        clients = [stack.enter_context(live.connect()) for _ in range(THREADS)]
        for client in clients:
            client.send(request("GET", "/wait"))
            assert gate.entered()

        def free() -> list[Response]:
            gate.open()
            return [client.response() for client in clients]

        try:
            yield free
        finally:
            gate.open()


def turned_away(client: Client) -> None:
    """Check that the answer is a proper 503."""
    response = client.response()
    assert response.status == 503
    assert (response.value("Retry-After") or "").isdigit()
    assert (response.value("Content-Type") or "").startswith("text/plain")
    assert response.body


def test_bad_requests_are_refused() -> None:
    """A refusal needs no thread."""
    with serving(threads=THREADS) as live, busy(live) as free:
        assert live.send(b"GET / HTTP/1.1\r\n\r\n").status == 400
        assert [answer.status for answer in free()] == [200] * THREADS


def test_slow_heads_are_timed_out() -> None:
    """A time limit needs no thread."""
    with serving(threads=THREADS, head_timeout=0.3) as live, busy(live) as free:
        assert live.send(b"GET / HTTP/1.1\r\n").status == 408
        assert [answer.status for answer in free()] == [200] * THREADS


def test_requests_wait_their_turn() -> None:
    """Requests that come meanwhile, with heads and bodies sent slowly, are answered afterwards."""
    with serving(threads=THREADS) as live, busy(live) as free:
        clients = [live.connect() for _ in range(10)]
        for client in clients:
            client.drip(request("POST", "/", body=b"hello"))
        assert all(client.silent(0.01) for client in clients)
        assert [answer.status for answer in free()] == [200] * THREADS
        for client in clients:
            assert client.response().body == b"through"
            client.close()


def test_queue_has_an_end(log: pytest.LogCaptureFixture) -> None:
    """What does not fit into the queue is turned away with 503 and Retry-After, and logged."""
    with (
        serving(threads=THREADS, queue_limit=1) as live,
        busy(live) as free,
        live.connect() as queued,
        live.connect() as late,
    ):
        queued.send(request("GET", "/"))
        assert queued.silent(0.05)
        late.send(request("GET", "/"))
        turned_away(late)
        assert [answer.status for answer in free()] == [200] * THREADS
        assert queued.response().body == b"through"
    eventually(
        lambda: any("refused with 503: no thread" in text for text in log.messages), "a log line"
    )


def test_queue_has_a_time_limit(log: pytest.LogCaptureFixture) -> None:
    """What has waited too long is turned away with 503 and Retry-After, and logged."""
    with serving(threads=THREADS, queue_timeout=0.3) as live, busy(live) as free:
        with live.connect() as queued:
            queued.send(request("GET", "/"))
            turned_away(queued)
        assert [answer.status for answer in free()] == [200] * THREADS
    eventually(
        lambda: any("refused with 503: no thread" in text for text in log.messages), "a log line"
    )


def test_clients_that_leave_the_queue() -> None:
    """A request whose client has reset its connection meanwhile hurts nobody."""
    with serving(threads=THREADS) as live, busy(live) as free:
        for _ in range(10):
            client = live.connect()
            client.send(request("GET", "/"))
            client.reset()
        assert [answer.status for answer in free()] == [200] * THREADS
        assert live.get("/").body == b"through"
