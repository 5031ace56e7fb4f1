"""The application of the matrix: at `/PIECE/KIND` that piece around an application of that kind.

`/bare/KIND` is the same application without anything around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import flask

from .pieces import PIECES, scratch

FILE = bytes(range(256)) * 400
HTML = ("Content-Type", "text/html; charset=utf-8")


def block(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with one block that says what was asked."""
    body = environ["wsgi.input"].read() + b"<p>" + environ["REQUEST_METHOD"].encode()
    start_response("200 OK", [HTML, ("Content-Length", str(len(body)))])
    return [body]


def generator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer block by block, an empty one among them."""
    start_response("200 OK", [HTML])
    yield b"first,"
    yield b""
    yield b"second," * 1000
    yield b"third"


def file(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with a file."""
    start_response("200 OK", [HTML, ("Content-Length", str(len(FILE)))])
    wrapper = environ.get("wsgi.file_wrapper", _blocks)
    return wrapper(_path().open("rb"))  # type: ignore[no-any-return]


@cache
def _path() -> Path:
    """Write the file, a real one, which servers send with sendfile(2)."""
    path = Path(scratch()) / "file"
    path.write_bytes(FILE)
    return path


def _blocks(opened: BinaryIO) -> Iterator[bytes]:
    with opened:
        yield from iter(lambda: opened.read(8192), b"")


def failing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Fail before there is a response."""
    raise LookupError("on purpose")


def failing_late(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Fail when a block was sent."""
    start_response("200 OK", [HTML])
    yield b"first"
    raise LookupError("on purpose")


def written(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Use write()."""
    write = start_response("200 OK", [HTML])
    write(b"first,")
    return [b"second"]


def empty(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer without content."""
    start_response("204 No Content", [])
    return []


def make_flask() -> WSGIApplication:
    """Make a Flask application with a template, a form and cookies."""
    application = flask.Flask(__name__)

    @application.route("/", methods=["GET", "POST"])
    def index() -> flask.Response:
        said = ",".join(flask.request.form.getlist("said"))
        text = flask.render_template_string("<p>{{ said }}</p>" * 50, said=said)
        response = flask.Response(text)
        response.set_cookie("one", "1")
        response.set_cookie("two", "2")
        return response

    return application


KINDS: dict[str, Callable[[], WSGIApplication]] = {
    "block": lambda: block,
    "generator": lambda: generator,
    "file": lambda: file,
    "failing": lambda: failing,
    "failing_late": lambda: failing_late,
    "written": lambda: written,
    "empty": lambda: empty,
    "flask": make_flask,
}

_applications: dict[tuple[str, str], WSGIApplication] = {}


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer for the piece and the kind that the path names."""
    _, piece, kind, rest = environ["PATH_INFO"].split("/", 3)
    if (piece, kind) not in _applications:
        made = KINDS[kind]()
        _applications[piece, kind] = made if piece == "bare" else PIECES[piece](made)
    environ["SCRIPT_NAME"] = f"/{piece}/{kind}"
    environ["PATH_INFO"] = f"/{rest}"
    return _applications[piece, kind](environ, start_response)
