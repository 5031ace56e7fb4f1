"""PEP 3333: an application returns an iterable of bytes, whatever that is made of."""

from __future__ import annotations

import io
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN, plain, streamed
from ..live import Live, eventually
from ..wire.client import Truncated, request
from .conftest import Play


class One:
    """An iterable that says that it has one block."""

    def __init__(self, *blocks: bytes) -> None:
        self._blocks = blocks

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._blocks)


class Indexed:
    """An iterable of the old kind: no __iter__, but __getitem__ up to an IndexError."""

    def __getitem__(self, index: int) -> bytes:
        return [b"hello", b" ", b"world"][index]


class Steps:
    """An iterator that is its own iterable."""

    def __init__(self) -> None:
        self._left = [b"world", b" ", b"hello"]

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        return self._left.pop()


ITERABLES: dict[str, Callable[[], Iterable[bytes]]] = {
    "list": lambda: [b"hello", b" ", b"world"],
    "list of one": lambda: [b"hello world"],
    "tuple": lambda: (b"hello", b" ", b"world"),
    "tuple of one": lambda: (b"hello world",),
    "deque": lambda: deque([b"hello", b" ", b"world"]),
    "generator": lambda: (block for block in [b"hello", b" ", b"world"]),
    "list iterator": lambda: iter([b"hello", b" ", b"world"]),
    "map": lambda: map(bytes, [b"hello", b" ", b"world"]),
    "iterator": Steps,
    "file": lambda: io.BytesIO(b"hello world"),
    "dict": lambda: {b"hello": 1, b" ": 2, b"world": 3},
    "length of one": lambda: One(b"hello world"),
    "empty blocks in a list": lambda: [b"", b"hello", b"", b" world", b""],
    "empty blocks in a generator": lambda: (b for b in [b"", b"hello", b"", b" world", b""]),
    "many blocks": lambda: (bytes([byte]) for byte in b"hello world"),
}

EMPTY: dict[str, Callable[[], Iterable[bytes]]] = {
    "list": list,
    "tuple": tuple,
    "generator": lambda: (block for block in ()),
    "empty block": lambda: [b""],
    "empty blocks": lambda: (b"", b""),
    "empty blocks in a generator": lambda: (block for block in (b"", b"")),
    "length of one": lambda: One(b""),
    "file": io.BytesIO,
}

NO_BYTES = ["text", "", 5, None, bytearray(b"array"), memoryview(b"view"), array("b"), [b"list"]]
"""PEP 3333 knows bytestrings only, and on Python 3 these are of type bytes."""


def returning(make: Callable[[], Any]) -> Any:
    """Return an application that returns what `make` makes."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        start_response("200 OK", [PLAIN])
        return make()

    return application


def logged(log: pytest.LogCaptureFixture, *words: str) -> None:
    """Check that the server has logged an error which has one of these words."""

    def found() -> bool:
        lines = [
            log.handler.format(record)
            for record in log.records
            if record.name.startswith("breezeway") and record.levelname == "ERROR"
        ]
        return any(word in line for line in lines for word in words)

    eventually(found, f"an error in the log with one of {words}")


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("make", ITERABLES.values(), ids=ITERABLES)
def test_every_kind(
    play: Play, live: Live, make: Callable[[], Iterable[bytes]], version: str
) -> None:
    """Any iterable of bytes is a body."""
    play(returning(make))
    with live.connect() as client:
        client.send(request("GET", "/", version=version))
        assert client.response().body == b"hello world"


def test_old_iteration(live: Live) -> None:
    """An object that iter() takes by its __getitem__ is an iterable too."""
    live.play(returning(Indexed))
    assert live.get().body == b"hello world"


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("make", EMPTY.values(), ids=EMPTY)
def test_nothing(play: Play, live: Live, make: Callable[[], Iterable[bytes]], version: str) -> None:
    """An iterable that gives no bytes is an empty body, and the head is sent all the same."""
    play(returning(make))
    with live.connect() as client:
        client.send(request("GET", "/", version=version))
        response = client.response()
        assert (response.status, response.body) == (200, b"")
        assert PLAIN in response.fields


@pytest.mark.parametrize("name", ["list of one", "tuple of one", "length of one"])
def test_length_of_a_single_block(live: Live, name: str) -> None:
    """'Handling the Content-Length Header': one block alone tells the length of the body."""
    live.play(returning(ITERABLES[name]))
    response = live.get()
    assert response.value("Content-Length") == "11"
    assert response.chunks is None


def test_empty_block_does_not_end_a_chunked_body(play: Play, live: Live) -> None:
    """An empty block sends nothing: as a chunk it would be the last."""
    play(streamed(b"one", b"", b"two"))
    with live.connect() as client:
        assert client.get("/").chunks == (b"one", b"two")
        assert client.get("/").status == 200


def test_iter_is_called_once(live: Live) -> None:
    """An iterable is iterated once, as it need not be able to begin again."""
    calls = 0

    class Counting:
        def __iter__(self) -> Iterator[bytes]:
            nonlocal calls
            calls += 1
            return iter([b"hello", b"world"])

    live.play(returning(Counting))
    assert live.get().body == b"helloworld"
    assert calls == 1


@pytest.mark.parametrize("block", NO_BYTES, ids=lambda block: repr(block).split(" at ")[0])
@pytest.mark.parametrize("shape", [list, tuple, iter], ids=["list", "tuple", "iterator"])
def test_block_that_is_no_bytes(
    live: Live, log: pytest.LogCaptureFixture, shape: Callable[[Any], Any], block: object
) -> None:
    """A block has to be bytes; anything else is 500, and the log says what came instead."""
    live.play(returning(lambda: shape([block])))
    assert live.get().status == 500
    logged(log, type(block).__name__)


@pytest.mark.parametrize("shape", [list, iter], ids=["list", "iterator"])
def test_later_block_that_is_no_bytes(
    live: Live, log: pytest.LogCaptureFixture, shape: Callable[[Any], Any]
) -> None:
    """A later block too: 500 while nothing was sent, else the answer is cut short."""
    live.play(returning(lambda: shape([b"hello", "world"])))
    try:
        status = live.get().status
    except Truncated:
        status = 500
    assert status == 500
    logged(log, "str")


@pytest.mark.parametrize("result", [None, 5, object(), len], ids=["None", "int", "object", "len"])
def test_result_that_is_no_iterable(
    live: Live, log: pytest.LogCaptureFixture, result: object
) -> None:
    """An application that returns no iterable: 500, and the log says what it returned."""
    live.play(returning(lambda: result))
    assert live.get().status == 500
    logged(log, type(result).__name__.removesuffix("Type"))


@pytest.mark.parametrize("result", ["hello", b"hello"], ids=repr)
def test_result_that_is_a_string(
    live: Live, log: pytest.LogCaptureFixture, result: str | bytes
) -> None:
    """A string alone is a slip: its items are no bytes. 500, and the log says so."""
    live.play(returning(lambda: result))
    assert live.get().status == 500
    logged(log, "str", "bytes", "int")


def test_none_without_start_response(live: Live, log: pytest.LogCaptureFixture) -> None:
    """An application that forgot everything: 500, with a clear line in the log."""
    live.play(lambda environ, start_response: None)
    assert live.get().status == 500
    logged(log, "None")


@pytest.mark.parametrize("wrong", [None, 5, "text", object()], ids=["None", "int", "str", "object"])
def test_server_goes_on(live: Live, wrong: object) -> None:
    """After a wrong result the next request finds a server that works."""
    live.play(returning(lambda: wrong))
    with live.connect() as client:
        response = client.get("/")
        assert response.status == 500
        live.play(plain(b"after"))
        if "close" not in response.options():
            assert client.get("/").body == b"after"
    assert live.get().body == b"after"


def test_callable_object(play: Play, live: Live) -> None:
    """'The Application/Framework Side': any callable is an application, an instance or a class."""

    class Application:
        def __init__(self, environ: WSGIEnvironment, start_response: StartResponse) -> None:
            self._start_response = start_response

        def __iter__(self) -> Iterator[bytes]:
            self._start_response("200 OK", [PLAIN])
            yield b"hello"

    play(Application)
    assert live.get().body == b"hello"
