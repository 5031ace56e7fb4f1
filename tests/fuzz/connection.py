"""The connection as a whole: bytes in, bytes out, compared with what the parser makes of them.

A connection has shorter roads than the parser's: it remembers its last head, and its last fields. Its
answers have to be those to the requests that a fresh parser finds in the same bytes, however they
come. `Driven` has no event loop: the check tells the connection what has come, in one thread. `Live`
is a server with all its threads.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from breezeway.config.settings import Settings
from breezeway.gateway.environ import base_environ
from breezeway.gateway.input import BodyStore
from breezeway.gateway.memory_budget import MemoryBudget
from breezeway.gateway.streamed_input import StreamedInput
from breezeway.http1.errors import ProtocolError
from breezeway.http1.head import Parser
from breezeway.http1.limits import Limits
from breezeway.testing import LiveServer
from breezeway.worker.connection import Connection
from breezeway.worker.ending import CLOSED
from breezeway.worker.intake import Intake
from breezeway.worker.poller import IN, OUT, RDHUP, READABLE
from breezeway.worker.reactor import Reactor

from ..http1.outcome import Outcome, at, completed, one_by_one, outcome
from .checks import bounded, cuts_of

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LOOKS = 200
"""How often the event loop may look at one connection again after one event."""

ANSWER_SECONDS = 10.0
"""A live server that says nothing for so long hangs."""

_END_OF_HEAD = re.compile(rb"\r\n\r\n")

PATIENCE_SECONDS = 0.005

CALLS_OF_A_REQUEST = 400


def tell(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the request, as the application sees it."""
    body = environ["wsgi.input"].read()
    if isinstance(environ["wsgi.input"], StreamedInput):  # what the head could not tell
        environ.setdefault("CONTENT_LENGTH", str(len(body)))
        if not environ.get("breezeway.trailers"):
            environ.pop("breezeway.trailers", None)
    said = _said(environ, body)
    start_response("200 OK", [("Content-Length", str(len(said)))])
    return [said]


def _said(environ: dict[str, Any], body: bytes) -> bytes:
    told = {
        key: value
        for key, value in environ.items()
        if key.startswith(("HTTP_", "CONTENT_", "REQUEST_", "breezeway.trailers"))
        or key in ("PATH_INFO", "QUERY_STRING", "RAW_URI", "SERVER_PROTOCOL")
    }
    return repr((sorted(told.items()), body)).encode("ascii", "backslashreplace")


def ends(data: bytes) -> list[int]:
    """Return where the requests in the bytes end: one that comes by itself goes a road of its own."""
    intake = Intake(Parser(Limits()), BodyStore(len(data)), MemoryBudget(len(data)))
    found = []
    with contextlib.suppress(ProtocolError):
        for end in range(1, len(data) + 1):
            found += [end for _ in completed(intake, data[end - 1 : end])]
    return found


def heads_of(data: bytes) -> list[int]:
    """Return where there may be the end of a head: what waits for `100 Continue` stops there."""
    return [match.end() for match in _END_OF_HEAD.finditer(data)]


class Answer(NamedTuple):
    """One response: its status and its body."""

    status: int
    body: bytes


def answers(received: bytes, methods: list[str]) -> list[Answer]:
    """Take the answers to requests of those methods apart, and perhaps a refusal after them."""
    found = []
    received = received.replace(CONTINUE, b"")  # when it comes depends on what has come before it
    for method in [*methods, ""]:
        if not received and not method:
            break
        head, end, received = received.partition(b"\r\n\r\n")
        assert end, "an answer is not complete"
        lines = head.split(b"\r\n")
        assert lines[0].startswith(b"HTTP/1.1 ")
        (length,) = (int(line[16:]) for line in lines if line.startswith(b"Content-Length: "))
        if method == "HEAD" or (not method and not received):  # the refusal of a HEAD
            length = 0
        body, received = received[:length], received[length:]
        assert len(body) == length, "a body is not complete"
        found.append(Answer(int(lines[0][9:12]), body))
    assert not received, "there is more than was asked for"
    return found


def check_answers(got: list[Answer], expected: Outcome) -> None:
    """Compare the answers with what the parser found in the bytes, after which the client ended."""
    served = [Answer(200, _said(*each)) for each in expected.requests]
    for each, answer in zip(expected.requests, served, strict=True):
        if each.environ["REQUEST_METHOD"] == "HEAD":
            served[served.index(answer)] = Answer(200, b"")
    assert got[: len(served)] == served
    refusals = [answer.status for answer in got[len(served) :]]
    if expected.refused:
        assert refusals == [expected.refused]
    elif expected.complete:
        assert refusals == []
    else:
        assert refusals == [400], "a request was cut short"


class Driven:
    """Connections of one worker whose event loop is this object."""

    def __init__(self) -> None:
        # With one thread nobody waits for a body: that needs a loop that goes on.
        self._reactor = Reactor(tell, [], Settings(threads=1, body_memory=100))
        self._environ = base_environ(
            server_name="localhost",
            server_port="80",
            root_path="",
            multithread=False,
            multiprocess=False,
            stopping=bool,
        )

    def deliver(self, pieces: Iterable[bytes]) -> bytes:
        """Send the pieces and then no more; return all that is answered."""
        client, server = socket.socketpair()
        with client:
            client.setblocking(False)
            connection = Connection(self._reactor, server, "", self._environ)
            received = b""
            for piece in pieces:
                client.sendall(piece)
                self._event(connection, READABLE)
                received += self._drain(client)
            client.shutdown(socket.SHUT_WR)
            self._event(connection, IN | OUT | RDHUP)
            self._event(connection, IN | OUT | RDHUP)
            assert connection.state == CLOSED, "the connection stays open"
            received += self._drain(client)
        assert not self._reactor.counters["internal_error"]
        return received

    def _event(self, connection: Connection, event: int) -> None:
        if connection.state == CLOSED:
            return
        assert connection.on_event(event)
        for _ in range(LOOKS):
            if not self._reactor.ready:
                return
            assert self._reactor.ready.popleft().resume()
        raise AssertionError("the event loop has no end")

    @staticmethod
    def _drain(client: socket.socket) -> bytes:
        received = b""
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while data := client.recv(1 << 16):
                received += data
        return received

    def close(self) -> None:
        """Give the system's objects back."""
        self._reactor.close()

    def check(self, data: bytes) -> str:
        """Check what becomes of the bytes; return it."""
        expected = outcome([data])
        methods = [served.environ["REQUEST_METHOD"] for served in expected.requests]
        with bounded(2 * len(data) + CALLS_OF_A_REQUEST * (1 + len(methods))):
            received = self.deliver([data])
        check_answers(answers(received, methods), expected)
        last = ends(data)
        heads = heads_of(data)
        cuts = [
            last,
            heads,
            last[:1],
            last[:1] + heads,
            [end - 1 for end in last],
            cuts_of(data, 2),
        ]
        for pieces in (one_by_one(data), *(at(data, each) for each in cuts)):
            check_answers(answers(self.deliver(pieces), methods), expected)
        return str(expected.refused) if expected.refused else "accepted"


class Live:
    """A server with all its threads."""

    def __init__(self, **settings: Any) -> None:
        self._server = LiveServer(tell, body_memory=100, **settings)
        self._server.__enter__()

    def close(self) -> None:
        """Stop."""
        self._server.__exit__(None, None, None)

    def deliver(self, pieces: Iterable[bytes], *, patient: bool = False) -> bytes:
        """Send the pieces and then no more; return all that is answered.

        `patient`: wait a moment after each for an answer, which may be `100 Continue`.
        """
        with socket.create_connection(self._server.address, ANSWER_SECONDS) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            received = b""
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    client.sendall(piece)
                    if patient and select.select([client], [], [], PATIENCE_SECONDS)[0]:
                        received += client.recv(1 << 16)
                client.shutdown(socket.SHUT_WR)
            while data := client.recv(1 << 16):
                received += data
        return received

    def check(self, data: bytes) -> str:
        """Check what becomes of the bytes; return it."""
        expected = outcome([data])
        methods = [served.environ["REQUEST_METHOD"] for served in expected.requests]
        for pieces in ([data], at(data, ends(data)), at(data, cuts_of(data, 3))):
            check_answers(answers(self.deliver(pieces), methods), expected)
        if b"100-continue" in data:
            received = self.deliver(at(data, heads_of(data)), patient=True)
            check_answers(answers(received, methods), expected)
        assert not self._server.reactor.counters["internal_error"]
        return str(expected.refused) if expected.refused else "accepted"
