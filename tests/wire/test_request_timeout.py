"""The deadline of one request: what the client gets, and what the application sees."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway import RequestTimeout
from breezeway.gateway.failure import ClientGone
from breezeway.worker import deadlines, reactor
from breezeway.worker.process import SWITCH_SECONDS

from ..applications import PLAIN, plain
from ..gil import needs_gil
from ..live import Live, eventually, serving
from .client import Client, Response, Truncated, request

pytestmark = needs_gil  # threads are interrupted; without it see worker/test_gil

LIMIT_SECONDS = 0.1
LATE_SECONDS = 0.5
"""How late the deadline may strike with the default clock: two of its ticks."""
SLACK_SECONDS = 1.0
"""What a busy machine may add."""
SOME_DEADLINES = 4
"""Of the application's time, where none counts."""
MANY_DEADLINES = 100
"""Of the application's time, where one comes first also on a busy machine."""

Application = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]


@pytest.fixture(autouse=True, scope="module")
def clock() -> Iterator[None]:
    """Look at the deadlines more often, for short tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deadlines, "SLOT_SECONDS", 0.02)
        patch.setattr(reactor, "TICK_SECONDS", 0.02)
        yield


@pytest.fixture(scope="module", params=[1, 4], ids=["one thread", "threads"])
def strict(request: pytest.FixtureRequest) -> Iterator[Live]:
    """Run a server with a short deadline."""
    with serving(threads=request.param, request_timeout=(f"{LIMIT_SECONDS}",)) as running:
        yield running


class Loop:
    """An application that never comes back, and remembers what it sees.

    `start` calls start_response before, `once` catches what comes, and `again` goes on after that.
    """

    def __init__(self, *, start: bool = False) -> None:
        self.start = start
        self.seen: list[type[BaseException]] = []
        self.left = threading.Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self.start:
            start_response("200 OK", [PLAIN])
        try:
            while True:
                pass
        except BaseException as error:
            self.seen.append(type(error))
            raise
        finally:
            self.left.set()


def timed_out(client: Client, method: str = "GET") -> Response:
    """Read a proper 504 and the end of the connection."""
    response = client.response(method)
    assert response.status == 504
    assert response.options() == {"close"}
    assert (response.value("Content-Type") or "").startswith("text/plain")
    assert method == "HEAD" or response.body
    assert client.rest() == b""
    return response


@pytest.mark.parametrize("start", [False, True], ids=["nothing", "started"])
def test_endless_loop(strict: Live, start: bool) -> None:
    """A loop of pure Python is 504 for the client, and ends with RequestTimeout."""
    loop = Loop(start=start)
    strict.play(loop)
    with strict.connect() as client:
        client.send(request("GET", "/"))
        timed_out(client)
    assert loop.left.wait(5)
    assert loop.seen == [RequestTimeout]
    strict.play(plain(b"next"))
    assert strict.get().body == b"next"


def test_at_the_deadline(monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture) -> None:
    """The 504 comes at the deadline, though the thread is in C code, where nothing reaches it."""
    monkeypatch.setattr(deadlines, "SLOT_SECONDS", 0.25)
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.25)
    gate = threading.Lock()
    gate.acquire()
    seen = []

    def blocked(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            gate.acquire()
        except RequestTimeout:
            seen.append(True)
            raise
        return []

    with serving(request_timeout=("0.6",)) as live, live.connect() as client:
        live.play(blocked)
        began = time.monotonic()
        client.send(request("GET", "/"))
        timed_out(client)
        assert 0.6 <= time.monotonic() - began < 0.6 + LATE_SECONDS + SLACK_SECONDS
        assert not seen
        eventually(lambda: "is interrupted" in log.text, "the exception is on its way")
        gate.release()
        eventually(lambda: bool(seen), "the exception comes when the thread is back in Python")


@pytest.mark.parametrize(
    ("fields", "version"),
    [([], "1.1"), ([("Content-Length", "6")], "1.1"), ([], "1.0")],
    ids=["chunked", "length", "until the end"],
)
def test_in_the_middle(strict: Live, fields: list[tuple[str, str]], version: str) -> None:
    """A response that has begun is broken off so that the client can tell; its result is closed."""
    seen = []
    closed = threading.Event()

    def stream(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN, *fields])
        try:
            yield b"one"
            while True:
                pass
        except BaseException as error:
            seen.append(type(error))
            raise
        finally:
            closed.set()

    strict.play(stream)
    with strict.connect() as client:
        client.send(request("GET", "/", version=version))
        with pytest.raises(Truncated) as caught:
            client.response()
        assert caught.value.received in (b"one", b"")  # a reset may overtake what was sent
    assert closed.wait(5)
    assert seen == [RequestTimeout]


def test_answer_after_all(strict: Live) -> None:
    """An application that catches it and answers: the client has its 504 and nothing else."""
    returned, closed = threading.Event(), []

    class Result(list[bytes]):
        def close(self) -> None:
            closed.append(True)
            returned.set()

    def stubborn(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with contextlib.suppress(RequestTimeout):
            while True:
                pass
        start_response("200 OK", [PLAIN])
        return Result([b"late"])

    strict.play(stubborn)
    with strict.connect() as client:
        client.send(request("GET", "/"))
        timed_out(client)
    assert returned.wait(5)
    strict.play(plain(b"next"))
    assert strict.get().body == b"next"
    assert closed == [True]


def test_interrupted_once(strict: Live) -> None:
    """An application that goes on is not interrupted a second time; it is told that all is over."""
    seen: list[type[BaseException]] = []
    done = threading.Event()

    def stubborn(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [PLAIN])
        gone = environ["breezeway.client_disconnected"]
        assert not gone()
        ends = time.monotonic() + 5
        tries: list[Callable[[], object]] = [
            lambda: spin_until(ends),
            lambda: spin_until(time.monotonic() + 3 * LIMIT_SECONDS),
            lambda: write(b"late"),
            lambda: environ["wsgi.early_hints"]([("Link", "</x>")]),
        ]
        for attempt in tries:
            try:
                attempt()
            except BaseException as error:
                seen.append(type(error))
        if gone():
            done.set()
        return [b"late"]

    strict.play(stubborn)
    with strict.connect() as client:
        client.send(request("GET", "/"))
        timed_out(client)
    assert done.wait(5)
    assert seen == [RequestTimeout, ClientGone, ClientGone]


def test_except_exception_does_not_swallow_it(strict: Live) -> None:
    """What catches every Exception lets it through; what cleans up still runs."""
    seen: list[str] = []
    done = threading.Event()

    def careless(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            try:
                while True:
                    pass
            except Exception:
                seen.append("swallowed")
        finally:
            seen.append("cleaned up")
            done.set()
        return []

    strict.play(careless)
    with strict.connect() as client:
        client.send(request("GET", "/"))
        timed_out(client)
    assert done.wait(5)
    assert seen == ["cleaned up"]


def test_close_that_hangs(strict: Live) -> None:
    """A response that has gone whole stays whole; the thread is interrupted in `close()`."""
    seen: list[type[BaseException]] = []
    done = threading.Event()

    class Result:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"whole"])

        def close(self) -> None:
            try:
                spin_until(time.monotonic() + 5)
            except BaseException as error:
                seen.append(type(error))
                raise
            finally:
                done.set()

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        return Result()

    strict.play(application)
    with strict.connect() as client:
        assert client.get("/").body == b"whole"
        assert client.rest() == b""
    assert done.wait(5)
    assert seen == [RequestTimeout]
    assert strict.get("/").body == b"whole"
    eventually(lambda: len(seen) == 2, "the second one ends, too")


@pytest.mark.parametrize(("method", "version"), [("HEAD", "1.1"), ("GET", "1.0")])
def test_every_kind_of_request(strict: Live, method: str, version: str) -> None:
    """The 504 of a HEAD has no body; HTTP/1.0 gets the same answer."""
    strict.play(Loop())
    with strict.connect() as client:
        client.send(request(method, "/", version=version))
        timed_out(client, method)


def test_requests_behind_it(strict: Live) -> None:
    """The connection closes: what was pipelined behind the request is not answered."""
    calls = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        calls.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/loop":
            spin_until(time.monotonic() + 5)
        start_response("200 OK", [PLAIN])
        return [b"ok"]

    strict.play(application)
    with strict.connect() as client:
        client.send(request("GET", "/first") + request("GET", "/loop") + request("GET", "/last"))
        assert client.response().body == b"ok"
        timed_out(client)
    strict.play(plain(b"next"))
    assert strict.get().body == b"next"
    assert calls == ["/first", "/loop"]


def test_each_request_has_its_own_clock(strict: Live) -> None:
    """Many requests in time on one connection are all answered, longer than one deadline."""
    with strict.connect() as client:
        strict.play(plain(b"ok"))
        ends = time.monotonic() + 3 * LIMIT_SECONDS
        while time.monotonic() < ends:
            assert client.get("/").body == b"ok"
        strict.play(Loop())
        client.send(request("GET", "/"))
        timed_out(client)


def test_longest_prefix_counts() -> None:
    """The limit of the longest prefix of the path counts; a path without one has no limit."""
    limits = (f"/slow={LIMIT_SECONDS}", "/slow/report=1h", f"/caf\u00e9={LIMIT_SECONDS}")
    with serving(threads=2, request_timeout=limits) as live:
        live.play(busy(SOME_DEADLINES))
        assert live.get("/other").status == 200
        assert live.get("/slow/report/5").status == 200
        live.play(busy(MANY_DEADLINES))
        assert live.get("/slow").status == 504
        assert live.get("/slow/page?x").status == 504
        assert live.get("/caf%C3%A9").status == 504


def test_prefix_has_the_mount() -> None:
    """The prefix is one of the whole path, however the mount is found."""
    with serving(root_path="/shop", request_timeout=(f"/shop/slow={LIMIT_SECONDS}",)) as live:
        live.play(busy(MANY_DEADLINES))
        assert live.get("/shop/slow").status == 504
        assert live.get("/slow").status == 504
        live.play(busy(SOME_DEADLINES))
        assert live.get("/shop/other").status == 200


@pytest.fixture
def short_switches() -> Iterator[None]:
    """Have threads give each other the GIL as quickly as in a server of its own process."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("short_switches")
def test_siblings_are_untouched() -> None:
    """Requests on other threads are all answered while deadlines pass again and again."""
    with serving(threads=4, request_timeout=(f"/slow={LIMIT_SECONDS}",)) as live:
        live.play(busy(MANY_DEADLINES))
        statuses: list[int] = []
        ends = threading.Event()

        def ask() -> None:
            while not ends.is_set():
                statuses.append(live.get("/slow").status)

        askers = [threading.Thread(target=ask) for _ in range(2)]
        for each in askers:
            each.start()
        try:
            with live.connect(deadline=60) as client:
                for number in range(200):
                    assert client.get(f"/quick/{number}").body == b"quick"
                eventually(lambda: len(statuses) >= 6, "some deadlines pass")
                for number in range(200):
                    assert client.get(f"/quick/{number}").body == b"quick"
        finally:
            ends.set()
            for each in askers:
                each.join()
        assert set(statuses) == {504}


def test_client_that_does_not_read(strict: Live) -> None:
    """A stream that waits for its client ends at the deadline, too."""
    done = threading.Event()

    def stream(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        try:
            while True:
                yield bytes(65536)
        finally:
            done.set()

    strict.play(stream)
    with strict.connect(window=4096) as client:
        client.send(request("GET", "/"))
        assert done.wait(5)
        with pytest.raises(Truncated):
            client.response()


def test_waiting_for_a_thread() -> None:
    """A request that no thread has taken by its deadline is 503: the client may send it again."""
    gate, inside = threading.Event(), threading.Semaphore(0)
    calls = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        calls.append(environ["PATH_INFO"])
        inside.release()
        assert gate.wait(5)
        start_response("200 OK", [PLAIN])
        return [b"ok"]

    limits = ("1h", f"/short={LIMIT_SECONDS}")
    with serving(threads=1, request_timeout=limits, queue_limit=2) as live, live.connect() as busy:
        live.play(application)
        busy.send(request("GET", "/busy"))
        assert inside.acquire(timeout=5)
        for _ in range(5):  # each of them leaves its place in the queue
            response = live.get("/short")
            assert response.status == 503
            assert response.value("Retry-After") == "1"
            assert response.options() == {"close"}
        with live.connect() as patient:
            patient.send(request("GET", "/patient"))
            assert live.get("/short").status == 503
            gate.set()
            assert busy.response().body == b"ok"
            assert patient.response().body == b"ok"
    assert calls == ["/busy", "/patient"]


def test_body_that_the_client_holds_back() -> None:
    """The wait for a body after `100 Continue` is not charged; what comes after it is."""
    seen = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        if body == b"loops":
            try:
                spin_until(time.monotonic() + 5)
            except RequestTimeout:
                seen.append(True)
                raise
        start_response("200 OK", [PLAIN])
        return [body]

    with serving(threads=2, request_timeout=(f"{LIMIT_SECONDS}",)) as live:
        live.play(application)
        for body in (b"hello", b"loops"):
            with live.connect() as client:
                expect = ("Expect", "100-continue"), ("Content-Length", "5")
                client.send(request("POST", "/", *expect))
                assert client.head().status == 100
                assert client.silent(3 * LIMIT_SECONDS)
                client.send(body)
                if body == b"hello":
                    assert client.response().body == body
                else:
                    timed_out(client)
    assert seen == [True]


def test_body_can_be_read_to_the_end(strict: Live) -> None:
    """The body stays open for the thread that reads it, although the client has had its answer."""
    read = []
    done = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            spin_until(time.monotonic() + 5)
        except RequestTimeout:
            eventually(lambda: answered.is_set(), "the client has its answer")
            read.append(len(environ["wsgi.input"].read()))
            done.set()
            raise
        return []

    answered = threading.Event()
    strict.play(application)
    with strict.connect() as client:
        client.send(request("POST", "/", body=bytes(500_000)))
        timed_out(client)
        answered.set()
    assert done.wait(5)
    assert read == [500_000]


def test_client_that_has_left(strict: Live) -> None:
    """The request of a client that has gone ends at its deadline all the same."""
    loop = Loop()
    strict.play(loop)
    client = strict.connect()
    client.send(request("GET", "/"))
    client.reset()
    assert loop.left.wait(5)
    assert loop.seen == [RequestTimeout]


def test_early_hints_are_no_response(strict: Live) -> None:
    """After a 103 alone the client still gets its 504."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.early_hints"]([("Link", "</x>")])
        spin_until(time.monotonic() + 5)
        return []

    strict.play(application)
    with strict.connect() as client:
        client.send(request("GET", "/"))
        response = timed_out(client)
        assert [each.status for each in response.interim] == [103]


def test_log(strict: Live, log: pytest.LogCaptureFixture) -> None:
    """The log has the request, the limit, and where its thread was; no second traceback."""

    def view() -> None:
        spin_until(time.monotonic() + 5)

    done = threading.Event()

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            view()
        finally:
            done.set()
        return []

    strict.play(application)
    with strict.connect() as client:
        client.send(request("GET", "/a?b=%0A"))
        timed_out(client)
    assert done.wait(5)

    def lines() -> list[str]:
        messages = [each.getMessage() for each in log.records if each.levelname == "ERROR"]
        return [each for each in messages if "/a?b" in each]

    eventually(lambda: bool(lines()), "the log has it")
    [line] = lines()
    assert line.startswith("127.0.0.1: GET /a?b=%0A took longer than 0.1 s: answered with 504")
    assert "in view\n" in line
    assert "in spin_until\n" in line
    assert "breezeway/worker" not in line
    assert not any(each.exc_info for each in log.records)


def test_access_log(capfd: pytest.CaptureFixture[str]) -> None:
    """The access log has the 504, with the bytes of its body and the time that it took."""
    with serving(access_log=True, request_timeout=(f"{LIMIT_SECONDS}",)) as live:
        live.play(Loop())
        with live.connect() as client:
            client.send(request("GET", "/loop"))
            body = timed_out(client).body
    [line] = capfd.readouterr().out.splitlines()
    assert f'"GET /loop HTTP/1.1" 504 {len(body)} ' in line


def busy(deadlines: int) -> Application:
    """Return an application that answers /quick/... at once, and all others after some deadlines."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith("/quick"):
            spin_until(time.monotonic() + deadlines * LIMIT_SECONDS)
        start_response("200 OK", [PLAIN])
        return [b"quick"]

    return answer


def spin_until(ends: float) -> None:
    """Be busy in pure Python."""
    while time.monotonic() < ends:
        pass
