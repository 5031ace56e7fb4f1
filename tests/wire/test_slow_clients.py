"""Clients that take their time: the limits, and that no thread waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN, Recorder, plain
from ..live import Live, eventually, serving
from .client import Client, Truncated, request

LIMIT_SECONDS = 0.5
LATE_SECONDS = 2.5
"""How late a time limit may strike: limits of many seconds need no finer clock."""
LARGE = 5_000_000
WINDOW_BYTES = 4096
BLOCK_BYTES = 65536
STREAM_BLOCKS = 800


@pytest.fixture(scope="module")
def strict() -> Iterator[Live]:
    """Run a server with short time limits."""
    with serving(head_timeout=LIMIT_SECONDS, body_timeout=LIMIT_SECONDS) as running:
        yield running


@pytest.fixture(scope="module")
def single() -> Iterator[Live]:
    """Run a server with one thread."""
    with serving(threads=1) as running:
        yield running


def timed_out(client: Client) -> float:
    """Wait for the 408 and the end of the connection; return how long that took."""
    began = time.monotonic()
    response = client.response()
    assert response.status == 408
    assert response.options() == {"close"}
    assert (response.value("Content-Type") or "").startswith("text/plain")
    assert client.rest() == b""
    return time.monotonic() - began


@pytest.mark.parametrize(
    "part",
    [b"G", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n"],
    ids=["method", "line", "fields", "empty line"],
)
def test_half_a_head(strict: Live, log: pytest.LogCaptureFixture, part: bytes) -> None:
    """RFC 9110 section 15.5.9: a head that does not end in time is 408, and logged."""
    strict.play(plain())
    with strict.connect() as client:
        client.send(part)
        assert timed_out(client) < LIMIT_SECONDS + LATE_SECONDS
    eventually(
        lambda: any(record.name.startswith("breezeway") for record in log.records), "a log line"
    )


def test_dripping_does_not_prolong(strict: Live) -> None:
    """RFC 9110 section 15.5.9: the limit goes from the first byte of a head to its last."""
    strict.play(plain())
    with strict.connect() as client:
        began = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\n")
        while client.silent(0.05):
            client.send(b"X: y\r\n")
            assert time.monotonic() - began < LIMIT_SECONDS + LATE_SECONDS
        timed_out(client)


def test_second_head_has_the_same_limit(strict: Live) -> None:
    """RFC 9110 section 15.5.9: each head of a connection is timed."""
    strict.play(plain(b"hello"))
    with strict.connect() as client:
        client.send(request("GET", "/") + b"GET / HT")
        assert client.response().body == b"hello"
        assert timed_out(client) < LIMIT_SECONDS + LATE_SECONDS


def test_limit_is_over_with_the_head(strict: Live) -> None:
    """RFC 9110 section 15.5.9: a slow application is not the client's fault."""
    go = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        go.wait(5)
        start_response("200 OK", [PLAIN])
        return [b"late"]

    strict.play(application)
    with strict.connect() as client:
        client.send(request("GET", "/"))
        assert client.silent(1.5 * LIMIT_SECONDS)
        go.set()
        assert client.response().body == b"late"


@pytest.mark.parametrize("sent", [b"", b"hello"], ids=["nothing", "a part"])
def test_body_that_stands_still(strict: Live, sent: bytes) -> None:
    """RFC 9110 section 15.5.9: a body that stops coming is 408, and the application never runs."""
    recorder = Recorder()
    strict.play(recorder)
    with strict.connect() as client:
        client.send(request("POST", "/", ("Content-Length", "10")) + sent)
        assert timed_out(client) < LIMIT_SECONDS + LATE_SECONDS
    assert recorder.seen == []


def test_chunked_body_that_stands_still(strict: Live) -> None:
    """RFC 9110 section 15.5.9: the same for a chunked body."""
    recorder = Recorder()
    strict.play(recorder)
    with strict.connect() as client:
        client.send(request("POST", "/", ("Transfer-Encoding", "chunked")) + b"5\r\nhel")
        assert timed_out(client) < LIMIT_SECONDS + LATE_SECONDS
    assert recorder.seen == []


def test_body_that_moves_is_taken(strict: Live) -> None:
    """RFC 9110 section 15.5.9: a slow body is fine while it moves."""
    recorder = Recorder()
    strict.play(recorder)
    with strict.connect() as client:
        client.send(request("POST", "/", ("Content-Length", "5")))
        for byte in (b"h", b"e", b"l", b"l", b"o"):
            assert client.silent(LIMIT_SECONDS / 3)
            client.send(byte)
        assert client.response().status == 200
    assert recorder.seen[0].body == b"hello"


def test_slow_senders_take_no_thread(single: Live) -> None:
    """A client that has sent half a head or half a body holds no thread."""
    single.play(plain(b"ok"))
    slow = [single.connect() for _ in range(20)]
    for number, client in enumerate(slow):
        client.send(request("POST", "/", body=b"x" * 100)[: 20 if number % 2 else -50])
    assert single.get().body == b"ok"
    for client in slow:
        client.close()


def test_slow_reader_takes_no_thread(single: Live) -> None:
    """With one thread, another client is served while 5 MB wait for a reader who does not read."""
    single.play(plain(b"x" * LARGE))
    with single.connect(window=WINDOW_BYTES) as slow:
        slow.send(request("GET", "/"))
        assert slow.head().status == 200
        single.play(plain(b"served meanwhile"))
        assert single.get().body == b"served meanwhile"


def test_slow_reader_gets_all(single: Live) -> None:
    """What the socket did not take at first arrives in the end, and the connection goes on."""
    body = bytes(range(250)) * (LARGE // 250)
    single.play(plain(body))
    with single.connect(window=WINDOW_BYTES * 16) as slow:
        slow.send(request("GET", "/") + request("GET", "/"))
        assert slow.head().status == 200
        assert single.get().body == body
        assert slow.take(LARGE) == body
        assert slow.response().body == body


def test_stream_that_runs_ahead_waits(live: Live) -> None:
    """A generator is not asked for all of 50 MB while its client reads nothing."""
    given = 0

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        nonlocal given
        start_response("200 OK", [PLAIN])
        while environ["PATH_INFO"] == "/stream" and given < STREAM_BLOCKS:
            given += 1
            yield b"x" * BLOCK_BYTES

    live.play(application)
    with live.connect(window=WINDOW_BYTES) as slow, live.connect() as other:
        slow.send(request("GET", "/stream"))
        assert slow.head().status == 200
        before = -1
        while before != given:
            before = given
            for _ in range(50):
                assert other.get("/").status == 200
        assert given < STREAM_BLOCKS // 2


def test_reader_who_takes_nothing_is_dropped(log: pytest.LogCaptureFixture) -> None:
    """A client that takes nothing for the time limit is dropped, can tell, and is logged."""
    with serving(send_timeout=LIMIT_SECONDS) as live:
        live.play(plain(b"x" * 4 * LARGE))
        with live.connect(window=WINDOW_BYTES) as slow:
            slow.send(request("GET", "/"))
            assert slow.head().status == 200
            log.clear()
            eventually(
                lambda: any("took nothing" in record.getMessage() for record in log.records),
                "a log line",
            )
            with pytest.raises(Truncated):
                slow.take(4 * LARGE)
