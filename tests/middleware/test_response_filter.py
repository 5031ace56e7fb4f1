"""The way of a response through a filter, whatever the application does."""

from __future__ import annotations

import io
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.util import FileWrapper

import pytest

from breezeway.middleware.response_filter import filtered

from .calling import Counted, Result, call, make_environ

PLAIN = ("Content-Type", "text/plain")


class Upper:
    """Writes everything in capitals, with a line at the end."""

    def __init__(self, *, leave: bool = False) -> None:
        self.leave = leave
        self.lengths: list[int | None] = []

    def start(self, status: str, headers: list[tuple[str, str]], length: int | None) -> Any:
        self.lengths.append(length)
        if self.leave:
            return None
        return [field for field in headers if field[0] != "Content-Length"]

    def block(self, block: bytes) -> bytes:
        return block.upper()

    def end(self) -> bytes:
        return b"."


def through(application: WSGIApplication, made: Upper | None = None) -> WSGIApplication:
    """Put the filter around an application."""

    def wrapped(environ: Any, start_response: Any) -> Any:
        return filtered(application, environ, start_response, made or Upper())

    return wrapped


def get(application: WSGIApplication, made: Upper | None = None, **more: Any) -> Result:
    """Ask an application through the filter."""
    return call(through(application, made), **more)


def test_list_is_one_block_with_its_length() -> None:
    """A whole response goes on whole."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN, ("Content-Length", "2")])
        return [b"a", b"b"]

    upper = Upper()
    result = get(application, upper)
    assert (result.blocks, result["content-length"]) == ([b"AB."], "3")
    assert upper.lengths == [2]


def test_head_of_a_list_keeps_its_length_to_itself() -> None:
    """What a HEAD is spared is not taken for an empty content."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        return []

    upper = Upper()
    result = get(application, upper, method="HEAD")
    assert (result.blocks, result["content-length"]) == ([], None)
    assert upper.lengths == [None]


def test_head_of_an_application_that_does_not_know_it() -> None:
    """A server counts the bytes of a list: of one that was to be changed, HEAD gets no length."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        return [b"a"]

    found = through(application)(make_environ(method="HEAD"), lambda *a: print)
    assert not hasattr(found, "__len__")
    assert [*found] == []


def test_blocks_go_on_one_by_one() -> None:
    """Each block is sent before the next is asked for, and close() comes once."""
    application = Counted(b"a", b"", b"b")
    environ = make_environ()
    heads: list[Any] = []
    found = iter(filtered(application, environ, lambda *a: heads.append(a) or print, Upper()))
    assert (next(found), application.yielded) == (b"A", 1)
    assert len(heads) == 1
    assert [*found] == [b"", b"B", b"."]
    found.close()  # type: ignore[attr-defined]
    found.close()  # type: ignore[attr-defined]
    assert application.closed == 1


def test_left_alone_goes_on_as_it_is() -> None:
    """An object of wsgi.file_wrapper or a list reaches the server untouched."""
    for returned in ([b"a"], FileWrapper(io.BytesIO(b"a"))):

        def application(environ: Any, start_response: Any, returned: Any = returned) -> Any:
            start_response("200 OK", [PLAIN])
            return returned

        found = filtered(application, make_environ(), lambda *a: print, Upper(leave=True))
        assert found is returned
        getattr(found, "close", lambda: None)()


def test_generator_left_alone() -> None:
    """What starts late and is left alone comes through block by block."""
    application = Counted(b"a", b"b")
    result = get(application, Upper(leave=True))
    assert result.blocks == [b"a", b"b"]
    assert application.closed == 1


def test_write_sends_at_once() -> None:
    """Blocks given to write() go through the filter in order, before those of the iterable."""
    seen: list[bytes] = []

    def application(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [PLAIN])
        write(b"a")
        assert seen == [b"A"]
        return [b"b"]

    found = filtered(application, make_environ(), lambda *a: seen.append, Upper())
    assert [*found] == [b"B", b"."]


def test_exc_info_before_the_head() -> None:
    """A response that is replaced in time is the only one that the server sees."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        try:
            raise LookupError
        except LookupError as error:
            start_response("500 Oh", [PLAIN], (LookupError, error, None))
        return [b"a"]

    result = get(application)
    assert (result.status, result.body) == ("500 Oh", b"A.")


def test_exc_info_after_the_head() -> None:
    """Once something was sent, the error is raised."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        yield b"a"
        error = LookupError("late")
        start_response("500 Oh", [PLAIN], (LookupError, error, None))

    with pytest.raises(LookupError, match="late"):
        get(application)


def test_start_response_twice() -> None:
    """A second call without exc_info is the application's fault."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        start_response("200 OK", [PLAIN])
        return [b""]

    with pytest.raises(AssertionError, match="a second time"):
        get(application)


def test_failure_within_a_block_closes() -> None:
    """An application that fails in the middle is closed."""
    application = Counted(b"a", 5)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        [*iter_closing(filtered(application._application, {}, lambda *a: print, Upper()))]
    assert application.closed == 1


def iter_closing(found: Any) -> Any:
    """Go over an iterable as a server does."""
    try:
        yield from found
    finally:
        found.close()


def test_empty() -> None:
    """A response without any block has its head, and what the filter adds at the end."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        return iter(())

    assert get(application).blocks == [b"."]
