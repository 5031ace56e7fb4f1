"""Response head: what an application gave to start_response -> bytes, validated.

No application can split a response: status, names and values are checked against the grammar of
RFC 9110 before any of it goes out, and fields that belong to the connection (RFC 9110 section 7.6.1)
are refused, as PEP 3333 demands. Applications answer with the same few heads again and again, so a
whole validated head is remembered under its status and fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from breezeway.http1.grammar import FIELD_VALUE_TEXT, STATUS, TOKEN_TEXT
from breezeway.http1.memo import Memo
from breezeway.semantics.fields import HOP_BY_HOP

Headers = list[tuple[str, str]]

_OK: Final = 200
_NO_CONTENT: Final = 204
_NOT_MODIFIED: Final = 304
_FIRST_FINAL: Final = 200

_CLOSE_LINE: Final = b"Connection: close\r\n"
_SERVER_LINE: Final = b"Server: breezeway\r\n"

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"

PHRASES: Final = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
}
"""Reason phrases (RFC 9110 section 15) of the answers that the server gives by itself."""


@dataclass(slots=True)
class ResponseHead:
    """A validated response head."""

    lines: bytes
    """Status line and field lines, each with its CRLF; Content-Length is among them if given."""

    length: int | None
    """The application's Content-Length."""

    plain: bool
    """There may be a body, and the application has set neither Date nor Server: the common case."""

    bodiless: bool
    """204 and 304 have no body, whatever the application gives (RFC 9112 section 6.3)."""

    has_date: bool
    has_server: bool
    status: int

    common: bool
    """The status is 200."""

    quick: bool = False
    """The last stream with this head was made without a pause: its first block need not hurry."""


class Encoder:
    """Encodes the response heads of one worker; threads may share it."""

    def __init__(self) -> None:
        self.memo: Memo[tuple[object, ...], ResponseHead] = Memo()
        """Heads by `(status, *headers)`; `gateway.exchange` looks into `memo.young` by itself."""
        self.ending = b"\r\n"
        """Date, Server and the empty line: what ends a head. `set_date` renews it each second."""
        self.whole_ending = self.ending
        """The same for a response that nothing else is said of: with `Connection: close` once
        `closing` is set."""
        self.closing = False
        """Connections end after the responses from now on; `close` sets it."""
        self._date_line = b""
        self.last: tuple[str, Headers, ResponseHead] = "200 OK", [], _encode("200 OK", [])
        """What the memo was asked for last, and its answer: comparing is cheaper than looking up."""

    def set_date(self, date: bytes) -> None:
        """Renew the Date field (RFC 9110 section 6.6.1); `date` is an IMF-fixdate."""
        self._date_line = b"Date: " + date + b"\r\n"
        self.ending = self._date_line + _SERVER_LINE + b"\r\n"
        self.whole_ending = _CLOSE_LINE + self.ending if self.closing else self.ending

    def close(self) -> None:
        """Say `Connection: close` in all responses whose head is made from now on."""
        self.whole_ending = _CLOSE_LINE + self.ending
        self.closing = True

    def ending_for(self, head: ResponseHead) -> bytes:
        """Return what ends `head`, without what the application has set itself."""
        if head.has_date or head.has_server:
            date_line = b"" if head.has_date else self._date_line
            return date_line + (b"" if head.has_server else _SERVER_LINE) + b"\r\n"
        return self.ending

    def head(self, status: str, headers: Headers) -> ResponseHead:
        """Validate and encode what an application gave to start_response.

        Raises:
            TypeError, ValueError: in plain words for the author of the application.
        """
        if type(headers) is not list:
            raise TypeError(f"the headers must be a list, not {type(headers).__name__}")
        key = (status, *headers)
        try:
            known = self.memo.young.get(key)
        except TypeError:  # a header that is a list: told by `_encode`
            return _encode(status, headers)
        if known is None:
            known = self.memo.recall(key) or _encode(status, headers)
            self.memo.store(key, known, len(known.lines))
        return known


def _encode(status: str, headers: Headers) -> ResponseHead:
    if not isinstance(status, str):
        raise TypeError(f"the status must be a str, not {type(status).__name__}")
    status = str.__str__(status)
    code = _status_code(status)
    lines = [f"HTTP/1.1 {status}"]
    names = set()
    length = None
    for header in headers:
        name, value = _check_header(header)
        lowered = name.lower()
        if lowered == "content-length":
            if length is not None:
                raise ValueError("more than one Content-Length header")
            length = _content_length(value)
            if code == _NO_CONTENT:
                continue  # RFC 9110 section 8.6: must not be sent
        names.add(lowered)
        lines.append(f"{name}: {value}")
    bodiless = code in (_NO_CONTENT, _NOT_MODIFIED)
    has_date, has_server = "date" in names, "server" in names
    return ResponseHead(
        lines="\r\n".join([*lines, ""]).encode("latin-1"),
        length=length,
        plain=not (bodiless or has_date or has_server),
        bodiless=bodiless,
        has_date=has_date,
        has_server=has_server,
        status=code,
        common=code == _OK,
    )


def _status_code(status: str) -> int:
    match = STATUS.fullmatch(status)
    if match is None or int(match[1]) < _FIRST_FINAL:
        raise ValueError(f"the status must be like '200 OK', from 200 to 599, not {status!r}")
    return int(match[1])


def _check_header(header: tuple[str, str]) -> tuple[str, str]:
    if not isinstance(header, tuple) or len(header) != 2:
        raise TypeError(f"a header must be a tuple (name, value), not {header!r}")
    name, value = header
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"name and value of a header must be str, not {header!r}")
    # What is checked is what goes out: a subclass, such as an Enum, may format as another text.
    name, value = str.__str__(name), str.__str__(value)
    if TOKEN_TEXT.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no header name")
    if FIELD_VALUE_TEXT.fullmatch(value) is None:
        raise ValueError(f"control or non-latin-1 character in the value of header {name}")
    if name.lower() in HOP_BY_HOP:
        raise ValueError(f"header {name} belongs to the connection: the server sets it (PEP 3333)")
    return name, value


def _content_length(value: str) -> int:
    if re.fullmatch(r"[0-9]{1,18}", value) is None:
        raise ValueError(f"Content-Length must be a number of bytes, not {value!r}")
    return int(value)


def early_hints(headers: Headers) -> bytes:
    """Encode a 103 (RFC 8297).

    Raises:
        TypeError, ValueError: as for the headers of a response.
    """
    checked = [_check_header(header) for header in headers]
    if any(name.lower() == "content-length" for name, _ in checked):
        raise ValueError("early hints have no body, and so no Content-Length")
    fields = [f"{name}: {value}\r\n" for name, value in checked]
    return "".join(["HTTP/1.1 103 Early Hints\r\n", *fields, "\r\n"]).encode("latin-1")


def says_close(response: bytes) -> bool:
    """Whether a whole response has told the client that the connection ends after it."""
    return response.find(_CLOSE_LINE, 0, response.find(b"\r\n\r\n") + 4) >= 0


def plain_answer(status: int, text: str, ending: bytes, *, bodiless: bool = False) -> bytes:
    """Build a whole response of the server's own: plain text, and the connection closes.

    `ending` is `Encoder.ending`; `bodiless` answers a HEAD.
    """
    phrase = PHRASES[status]
    body = f"{status} {phrase}\n{text}\n".encode("latin-1", "replace")
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n"
    )
    return head.encode("latin-1") + ending + (b"" if bodiless else body)
