"""PEP 3333, 'Input and Error Streams': wsgi.input is a file like any other.

The standard library's `io.BytesIO` is the oracle: whatever is done to both gives the same.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from breezeway.gateway.input import AwaitedInput, BodyStore, Spool

from ..applications import PLAIN, plain
from ..live import Live, serving
from ..wire.client import request
from .conftest import Play

Operation = tuple[str, int | None]

SIZES = st.one_of(st.none(), st.integers(-2, 40), st.just(10_000))

OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["read", "readline", "readlines"]), SIZES)
    | st.tuples(
        st.sampled_from(["read()", "readline()", "readlines()", "next", "rest"]), st.none()
    ),
    max_size=12,
)

BODIES = st.lists(
    st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\r", b"\0\xff", b"line\n", b"x" * 17]),
    max_size=24,
).map(b"".join)

CALLS: dict[str, Callable[[Any, int | None], Any]] = {
    "read": lambda stream, size: stream.read(size),
    "readline": lambda stream, size: stream.readline(size),
    "readlines": lambda stream, size: stream.readlines(size),
    "read()": lambda stream, _: stream.read(),
    "readline()": lambda stream, _: stream.readline(),
    "readlines()": lambda stream, _: stream.readlines(),
    "next": lambda stream, _: next(iter(stream), None),
    "rest": lambda stream, _: list(stream),
}


def results(stream: Any, operations: Iterable[Operation]) -> list[Any]:
    """Do the operations one after the other and return what each gave, with bytes as latin-1."""
    return [_plain(CALLS[name](stream, size)) for name, size in operations]


def _plain(result: Any) -> Any:
    if isinstance(result, list):
        return [_plain(line) for line in result]
    assert result is None or type(result) is bytes
    return None if result is None else result.decode("latin-1")


def calculator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Do the operations of the X-Operations field to wsgi.input, and answer with the results."""
    operations = json.loads(environ["HTTP_X_OPERATIONS"])
    page = json.dumps(results(environ["wsgi.input"], operations)).encode()
    start_response("200 OK", [PLAIN])
    return [page]


def in_memory(body: bytes) -> Any:
    """Return the input of a body that is kept in memory."""
    return spooled(body, 10_000)


def on_disk(body: bytes) -> Any:
    """Return the input of a body that is kept in a temporary file."""
    return spooled(body, 0)


def spooled(body: bytes, memory_limit: int) -> Any:
    """Return the input of a body that arrived in small pieces."""
    spool = Spool(BodyStore(memory_limit))
    for at in range(0, len(body), 7):
        spool.write(body[at : at + 7])
    return spool.finish()


def awaited(body: bytes) -> Any:
    """Return the input of a body that is fetched at the first read."""
    return AwaitedInput(lambda: io.BytesIO(body))


@pytest.mark.parametrize("make", [in_memory, on_disk, awaited])
@example(body=b"hello", operations=[("read", -2)])
@given(body=BODIES, operations=OPERATIONS)
@settings(deadline=None)
def test_every_input_is_like_bytes_io(
    make: Callable[[bytes], Any], body: bytes, operations: list[Operation]
) -> None:
    """read, readline, readlines and iteration, in any order, with any sizes."""
    stream = make(body)
    try:
        assert results(stream, operations) == results(io.BytesIO(body), operations)
    finally:
        stream.close()


@pytest.fixture(scope="module", params=["memory", "disk"])
def keeping(request: pytest.FixtureRequest) -> Iterator[Live]:
    """Run a server that keeps bodies in memory, and one that keeps them on disk."""
    with serving(body_memory=1_000_000 if request.param == "memory" else 0) as running:
        running.play(calculator)
        yield running


def content_length(body: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Frame a body by its length."""
    return [("Content-Length", str(len(body)))], body


def chunked(body: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Frame a body in small chunks."""
    pieces = [body[at : at + 5] for at in range(0, len(body), 5)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return [("Transfer-Encoding", "chunked")], coded + b"0\r\n\r\n"


def expected(body: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Frame a body by its length, and send it without waiting for the 100."""
    return [("Expect", "100-continue"), ("Content-Length", str(len(body)))], body


@pytest.mark.parametrize("framed", [content_length, chunked, expected])
@given(body=BODIES, operations=OPERATIONS)
@settings(deadline=None, max_examples=40)
def test_served_input_is_like_bytes_io(
    keeping: Live, framed: Callable[[bytes], Any], body: bytes, operations: list[Operation]
) -> None:
    """The same through the server, however the body is framed and wherever it is kept."""
    fields, content = framed(body)
    asked = ("X-Operations", json.dumps(operations))
    response = keeping.send(request("POST", "/", *fields, asked) + content)
    assert response.status == 200
    assert json.loads(response.body) == results(io.BytesIO(body), operations)


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 262143, 262144, 262145, 2_000_000])
def test_body_of_any_size(play: Play, live: Live, size: int) -> None:
    """A body arrives whole, below and above what is kept in memory."""
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    got: list[bytes] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        got.append(environ["wsgi.input"].read(-1))
        start_response("200 OK", [PLAIN])
        return []

    play(application)
    assert live.send(request("POST", "/", body=body)).status == 200
    assert got == [body]


def test_end_is_the_end(play: Play, live: Live) -> None:
    """A read at the end gives nothing, again and again, and never waits for the connection."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        stream = environ["wsgi.input"]
        assert stream.read(-1) == b"hello"
        for _ in range(3):
            assert stream.read(10) == b""
            assert stream.readline() == b""
            assert stream.readlines() == []
            assert list(stream) == []
        start_response("200 OK", [PLAIN])
        return [b"ended"]

    play(application)
    assert live.send(request("POST", "/", body=b"hello")).body == b"ended"


def test_input_without_a_body(play: Play, live: Live) -> None:
    """A request without content has an empty input, which does not wait."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        assert environ["wsgi.input"].read(10) == b""
        start_response("200 OK", [PLAIN])
        return [b"empty"]

    play(application)
    assert live.send(request("GET", "/")).body == b"empty"
    assert live.send(request("POST", "/")).body == b"empty"


def test_input_ends_before_the_next_request(play: Play, live: Live) -> None:
    """A reader that asks for too much gets nothing of the request behind."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        got = environ["wsgi.input"].read(10_000)
        start_response("200 OK", [PLAIN])
        return [got]

    play(application)
    with live.connect() as client:
        client.send(request("POST", "/", body=b"one") + request("POST", "/", body=b"two"))
        assert client.response().body == b"one"
        assert client.response().body == b"two"


def test_one_input_knows_nothing_of_another(live: Live) -> None:
    """An application that closes its input spoils nothing for the next request."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.input"].close()
        start_response("200 OK", [PLAIN])
        return [b"closed"]

    with live.connect() as client:
        for body in (b"", b"hello"):
            live.play(application)
            client.send(request("POST", "/", body=body))
            assert client.response().body == b"closed"
            live.play(plain(b"after"))
            client.send(request("POST", "/", body=body))
            assert client.response().body == b"after"
