"""PEP 3333, 'Error Handling': an application that fails gives nothing away and takes nobody along."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN, plain
from ..live import Live, eventually, serving
from ..wire.client import Response, Truncated, request

SECRET = "the password is tulip"


class Custom(BaseException):
    """An error that `except Exception` does not catch."""


class Unprintable(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("not even this")

    __repr__ = __str__


class Odd(SyntaxError):
    """An error that Python cannot print."""

    @property
    def lineno(self) -> int:  # type: ignore[override]
        raise RuntimeError


ERRORS = [
    LookupError,
    OSError,
    BrokenPipeError,
    ConnectionResetError,
    TimeoutError,
    BlockingIOError,
    InterruptedError,
    MemoryError,
    RecursionError,
    StopIteration,
    AssertionError,
    GeneratorExit,
    SystemExit,
    KeyboardInterrupt,
    Custom,
    Unprintable,
]
"""What server code might take for its own, and what it might not catch, among them."""

Raiser = Callable[[type[BaseException]], Any]


def when_called(error: type[BaseException]) -> Any:
    """Fail in the call."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise error(SECRET)

    return application


def after_start_response(error: type[BaseException]) -> Any:
    """Fail in the call, after start_response."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN, ("Set-Cookie", SECRET)])
        raise error(SECRET)

    return application


class Failing:
    """An iterable that gives some blocks and then fails."""

    def __init__(self, error: type[BaseException], *blocks: bytes) -> None:
        self._error = error
        self._blocks = iter(blocks)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        for block in self._blocks:
            return block
        raise self._error(SECRET)


def iterating(error: type[BaseException], *blocks: bytes, length: int = 0) -> Any:
    """Fail when a block is asked for, after those blocks."""
    fields = [PLAIN, ("Set-Cookie", SECRET)]
    if length:
        fields.append(("Content-Length", str(length)))

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(fields))
        return Failing(error, *blocks)

    return application


def at_the_first_block(error: type[BaseException]) -> Any:
    """Fail before the first block."""
    return iterating(error)


def after_an_empty_block(error: type[BaseException]) -> Any:
    """Fail after a block that sends nothing."""
    return iterating(error, b"", b"")


WHILE_ITERATING = [error for error in ERRORS if error is not StopIteration]
"""StopIteration is no error there: it is how an iterator ends."""

BEFORE_THE_HEAD = [
    *product([when_called, after_start_response], ERRORS),
    *product([at_the_first_block, after_an_empty_block], WHILE_ITERATING),
]


def plain_500(response: Response) -> None:
    """Check that an answer is a plain 500 that tells nothing."""
    assert response.status == 500
    assert response.reason == "Internal Server Error"
    assert (response.value("Content-Type") or "").startswith(("text/plain", "text/html"))
    assert response.body
    shown = response.body.decode("latin-1") + repr(response.fields)
    for word in (SECRET, "Traceback", "Error:", ".py", "Set-Cookie", "LookupError"):
        assert word not in shown


def traced(log: pytest.LogCaptureFixture, word: str) -> None:
    """Check that the operator gets the error, with its traceback."""

    def found() -> bool:
        lines = [
            log.handler.format(record)
            for record in log.records
            if record.name.startswith("breezeway") and record.levelname == "ERROR"
        ]
        return any(word in line and "Traceback" in line for line in lines)

    eventually(found, f"an error in the log with {word!r} and its traceback")


@pytest.mark.parametrize(("raiser", "error"), BEFORE_THE_HEAD)
def test_before_the_head(
    live: Live, log: pytest.LogCaptureFixture, raiser: Raiser, error: type[BaseException]
) -> None:
    """Before the head: a plain 500 that tells the client nothing and the operator all."""
    live.play(raiser(error))
    plain_500(live.get())
    traced(log, "" if error is Unprintable else SECRET)
    live.play(plain(b"after"))
    assert live.get().body == b"after"


@pytest.mark.parametrize("error", WHILE_ITERATING)
def test_after_the_head_in_chunks(
    live: Live, log: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    """After the head, in chunks: the last chunk never comes."""
    live.play(iterating(error, b"hello"))
    with pytest.raises(Truncated) as truncated:
        live.get()
    assert truncated.value.received == b"hello"
    traced(log, "" if error is Unprintable else SECRET)
    live.play(plain(b"after"))
    assert live.get().body == b"after"


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("error", [LookupError, SystemExit])
def test_after_the_head_with_a_length(live: Live, error: type[BaseException], version: str) -> None:
    """After the head, with Content-Length: the connection ends before the body does."""
    live.play(iterating(error, b"hello", length=10))
    with pytest.raises(Truncated) as truncated:
        live.send(request("GET", "/", version=version))
    assert truncated.value.received == b"hello"


@pytest.mark.parametrize("error", [LookupError, SystemExit])
def test_after_the_head_to_1_0(live: Live, error: type[BaseException]) -> None:
    """After the head, to a 1.0 client without a length: a reset, as an end would look whole."""
    live.play(iterating(error, b"hello"))
    with live.connect() as client:
        client.send(request("GET", "/", version="1.0"))
        assert client.head().status == 200
        with pytest.raises(Truncated):
            client.rest()


def test_error_page_after_the_head_is_not_in_the_body(live: Live) -> None:
    """After the head nothing is added to what the application has sent."""
    live.play(iterating(LookupError, b"hello"))
    with live.connect() as client:
        client.send(request("GET", "/"))
        assert client.head().status == 200
        assert client.chunk() == b"hello"
        with pytest.raises(Truncated) as truncated:
            client.chunk()
    assert truncated.value.received == b""


def test_after_the_head_of_a_response_without_content(live: Live) -> None:
    """A 204 is whole with its head: a reset would only destroy answers on their way."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("204 No Content", [])
        return Failing(LookupError, b"hello")

    live.play(application)
    with live.connect() as client:
        client.send(request("GET", "/"))
        assert client.response().status == 204
        assert client.rest() == b""


def test_head_request(live: Live) -> None:
    """An application that fails in answer to HEAD: 500 without content."""
    live.play(when_called(LookupError))
    with live.connect() as client:
        client.send(request("HEAD", "/"))
        response = client.response("HEAD")
        assert response.status == 500
        live.play(plain(b"after"))
        if "close" in response.options():
            assert client.rest() == b""
        else:
            assert client.get("/").body == b"after"


@pytest.mark.parametrize("error", [LookupError, SystemExit, KeyboardInterrupt, Custom])
def test_the_only_thread_survives(error: type[BaseException]) -> None:
    """With one thread, failures one after the other leave a server that serves."""
    with serving(threads=1) as live:
        for _ in range(5):
            live.play(when_called(error))
            plain_500(live.get())
        live.play(plain(b"after"))
        assert live.get().body == b"after"


def test_sys_exit(live: Live) -> None:
    """sys.exit() in an application is the end of its request, not of the server."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        sys.exit(SECRET)

    live.play(application)
    plain_500(live.get())
    plain_500(live.get())


def test_exception_that_python_cannot_print(live: Live) -> None:
    """It is a 500 like any other, and the next request is answered."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise Odd(SECRET)

    live.play(application)
    plain_500(live.get())
    plain_500(live.get())


def test_application_that_takes_no_arguments(live: Live, log: pytest.LogCaptureFixture) -> None:
    """What is no WSGI application fails when it is called: 500, and logged."""
    live.play(lambda: [b"hello"])
    plain_500(live.get())
    traced(log, "TypeError")


def test_failures_between_good_requests(live: Live) -> None:
    """On one connection, an error is the end of that request alone, or of that connection."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/bad":
            raise LookupError(SECRET)
        start_response("200 OK", [PLAIN])
        return [b"good"]

    live.play(application)
    with live.connect() as client:
        assert client.get("/").body == b"good"
        bad = client.get("/bad")
        plain_500(bad)
        if "close" in bad.options():
            assert client.rest() == b""
        else:
            assert client.get("/").body == b"good"
