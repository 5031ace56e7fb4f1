"""--stream-body: the application reads a body while it comes, and waits for its client."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN, Recorder, plain
from ..certificates import local
from ..live import Live, eventually, serving
from ..worker import tls_client
from .client import Client, request

MEMORY_BYTES = 64 * 1024
STREAM = {"stream_body": ("/up",), "body_memory": MEMORY_BYTES}
CHUNKED = ("Transfer-Encoding", "chunked")
EXPECT = ("Expect", "100-continue")


@pytest.fixture(scope="module")
def streaming() -> Iterator[Live]:
    """Run a server that streams below /up."""
    with serving(threads=4, limit_body=100_000_000, **STREAM) as running:
        yield running


class Reading:
    """Reads as it is told, step by step; tells what it has read, and how it ended."""

    def __init__(self, *steps: Callable[[Any], bytes], early: bool = False) -> None:
        self.steps = steps
        self.early = early
        self.called = threading.Event()
        self.go = threading.Semaphore(0)
        self.read: list[bytes] = []
        self.environ: WSGIEnvironment = {}
        self.error: Exception | None = None
        self.ended = threading.Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.environ = environ
        self.called.set()
        try:
            if self.early:
                start_response("200 OK", [PLAIN])
                yield b"early "
            for step in self.steps:
                assert self.go.acquire(timeout=5)
                self.read.append(step(environ["wsgi.input"]))
            if not self.early:
                start_response("200 OK", [PLAIN])
            yield b"%d" % sum(map(len, self.read))
        except OSError as error:
            self.error = error
            raise
        finally:
            self.ended.set()


def all_of_it(stream: Any) -> bytes:
    """Read to the end."""
    return stream.read()


def so_much(size: int) -> Callable[[Any], bytes]:
    """Return a step that reads so many bytes."""
    return lambda stream: stream.read(size)


def posted(length: int, *fields: tuple[str, str], path: str = "/up") -> bytes:
    """Return the head of an upload."""
    return request("POST", path, ("Content-Length", str(length)), *fields)


def test_application_is_called_with_the_head(streaming: Live) -> None:
    """PEP 3333: the application runs, and reads what is there, while the body is on its way."""
    application = Reading(so_much(5), all_of_it)
    streaming.play(application)
    with streaming.connect() as client:
        client.send(posted(10))
        assert application.called.wait(5)
        application.go.release(2)
        client.send(b"hello")
        eventually(lambda: application.read == [b"hello"], "the first part")
        client.send(b"world")
        response = client.response()
        assert (response.body, response.options()) == (b"10", set())
        streaming.play(plain(b"next"))
        assert client.get("/").body == b"next"
    assert application.read == [b"hello", b"world"]
    assert application.environ["CONTENT_LENGTH"] == "10"
    assert application.environ["wsgi.input_terminated"] is True


def test_other_paths_are_collected(streaming: Live) -> None:
    """A path that does not begin so has its body complete, as ever."""
    recorder = Recorder()
    streaming.play(recorder)
    with streaming.connect() as client:
        client.send(posted(10, path="/other"))
        assert streaming.get("/up").status == 200
        assert len(recorder.seen) == 1
        client.send(b"0123456789")
        assert client.response().status == 200
    assert recorder.seen[1].body == b"0123456789"


def test_chunks_and_trailers(streaming: Live) -> None:
    """RFC 9112 section 7.1: no length is told; trailers are there when the end has been read."""
    application = Reading(so_much(3), all_of_it)
    streaming.play(application)
    with streaming.connect() as client:
        client.send(request("POST", "/up", CHUNKED) + b"3\r\nabc\r\n")
        application.go.release()
        eventually(lambda: application.read == [b"abc"], "the first chunk")
        assert "CONTENT_LENGTH" not in application.environ
        assert application.environ["breezeway.trailers"] == []
        application.go.release()
        client.send(b"1\r\n")
        client.drip(b"d\r\n2\r\nef\r\n0\r\nX-Sum: 6\r\n\r\n")
        response = client.response()
        assert (response.body, response.options()) == (b"6", set())
        streaming.play(plain(b"next"))
        assert client.get("/").body == b"next"
    assert application.read == [b"abc", b"def"]
    assert application.environ["breezeway.trailers"] == [("X-Sum", "6")]


def test_pieces_without_content() -> None:
    """RFC 9112 section 7.1.1: of an extension pieces may come with no content; the next is looked at."""
    recorder = Recorder()
    with serving(threads=2, stream_body=("/up",), body_memory=0) as live:
        live.play(recorder)
        with live.connect() as client:
            client.send(request("POST", "/up", CHUNKED))
            extension = b";a=" + b"x" * 1000
            client.drip(b"1%b\r\nx\r\n" % extension * 3 + b"0%b\r\n\r\n" % extension)
            assert client.response().status == 200
    assert recorder.seen[0].body == b"xxx"


@pytest.mark.parametrize("coded", [False, True], ids=["length", "chunked"])
def test_next_request_is_its_own(streaming: Live, coded: bool) -> None:
    """RFC 9112 section 9.3.2: what follows a streamed body is the next request."""
    recorder = Recorder()
    streaming.play(recorder)
    head = request("POST", "/up", CHUNKED) if coded else posted(5)
    body = b"5\r\nhello\r\n0\r\n\r\n" if coded else b"hello"
    following = request("GET", "/next") + head + body
    with streaming.connect() as client:
        for cut in range(len(head), len(head + body + following), 7):
            before = len(recorder.seen)
            text = head + body + following
            client.send(text[:cut])
            client.send(text[cut:])
            assert [client.response().status for _ in range(3)] == [200] * 3
            assert [seen.body for seen in recorder.seen[before:]] == [b"hello", b"", b"hello"]


def test_continue_at_the_first_read(streaming: Live) -> None:
    """RFC 9110 section 10.1.1: the 100 is sent when the application reads, once."""
    application = Reading(so_much(2), all_of_it)
    streaming.play(application)
    with streaming.connect() as client:
        client.send(posted(4, EXPECT))
        assert application.called.wait(5)
        assert client.silent(0.05)
        application.go.release(2)
        assert client.head().status == 100
        client.send(b"ab")
        eventually(lambda: bool(application.read), "the first part")
        client.send(b"cd")
        response = client.response()
        assert (response.body, response.interim, response.options()) == (b"4", (), set())


def test_unread_body_is_not_asked_for(streaming: Live) -> None:
    """RFC 9110 section 10.1.1: an answer without reading sends no 100, and the server closes."""
    streaming.play(plain(b"no", status="403 Forbidden"))
    with streaming.connect() as client:
        client.send(posted(10, EXPECT))
        response = client.response()
        assert (response.status, response.interim, response.options()) == (403, (), {"close"})
        assert client.rest() == b""


def test_read_after_the_head_has_gone(streaming: Live) -> None:
    """RFC 9110 section 10.1.1: once the response has begun, a withheld body is not asked for."""
    application = Reading(all_of_it, early=True)
    streaming.play(application)
    with streaming.connect() as client:
        client.send(posted(10, EXPECT))
        assert client.head().status == 200
        application.go.release()
        assert application.ended.wait(5)
    assert isinstance(application.error, OSError)


def test_1_0(streaming: Live) -> None:
    """RFC 9112 section 9.3: HTTP/1.0 streams, too, and the connection ends as ever."""
    application = Reading(all_of_it)
    streaming.play(application)
    application.go.release()
    with streaming.connect() as client:
        client.send(request("POST", "/up", ("Content-Length", "5"), version="1.0"))
        assert application.called.wait(5)
        client.send(b"hello")
        assert client.response().body == b"5"
        assert client.rest() == b""


def test_answer_while_the_body_comes(streaming: Live) -> None:
    """RFC 9112 section 9.6: a response that begins before the end says that it is the last one."""
    application = Reading(all_of_it, early=True)
    streaming.play(application)
    with streaming.connect() as client:
        client.send(posted(5))
        head = client.head()
        assert (head.status, head.options()) == (200, {"close"})
        application.go.release()
        client.send(b"hello" + request("GET", "/never"))
        assert client.rest() == b"6\r\nearly \r\n1\r\n5\r\n0\r\n\r\n"


def test_early_answer_reaches_a_client_that_sends_on(streaming: Live) -> None:
    """RFC 9112 section 9.6: the rest of the body is thrown away, so that no reset kills the answer."""
    streaming.play(plain(b"enough", status="413 Content Too Large"))
    with streaming.connect() as client:
        client.send(posted(1_000_000))
        for _ in range(10):
            client.send(b"x" * 50_000)
        response = client.response()
        assert (response.status, response.body) == (413, b"enough")
        assert response.options() == {"close"}
        client.send(b"x" * 500_000)
        client.end()
        assert client.rest() == b""


def test_back_pressure(streaming: Live) -> None:
    """What the application does not read stays with the client."""
    application = Reading(all_of_it)
    streaming.play(application)
    with streaming.connect() as client:
        client.send(posted(50_000_000))
        assert application.called.wait(5)
        sent = 0
        while select.select([], [client.socket], [], 0.2)[1]:
            sent += client.socket.send(b"x" * 100_000, socket.MSG_DONTWAIT)
        assert sent < 40_000_000  # the buffers of the system on both sides
        application.go.release()
        client.socket.sendall(b"x" * (50_000_000 - sent))
        assert client.response().body == b"50000000"


@pytest.mark.parametrize("leave", [Client.close, Client.reset, Client.end])
def test_client_leaves(streaming: Live, leave: Callable[[Client], None]) -> None:
    """PEP 3333: a body that breaks off is not taken for whole; the read raises an OSError."""
    application = Reading(so_much(5), all_of_it)
    streaming.play(application)
    application.go.release()
    client = streaming.connect()
    client.send(posted(10) + b"hello")
    eventually(lambda: application.read == [b"hello"], "the first part")
    application.go.release()
    leave(client)
    assert application.ended.wait(5)
    assert isinstance(application.error, OSError)
    if leave is Client.end:
        assert client.response().status == 400
        assert client.rest() == b""
        client.close()
    streaming.play(plain(b"next"))
    assert streaming.get("/").body == b"next"


@pytest.mark.parametrize(
    ("rest", "status"), [(b"1;\r\n", 400), (b"ffffffff\r\n", 413)], ids=["malformed", "too large"]
)
@pytest.mark.parametrize("early", [False, True])
def test_refused_on_the_way(streaming: Live, rest: bytes, status: int, early: bool) -> None:
    """RFC 9112 section 7.1: refused while its head has not gone, else broken off."""
    application = Reading(so_much(3), all_of_it, early=early)
    streaming.play(application)
    application.go.release(2)
    with streaming.connect() as client:
        client.send(request("POST", "/up", CHUNKED) + b"3\r\nabc\r\n")
        eventually(lambda: bool(application.read), "the first chunk")
        client.send(rest)
        if early:
            assert b"\r\n0\r\n" not in client_rest(client)
        else:
            response = client.response()
            assert (response.status, response.options()) == (status, {"close"})
    assert application.ended.wait(5)
    assert isinstance(application.error, OSError)


def client_rest(client: Client) -> bytes:
    """Read to the end, orderly or not."""
    try:
        return client.rest()
    except AssertionError as error:
        return bytes(getattr(error, "received", b""))


def test_slow_clients_take_no_thread() -> None:
    """Others are served by as many threads as ever while streams wait for their clients."""
    with serving(threads=2, **STREAM) as live:
        readers = [Reading(all_of_it) for _ in range(4)]
        clients = []
        for reader in readers:
            live.play(reader)
            reader.go.release()
            clients.append(live.connect())
            clients[-1].send(posted(10) + b"hello")
            if reader in readers[:2]:
                assert reader.called.wait(5)
        recorder = Recorder()
        live.play(recorder)
        for _ in range(20):
            assert live.get("/").status == 200
        # As many wait as there are threads; of the others, the body is collected first.
        assert not readers[2].called.is_set()
        assert not readers[3].called.is_set()
        for client in clients:
            client.send(b"world")
        for client in clients[:2]:
            assert client.response().body == b"10"
        for client in clients[2:]:
            assert client.response().status == 200
            client.close()
        assert [seen.body for seen in recorder.seen[-2:]] == [b"helloworld"] * 2
        for client in clients[:2]:
            client.close()


def test_only_thread() -> None:
    """PEP 3333, wsgi.multithread: with one thread the body is collected, as no other call may begin."""
    recorder = Recorder()
    with serving(threads=1, **STREAM) as live:
        live.play(recorder)
        with live.connect() as client:
            client.send(posted(10) + b"hello")
            assert live.get("/").status == 200
            assert len(recorder.seen) == 1
            client.send(b"world")
            assert client.response().status == 200
    assert recorder.seen[1].body == b"helloworld"


def test_bodies_are_read_after_a_stop() -> None:
    """A stop waits for a request whose body still comes, within its grace."""
    with serving(threads=2, **STREAM) as live:
        application = Reading(all_of_it)
        live.play(application)
        application.go.release()
        client = live.connect()
        client.send(posted(10) + b"hello")
        assert application.called.wait(5)
        answers: list[bytes] = []

        def finish() -> None:
            with client:
                client.send(b"world")
                answers.append(client.response().body)

        finisher = threading.Timer(0.1, finish)
        finisher.start()
    finisher.join(5)
    assert answers == [b"10"]
    assert application.read == [b"helloworld"]


def test_over_tls(tmp_path: Path) -> None:
    """RFC 9112 section 9.7: a layer under the connection makes no difference."""
    body = bytes(range(256)) * 4000
    with tls_client.serving(local(tmp_path), threads=2, **STREAM) as live:
        recorder = Recorder()
        live.play(recorder)
        with live.connect() as client:
            for head, text in (
                (posted(len(body)), body),
                (request("POST", "/up", CHUNKED), b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)),
            ):
                client.send(head)
                eventually(lambda: live.server.reactor.awaited_bodies == 1, "the call")
                client.send(text)
                response = client.response()
                assert (response.status, response.options()) == (200, set())
        assert [seen.body for seen in recorder.seen] == [body, body]


def test_input_is_over_with_its_request(streaming: Live) -> None:
    """PEP 3333: an input that is kept reads nothing of what comes later on the connection."""
    kept: list[Any] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        kept.append(environ["wsgi.input"])
        start_response("200 OK", [PLAIN])
        return [b"unread"]

    streaming.play(application)
    with streaming.connect() as client:
        client.send(posted(5))
        assert client.response().body == b"unread"
        client.end()
        assert client.rest() == b""
    with pytest.raises(OSError, match="over"):
        kept[0].read()


def test_read_in_another_thread(streaming: Live) -> None:
    """A thread of the application's own that waits for the body is let go with the request."""
    failed: list[OSError] = []
    waiting: list[threading.Thread] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def read() -> None:
            try:
                environ["wsgi.input"].read()
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        waiting.append(thread)
        start_response("200 OK", [PLAIN])
        return [b"unread"]

    streaming.play(application)
    with streaming.connect() as client:
        client.send(posted(5))
        assert client.response().body == b"unread"
    waiting[0].join(5)
    assert len(failed) == 1
