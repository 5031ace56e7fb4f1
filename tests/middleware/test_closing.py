"""The end of a response: what an observer sees of it, on every way that there is."""

from __future__ import annotations

import contextlib
import gc
import io
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.util import FileWrapper

import pytest

from breezeway.middleware.closing import ClosingIterator, Observed, closing

from .calling import Counted, Result, make_environ, run

PLAIN = ("Content-Type", "text/plain")


class Reports:
    """Observes an application, and keeps what was reported."""

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application
        self.seen: list[tuple[str, int, str, bool]] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return Observed(environ, start_response, self.report).call(self.application)

    def report(self, observed: Observed) -> None:
        error = type(observed.error).__name__ if observed.error else ""
        self.seen.append((observed.code, observed.size, error, observed.left))


def answering(*blocks: bytes, make: Callable[..., Any] = list, **fields: str) -> WSGIApplication:
    """Make an application whose response `make` makes of blocks."""

    def application(environ: Any, start_response: Any) -> Any:
        headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
        start_response("200 OK", [PLAIN, *headers])
        return make(blocks)

    return application


def ask(reports: Reports, **more: Any) -> Result:
    """Ask once, in full."""
    return run(reports, make_environ(**more))


@pytest.mark.parametrize("make", [list, tuple])
def test_whole_response_goes_on_as_it_is(make: Callable[..., Any]) -> None:
    """A list or tuple is the application's own, and is reported when it returns."""
    made = []
    reports = Reports(
        answering(b"ab", b"c", make=lambda blocks: made.append(make(blocks)) or made[0])
    )
    found = reports(make_environ(), lambda status, headers, exc_info=None: None)
    assert found is made[0]
    assert reports.seen == [("200", 3, "", False)]


def test_blocks_are_counted_until_close() -> None:
    """A response in blocks is reported when it is closed, once."""
    counted = Counted(b"ab", b"", b"c")
    reports = Reports(counted)
    assert ask(reports).blocks == [b"ab", b"", b"c"]
    assert counted.closed == 1
    assert reports.seen == [("200", 3, "", False)]


def test_file_goes_on_as_it_is() -> None:
    """An object of wsgi.file_wrapper is left to the server; Content-Length tells its size."""
    made = FileWrapper(io.BytesIO(b"content"))
    reports = Reports(answering(make=lambda blocks: made, Content_Length="7"))
    found = reports(make_environ(), lambda status, headers, exc_info=None: None)
    assert found is made
    assert reports.seen == [("200", 7, "", False)]


def test_wrapper_that_is_no_class_is_iterated_over() -> None:
    """What a function of the server has wrapped cannot be told from a generator."""
    reports = Reports(answering(b"ab", make=iter))
    environ = make_environ(**{"wsgi.file_wrapper": lambda file, size=0: file})
    assert run(reports, environ).body == b"ab"
    assert reports.seen == [("200", 2, "", False)]


@pytest.mark.parametrize("make", [list, iter])
def test_head_has_no_content(make: Callable[..., Any]) -> None:
    """Whatever the application returns, a server sends nothing of it."""
    reports = Reports(answering(b"", make=make, Content_Length="7"))
    ask(reports, method="HEAD")
    assert reports.seen == [("200", 0, "", False)]


def test_failure_before_the_head() -> None:
    """An application that raises is reported as the 500 that the server makes of it."""

    def application(environ: Any, start_response: Any) -> Any:
        raise LookupError

    reports = Reports(application)
    with pytest.raises(LookupError):
        ask(reports)
    assert reports.seen == [("500", 0, "LookupError", False)]


@pytest.mark.parametrize(("blocks", "code"), [([], "500"), ([b"ab"], "200")])
def test_failure_within(blocks: list[bytes], code: str) -> None:
    """Before the first block the server can still say 500; after it the status has gone out."""

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        yield from blocks
        raise LookupError

    reports = Reports(application)
    with pytest.raises(LookupError):
        ask(reports)
    assert reports.seen == [(code, len(b"".join(blocks)), "LookupError", False)]


def test_failure_of_close() -> None:
    """An application that fails in close() has failed, and the server hears of it."""

    class Blocks(list[bytes]):
        def close(self) -> None:
            raise LookupError

    reports = Reports(answering(b"ab", make=Blocks))
    with pytest.raises(LookupError):
        ask(reports)
    assert reports.seen == [("200", 2, "LookupError", False)]


@pytest.mark.parametrize(
    ("fields", "left"),
    [({}, True), ({"Content_Length": "9"}, True), ({"Content_Length": "2"}, False)],
)
def test_client_that_leaves(fields: dict[str, str], left: bool) -> None:
    """A response that is closed before its end was given up, unless all of it had been asked for."""
    reports = Reports(answering(b"ab", b"cd", make=iter, **fields))
    found = reports(make_environ(), lambda status, headers, exc_info=None: None)
    assert next(iter(found)) == b"ab"
    found.close()
    found.close()
    assert reports.seen == [("200", 2, "", left)]


def test_client_that_leaves_while_write_writes() -> None:
    """What the server's write() raises is not the application's failure."""

    def broken(data: bytes) -> None:
        raise BrokenPipeError

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])(b"ab")
        return []

    reports = Reports(application)
    with pytest.raises(BrokenPipeError):
        reports(make_environ(), lambda status, headers, exc_info=None: broken)
    assert reports.seen == [("200", 0, "", True)]


def test_write_is_counted() -> None:
    """Blocks that are written count as those that are returned."""

    def application(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [PLAIN])
        write(b"ab")
        return [b"c"]

    reports = Reports(application)
    assert ask(reports).body == b"abc"
    assert reports.seen == [("200", 3, "", False)]


def test_second_head() -> None:
    """The head that replaces the first with exc_info is the one that counts."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        try:
            raise LookupError
        except LookupError as error:
            start_response("503 Busy", [PLAIN], (type(error), error, error.__traceback__))
        return [b"c"]

    reports = Reports(application)
    assert ask(reports).code == 503
    assert reports.seen == [("503", 1, "", False)]


def test_no_garbage_is_left() -> None:
    """A failure leaves no circle of references through its traceback."""

    def application(environ: Any, start_response: Any) -> Any:
        raise LookupError

    reports = Reports(application)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            try:
                reports(make_environ(), lambda status, headers, exc_info=None: None)
            except LookupError:
                pass
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_closing_iterator() -> None:
    """`close()` of the application comes first; then ours, once, whatever happened."""
    order = []

    class Blocks(list[bytes]):
        def close(self) -> None:
            order.append("application")
            raise LookupError

    found = ClosingIterator(Blocks([b"a"]), lambda: order.append("ours"))
    assert list(found) == [b"a"]
    with pytest.raises(LookupError):
        found.close()
    found.close()
    assert order == ["application", "ours"]


@pytest.mark.parametrize("returned", [None, [None], [b"a", 1]])
def test_what_no_application_may_return_is_left_to_the_server(returned: Any) -> None:
    """It goes on as it is, and is over."""
    seen = []

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        return returned

    observed = Observed(make_environ(), lambda status, headers, exc_info=None: None, seen.append)
    assert observed.call(application) is returned
    assert seen == [observed] or returned is not None


@pytest.mark.parametrize("make", [list, iter])
def test_observer_that_fails(make: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    """Who only looks on costs no response; the log has it."""

    class Failing(Reports):
        def report(self, observed: Observed) -> None:
            raise LookupError

    assert ask(Failing(answering(b"a", make=make))).body == b"a"
    assert "could not be observed" in caplog.text


def test_nothing_returned_is_an_end_too() -> None:
    """What was to be done at the end is done, once, for an application that returned None."""
    ended: list[bool] = []
    found = ClosingIterator(None, lambda: ended.append(True))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        iter(found)
    found.close()
    found.close()
    assert ended == [True]


class Failing(io.BytesIO):
    """A file that cannot be closed well."""

    def close(self) -> None:
        """Close, and fail."""
        super().close()
        raise OSError


class Plain:
    """A wrapper that has its `close` on the class, as that of the server has, and counts."""

    closed = 0

    def __init__(self, filelike: Any, block_size: int = 8192) -> None:
        self.filelike = filelike

    def __iter__(self) -> Iterator[bytes]:
        yield self.filelike.read()

    def close(self) -> None:
        """Close the file."""
        self.closed += 1
        self.filelike.close()


@pytest.mark.parametrize("wrapper", [FileWrapper, Plain])
@pytest.mark.parametrize("file", [io.BytesIO, Failing])
def test_closing_files(wrapper: Any, file: Any) -> None:
    """A file stays what it is; at its end all functions are called in order, once, if it fails, too."""
    order: list[int] = []
    blocks = wrapper(file(b"x"))
    environ = {"wsgi.file_wrapper": wrapper}
    found: Any = blocks
    for number in (1, 2):
        found = closing(found, environ, lambda number=number: order.append(number))
    assert found is blocks
    assert (b"".join(found), order) == (b"x", [])
    for _ in range(2):
        with contextlib.suppress(OSError):
            found.close()
    assert (blocks.filelike.closed, order) == (True, [1, 2])
    assert isinstance(closing([b"x"], environ, print), ClosingIterator)
    assert isinstance(closing(blocks, {"wsgi.file_wrapper": io.BytesIO}, print), ClosingIterator)
