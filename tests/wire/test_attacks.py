"""Quick forms of what bench/attack does: what a hostile client costs the others, and the memory."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway.observe import throttle
from breezeway.testing import LiveServer
from breezeway.worker import connection, reactor

from .. import live as servers
from ..applications import PLAIN, Recorder, plain
from ..live import Live, Stage, eventually, serving
from .client import Client, Truncated, request

LARGE = 4_000_000
WINDOW_BYTES = 4096
KEPT_BYTES = 1024 * 1024
"""More than what the kernel may keep for one client with all its accounting, less than a response."""

PIPELINED = 10_000
UNREAD_RESPONSE = b"x" * 65536
ENOUGH_BYTES = 100_000
"""More than the server takes of anything endless before it says so."""

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

EXCHANGES = {
    "GET": b"GET /path?q=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
    "length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": CHUNKED + b"5;a=b\r\nhello\r\n0\r\nT: v\r\n\r\n",
    "expect": b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    "pipelined": b"\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
}


def unsent(client: Client) -> int:
    """Return how many bytes the server's kernel keeps for a client on this machine."""
    ends = [f"{port:04X}" for _, port in (client.socket.getpeername(), client.socket.getsockname())]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if [local[-4:], remote[-4:]] == ends:
            return int(queues.partition(":")[0], 16)
    return 0


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel tells it on Linux alone")
def test_the_kernel_keeps_little_for_who_does_not_read(live: Live) -> None:
    """A response that nobody reads does not fill memory that all connections share."""
    live.play(plain(b"x" * LARGE))
    with live.connect(window=WINDOW_BYTES) as client:
        client.send(request("GET", "/"))
        assert client.head().status == 200
        eventually(lambda: unsent(client) > 0, "a response that waits")
        assert unsent(client) < KEPT_BYTES
        assert len(client.take(LARGE)) == LARGE


# --- pipelining ----------------------------------------------------------------------------------


def test_many_in_one_go_leave_room_for_others(live: Live) -> None:
    """10,000 requests in one go are all answered, and somebody else's in the midst of them."""
    order: list[str] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        order.append(environ["PATH_INFO"])
        start_response("200 OK", [PLAIN, ("Content-Length", "1")])
        return [b"x"]

    live.play(application)
    with live.connect() as other, live.connect(deadline=20) as greedy:
        other.get("/before")
        sender = threading.Thread(target=greedy.send, args=(request("GET", "/") * PIPELINED,))
        sender.start()
        assert greedy.response().status == 200
        assert other.get("/other").body == b"x"
        for _ in range(PIPELINED - 1):
            assert greedy.response().body == b"x"
        sender.join()
    assert order.index("/other") < PIPELINED // 2


def test_unread_responses_end_the_reading(live: Live) -> None:
    """Who sends 10,000 requests and reads nothing gets few of them answered; others are served."""
    answered = itertools.count()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/many":
            next(answered)
        start_response("200 OK", [PLAIN])
        return [UNREAD_RESPONSE]

    live.play(application)
    with live.connect(window=WINDOW_BYTES) as greedy, live.connect() as other:
        greedy.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            greedy.socket.sendall(request("GET", "/many") * PIPELINED)
        for _ in range(100):
            assert other.get("/").status == 200
        greedy.reset()
    assert next(answered) < PIPELINED // 10


# --- what does not end ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "piece", "status"),
    [
        (b"GET /", b"x" * 100, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"x" * 1000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"x: y\r\n" * 100, 431),
        (CHUNKED, b"0" * 100, 400),
        (CHUNKED + b"1;a=", b"x" * 100, 400),
        (CHUNKED, b"1;a=b\r\nx\r\n" * 10, 400),
        (CHUNKED + b"0\r\n", b"x: y\r\n", 431),
        (CHUNKED + b"0\r\nx: ", b"y" * 100, 431),
        (b"\r\n", b"\r\n", 400),
    ],
    ids=[
        "request line",
        "field",
        "fields",
        "zeros",
        "extension",
        "extensions",
        "trailers",
        "trailer",
        "empty lines",
    ],
)
def test_endless(live: Live, first: bytes, piece: bytes, status: int) -> None:
    """What never ends is refused when 100 KB of it have come at the latest."""
    live.play(Recorder())
    with live.connect() as client:
        client.send(first)
        with contextlib.suppress(OSError):
            client.send(piece * (ENOUGH_BYTES // len(piece)))
        assert client.response().status == status


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no connection go on for longer than one receive, and no round for more than one of them."""
    monkeypatch.setattr(connection, "READ_SECONDS", 0.0)
    monkeypatch.setattr(reactor, "READY_SECONDS", 0.0)


@pytest.mark.parametrize("size", [1, 300_000])
def test_bodies_that_take_turns(live: Live, impatient: None, size: int) -> None:
    """Bodies, however chunked, arrive whole when each is read piece by piece among the others."""
    body = b"".join(b"%07d" % number for number in range(40_000 if size > 1 else 4000))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    recorder = Recorder()
    live.play(recorder)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(live.connect()) for _ in range(6)]
        for number, client in enumerate(clients):
            whole = request("POST", "/", body=body) if number % 2 else CHUNKED + coded
            client.send(whole[: -len(whole) // 3])
            stack.callback(client.close)
        with live.connect() as other:
            assert other.get("/").status == 200
        for number, client in enumerate(clients):
            whole = request("POST", "/", body=body) if number % 2 else CHUNKED + coded
            client.send(whole[-len(whole) // 3 :])
        assert {client.response().status for client in clients} == {200}
    assert [seen.body for seen in recorder.seen if seen.body] == [body] * 6


def test_heads_that_take_turns(live: Live, impatient: None) -> None:
    """Heads of 60 KB are taken piece by piece among the others."""
    recorder = Recorder()
    live.play(recorder)
    fields = [(f"X-{number}", "y" * 600) for number in range(95)]
    whole = request("GET", "/", *fields)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(live.connect()) for _ in range(6)]
        for client in clients:
            client.send(whole[:-1000])
        with live.connect() as other:
            assert other.get("/other").status == 200
        for client in clients:
            client.send(whole[-1000:] + request("GET", "/next"))
        assert {client.response().status for client in clients} == {200}
        assert {client.response().status for client in clients} == {200}
    assert sum(seen.environ.get("HTTP_X_94") == "y" * 600 for seen in recorder.seen) == 6


# --- what breaks off -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched() -> Iterator[tuple[LiveServer, Live]]:
    """Run a server whose connections can be counted."""
    stage = Stage()
    with LiveServer(stage, poller=servers.make_poller()) as server:
        yield server, Live(stage, server.address)


def _close(client: Client) -> None:
    client.close()


def _reset(client: Client) -> None:
    client.reset()


def _end(client: Client) -> None:
    """End the sending side, read what comes until the server closes."""
    with contextlib.suppress(OSError, Truncated, AssertionError):
        client.end()
        client.rest()
    client.close()


@pytest.mark.parametrize("leave", [_close, _reset, _end])
@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
def test_breaking_off_after_every_byte(
    watched: tuple[LiveServer, Live], exchange: bytes, leave: Callable[[Client], None]
) -> None:
    """Whoever leaves after whichever byte of a request leaves no connection and no file behind."""
    server, live = watched
    live.play(Recorder())
    eventually(lambda: not server.reactor.connections(), "no connections")
    before = len(os.listdir("/proc/self/fd"))
    for at in range(len(exchange) + 1):
        client = live.connect()
        client.send(exchange[:at])
        leave(client)
    eventually(lambda: not server.reactor.connections(), "no connections")
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= before, "no more open files")
    assert not server.reactor.counters["internal_error"]
    assert live.get("/").status == 200


@pytest.mark.parametrize("leave", [_close, _reset])
def test_breaking_off_a_response(
    watched: tuple[LiveServer, Live], leave: Callable[[Client], None]
) -> None:
    """So does who leaves in the midst of a response."""
    server, live = watched
    eventually(lambda: not server.reactor.connections(), "no connections")
    for blocks in ([b"x" * 100], [b"x" * LARGE], [b"x" * 65536] * 20):
        live.play(plain(*blocks))
        for size in (0, 1, 17, 90, 5000, 300_000):
            if size < sum(map(len, blocks)):
                client = live.connect(window=WINDOW_BYTES)
                client.send(request("GET", "/"))
                client.take(size)
                leave(client)
    eventually(lambda: not server.reactor.connections(), "no connections")
    assert not server.reactor.counters["internal_error"]


# --- the log -------------------------------------------------------------------------------------


def test_refusals_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Of a hundred bad requests ten are in the log."""
    caplog.set_level(logging.INFO, "breezeway")
    with serving() as live:
        live.play(plain())
        caplog.clear()
        for _ in range(100):
            with live.connect() as client:
                client.send(b"GET / HTTP/1.1\r\n\r\n")
                assert client.response().status == 400
        assert len(caplog.records) <= throttle.LINES + 1
