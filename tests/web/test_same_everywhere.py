"""One application under Breezeway, gunicorn, waitress and wsgiref: the same arrives from each."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

import pytest

from ..servers import DEADLINE_SECONDS, running
from .everything_app import create, write
from .servers import (
    Address,
    breezeway,
    waitress_server,
    wsgiref_server,
)

SERVER_MADE = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
"""Fields that a server makes, for a message or its connection. What Content-Length says is compared for
itself; wsgiref has one of 0 also where the application has said nothing of a length."""

RANDOM = re.compile(rb"(?<=name=.csrf_token. value=)\S+|[0-9a-f]{24}")
"""Tokens, and boundaries between ranges."""

SESSION = re.compile(r"^(sid=)[^;]+")

OTHERS = ("gunicorn", "waitress", "wsgiref")


class But(NamedTuple):
    """Where a server answers something else by its own nature."""

    reason: str
    status: int = 0
    """Another status, or the same one with a page of the server: nothing else is compared."""
    old: bytes = b""
    new: bytes = b""
    """What stands in the content, and what stands there under this server."""
    whole: bool | None = None
    """Whether the client can know that it has got everything."""


class Ask(NamedTuple):
    """A request, and the status that it has to have."""

    status: int
    head: str
    """The request line and fields, with `|` between them; `Visitor` adds what each request needs."""
    body: bytes = b""
    but: Mapping[str, But] = {}


class Seen(NamedTuple):
    """A response without what is the server's."""

    status: str
    fields: list[tuple[str, str]]
    """By their names: waitress sends them in this order."""
    length: str | None
    body: bytes
    whole: bool


BOUNDARY = "limit"
KEY = "12345678-1234-5678-1234-567812345678"
PICTURE = bytes(range(256)) * 1200
NOTE = '{"title": "ü", "tags": ["a"], "day": "2026-11-22"}'.encode()
WRITTEN = "Tue, 14 Nov 2023 22:13:20 GMT"

URLENCODED = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
JSON = "Content-Type: application/json"
AS_JSON = "Accept: application/json"
AS_PAGE = "Accept: text/html"


def form(*parts: tuple[str, bytes]) -> bytes:
    """Write a form with parts, each of a Content-Disposition and its content."""
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
    written = [(head + name).encode() + b"\r\n\r\n" + content for name, content in parts]
    return b"\r\n".join([*written, f"--{BOUNDARY}--\r\n".encode()])


UPLOAD = form(
    ('name="title"', "ü".encode()),
    ('name="number"', b"7"),
    ('name="picture"; filename="../a b.png"', PICTURE),
)

BELIEVES = But("gunicorn believes a proxy on its own machine", old=b"http://", new=b"https://")
ABSOLUTE = But("wsgiref takes the absolute form of a target for a path", status=404)
ENCODED = But("no REQUEST_URI tells what was encoded", old=b"/raw/a%2Fb", new=b"/raw/a/b")
ONE_SLASH = But("it takes slashes at the beginning together", status=200)
TOLD = But(
    "it does not say that its input ends, and takes no type for text/plain",
    old=b'null,""',
    new=b'0,"text/plain"',
)
NO_CHUNKS = But("it reads HTTP/1.0, which has no chunks", status=411)
NO_END = But("HTTP/1.0 ends a response of unknown length with the connection", whole=True)
OWN_PAGE = But("the page is the server's", status=500)
REFUSED = But("the page is the server's", status=400)
RAW_BYTES = But("it takes bytes in a path that should be percent-encoded", status=200)
LAST_CHUNK = But("it sends the last chunk of a response to HEAD, too", new=b"0\r\n\r\n")

ASKS = [
    # methods and paths
    Ask(200, "GET /"),
    Ask(200, "HEAD /"),
    Ask(204, "OPTIONS /"),
    Ask(204, "OPTIONS *"),
    Ask(405, "POST /"),
    Ask(405, f"DELETE /|{AS_JSON}"),
    Ask(404, "GET /nowhere"),
    Ask(308, "GET /slash?x=1&y=%C3%BC"),
    Ask(200, "GET /caf%C3%A9/%C3%9F%20x"),
    Ask(404, "GET /caf%E9/x"),
    Ask(
        400,
        "GET /caf\xc3\xa9/x",
        b"",
        {"gunicorn": REFUSED, "waitress": REFUSED, "wsgiref": RAW_BYTES},
    ),
    Ask(404, "GET //echo/x", b"", {"waitress": ONE_SLASH, "wsgiref": ONE_SLASH}),
    Ask(200, "GET http://app.example/echo/x?a=1", b"", {"wsgiref": ABSOLUTE}),
    Ask(200, "GET /raw/a%2Fb%20c", b"", {"wsgiref": ENCODED}),
    # what a request says
    Ask(200, f"GET /typed/7/{KEY}?colour=blue&page=2&tag=a&tag=%C3%9F|User-Agent: x"),
    Ask(422, f"GET /typed/7/{KEY}?colour=green&page=0|{AS_JSON}"),
    Ask(404, f"GET /typed/7/none|{AS_PAGE}"),
    Ask(200, "GET /echo/a%20b+c%2Fd/?q=a+b&q=%C3%BC&x=%FF&&y"),
    Ask(200, "GET /echo/a%FFb%C3%A9?plain=%"),
    Ask(200, "GET /echo/x//y/"),
    Ask(404, "GET /echo/..%2f.%2e/x"),
    Ask(200, "GET /echo/x|X-Name: a|X-Name: b|Accept: text/html;q=0.5, */*"),
    Ask(200, "GET /echo/x|X-Name: caf\xc3\xa9|Accept-Language: de-CH, en;q=0.1"),
    Ask(200, 'GET /echo/x|Cookie: a=1; b="2"; a=3'),
    Ask(200, "PUT /echo/x|X-Forwarded-For: 1.2.3.4|Forwarded: for=x|X-HTTP-Method-Override: GET"),
    Ask(200, "GET /echo/x|X-Forwarded-Proto: https", b"", {"gunicorn": BELIEVES}),
    Ask(200, "GET /told", b"", {"wsgiref": TOLD}),
    Ask(200, "POST /told|Content-Type: Text/Plain; charset=x", b"abc"),
    # bodies
    Ask(200, f"PUT /notes/7|{JSON}", NOTE),
    Ask(422, f"PUT /notes/0|{JSON}", b'{"title": "", "stars": 9, "tags": [1], "titel": 2}'),
    Ask(400, f"PUT /notes/7|{JSON}|{AS_PAGE}", b'{"title": '),
    Ask(415, "PUT /notes/7|Content-Type: text/plain", b"{}"),
    Ask(415, "PUT /notes/7"),
    Ask(200, "PUT /optional"),
    Ask(200, f"PUT /optional|{JSON}"),
    Ask(200, f"PUT /optional|{JSON}|Content-Length: 0"),
    Ask(200, f"PUT /optional|{JSON}", b'{"title": "x"}'),
    Ask(200, "POST /text", "größer".encode()),
    Ask(400, "POST /text", b"\xff"),
    Ask(
        200,
        "POST /text|Transfer-Encoding: chunked",
        b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
        {"wsgiref": NO_CHUNKS},
    ),
    Ask(413, "POST /bounded", b"x" * 1001),
    Ask(200, "POST /bounded", b"x" * 1000),
    Ask(200, "POST /unread", b"x" * 1000),
    # forms
    Ask(200, f"POST /form|{URLENCODED}", b"title=gr%C3%B6%C3%9Fer+x&number=7"),
    Ask(422, f"POST /form|{URLENCODED}|{AS_JSON}", b"number=seven"),
    Ask(422, f"POST /form|{AS_JSON}"),
    Ask(200, f"POST /form|{MULTIPART}", UPLOAD),
    Ask(400, f"POST /form|{MULTIPART}", form(('name="title"', b"x"))[:-9]),
    Ask(200, "POST /choice"),
    Ask(200, "POST /choice|Content-Length: 0"),
    Ask(200, f"POST /choice|{URLENCODED}"),
    # responses
    Ask(201, "GET /json"),
    Ask(204, "GET /nothing"),
    Ask(200, "GET /bytes"),
    Ask(200, "GET /stream"),
    Ask(200, "HEAD /stream", b"", {"waitress": LAST_CHUNK}),
    Ask(200, "GET /broken", b"", {"wsgiref": NO_END}),
    Ask(200, "GET /events"),
    Ask(303, "GET /away"),
    Ask(200, "GET /version"),
    Ask(304, 'GET /version|If-None-Match: W/"v1"'),
    Ask(412, 'GET /version|If-Match: "v2"'),
    # files
    Ask(200, "GET /file/large.bin"),
    Ask(200, "HEAD /file/large.bin"),
    Ask(206, "GET /file/large.bin|Range: bytes=5-9"),
    Ask(206, "GET /file/large.bin|Range: bytes=-200000"),
    Ask(206, "GET /file/large.bin|Range: bytes=0-3,9-9"),
    Ask(200, 'GET /file/large.bin|Range: bytes=5-9|If-Range: "x"'),
    Ask(416, "GET /file/large.bin|Range: bytes=900000-"),
    Ask(304, f"GET /file/large.bin|If-Modified-Since: {WRITTEN}"),
    Ask(304, "HEAD /file/large.bin|If-None-Match: *"),
    Ask(412, 'GET /file/large.bin|If-Match: "x"'),
    Ask(404, "GET /file/..%2fsecret"),
    Ask(404, "GET /file/none.txt"),
    Ask(200, "GET /saved"),
    Ask(200, "GET /static/site.css"),
    Ask(304, f"GET /static/site.css|If-Modified-Since: {WRITTEN}"),
    Ask(404, "GET /static/none.css"),
    # sessions, messages, what other sites send
    Ask(200, "GET /page"),
    Ask(303, f"POST /log-in|{URLENCODED}|Sec-Fetch-Site: same-origin", "name=Anné".encode()),
    Ask(200, "GET /page"),
    Ask(200, "GET /page"),
    Ask(403, f"POST /log-in|{URLENCODED}|Sec-Fetch-Site: cross-site", b"name=Bob"),
    Ask(403, f"POST /log-in|{URLENCODED}|Origin: http://evil.example", b"name=Bob"),
    Ask(204, "POST /log-out|Origin: http://app.example"),
    Ask(200, "GET /page"),
    # errors and hooks
    Ask(503, "GET /failing/odd"),
    Ask(500, "GET /failing/unknown"),
    Ask(500, "GET /unhandled", b"", dict.fromkeys(OTHERS, OWN_PAGE)),
    Ask(409, f"GET /conflict|{AS_JSON}"),
    Ask(409, f"GET /conflict|{AS_PAGE}"),
    Ask(409, "GET /conflict"),
    Ask(402, "GET /?stop"),
    # other applications
    Ask(202, "POST /wsgi/a%20b/%C3%A9", b"said"),
    Ask(202, "GET /wsgi"),
    Ask(200, "GET /inner/d%C3%A9ep/place/7"),
    # clients of HTTP/1.0
    Ask(200, "GET / HTTP/1.0"),
    Ask(200, "GET /stream HTTP/1.0"),
    Ask(200, "POST /text HTTP/1.0", b"old"),
]


class Visitor:
    """Asks one server, and keeps its cookies."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._jar: dict[str, str] = {}

    def ask(self, ask: Ask) -> Seen:
        """Send one request on a connection of its own, which is over then."""
        with socket.create_connection(self._address, DEADLINE_SECONDS) as connection:
            connection.sendall(self._head(ask) + ask.body)
            with connection.makefile("rb") as file:
                received = file.read()
        head, _, content = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        pairs = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        self._keep(value for name, value in pairs if name == "set-cookie")
        told, whole = dict(pairs), True
        length = told.get("content-length")
        if not ask.head.startswith("HEAD "):
            if told.get("transfer-encoding") == "chunked":
                content, whole = dechunked(content)
            elif length is not None:
                whole = len(content) == int(length)
        fields = [(name, masked(value)) for name, value in pairs if name not in SERVER_MADE]
        fields.sort(key=itemgetter(0))
        return Seen(status.partition(" ")[2], fields, length, RANDOM.sub(b"~", content), whole)

    def _head(self, ask: Ask) -> bytes:
        line, *fields = ask.head.split("|")
        # What has a version of its own is as old programs send it.
        more = [] if "HTTP/1.0" in line else ["Host: app.example", "Connection: close"]
        lines = [f"{line} HTTP/1.1" if more else line, *more, *fields]
        if self._jar and "Cookie" not in ask.head:
            lines.append("Cookie: " + "; ".join("=".join(pair) for pair in self._jar.items()))
        if ask.body and "Transfer-Encoding" not in ask.head:
            lines.append(f"Content-Length: {len(ask.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _keep(self, cookies: Iterable[str]) -> None:
        for cookie in cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._jar[name] = value


def masked(value: str) -> str:
    """Take out of a field what is another each time."""
    return RANDOM.sub(b"~", SESSION.sub(r"\1~", value).encode("latin-1")).decode("latin-1")


def dechunked(body: bytes) -> tuple[bytes, bool]:
    """Put chunks together; tell whether the last one is there."""
    found = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            return found, True
        found, body = found + rest[:count], rest[count + 2 :]
    return found, False


def assert_same(ask: Ask, server: str, wanted: Seen, found: Seen) -> None:
    """Hold what has come from a server against what Breezeway has sent."""
    but = ask.but.get(server, But(""))
    if but.status:
        assert int(found.status[:3]) == but.status
        return
    if but.new:
        assert but.old in wanted.body
        wanted = wanted._replace(body=wanted.body.replace(but.old, but.new))
    elif wanted.length is not None and wanted.status[:3] not in ("204", "304"):
        assert found.length == wanted.length
    if but.whole is not None:
        wanted = wanted._replace(whole=but.whole)
    assert found._replace(length=None) == wanted._replace(length=None), but.reason


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Seen]]:
    """Ask each server everything."""
    folder = tmp_path_factory.mktemp("everything")
    write(folder)
    found = {}
    with contextlib.ExitStack() as stack:
        target = f"tests.web.everything_app:create({str(folder)!r})"
        gunicorn = stack.enter_context(running("gunicorn", target, "--threads=2"))
        for name, run in (
            ("breezeway", breezeway),
            ("waitress", waitress_server),
            ("wsgiref", wsgiref_server),
        ):
            visitor = Visitor(stack.enter_context(run(create(str(folder)))))
            found[name] = [visitor.ask(ask) for ask in ASKS]
        visitor = Visitor(gunicorn)
        found["gunicorn"] = [visitor.ask(ask) for ask in ASKS]
    return found


@pytest.mark.parametrize(
    "number", range(len(ASKS)), ids=lambda number: f"{number} {ASKS[number].head}"
)
def test_same(answers: Mapping[str, list[Seen]], number: int) -> None:
    """Each server sends what Breezeway does, but for what is its own."""
    ask, wanted = ASKS[number], answers["breezeway"][number]
    assert int(wanted.status[:3]) == ask.status
    for server in OTHERS:
        assert_same(ask, server, wanted, answers[server][number])


def test_what_is_whole(answers: Mapping[str, list[Seen]]) -> None:
    """A response that has broken off is the only one that is not whole."""
    cut = {ask.head for ask, seen in zip(ASKS, answers["breezeway"], strict=True) if not seen.whole}
    assert cut == {"GET /broken"}


@pytest.mark.parametrize(
    "change",
    [
        {"status": "200 Fine"},
        {"fields": [("content-type", "text/plain")]},
        {"length": "7"},
        {"body": b"other"},
        {"whole": False},
    ],
    ids=str,
)
def test_differences_are_seen(answers: Mapping[str, list[Seen]], change: Mapping[str, Any]) -> None:
    """The comparison finds whatever is not the same."""
    wanted = answers["breezeway"][0]
    with pytest.raises(AssertionError):
        assert_same(ASKS[0], "gunicorn", wanted, wanted._replace(**change))
