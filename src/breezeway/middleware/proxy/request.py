"""A request on its way through `Proxy`: what of an environ goes on to an upstream."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from wsgiref.types import WSGIEnvironment

from breezeway.middleware.proxy.errors import BAD_REQUEST, RefusedError
from breezeway.middleware.proxy.target import VISIBLE, latin, path_of, script_name
from breezeway.semantics.fields import HOP_BY_HOP, Headers, members
from breezeway.semantics.intermediaries import Said, forwarded_fields

BLOCK_BYTES: Final = 64 * 1024
"""Of one read from the client."""

MOST_HOPS: Final = 16
"""Times that the name of this gateway may be in Via: more is a loop."""

LONGEST_KEPT_NAME: Final = 64
"""Names of fields up to this length are kept in their translation."""

_REFUSED_METHODS: Final = ("CONNECT", "TRACE")

_DROPPED: Final = HOP_BY_HOP | {
    "content-length",  # what frames the body is decided here
    "content-type",  # it is CONTENT_TYPE; another one is a client's spelling, such as Content_Type
    "expect",  # the server has met it
    "forwarded",  # what a client says about itself is not believed
    "host",
    "http2-settings",
    "proxy",  # CGI applications would take it for HTTP_PROXY
    "via",
    "x-real-ip",
}
_FAMILY: Final = "HTTP_X_FORWARDED_"

_NAME: Final = re.compile(r"[!#$%&'*+\-.^`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
_VERSION: Final = re.compile(r"HTTP/([0-9](?:\.[0-9])?)")
_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HOST: Final = re.compile(r"[!$&'()*+;=%\-._~0-9A-Za-z:\[\]]*")
_QUERY_SAFE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")


class Incoming(NamedTuple):
    """What goes on to whichever upstream it will be."""

    method: str
    path: str
    """As raw as can be, without the part that SCRIPT_NAME has."""
    query: str
    """With its question mark, if there is any."""
    host: str
    fields: Headers
    body: Body | None


class Body:
    """The body of a request; nothing is read of it before it is iterated over, but for one block."""

    is_consumed = False
    is_answered: Callable[[], bool]
    """Whether the upstream has begun to answer, so that there is no use in sending more."""

    def __init__(self, stream: Any, length: int | None) -> None:
        """`length` is in bytes; without one, the stream ends by itself."""
        self._read = getattr(stream, "read1", stream.read)
        self.framing = (
            {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
        )
        self._left = length
        self._ahead: bytes | None = None if length is not None else self._next()
        self.is_empty = self._ahead == b""

    def __iter__(self) -> Iterator[bytes]:
        """Give the blocks as they come from the client.

        Raises:
            RefusedError: the client has sent less than it said.
        """
        while self._left != 0:
            if self.is_answered():
                raise BrokenPipeError  # urllib3 then reads the response
            self.is_consumed = True
            block, self._ahead = self._ahead or self._next(), None
            if not block:
                return
            yield block

    def _next(self) -> bytes:
        size = BLOCK_BYTES if self._left is None else min(BLOCK_BYTES, self._left)
        if not size:
            return b""
        try:
            block: bytes = self._read(size)
        except OSError:
            block = b""
            self._left = self._left or 1
        if self._left is not None:
            if not block:
                raise RefusedError(BAD_REQUEST, "The body of the request is incomplete.")
            self._left -= len(block)
        return block


def incoming(environ: WSGIEnvironment, via: str) -> Incoming:
    """Take a request out of its environ.

    Raises:
        RefusedError: it must not go on.
    """
    method = environ["REQUEST_METHOD"]
    if _METHOD.fullmatch(method) is None:
        raise RefusedError(BAD_REQUEST, "The method is malformed.")
    if method in _REFUSED_METHODS:
        raise RefusedError("501 Not Implemented", "This method does not go through a proxy.")
    if environ.get("HTTP_EXPECT", "100-continue").lower() != "100-continue":
        raise RefusedError("417 Expectation Failed", "Only 100-continue can be expected.")
    query = environ.get("QUERY_STRING", "")
    if query and VISIBLE.fullmatch(query) is None:
        query = quote(latin(query), safe=_QUERY_SAFE)
    host = environ.get("HTTP_HOST", "")
    if _HOST.fullmatch(host) is None:
        raise RefusedError(BAD_REQUEST, "The Host field is malformed.")
    body = _body(environ)
    fields = [*_fields(environ, via), *forwarded_fields(_said(environ, host))]
    return Incoming(method, path_of(environ), f"?{query}" if query else "", host, fields, body)


def _said(environ: WSGIEnvironment, host: str) -> Said:
    port = environ.get("SERVER_PORT", "")
    return Said(
        environ.get("REMOTE_ADDR", ""),
        environ["wsgi.url_scheme"],
        host,
        port if port.isascii() and port.isdigit() else "",
        script_name(environ),
    )


# --- the fields ----------------------------------------------------------------------------------


@lru_cache(1024)
def _kept_name(key: str) -> str:
    name = key[5:].replace("_", "-").title()
    if _NAME.fullmatch(name) is None:
        raise RefusedError(BAD_REQUEST, "The name of a header field is malformed.")
    return "" if name.lower() in _DROPPED or key.startswith(_FAMILY) else name


def _fields(environ: WSGIEnvironment, via: str) -> Iterator[tuple[str, str]]:
    """Give the fields that go on as they are, and Via (RFC 9110 section 7.6.3)."""
    named = {option.lower() for option in members(environ.get("HTTP_CONNECTION", ""))}
    matches = _VALUE.fullmatch
    for key, value in environ.items():
        if key[:5] == "HTTP_":
            name = _kept_name(key) if len(key) <= LONGEST_KEPT_NAME else _kept_name.__wrapped__(key)
            if not name or name.lower() in named:
                continue
            if matches(value) is None:
                raise RefusedError(BAD_REQUEST, f"The header field {name} is malformed.")
            yield name, value
    kind = environ.get("CONTENT_TYPE", "")
    if kind:
        if matches(kind) is None:
            raise RefusedError(BAD_REQUEST, "The header field Content-Type is malformed.")
        yield "Content-Type", kind
    hops = environ.get("HTTP_VIA", "")
    if matches(hops) is None or hops.count(f" {via}") >= MOST_HOPS:
        raise RefusedError("508 Loop Detected", "This request goes round in circles.")
    version = _VERSION.fullmatch(environ.get("SERVER_PROTOCOL", ""))
    hop = f"{version[1] if version else '1.1'} {via}"
    yield "Via", f"{hops}, {hop}" if hops else hop


def _body(environ: WSGIEnvironment) -> Body | None:
    """Return the body, if there is one; it may be empty."""
    text = environ.get("CONTENT_LENGTH", "")
    stream = environ["wsgi.input"]
    if text:
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise RefusedError(BAD_REQUEST, "Content-Length is malformed.")
        return Body(stream, int(text))
    if environ.get("wsgi.input_terminated"):
        body = Body(stream, None)
        return None if body.is_empty else body
    if environ.get("HTTP_TRANSFER_ENCODING"):
        raise RefusedError("411 Length Required", "The server does not tell where the body ends.")
    return None
