"""A small site that has all that a client meets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

TEXT = ("Content-Type", "text/plain; charset=utf-8")

Page = Callable[[Any, Any], Any]


def body_of(environ: Any) -> bytes:
    """Read the whole body of a request."""
    blocks = []
    while block := environ["wsgi.input"].read(1000):
        blocks.append(block)
    return b"".join(blocks)


def echo(environ: Any, start_response: Any) -> list[bytes]:
    """Answer with what was asked, as JSON."""
    body = body_of(environ)
    told = {key: value for key, value in environ.items() if isinstance(value, str)}
    found = {**told, "body": body.decode("latin-1"), "scheme": environ["wsgi.url_scheme"]}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]


def cookie(environ: Any, start_response: Any) -> list[bytes]:
    """Set the cookies that the query names."""
    fields = [("Set-Cookie", value) for name, value in parse_qsl(environ["QUERY_STRING"])]
    start_response("200 OK", [TEXT, *fields])
    return [environ.get("HTTP_COOKIE", "").encode()]


def redirect(environ: Any, start_response: Any) -> list[bytes]:
    """Redirect with the status and to the place that the query names."""
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    start_response(f"{query['status']} Elsewhere", [TEXT, ("Location", query["to"])])
    return [b"elsewhere"]


def circle(environ: Any, start_response: Any) -> list[bytes]:
    """Redirect to itself."""
    start_response("302 Found", [TEXT, ("Location", "/circle")])
    return []


def slow(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Yield three blocks."""
    start_response("200 OK", [TEXT])
    yield b""
    for number in range(3):
        yield b"block %d\n" % number


def events(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Yield server-sent events."""
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    yield b"retry: 10\n\nevent: add\nid: 1\nda"
    yield b"ta: first\n\n: a comment\n\n"
    yield b"data: second\ndata: line\n\ndata: cut"


def broken(environ: Any, start_response: Any) -> list[bytes]:
    """Fail before the response."""
    raise LookupError("broken from the start")


def breaking(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Fail within the response."""
    start_response("200 OK", [TEXT])
    yield b"x" * 100_000
    raise LookupError("broken in the middle")


def status(environ: Any, start_response: Any) -> list[bytes]:
    """Answer with the status of the query, and content if it may have some."""
    code = environ["QUERY_STRING"]
    empty = code in ("204", "304")
    start_response(f"{code} As You Like", [] if empty else [TEXT])
    return [] if empty else [b"the content"]


def written(environ: Any, start_response: Any) -> list[bytes]:
    """Send by write(), and replace a head that has not gone."""
    start_response("200 OK", [TEXT])
    try:
        raise ValueError("not what was meant")
    except ValueError as error:
        write = start_response("202 Accepted", [TEXT], (ValueError, error, None))
    write(b"written, ")
    return [b"returned"]


def charset(environ: Any, start_response: Any) -> list[bytes]:
    """Answer in Latin-1."""
    start_response("200 OK", [("Content-Type", 'text/plain; charset="iso-8859-1"')])
    return ["Käse".encode("latin-1")]


PAGES: dict[str, Page] = {
    "/echo": echo,
    "/cookie": cookie,
    "/a/b/cookie": cookie,
    "/redirect": redirect,
    "/circle": circle,
    "/slow": slow,
    "/events": events,
    "/broken": broken,
    "/breaking": breaking,
    "/status": status,
    "/written": written,
    "/charset": charset,
}


def site(environ: Any, start_response: Any) -> Any:
    """Answer as the page of the path does; everything else is echoed."""
    return PAGES.get(environ["PATH_INFO"], echo)(environ, start_response)
