"""One complete request head -> environ, in one pass: no list of headers in between.

Strategy: field lines repeat, within a connection and across clients, so each distinct line is
validated and translated once and then found in a memo (`memo.Memo`); a head costs one dictionary
look-up for each line. The same goes for request lines. A connection remembers its last `Head` and
asks for it again when the same bytes come (`worker.connection`), or `Parser.parse_again` when just
the request line is another. On one core a browser's head with 11 fields costs about 2.8 us in the
full pass and 0.2 us when it is the same again (`bench/micro.py`).

Only the thread that holds the baton parses, so nothing here is locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from breezeway.http1.errors import ProtocolError
from breezeway.http1.grammar import CONTENT_LENGTH, FIELD_VALUE, TOKEN, TOKEN_TEXT
from breezeway.http1.limits import CONTENT_LENGTH_DIGITS, Limits
from breezeway.http1.memo import Memo
from breezeway.http1.target import RequestLine, check_host, parse_request_line
from breezeway.semantics.environ_keys import UNBELIEVED

Environ = dict[str, Any]

CHUNKED: Final = -1
"""`Head.length` of a body in the chunked coding."""

# `Head.flags`: what sets a request apart from the common case, so that `not flags` is one test.
CLOSE: Final = 1
"""The connection ends after the response."""
HTTP_1_0: Final = 2
"""The client speaks HTTP/1.0."""
METHOD_HEAD: Final = 4
"""The response has no body."""
EXPECT_CONTINUE: Final = 8
"""The client waits for `100 Continue` before it sends the body (RFC 9110 section 10.1.1)."""
LOCAL: Final = 16
"""The server answers itself; set by who has asked for the head to be parsed."""

# What a field line needs beyond `environ[key] = value`.
_PLAIN, _DROPPED, _SINGLE, _COOKIE, _HOST, _LENGTH, _CODING, _CONNECTION, _EXPECT = range(9)
_UNBELIEVED: Final = 9  # a dropped field that leaves a mark

_KINDS: Final = {
    b"cookie": _COOKIE,
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
    b"expect": _EXPECT,
    b"authorization": _SINGLE,
    b"proxy-authorization": _SINGLE,
}

# Fields in which proxies tell about the client. Who is not believed could say anything in them, and
# applications and frameworks read them: they are dropped unless the parser is told to keep them.
_FORWARDING: Final = frozenset([b"forwarded", b"x-real-ip"])
_FORWARDING_PREFIX: Final = b"x-forwarded-"

Line = tuple[str, str, int]


@dataclass(slots=True)
class Head:
    """A parsed request head."""

    raw: bytes
    """The head as received, with the empty line that ends it."""

    block: bytes
    """The part of `raw` after the request line: CRLF, field lines, CRLF CRLF."""

    environ: Environ
    """A copy of the base environ with all that the head says. Copy it before an application
    sees it: it serves again when the same head comes again."""

    length: int
    """Bytes of the body, or `CHUNKED`."""

    flags: int
    """`CLOSE`, `HTTP_1_0`, `METHOD_HEAD`, `EXPECT_CONTINUE`, `LOCAL`."""

    size: int = field(init=False)
    """Bytes of `raw`."""

    whole: int = field(init=False)
    """Bytes of `raw` and of the body as it is on the wire: of one in chunks, or of one that does not
    come at one go, those that have come so far."""

    common: bool = field(init=False)
    """The method is GET."""

    note: Any = field(default="", init=False)
    """What the access log keeps of this head for the next request with the same."""

    def __post_init__(self) -> None:
        self.size = len(self.raw)
        self.whole = self.size + max(self.length, 0)
        self.common = self.environ["REQUEST_METHOD"] == "GET"


class Parser:
    """Parses the heads of one worker's requests."""

    def __init__(self, limits: Limits, root_path: str = "", kept: Iterable[str] = ()) -> None:
        """`root_path` becomes SCRIPT_NAME and is taken off the front of PATH_INFO.

        `kept` names, in lower case, the fields of proxies that are not dropped.
        """
        self.limits = limits
        self.dropped_fields = 0
        """How many fields were dropped because of their name."""
        self._root_path = root_path
        self._kept = frozenset(name.encode() for name in kept)
        self._lines: Memo[bytes, Line] = Memo()
        self._request_lines: Memo[bytes, RequestLine] = Memo()

    def head_end(self, data: bytes | bytearray, scanned: int = 0) -> int:
        """Return where the head at the start of `data` ends, or 0 when it is not complete.

        `scanned` is the length of `data` at an earlier call for the same head. What is wrong
        however the head goes on is refused at once, and so that it makes no difference in which
        pieces it comes.

        Raises:
            ProtocolError: 400 bare LF or bad request line, 414, 431, 501, 505.
        """
        start = leading_empty_line(data)
        if data.startswith(b"\r\n", start):
            raise ProtocolError(400, "more than one empty line before the request line")
        end = data.find(b"\r\n\r\n", max(start, scanned - 3))
        seen = end + 4 if end >= 0 else len(data)
        line_stop = start + self.limits.request_line + 2
        head_stop = start + self.limits.head
        line_end = data.find(b"\r\n", start, line_stop)
        if 0 <= line_end >= scanned - 1:  # it is complete for the first time
            self._request_line(bytes(data[start:line_end]))
        refusal = None
        if len(data) >= line_stop and line_end < 0:
            refusal = ProtocolError(414, f"request line is over {self.limits.request_line} bytes")
            seen = line_stop
        elif seen > head_stop or (end < 0 and seen == head_stop):
            refusal = ProtocolError(431, f"request head is over {self.limits.head} bytes")
            seen = head_stop
        # What is new begins at `scanned`; the byte before it may be the CR of its LF.
        new = scanned - (scanned > 0 and data[scanned - 1] == 0x0D)
        if data.count(b"\n", new, seen) != data.count(b"\r\n", new, seen):
            raise ProtocolError(400, "bare LF in the head")
        if refusal is not None:
            raise refusal
        return end + 4 if end >= 0 else 0

    def parse(self, raw: bytes, base: Environ) -> Head:
        """Parse a complete head, which `head_end` has measured, without an empty line before it.

        `base` is what the environ of each request on the connection starts with.

        Raises:
            ProtocolError: with the status that RFC 9110, RFC 9112 or the policy names.
        """
        line, _, rest = raw.partition(b"\r\n")
        request_line = self._request_line(line)
        environ = base.copy()
        environ.update(request_line.environ)
        framing = self._fields(rest[:-4].split(b"\r\n") if len(rest) > 2 else [], environ)
        flags = self._flags(request_line, framing, environ)
        length = self._length(request_line.version, framing, environ)
        if not length:
            flags &= ~EXPECT_CONTINUE
        return Head(raw, raw[len(line) :], environ, length, flags)

    def parse_again(self, raw: bytes, last: Head) -> Head | None:
        """Parse a head that differs from `last` in nothing but the request line, by its help.

        Returns None when the difference matters for more than the keys of the request line.
        """
        line = raw[: len(raw) - len(last.block)]
        request_line = self._request_line(line)
        same_version = request_line.version == (last.flags & HTTP_1_0 == 0)
        # An absolute-form target has taken the place of the Host field.
        both_relative = request_line.authority is None and last.environ["RAW_URI"][0] in "/*"
        if not (same_version and both_relative):
            return None
        environ = last.environ.copy()
        environ.update(request_line.environ)
        flags = last.flags & ~METHOD_HEAD
        if request_line.environ["REQUEST_METHOD"] == "HEAD":
            flags |= METHOD_HEAD
        return Head(raw, last.block, environ, last.length, flags)

    def environ_of_line(self, line: bytes) -> Environ:
        """Return what a request line without its CRLF adds to the environ.

        Raises:
            ProtocolError: it is malformed.
        """
        return {**self._request_line(line).environ}

    def _request_line(self, line: bytes) -> RequestLine:
        memo = self._request_lines
        known = memo.young.get(line)
        if known is None:
            known = memo.recall(line) or parse_request_line(line, self._root_path)
            memo.store(line, known, len(line))
        return known

    def _fields(self, lines: list[bytes], environ: Environ) -> dict[int, str]:
        """Add the field lines to `environ`; return those that matter for framing, by their kind."""
        if len(lines) > self.limits.fields:
            raise ProtocolError(431, f"more than {self.limits.fields} header fields")
        memo = self._lines
        framing: dict[int, str] = {}
        for line in lines:
            key, value, kind = memo.young.get(line) or self._line(line)
            if kind == _PLAIN:
                environ[key] = f"{environ[key]}, {value}" if key in environ else value
            elif kind == _COOKIE:
                environ[key] = f"{environ[key]}; {value}" if key in environ else value
            elif kind in (_DROPPED, _UNBELIEVED):
                self.dropped_fields += 1
                if kind == _UNBELIEVED:
                    environ[UNBELIEVED] = True
            else:
                if key in environ and kind <= _LENGTH:
                    raise ProtocolError(400, f"more than one {_field_name(key)} field")
                if kind != _SINGLE:
                    framing[kind] = f"{framing[kind]}, {value}" if kind in framing else value
                environ[key] = f"{environ[key]}, {value}" if key in environ else value
        return framing

    def _line(self, line: bytes) -> Line:
        """Validate and translate one field line, and remember it."""
        known = self._lines.recall(line) or _translate(line, self._kept)
        self._lines.store(line, known, len(line))
        return known

    @staticmethod
    def _flags(request_line: RequestLine, framing: dict[int, str], environ: Environ) -> int:
        flags = 0 if request_line.version else HTTP_1_0
        connection = framing.get(_CONNECTION, "").lower()
        options = [option.strip(" \t") for option in connection.split(",")]
        if "close" in options or (flags & HTTP_1_0 and "keep-alive" not in options):
            flags |= CLOSE
        if environ["REQUEST_METHOD"] == "HEAD":
            flags |= METHOD_HEAD
        expectation = framing.get(_EXPECT)
        if expectation is not None and request_line.version:
            if expectation.lower() != "100-continue":
                raise ProtocolError(417, "the only expectation that can be met is 100-continue")
            flags |= EXPECT_CONTINUE
        host = framing.get(_HOST)
        if host is not None:
            check_host(host)
        elif request_line.version:
            raise ProtocolError(400, "no Host field in an HTTP/1.1 request")
        if request_line.authority is not None:
            environ["HTTP_HOST"] = request_line.authority
        return flags

    def _length(self, version: int, framing: dict[int, str], environ: Environ) -> int:
        """Decide the framing of the body (RFC 9112 section 6.3)."""
        length, coding = framing.get(_LENGTH), framing.get(_CODING)
        if coding is not None:
            if length is not None:
                raise ProtocolError(400, "both Content-Length and Transfer-Encoding")
            _check_coding(coding, version)
            del environ["HTTP_TRANSFER_ENCODING"]
            return CHUNKED
        if length is None:
            return 0
        if CONTENT_LENGTH.fullmatch(length) is None or len(length) > CONTENT_LENGTH_DIGITS:
            raise ProtocolError(400, "Content-Length is not a number of bytes")
        if int(length) > self.limits.body:
            raise ProtocolError(413, f"request body is over {self.limits.body} bytes")
        return int(length)


def leading_empty_line(data: bytes | bytearray) -> int:
    """Return the length of the one empty line before a request line that RFC 9112 2.2 ignores."""
    return 2 if data.startswith(b"\r\n") else 0


def _translate(line: bytes, kept: frozenset[bytes]) -> Line:
    """Translate one field line into its environ key, value and kind.

    Raises:
        ProtocolError: 400.
    """
    name, colon, value = line.partition(b":")
    if line[:1] in b" \t":
        raise ProtocolError(400, "folded field line")
    if not colon or TOKEN.fullmatch(name) is None:
        raise ProtocolError(400, "malformed field name")
    value = value.strip(b" \t")
    if FIELD_VALUE.fullmatch(value) is None:
        raise ProtocolError(400, "control byte in a field value")
    name = name.lower()
    if b"_" in name:
        # It would share its environ key with the field that is written with a hyphen.
        return "", "", _DROPPED
    if name == b"proxy":
        # HTTP_PROXY is what programs that the application runs take for their own setting (CVE-2016-5385).
        return "", "", _DROPPED
    if (name in _FORWARDING or name.startswith(_FORWARDING_PREFIX)) and name not in kept:
        return "", "", _UNBELIEVED
    kind = _KINDS.get(name, _SINGLE if name.startswith(b"content-") else _PLAIN)
    key = name.decode("ascii").upper().replace("-", "_")
    if name == b"content-type" and not value:
        return "", "", _DROPPED
    if name not in (b"content-length", b"content-type"):
        key = f"HTTP_{key}"
    return key, value.decode("latin-1"), kind


def _check_coding(coding: str, version: int) -> None:
    """Check that a Transfer-Encoding is exactly one `chunked`."""
    codings = [each.strip(" \t").lower() for each in coding.split(",")]
    if not version:
        raise ProtocolError(400, "Transfer-Encoding in an HTTP/1.0 request")
    if not all(TOKEN_TEXT.fullmatch(each) for each in codings):
        raise ProtocolError(400, "malformed Transfer-Encoding")
    if "chunked" in codings[:-1]:
        raise ProtocolError(400, "Transfer-Encoding in which chunked is not last, or twice")
    if codings != ["chunked"]:
        raise ProtocolError(501, "transfer coding that is not implemented")


def _field_name(key: str) -> str:
    return key.removeprefix("HTTP_").replace("_", "-").title()
