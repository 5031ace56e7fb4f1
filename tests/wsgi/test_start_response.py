"""PEP 3333, 'The start_response() Callable' and 'Error Handling'."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN
from ..live import Live, eventually
from ..wire.client import Truncated, request
from .conftest import Play


class Headers(list[tuple[str, str]]):
    """What some frameworks have."""


def errors_in(log: pytest.LogCaptureFixture) -> list[str]:
    """Return the errors that the server has logged."""
    return [
        log.handler.format(record)
        for record in log.records
        if record.name.startswith("breezeway") and record.levelname == "ERROR"
    ]


def test_called_within_the_first_step(play: Play, live: Live) -> None:
    """start_response may be called as late as when the first block is asked for."""

    class Late:
        def __init__(self, start_response: StartResponse) -> None:
            self._start_response = start_response
            self._blocks = iter([b"late"])

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            block = next(self._blocks)
            self._start_response("202 Accepted", [PLAIN])
            return block

    play(lambda environ, start_response: Late(start_response))
    response = live.get()
    assert (response.status, response.body) == (202, b"late")


def test_called_after_an_empty_block(live: Live) -> None:
    """Only a block with bytes in it needs start_response to have been called."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        yield b""
        start_response("202 Accepted", [PLAIN])
        yield b"late"

    live.play(application)
    response = live.get()
    assert (response.status, response.body) == (202, b"late")


def test_head_waits_for_the_first_block(play: Play, live: Live) -> None:
    """The head is not sent before there is a block with bytes in it, empty ones do not count."""
    go = threading.Event()
    started = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        yield b""
        started.set()
        go.wait(5)
        yield b"hello"

    play(application)
    with live.connect() as client:
        client.send(request("GET", "/"))
        assert started.wait(5)
        assert client.silent(0.02)
        go.set()
        assert client.response().body == b"hello"


def test_empty_block_of_an_empty_body_sends_nothing(live: Live) -> None:
    """Nor is it with a Content-Length of 0: an error behind an empty block is still a 500."""

    def blocks() -> Iterator[bytes]:
        yield b""
        raise ZeroDivisionError

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN, ("Content-Length", "0")])
        return blocks()

    live.play(application)
    with live.connect() as client:
        client.send(request("GET", "/"))
        assert client.response().status == 500


def test_never_called(live: Live, log: pytest.LogCaptureFixture) -> None:
    """A response without start_response is an error of the application: 500, and logged."""
    live.play(lambda environ, start_response: [b"hello"])
    assert live.get().status == 500
    eventually(lambda: any("start_response" in line for line in errors_in(log)), "a log line")


@pytest.mark.parametrize("blocks", [[], [b""]], ids=repr)
def test_never_called_and_nothing_returned(live: Live, blocks: list[bytes]) -> None:
    """The same when there is no block at all: nothing says what the status would be."""
    live.play(lambda environ, start_response: blocks)
    assert live.get().status == 500


def test_called_after_the_first_block(live: Live) -> None:
    """start_response has to be called before the first bytes come."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        yield b"hello"
        start_response("200 OK", [PLAIN])

    live.play(application)
    assert live.get().status == 500


@pytest.mark.parametrize("extra", [(), (None,)], ids=["two arguments", "exc_info None"])
def test_twice(live: Live, log: pytest.LogCaptureFixture, extra: tuple[None, ...]) -> None:
    """A second call without exc_info is a fatal error."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        start_response("201 Created", [PLAIN], *extra)
        return [b"hello"]

    live.play(application)
    assert live.get().status == 500
    eventually(lambda: any("start_response" in line for line in errors_in(log)), "a log line")


def test_twice_raises_in_the_application(live: Live) -> None:
    """The second call raises, so that the application can go on with its first answer."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        try:
            start_response("201 Created", [PLAIN])
        except Exception:
            return [b"raised"]
        return [b"did not raise"]

    live.play(application)
    response = live.get()
    assert (response.status, response.body) == (200, b"raised")


def test_exc_info_replaces_the_head(play: Play, live: Live) -> None:
    """With exc_info a second call replaces status and fields while nothing has been sent."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN, ("X-First", "1"), ("Content-Length", "1000")])
        try:
            raise LookupError("lost")
        except LookupError:
            start_response("404 Not Found", [PLAIN, ("X-Second", "2")], sys.exc_info())
        return [b"sorry"]

    play(application)
    with live.connect() as client:
        response = client.get("/")
        assert (response.status, response.body) == (404, b"sorry")
        assert response.value("X-First") is None
        assert response.value("X-Second") == "2"
        assert client.get("/").status == 404


def test_exc_info_after_an_empty_block(play: Play, live: Live) -> None:
    """An empty block sends nothing, so the head can still be replaced after it."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        yield b""
        try:
            raise LookupError("lost")
        except LookupError:
            start_response("404 Not Found", [PLAIN], sys.exc_info())
        yield b"sorry"

    play(application)
    response = live.get()
    assert (response.status, response.body) == (404, b"sorry")


def test_exc_info_in_the_first_call(play: Play, live: Live) -> None:
    """exc_info may be given the first time: an error before any answer was begun."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            raise LookupError("lost")
        except LookupError:
            start_response("404 Not Found", [PLAIN], sys.exc_info())
        return [b"sorry"]

    play(application)
    assert live.get().status == 404


def test_exc_info_in_the_first_call_of_another_thread(play: Play, live: Live) -> None:
    """An application may run in a thread that its request waits for, as behind a time limit."""

    def inner(start_response: StartResponse) -> list[bytes]:
        try:
            raise LookupError("lost")
        except LookupError:
            start_response("404 Not Found", [PLAIN], sys.exc_info())
        return [b"sorry"]

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(inner, start_response).result()

    play(application)
    assert live.get().status == 404


def test_exc_info_after_the_head(live: Live) -> None:
    """When bytes have gone out, start_response raises the application's own error again."""
    raised: list[BaseException] = []
    error = LookupError("lost")

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        yield b"hello"
        try:
            raise error
        except LookupError:
            try:
                start_response("404 Not Found", [PLAIN], sys.exc_info())
            except BaseException as again:
                raised.append(again)
                raise

    live.play(application)
    with pytest.raises(Truncated) as truncated:
        live.get()
    assert truncated.value.received == b"hello"
    assert raised == [error]


def test_exc_info_after_the_head_may_be_caught(live: Live) -> None:
    """An application that catches what start_response raised ends its answer as it likes."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        yield b"hello"
        try:
            raise LookupError("lost")
        except LookupError:
            try:
                start_response("404 Not Found", [PLAIN], sys.exc_info())
            except LookupError:
                yield b", and sorry"

    live.play(application)
    response = live.get()
    assert (response.status, response.body) == (200, b"hello, and sorry")


def test_arguments_are_positional(live: Live) -> None:
    """start_response takes two or three positional arguments, and nothing else."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        wrong = 0
        for arguments in ((), ("200 OK",), ("200 OK", [PLAIN], None, None)):
            try:
                start_response(*arguments)  # type: ignore[call-arg]
            except TypeError:
                wrong += 1
        start_response("200 OK", [PLAIN])
        return [str(wrong).encode()]

    live.play(application)
    assert live.get().body == b"3"


def test_list_of_fields_is_left_alone(play: Play, live: Live) -> None:
    """A server may change the list, says the PEP; this one does not, as it may be used again."""
    fields = [PLAIN, ("X-A", "1")]

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", fields)
        return [b"hello"]

    play(application)
    with live.connect() as client:
        assert client.get("/").values("X-A") == client.get("/").values("X-A") == ["1"]
    assert fields == [PLAIN, ("X-A", "1")]


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_subclass_of_list(live: Live, times: int) -> None:
    """The fields are a list and of no subclass, also when the same ones have been sent before."""
    fields = [PLAIN, ("X-Times", str(times))]
    given: list[object] = [fields.copy() for _ in range(times)]
    given.append(Headers(fields))

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", given.pop(0))  # type: ignore[arg-type]
        return [b"hello"]

    live.play(application)
    with live.connect() as client:
        assert [client.get("/").status for _ in range(times + 1)] == [200] * times + [500]


def test_changed_list_of_fields(live: Live) -> None:
    """A list that an application goes on changing is looked at anew each time."""
    fields = [PLAIN, ("X-A", "1")]

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", fields)
        return [b"hello"]

    live.play(application)
    with live.connect() as client:
        for _ in range(3):
            assert client.get("/").values("X-A") == ["1"]
        fields[1] = ("X-A", "2")
        assert client.get("/").values("X-A") == ["2"]
