"""The event loop as a whole: clients that leave anywhere, the end of it, and nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway.config.settings import Settings
from breezeway.gateway.exchange import Exchange
from breezeway.http1.head import Head
from breezeway.testing import LiveServer
from breezeway.worker import reactor
from breezeway.worker.acceptor import RETRY_SECONDS, UNSENT_BYTES, Acceptor
from breezeway.worker.connection import Connection
from breezeway.worker.failed_turns import MOST
from breezeway.worker.listener import bind_all
from breezeway.worker.poller import Poller, PollPoller, best_poller
from breezeway.worker.process import CRASHED, run
from breezeway.worker.scoreboard import BEAT, Scoreboard

from ..applications import PLAIN, plain
from ..live import eventually
from ..wire.client import Client, Truncated, request

LARGE = 3_000_000


class Site:
    """All kinds of responses; /wait stays until `go` is set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.go = threading.Event()
        self.inside = threading.Semaphore(0)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/wait":
            self.inside.release()
            assert self.go.wait(5)
        elif path == "/raise":
            raise ValueError("planned")
        elif path == "/read":
            environ["wsgi.input"].read()
        start_response("200 OK", [PLAIN])
        if path == "/file":
            return environ["wsgi.file_wrapper"](self.path.open("rb"))  # type: ignore[no-any-return]
        if path == "/stream":
            return (b"x" * 10_000 for _ in range(LARGE // 10_000))
        if path == "/break":
            return self._break()
        return [b"x" * LARGE if path == "/large" else path.encode()]

    def _break(self) -> Iterator[bytes]:
        for _ in range(30):
            yield b"x" * 100_000
        raise ValueError("planned")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Give the application, with a file to send."""
    path = tmp_path / "file"
    path.write_bytes(bytes(LARGE))
    return Site(path)


@pytest.fixture(params=[best_poller, PollPoller])
def poller(request: pytest.FixtureRequest) -> Poller:
    """Give each kind of poller."""
    poller: Poller = request.param()
    return poller


def descriptors() -> int:
    """Count the open file descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def alive(*kinds: type) -> int:
    """Count the objects of these types that are not garbage."""
    return sum(isinstance(each, kinds) for each in gc.get_objects())


EXPECT = request("POST", "/read", ("Expect", "100-continue"), ("Content-Length", "100"))

# Requests, and whether megabytes come back.
REQUESTS = [
    (request("GET", "/hello"), False),
    (request("GET", "/hello") * 3, False),
    (request("GET", "/hello", ("Connection", "close")), False),
    (request("GET", "/raise"), False),
    (request("POST", "/read", body=b"x" * 2000), False),
    (EXPECT, False),
    (b"GARBAGE\r\n\r\n", False),
    (request("GET", "/large"), True),
    (request("GET", "/stream"), True),
    (request("GET", "/file"), True),
    (request("GET", "/break"), True),
]


def leave_everywhere(server: LiveServer) -> None:
    """Send part of each request, read part of its response, and leave in both ways."""
    for data, large in REQUESTS:
        for sent, taken in [
            (len(data) // 2, 0),
            (len(data) - 1, 0),
            (len(data), 0),
            (len(data), 1),
        ]:
            for leave in (Client.close, Client.reset):
                client = Client(server.address, window=4096)
                client.send(data[:sent])
                client.take(5000 * taken if large else taken)
                leave(client)


@pytest.fixture
def no_log() -> Iterator[None]:
    """Log nothing: what is captured refers to frames by its tracebacks."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("no_log")
def test_nothing_is_left_behind(site: Site, poller: Poller) -> None:
    """However clients leave, no descriptor, connection or reference cycle stays."""
    with LiveServer(
        site, threads=3, poller=poller, body_memory=100, send_timeout=1.0, head_timeout=1.0
    ) as server:
        leave_everywhere(server)  # whatever is made once is made now
        eventually(lambda: not server.reactor.connections(), "all connections are closed")
        gc.collect()  # what other tests have left, too
        settled = descriptors()
        gc.disable()
        try:
            leave_everywhere(server)
            reactor = server.reactor
            eventually(lambda: not reactor.connections(), "all connections are closed")
            eventually(lambda: descriptors() == settled, "all descriptors are closed")
            eventually(lambda: not reactor.deadlines, "no deadline is left")
            # The event loop and the warden may refer to the last one that they have seen.
            eventually(lambda: alive(Connection, Exchange, Head) < 5, "no objects are left")
            assert reactor.awaited_bodies == reactor.baton.parked == 0
            assert reactor.counters["internal_error"] == 0
            assert not reactor.ready
        finally:
            gc.enable()
        with Client(server.address) as client:
            assert client.get("/hello").body == b"/hello"
    assert descriptors() < settled


def test_reset_before_a_file(site: Site) -> None:
    """A file that is for a client that has left is closed, and so is its duplicate."""
    with LiveServer(site, threads=2) as server:

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            gone = environ["breezeway.client_disconnected"]
            site.inside.release()
            eventually(gone, "the client has gone")
            start_response("200 OK", [PLAIN])
            return environ["wsgi.file_wrapper"](site.path.open("rb"))  # type: ignore[no-any-return]

        server.reactor.application = application
        for _ in range(3):  # the first ones start threads
            before = descriptors()
            client = Client(server.address)
            client.send(request("GET", "/"))
            assert site.inside.acquire(timeout=5)
            client.reset()
            eventually(lambda: not server.reactor.connections(), "the connection is closed")
        assert descriptors() <= before


def test_requests_in_flight_are_finished(site: Site, poller: Poller) -> None:
    """A stop closes connections at rest at once, and others after their responses."""
    with contextlib.ExitStack() as stack:
        with LiveServer(site, threads=1, poller=poller) as server:
            address = server.address
            resting, waiting, queued, half = (
                stack.enter_context(Client(server.address)) for _ in range(4)
            )
            assert resting.get("/hello").body == b"/hello"
            waiting.send(request("GET", "/wait"))
            assert site.inside.acquire(timeout=5)
            queued.send(request("GET", "/large"))
            half.send(request("GET", "/hello")[:-2])
            eventually(lambda: len(server.reactor.connections()) == 4, "all are there")
            server.reactor.stop()
            assert resting.rest() == b""
            half.send(b"\r\n")
            site.go.set()
            assert waiting.response().body == b"/wait"
            assert len(queued.response().body) == LARGE
            assert half.response().body == b"/hello"
            for client in (waiting, queued, half):
                assert client.rest() == b""
                client.close()
        assert server.reactor.stopped.is_set()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_first_beat_is_of_the_start() -> None:
    """What a worker did before, such as a probe that takes long, is no time without a turn."""
    row = Scoreboard().take()
    worker = reactor.Reactor(plain, [], Settings(), row=row)
    worker.now -= 100
    began = time.monotonic()
    worker.start()
    try:
        assert row[BEAT] >= int(began * 1000)
    finally:
        worker.stop()
        assert worker.stopped.wait(5)
        worker.close()


def test_stop_at_rest(site: Site, poller: Poller) -> None:
    """A server at which nobody ever asked anything stops at once."""
    with LiveServer(site, poller=poller) as server:
        pass
    assert server.reactor.stopped.is_set()


def test_no_descriptors_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of descriptors: the server waits, then accepts again; a stop meanwhile works too."""
    before = descriptors()
    for stop_early in (False, True):
        with LiveServer(site) as server:
            failing = [OSError(errno.EMFILE, "Too many open files")] * 2
            accept = server._listeners[0].socket._accept

            def refuse(accept: Any = accept, failing: Any = failing) -> Any:
                if failing:
                    raise failing.pop()
                return accept()

            acceptor = server.reactor.acceptors.each[0]
            monkeypatch.setattr(acceptor, "listener", Refusing(acceptor.listener, refuse))
            failing.pop()
            with Client(server.address, deadline=5 + RETRY_SECONDS) as client:
                client.send(request("GET", "/hello"))
                eventually(lambda: server.reactor.counters["accept.no_room"] == 1, "it pauses")
                if not stop_early:
                    assert client.response().body == b"/hello"
        assert server.reactor.stopped.is_set()
        assert descriptors() <= before


class Refusing:
    """A listener whose socket accepts in another way."""

    def __init__(self, listener: Any, accept: Callable[[], Any]) -> None:
        self.close = listener.close
        self.socket = self
        self.fileno = listener.socket.fileno
        self._accept = accept


def test_internal_error_costs_one_connection(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the server's own is logged and counted; the others are served."""
    receive = Connection._take_in

    def broken(connection: Connection, data: bytes) -> bool | None:
        if b"/bug" in data:
            raise ZeroDivisionError
        return receive(connection, data)

    monkeypatch.setattr(Connection, "_take_in", broken)
    with LiveServer(site) as server, Client(server.address) as other:
        assert other.get("/hello").body == b"/hello"
        with Client(server.address) as client:
            client.send(request("GET", "/bug"))
            with pytest.raises(Truncated):
                client.response()
        assert other.get("/hello").body == b"/hello"
        assert server.reactor.counters["internal_error"] == 1


def test_acceptors_survive_a_failing_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that cannot be set up costs nobody else anything."""
    with LiveServer(plain(b"ok")) as server:
        accept = Acceptor.accept
        failed = []

        def broken(acceptor: Acceptor, maximum: int) -> None:
            if not failed:
                failed.append(True)
                raise OSError(errno.ENOSPC, "No space left on device")
            accept(acceptor, maximum)

        monkeypatch.setattr(Acceptor, "accept", broken)
        with Client(server.address) as client:
            assert client.get("/").body == b"ok"
        assert failed


def test_connections_are_set_up() -> None:
    """A response is not held back for the next one, and the kernel keeps little that is not sent."""
    with LiveServer(plain(b"ok")) as server, Client(server.address) as client:
        client.get("/")
        (connection,) = server.reactor.connections()
        sock = connection.socket
        assert isinstance(sock, socket.socket)
        assert sock.gettimeout() == 0
        assert not sock.get_inheritable()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        if sys.platform == "linux":
            kept = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
            assert kept == UNSENT_BYTES


class Faulty:
    """A poller that works until it is told to fail, so many times."""

    def __init__(self) -> None:
        self._poller = best_poller()
        self.failures = 0
        self.error: BaseException = OSError(errno.EBADF, "Bad file descriptor")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, timeout: float, maximum: int) -> Any:
        """Poll, or fail as a descriptor that somebody has closed does."""
        events = self._poller.poll(timeout, maximum)
        if self.failures:
            self.failures -= 1
            raise self.error
        return events


@pytest.mark.parametrize("error", [OSError(errno.EBADF, "Bad file descriptor"), SystemExit()])
def test_loop_survives_a_poll_that_fails(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the loop itself is logged and counted, and costs nobody anything."""
    poller: Any = Faulty()
    poller.error = error
    with LiveServer(plain(b"ok"), poller=poller) as server, Client(server.address) as client:
        assert client.get("/").body == b"ok"
        poller.failures = 3
        server.reactor.poller.wake()
        eventually(lambda: server.reactor.counters["internal_error"] == 3, "the errors")
        assert client.get("/").body == b"ok"
    assert "internal error; the event loop goes on" in caplog.text


@pytest.mark.parametrize("error", [KeyError, SystemExit])
def test_loop_survives_a_log_that_fails(error: type[BaseException]) -> None:
    """What raises at each message, that of the error included, costs no answer, and not the loop."""

    def broken(record: logging.LogRecord) -> bool:
        raise error(record.name)

    logger = logging.getLogger("breezeway.worker")
    poller: Any = Faulty()
    logger.addFilter(broken)
    try:
        with LiveServer(plain(b"ok"), poller=poller) as server:
            with Client(server.address) as client:
                client.send(b"nonsense\r\n\r\n")
                assert client.response().status == 400
            poller.failures = 1
            server.reactor.poller.wake()
            eventually(lambda: server.reactor.counters["internal_error"] == 1, "the error")
            with Client(server.address) as client:
                assert client.get("/").body == b"ok"
            logger.removeFilter(broken)
    finally:
        logger.removeFilter(broken)


@pytest.mark.parametrize("name", ["settle", "advance"])
def test_loop_survives_an_account_that_fails(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does one that cannot count a request or put its duration into a bucket."""
    log = str(tmp_path / "log")
    with LiveServer(plain(b"ok"), access_log_file=log) as server, Client(server.address) as client:
        recorder: Any = server.reactor.recorder
        work = getattr(recorder, name)
        failed = []

        def broken() -> None:
            if not failed:
                failed.append(True)
                raise MemoryError
            work()

        monkeypatch.setattr(recorder, name, broken)
        for _ in range(2):
            assert client.get("/").body == b"ok"
        eventually(lambda: server.reactor.counters["internal_error"] == 1, "the error")
        assert client.get("/").body == b"ok"


def test_loop_that_cannot_go_on_ends(caplog: pytest.LogCaptureFixture) -> None:
    """A poller that fails for ever ends the loop, with a word, and without taking the core."""
    poller: Any = Faulty()
    ended = threading.Event()
    with LiveServer(plain(b"ok"), poller=poller) as server:
        server.reactor.on_failure = ended.set
        poller.failures = 1_000_000
        server.reactor.poller.wake()
        assert ended.wait(20)
        assert server.reactor.failed
        assert server.reactor.stopped.is_set()
        server.reactor.acceptors.close(leaving=False)  # else the end of the process does it
    assert server.reactor.counters["internal_error"] == MOST
    assert "the event loop cannot go on (OSError(9, 'Bad file descriptor'))" in caplog.text


def test_process_with_a_broken_loop_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a supervisor the whole ends, with the status of an error of our own."""
    poller: Any = Faulty()
    poller.failures = 1_000_000
    monkeypatch.setattr(reactor, "best_poller", lambda: poller)
    settings = Settings(bind=("127.0.0.1:0",))
    listeners = bind_all(settings)
    found = []
    interval = sys.getswitchinterval()
    try:
        with socket.create_connection(listeners[0].socket.getsockname()):  # an event
            runner = threading.Thread(
                target=lambda: found.append(run(plain(b"ok"), listeners, settings))
            )
            runner.start()
            runner.join(20)
    finally:
        sys.setswitchinterval(interval)
        for each in listeners:
            each.close()
        poller.close()
    assert found == [CRASHED]
