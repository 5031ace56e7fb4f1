"""What handlers may return, and what is sent then."""

import dataclasses
import datetime
import io
from collections import namedtuple
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway.web import App, NotFound, Response
from breezeway.web.results import to_response

from ..middleware.calling import Counted, Result, call, make_environ

HTML, TEXT, JSON = "text/html; charset=utf-8", "text/plain; charset=utf-8", "application/json"


@dataclasses.dataclass
class Point:
    x: int
    when: datetime.date


class Markup(str):
    __slots__ = ()


def answer(result: Any, method: str = "GET") -> Result:
    """Send a request to a handler that returns this."""
    app = App(security=False)
    app.get("/", name="x")(lambda: result)
    return call(app, "/", method)


@pytest.mark.parametrize(
    ("result", "code", "content_type", "body"),
    [
        ("ß", 200, HTML, "ß".encode()),
        ("", 200, HTML, b""),
        (Markup("<b>"), 200, HTML, b"<b>"),
        (b"\x00", 200, "application/octet-stream", b"\x00"),
        ({"a": "ß"}, 200, JSON, '{"a":"ß"}'.encode()),
        ({}, 200, JSON, b"{}"),
        ([1, None], 200, JSON, b"[1,null]"),
        (Point(1, datetime.date(2026, 1, 2)), 200, JSON, b'{"x":1,"when":"2026-01-02"}'),
        (7, 200, JSON, b"7"),
        (True, 200, JSON, b"true"),
        (None, 204, None, b""),
        (("x", 201), 201, HTML, b"x"),
        (({"a": 1}, 202, {"X": "1"}), 202, JSON, b'{"a":1}'),
        (("x", {"Content-Type": "text/css"}), 200, "text/css", b"x"),
        (("x", [("X", "1")]), 200, HTML, b"x"),
        ((None, 304), 304, None, b""),
        (("gone", "404 No Such Page"), 404, HTML, b"gone"),
    ],
)
def test_results(result: Any, code: int, content_type: str | None, body: bytes) -> None:
    """Each has its status, type and content."""
    found = answer(result)
    assert (found.code, found["content-type"], found.body) == (code, content_type, body)


def test_responses() -> None:
    """A response is what it is; in a tuple, with another status."""
    assert answer(Response("r", 418)).code == 418
    assert answer((Response("r"), 418)).code == 418


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (object(), "object"),
        ({1, 2}, "make a list or a dict"),
        (namedtuple("Pair", "a b")(1, 2), "make a list or a dict"),
        (io.BytesIO(b"x"), "with FileResponse"),
        (("x",), r"\(result, status, headers\)"),
        (("x", 200, {}, 1), r"\(result, status, headers\)"),
        (dict, "no response"),
        ({"a": object()}, "JSON"),
        ({"a": float("nan")}, "JSON"),
    ],
)
def test_what_is_no_result(result: Any, says: str) -> None:
    """What stands for nothing is an error that says what to do."""
    with pytest.raises((TypeError, ValueError), match=says):
        answer(result)


def test_headers_of_a_tuple() -> None:
    """They take the place of those that are there; cookies are added."""
    response = Response("x", headers=[("X", "old"), ("Set-Cookie", "a=1")])
    found = answer((response, {"X": "new", "Set-Cookie": "b=2"}))
    assert (found.all("x"), found.all("set-cookie")) == (["new"], ["a=1", "b=2"])
    assert response.headers["X"] == "old"  # others may have it, too


def test_streams() -> None:
    """An iterator of texts and bytes is sent as it comes."""
    found = answer(iter(["ß", b"x"]))
    assert (found.blocks, found["content-type"], found["content-length"]) == (
        ["ß".encode(), b"x"],
        TEXT,
        None,
    )


class Closing:
    """An iterator that counts what is done to it."""

    def __init__(self) -> None:
        self.asked = self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.asked += 1
        if self.asked > 3:
            raise StopIteration
        return b"x"

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_errors_before_the_first_block(method: str) -> None:
    """Until a stream has given something, an error in it is answered as any other; none makes it empty."""
    app = App()
    seen: list[int] = []
    app.after(lambda request, response: seen.append(response.status))
    app.error(ZeroDivisionError)(lambda request, error: ("never mind", 503))

    @app.get("/{number:int}")
    def stream(number: int) -> Iterator[str]:
        if number == 1:
            raise NotFound
        if number == 2:
            raise ZeroDivisionError
        yield from "ab" if number == 3 else ""

    assert [call(app, f"/{number}", method).code for number in (1, 2, 3, 4)] == [404, 503, 200, 200]
    assert seen == [404, 503, 200, 200]
    assert call(app, "/3").blocks == [b"a", b"b"]
    assert call(app, "/4", method)["content-length"] == "0"


def test_streams_are_closed() -> None:
    """At the end, for HEAD with the block that the status waits for, and for a client that leaves."""
    stream = Closing()
    assert answer(stream).body == b"xxx"
    assert stream.closed == 1
    stream = Closing()
    assert answer(stream, "HEAD").body == b""
    assert (stream.asked, stream.closed) == (1, 1)
    stream, app = Closing(), App()
    app.get("/", name="x")(lambda: stream)
    blocks: Any = app(make_environ("/"), lambda *args: print)  # type: ignore[arg-type]
    next(iter(blocks))
    blocks.close()
    assert (stream.asked, stream.closed) == (1, 1)


def test_applications() -> None:
    """A WSGI application that a handler returns answers itself, with the fields of Security."""
    counted, app = Counted(b"a", b"b"), App()
    app.get("/", name="x")(lambda: counted)
    found = call(app, "/")
    assert (found.body, found["x-frame-options"], counted.closed) == (b"ab", "SAMEORIGIN", 1)


def late(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Begin when the first block is asked for."""
    start_response("201 Made", [("Content-Type", "text/plain"), ("X", "late")])
    yield b"a"
    yield b"b"


def writing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Send through write, too."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written ")
    return [b"returned"]


def correcting(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Correct the response before it is sent."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise ValueError
    except ValueError:
        import sys

        start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"sorry"]


def sized(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Say the length."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"sized"]


@pytest.mark.parametrize(
    ("application", "status", "body"),
    [
        (late, "201 Made", b"ab"),
        (writing, "200 OK", b"written returned"),
        (correcting, "500 Oops", b"sorry"),
        (sized, "200 OK", b"sized"),
    ],
)
def test_applications_with_hooks(application: Any, status: str, body: bytes) -> None:
    """A hook sees an application's response as any other, whichever way it begins."""
    app = App()
    app.mount("/app", application)
    seen: list[Any] = []

    @app.after
    def look(request: Any, response: Response) -> None:
        seen.append(response.status)
        response.headers["X-Seen"] = "1"

    found = call(app, "/app")
    assert (found.status, found.body, found["x-seen"]) == (status, body, "1")
    assert seen == [int(status[:3])]


WRITTEN: dict[str, tuple[Any, list[Any]]] = {
    "looks": (lambda *_: None, ["200 OK", b"first", "returns", b"last", "closed"]),
    "replaces": (
        lambda *_: ("hook", 503),
        ["503 Service Unavailable", "returns", b"hook", "closed"],
    ),
    "fails": (lambda *_: 1 / 0, ["500 Internal Server Error", "returns", "closed", b"oops"]),
}


@pytest.mark.parametrize("hook", WRITTEN)
def test_what_is_written_is_sent_at_once(hook: str) -> None:
    """What an application sends through write is with the client before it goes on."""
    app = App(security=False)
    happened: list[Any] = []

    class Blocks(list[bytes]):
        def close(self) -> None:
            happened.append("closed")

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"first")
        happened.append("returns")
        return Blocks([b"last"])

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        happened.append(status)
        return happened.append

    app.get("/")(lambda: application)
    app.after(WRITTEN[hook][0])
    app.error(ZeroDivisionError)(lambda *_: "oops")
    blocks: Any = app(make_environ("/"), start_response)
    happened += blocks
    getattr(blocks, "close", lambda: None)()
    assert happened == WRITTEN[hook][1]


def test_failure_after_something_was_written() -> None:
    """Then nobody can answer any more; the hooks have seen what was begun."""
    app = App()
    app.error(500)(lambda *_: "too late")
    seen: list[int] = []
    app.after(lambda request, response: seen.append(response.status))

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])(b"first")
        raise ZeroDivisionError

    app.get("/")(lambda: application)
    with pytest.raises(ZeroDivisionError):
        call(app, "/")
    assert seen == [200]


def test_written_to_a_head() -> None:
    """A HEAD gets nothing of it, and what is returned is closed."""
    app, counted = App(), Closing()
    app.after(lambda request, response: None)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])(b"first")
        return counted

    app.mount("/app", application)
    assert call(app, "/app", "HEAD").body == b""
    assert counted.closed == 1


def test_failures_of_applications_are_shown_to_all_hooks() -> None:
    """The first hook sees what answers for an application that has failed, as the others do."""
    app = App()
    seen: list[int] = []
    app.after(lambda request, response: seen.append(response.status))
    app.after(lambda request, response: seen.append(response.status))
    app.error(ZeroDivisionError)(lambda *_: ("oops", 503))
    app.mount("/app", lambda environ, start_response: 1 / 0)  # type: ignore[arg-type,return-value]
    assert call(app, "/app").code == 503
    assert seen == [503, 503]


def test_head_of_an_application_with_hooks() -> None:
    """The length that it says stays."""
    app = App()
    app.mount("/app", sized)
    app.after(lambda request, response: None)
    found = call(app, "/app", "HEAD")
    assert (found["content-length"], found.body) == ("5", b"")


def test_files_with_hooks() -> None:
    """The server's own file wrapper goes through as it is."""
    app = App(security=False)

    def send(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        found: Iterable[bytes] = environ["wsgi.file_wrapper"](io.BytesIO(b"file"))
        return found

    app.mount("/file", send)
    app.after(lambda request, response: None)
    environ = make_environ("/file")
    blocks = app(environ, lambda *args: print)  # type: ignore[arg-type]
    assert isinstance(blocks, environ["wsgi.file_wrapper"])


def test_an_application_that_says_nothing() -> None:
    """One that never begins its response is an error, and is closed."""
    app, counted = App(), Closing()
    counted.asked = 3
    app.mount("/app", lambda environ, start_response: counted)
    app.after(lambda request, response: None)
    with pytest.raises(AssertionError, match="did not call start_response"):
        app(make_environ("/app"), lambda *args: print)  # type: ignore[arg-type]
    assert counted.closed == 1


# --- failures ---------------------------------------------------------------------------------------------


def unwritable() -> Any:
    """Return what JSON has no form for."""
    return {"a": b"bytes"}


@wraps(unwritable)
def wrapped() -> Any:
    """Stand around."""
    return unwritable()


def failing() -> Any:
    """Fail itself."""
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("handler", "told"), [(unwritable, ["unwritable"]), (wrapped, ["unwritable"]), (failing, [])]
)
def test_which_handler_it_was(handler: Any, told: list[str]) -> None:
    """An error that comes when a handler is over says which one that was."""
    app = App()
    app.get("/")(handler)
    with pytest.raises((TypeError, ZeroDivisionError)) as raised:
        call(app, "/")
    notes = getattr(raised.value, "__notes__", [])  # from CPython 3.14 on `json` adds some, too
    notes = [note for note in notes if note.startswith("for the route of ")]
    assert [note.split()[4] for note in notes] == told
    assert all(__file__ in note for note in notes)


class Named(str, Enum):  # noqa: UP042 - as many write it
    """Texts with names."""

    A = "a"


class Bytes(bytes):
    """Bytes with a name."""


@pytest.mark.parametrize(
    ("result", "content"),
    [(bytearray(b"x"), b"x"), (memoryview(b"x"), b"x"), (Named.A, b"a"), (Bytes(b"x"), b"x")],
)
def test_relatives_of_texts_and_bytes(result: Any, content: bytes) -> None:
    """They are what they stand for."""
    assert to_response(result).content == content


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (NotFound(), "raise it"),
        (Path("/x"), "FileResponse"),
        (Named, "return an object of it"),
        (range(3), "for a stream"),
        (object(), "return a text, a dict"),
        (("x", None), "None is no status or headers"),
        ((lambda environ, start_response: [], 201), "says its status and headers itself"),
    ],
)
def test_what_to_do(result: Any, message: str) -> None:
    """What is no response comes with what would be."""
    with pytest.raises(TypeError, match=message):
        to_response(result)
