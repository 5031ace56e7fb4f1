"""`wsgi.errors`: lines of the log, each with its request."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from breezeway.gateway.current import RequestFilter, current_environ
from breezeway.gateway.error_stream import LONGEST, REST_SECONDS, ErrorStream
from breezeway.gateway.exchange import Exchange
from breezeway.http1.response import Encoder

from .test_exchange import PLAIN, Noting

ENVIRON = {"REQUEST_METHOD": "GET", "RAW_URI": "/a?b", "REMOTE_ADDR": "192.0.2.1"}

logger = logging.getLogger("breezeway.application")


class Kept(logging.Handler):
    """Keeps records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def lines(self) -> list[tuple[str, str]]:
        """What was logged, with what it belongs to."""
        return [(each.tag, each.getMessage()) for each in self.records]


@pytest.fixture
def kept() -> Iterator[Kept]:
    """Keep what the application's logger logs."""
    handler = Kept()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture
def errors() -> ErrorStream:
    """Give a stream of its own."""
    return ErrorStream()


def within(environ: dict[str, Any], action: Callable[[], object]) -> None:
    """Do something in a request."""

    def application(_: Any, start_response: Any) -> list[bytes]:
        action()
        start_response("200 OK", [PLAIN])
        return [b""]

    Exchange(Noting(), Encoder(), 0).run(application, environ)


def test_line(errors: ErrorStream, kept: Kept) -> None:
    """A line is an error of the application's, with the request as fields."""
    within(ENVIRON, lambda: errors.write("a line\n"))
    (record,) = kept.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "a line")
    assert (record.method, record.target, record.client) == ("GET", "/a?b", "192.0.2.1")
    assert record.tag == "GET /a?b"


def test_request_id(errors: ErrorStream, kept: Kept) -> None:
    """A request with an id is named by that."""
    within(ENVIRON | {"breezeway.request_id": "4bf92f35"}, lambda: errors.write("a line\n"))
    assert kept.lines == [("4bf92f35", "a line")]
    assert kept.records[0].request_id == "4bf92f35"


def test_pieces(errors: ErrorStream, kept: Kept) -> None:
    """A line may come in pieces; lines written at one go are one message, empty ones none."""

    def write() -> None:
        print("a", "b", file=errors)
        errors.writelines(["c", "d\ne\r\n", "\n", "f"])
        assert errors.write("g\n\nh") == 4
        errors.flush()
        errors.flush()

    within(ENVIRON, write)
    assert [line for _, line in kept.lines] == ["a b", "cd\ne", "fg", "h"]


def test_percent(errors: ErrorStream, kept: Kept) -> None:
    """A text is no format."""
    errors.write("100 %s %d\n")
    assert [line for _, line in kept.lines] == ["100 %s %d"]


def test_generator(errors: ErrorStream, kept: Kept) -> None:
    """What a generator writes while it is sent, and at its end, belongs to its request, too."""

    def application(_: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        try:
            yield b"a"
            errors.write("between\n")
            yield b"b"
        finally:
            errors.write("closed\n")

    Exchange(Noting(), Encoder(), 0).run(application, dict(ENVIRON))
    assert kept.lines == [("GET /a?b", "between"), ("GET /a?b", "closed")]


def test_another_request(errors: ErrorStream, kept: Kept) -> None:
    """A line that was not ended does not run into that of the next request."""
    within(ENVIRON, lambda: errors.write("first"))
    within(ENVIRON | {"RAW_URI": "/next"}, lambda: errors.write("second\n"))
    assert kept.lines == [("GET /a?b", "first"), ("GET /next", "second")]


def test_left_open(errors: ErrorStream, kept: Kept) -> None:
    """A line that was not ended is told a second later, as of the thread that wrote it."""
    thread = threading.Thread(
        target=within, args=(ENVIRON, lambda: errors.write("dots ...")), name="writer"
    )
    thread.start()
    thread.join()
    assert errors.waits
    errors.advance(time.monotonic())
    assert not kept.records
    errors.advance(time.monotonic() + REST_SECONDS)
    assert kept.lines == [("GET /a?b", "dots ...")]
    assert kept.records[0].threadName == "writer"
    assert not errors.waits


def test_endless_line(errors: ErrorStream, kept: Kept) -> None:
    """What has no end is told in parts."""
    for _ in range(3):
        errors.write("x" * LONGEST)
    errors.write("\n")
    assert sum(len(line) for _, line in kept.lines) == 3 * LONGEST
    assert len(kept.lines) == 2


def test_threads(errors: ErrorStream, kept: Kept) -> None:
    """Lines of several threads are never mixed, and each has its own request."""
    together = threading.Barrier(4)

    def write(number: int) -> None:
        together.wait()
        for line in range(50):
            print("thread", number, "line", line, file=errors)

    threads = [
        threading.Thread(
            target=within, args=(ENVIRON | {"RAW_URI": f"/{number}"}, partial(write, number))
        )
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kept.lines) == sorted(
        (f"GET /{number}", f"thread {number} line {line}")
        for number in range(4)
        for line in range(50)
    )


def test_thread_of_the_application(errors: ErrorStream, kept: Kept) -> None:
    """A thread in no request is named itself."""
    thread = threading.Thread(target=lambda: errors.write("working\n"), name="cleaner")
    thread.start()
    thread.join()
    assert kept.lines == [("cleaner", "working")]
    assert not hasattr(kept.records[0], "method")


def test_stream_handler(errors: ErrorStream, kept: Kept) -> None:
    """`logging.StreamHandler` writes to it."""
    handler = logging.StreamHandler(errors)
    assert "wsgi.errors" in repr(handler)
    record = logging.makeLogRecord({"msg": "one\ntwo", "levelno": logging.INFO})
    within(ENVIRON, lambda: handler.handle(record))
    assert kept.lines == [("GET /a?b", "one\ntwo")]


def test_log_led_to_itself(errors: ErrorStream, capsys: pytest.CaptureFixture[str]) -> None:
    """A handler of our logger that writes to the stream makes no circle."""
    handler = logging.StreamHandler(errors)
    logger.addHandler(handler)
    try:
        errors.write("a line\n")
        errors.write("another\n")
    finally:
        logger.removeHandler(handler)
    assert not errors.waits


def test_closed(errors: ErrorStream, kept: Kept) -> None:
    """It is nobody's to close."""
    errors.close()
    errors.write("still here\n")
    assert len(kept.lines) == 1
    assert errors.writable()
    assert not errors.closed


def test_filter() -> None:
    """The filter gives a record the request; what a record has already stays."""
    asked = RequestFilter()
    outside = logging.makeLogRecord({})
    assert asked.filter(outside)
    assert (outside.method, outside.request_id) == ("-", "-")
    inside = logging.makeLogRecord({"target": "/own"})
    within(ENVIRON | {"breezeway.request_id": "4bf92f35"}, lambda: asked.filter(inside))
    assert (inside.method, inside.target, inside.client) == ("GET", "/own", "192.0.2.1")
    assert inside.request_id == "4bf92f35"
    hostile = logging.makeLogRecord({})
    within(ENVIRON | {"HTTP_TRACEPARENT": "00\x9b2J\n"}, lambda: asked.filter(hostile))
    assert hostile.traceparent == r"00\x9b2J\x0a"
    assert current_environ() is None
