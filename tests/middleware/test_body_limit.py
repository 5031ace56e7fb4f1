"""BodyLimit: by Content-Length, while reading, by path, and what an application makes of it."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Iterator
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.util import FileWrapper

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.middleware import BodyLimit
from breezeway.middleware.body_limit import BoundedInput
from breezeway.middleware.request_body import BodyRefusedError
from breezeway.testing import LiveServer

from .calling import Counted, Result, call, make_environ

PLAIN = [("Content-Type", "text/plain")]


def echo(environ: Any, start_response: Any) -> Any:
    """Answer with the body."""
    content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or -1))
    start_response("200 OK", PLAIN[:])
    return [content]


def chunked(application: WSGIApplication, body: bytes, limit: int = 10, **more: Any) -> Result:
    """Send a body without a length."""
    more.setdefault("method", "POST")
    keys = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    return call(BodyLimit(application, maximum=limit), **more, **keys)


# --- with a length ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "code"),
    [
        ("10", 200),
        ("11", 413),
        ("0", 200),
        ("", 200),
        ("0000000010", 200),
        ("9" * 19, 413),
        ("9" * 1000, 413),
    ],
)
def test_length(length: str, code: int) -> None:
    """A body that says that it is too large is refused unread."""
    application = Counted(b"yes")
    result = call(BodyLimit(application, maximum=10), method="POST", CONTENT_LENGTH=length)
    assert result.code == code
    assert application.calls == (code == 200)
    if code == 413:
        assert result.body == b"The request body is larger than 10 bytes.\n"


@pytest.mark.parametrize("length", ["-1", "1e3", "5, 5", "\u00b2", "x"])
def test_length_that_is_none(length: str) -> None:
    """What a server lets through as a length, and is none, is counted."""
    seen: list[Any] = []

    def application(environ: Any, start_response: Any) -> Any:
        seen.append(type(environ["wsgi.input"]))
        start_response("200 OK", PLAIN[:])
        return []

    environ = make_environ(method="POST")
    environ["CONTENT_LENGTH"] = length
    assert list(BodyLimit(application)(environ, lambda *a: print)) == []
    assert seen == [BoundedInput]


def test_nothing_to_do() -> None:
    """Without a body, or with one that is small enough, the application has the server's input."""
    for more in ({}, {"method": "POST", "body": b"abc"}):
        environ = make_environ(**more)
        given = environ["wsgi.input"]
        seen: list[Any] = []

        def application(environ: Any, start: Any, seen: Any = seen) -> Any:
            seen.append(environ["wsgi.input"])
            return []

        BodyLimit(application)(environ, lambda *a: print)
        assert seen == [given]


def test_paths() -> None:
    """The longest prefix counts; what only looks like one has the bound of the rest."""
    piece = BodyLimit(echo, maximum=3, paths={"/up": 5, "/up/big": 9, "/none": 0})
    for path, most in [
        ("/", 3),
        ("/up", 5),
        ("/up/x", 5),
        ("/up/big/x", 9),
        ("/upper", 3),
        ("//up", 3),
        ("/up/big/../../x", 3),
        ("/up/%2e%2e/x", 5),
        ("/UP", 3),
        ("/none", 0),
    ]:
        for size in (most, most + 1):
            assert call(piece, path, "POST", body=b"x" * size).code == (413 if size > most else 200)
            keys = {"wsgi.input": io.BytesIO(b"x" * size), "wsgi.input_terminated": True}
            assert call(piece, path, "POST", **keys).code == (413 if size > most else 200)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maximum": -1}, "maximum must be a number of bytes, at least 0, not -1"),
        ({"maximum": "1M"}, "maximum must be"),
        ({"maximum": 1.5}, "maximum must be"),
        ({"maximum": True}, "maximum must be"),
        ({"paths": {"/a": None}}, "'/a' must be a number of bytes, at least 0, not None"),
        ({"paths": {"a": 1}}, "must begin with a slash"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    """A bound that is none is told at once."""
    with pytest.raises(ValueError, match=message):
        BodyLimit(**options)


# --- without one ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 9, 10])
def test_small_enough(size: int) -> None:
    """Up to the bound, the body is what came."""
    assert chunked(echo, b"x" * size).body == b"x" * size


@pytest.mark.parametrize("size", [11, 100_000])
def test_too_large(size: int) -> None:
    """One more, and the client gets 413."""
    result = chunked(echo, b"x" * size)
    assert (result.code, result.body) == (413, b"The request body is larger than 10 bytes.\n")
    assert result["content-length"] == str(len(result.body))


def test_transfer_encoding_is_enough() -> None:
    """A server that says nothing of the end of the input, but that it comes in chunks, is counted."""
    keys = {"wsgi.input": io.BytesIO(b"x" * 11), "HTTP_TRANSFER_ENCODING": "chunked"}
    assert call(BodyLimit(echo, maximum=10), method="POST", **keys).code == 413


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_any_method(method: str) -> None:
    """Any request can have a body."""
    result = chunked(echo, b"x" * 11, method=method)
    assert result.code == 413
    assert (result.body == b"") == (method == "HEAD")


def failing(status: str) -> WSGIApplication:
    """Make an application that answers so when it cannot read."""

    def application(environ: Any, start_response: Any) -> Any:
        try:
            content = environ["wsgi.input"].read()
        except OSError as error:
            start_response(status, PLAIN[:], (type(error), error, None))
            return [b"own"]
        start_response("200 OK", PLAIN[:])
        return [content]

    return application


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("500 Oh", b"The request body is larger than 10 bytes.\n"),
        ("400 Bad Request", b"The request body is larger than 10 bytes.\n"),
        ("413 Own", b"own"),
        ("200 OK", b"own"),
        ("303 See Other", b"own"),
    ],
)
def test_answer_of_the_application(status: str, expected: bytes) -> None:
    """An error becomes 413; the application's own 413 and what succeeds without the body stay."""
    result = chunked(failing(status), b"x" * 11)
    assert result.body == expected
    if expected != b"own":
        assert result.status == "413 Content Too Large"


def test_body_of_a_replaced_answer_is_closed() -> None:
    """An answer in whose place the refusal is sent is closed unread; write() goes nowhere."""
    application = Counted(b"a", b"b")

    def reads(environ: Any, start_response: Any) -> Any:
        with pytest.raises(BodyRefusedError):
            environ["wsgi.input"].read()
        start_response("500 Oh", PLAIN[:])(b"lost")
        return application._application(environ, lambda *a: print)

    assert chunked(reads, b"x" * 11).code == 413
    assert (application.yielded, application.closed) == (0, 1)


class Generated:
    """Reads in a generator."""

    def __init__(self, *, started: bool = False, sent: bool = False, catches: bool = False) -> None:
        self.started, self.sent, self.catches = started, sent, catches
        self.closed = 0

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if self.started:
            start_response("200 OK", PLAIN[:])
        self.blocks = self._blocks(environ, start_response)
        return self

    def _blocks(self, environ: Any, start_response: Any) -> Iterator[bytes]:
        if self.sent:
            yield b"early"
        try:
            yield environ["wsgi.input"].read()
        except OSError:
            if not self.catches:
                raise
            start_response("500 Oh", PLAIN[:], sys.exc_info())
            yield b"own"
            yield b"more"

    def __iter__(self) -> Iterator[bytes]:
        return self.blocks

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    "application",
    [
        Generated(started=True),
        Generated(catches=True),
        Generated(),
        Generated(started=True, catches=True),
    ],
)
def test_generator(application: Generated) -> None:
    """A refusal while the response is generated is in time until a block was sent."""
    result = chunked(application, b"x" * 11)
    assert result.blocks == [b"The request body is larger than 10 bytes.\n"]
    assert result.code == 413
    assert application.closed == 1


def test_generator_small_enough() -> None:
    """What fits goes through."""
    application = Generated(started=True, sent=True)
    assert chunked(application, b"abc").blocks == [b"early", b"abc"]
    assert application.closed == 1


def test_generator_too_late() -> None:
    """Once a block was sent, the error goes on to the server, which ends the connection."""
    application = Generated(started=True, sent=True)
    with pytest.raises(BodyRefusedError, match="larger than 10"):
        chunked(application, b"x" * 11)
    assert application.closed == 1


def test_other_errors() -> None:
    """What has nothing to do with the body goes on as it is."""

    def application(environ: Any, start_response: Any) -> Any:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        chunked(application, b"x")

    def generated(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PLAIN[:])
        yield b"a"
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        chunked(generated, b"x")


def test_file_goes_through() -> None:
    """An object of wsgi.file_wrapper reaches the server as it is."""
    file = FileWrapper(io.BytesIO(b"a"))

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PLAIN[:])
        return file

    environ = make_environ(**{"wsgi.input_terminated": True})
    assert BodyLimit(application)(environ, lambda *a: print) is file
    file.close()


def test_flask() -> None:
    """A framework that takes it for a client that left, and answers 400, answers 413."""
    app = flask.Flask(__name__)

    @app.post("/")
    def index() -> Any:
        return flask.request.get_data()

    @app.post("/form")
    def form() -> Any:
        return flask.request.form["a"]

    assert chunked(app, b"x" * 11).code == 413
    assert chunked(app, b"x" * 10).body == b"x" * 10
    form_type = {"Content-Type": "application/x-www-form-urlencoded"}
    assert chunked(app, b"a=" + b"x" * 11, path="/form", fields=form_type).code == 413


# --- reading ----------------------------------------------------------------------------------------

sizes = st.one_of(st.none(), st.integers(-2, 12))
calls = st.lists(
    st.tuples(st.sampled_from(["read", "readline", "readlines", "next", "read1"]), sizes)
)


@given(st.text("ab\n", max_size=30), calls)
def test_reads_as_bytes_io(text: str, calls: list[tuple[str, Any]]) -> None:
    """Below the bound it cannot be told from io.BytesIO."""
    ours, theirs = BoundedInput(io.BytesIO(text.encode()), 30), io.BytesIO(text.encode())
    for name, size in calls:
        if name == "next":
            assert next(ours, None) == next(theirs, None)
        else:
            assert getattr(ours, name)(size) == getattr(theirs, name)(size)
    assert list(ours) == list(theirs)
    assert ours.refusal is None


@given(st.text("ab\n", min_size=6, max_size=30), calls)
def test_never_more(text: str, calls: list[tuple[str, Any]]) -> None:
    """However it is read, nothing past the bound comes out, and an end is never pretended."""
    body = text.encode()
    ours = BoundedInput(io.BytesIO(body), 5)
    got = b""
    try:
        for name, size in [*calls, ("read", -1)]:
            if name == "next":
                got += next(ours, b"")
            elif name == "readlines":
                got += b"".join(ours.readlines(size))
            else:
                got += getattr(ours, name)(-1 if size is None else size)
    except BodyRefusedError:
        pass
    else:
        raise AssertionError("it came to an end")
    assert body.startswith(got)
    assert len(got) <= 5
    with pytest.raises(BodyRefusedError):
        ours.read(1)


def test_live() -> None:
    """On the wire, in chunks to an application that reads as it comes."""
    with LiveServer(BodyLimit(echo, maximum=10)) as server:
        for size, status in ((10, b"200"), (11, b"413")):
            address = server.url.removeprefix("http://").rstrip("/").split(":")
            with socket.create_connection((address[0], int(address[1])), 10) as client:
                client.sendall(
                    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                    b"Connection: close\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size)
                )
                received = b"".join(iter(lambda: client.recv(4096), b""))
            assert received.split()[1] == status
