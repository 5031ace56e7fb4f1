"""A response of an upstream, read strictly, within bounds and with deadlines, for `proxy.wire`.

What can be read in two ways is an error, not a guess. `http.client`, whose place this takes below urllib3,
takes 103 for the final response, folds lines, and lets an upstream that sends a byte now and then hold a
thread for days.
"""

from __future__ import annotations

import re
import time
from http.client import HTTPMessage, HTTPResponse, IncompleteRead
from typing import TYPE_CHECKING, Any, Final

from breezeway.middleware.proxy.errors import UpstreamError
from breezeway.semantics.fields import Headers, members

if TYPE_CHECKING:
    from breezeway.middleware.proxy.wire import Request

BLOCK_BYTES: Final = 64 * 1024
"""Of one read, either way."""

LONGEST_LINE: Final = 4096
"""Bytes of a chunk's size line, and of a trailer field."""

MOST_TRAILERS: Final = 64

# status-line = HTTP-version SP status-code SP [ reason-phrase ]           RFC 9112 section 4
# However, the second SP may be missing when there is no reason: many leave it out.
_STATUS_LINE: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t \x21-\x7e\x80-\xff]*))?"
)
# field-line = field-name ":" OWS field-value OWS                          RFC 9112 section 5
_FIELD_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t \x21-\x7e\x80-\xff]*)")
# chunk = chunk-size [ chunk-ext ] CRLF                                    RFC 9112 section 7.1
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t \x21-\x7e\x80-\xff]*)?")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")

_SWITCHING: Final = 101
_FIRST_FINAL: Final = 200
_WITHOUT_CONTENT: Final = (204, 304)


class Answer(HTTPResponse):
    """A response, as it comes from the socket."""

    def __init__(
        self,
        sock: Any,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
        *,
        request: Request,
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._is_head = method == "HEAD"
        self._socket = sock
        self._request = request
        self._deadline: float | None = time.monotonic() + request.wait
        self._ahead = bytearray()
        """Received, and not read yet."""
        self._in_chunk = False
        self._chunk_left = 0
        self.fields: Headers = []
        request.answer = self

    # --- the head ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Read the head of the final response; those of interim ones (1xx) are passed over."""
        request = self._request
        if request.deadline is not None:
            self._deadline = min(self._deadline or request.deadline, request.deadline)
        room = request.longest_head
        while True:
            head = self._head(room)
            room -= len(head)
            version, self.status, lines = self._status_line(head)
            if self.status == _SWITCHING:
                raise UpstreamError(502, "it switches protocols, unasked")
            if self.status >= _FIRST_FINAL:
                break
        self.code, self.version = self.status, 10 + version
        for line in lines:
            match = _FIELD_LINE.fullmatch(line)
            if match is None:
                raise UpstreamError(502, f"a field line of its head is malformed: {line[:80]!r}")
            self.fields.append((match[1].decode("ascii"), match[2].decode("latin-1").strip(" \t")))
        self.headers = self.msg = HTTPMessage()
        self._deadline = request.deadline
        self._socket.settimeout(request.wait)
        self._frame()

    def _head(self, room: int) -> bytes:
        """Return status line and field lines."""
        ahead, looked = self._ahead, 0
        while (end := ahead.find(b"\r\n\r\n", max(0, looked - 3))) < 0 or end > room:
            looked = len(ahead)
            if looked > room:
                raise UpstreamError(502, f"its head is over {self._request.longest_head} bytes")
            try:
                data = self._receive(BLOCK_BYTES)
            except TimeoutError:
                wait = self._request.wait
                raise UpstreamError(504, f"it has not answered within {wait:g} s") from None
            except OSError:  # a reset, or TLS that breaks
                data = b""
            if not data:
                raise UpstreamError(
                    502,
                    "it closed the connection "
                    + ("in its head" if ahead else "instead of answering"),
                    is_stale=(
                        self._request.is_reused and not ahead and room == self._request.longest_head
                    ),
                )
            ahead += data
        head = bytes(ahead[:end])
        del ahead[: end + 4]
        return head

    def _status_line(self, head: bytes) -> tuple[int, int, list[bytes]]:
        first, *lines = head.split(b"\r\n")
        match = _STATUS_LINE.fullmatch(first)
        if match is None:
            raise UpstreamError(502, f"its status line is malformed: {first[:80]!r}")
        self.reason = (match[3] or b"").decode("latin-1").strip(" \t")
        return int(match[1]), int(match[2]), lines

    def _frame(self) -> None:
        """Decide where the content ends (RFC 9112 section 6.3)."""
        values: dict[str, list[str]] = {
            "content-length": [],
            "transfer-encoding": [],
            "connection": [],
        }
        for name, value in self.fields:
            if (kind := name.lower()) in values:
                values[kind].append(value)
        lengths = {*values["content-length"]}
        codings = [coding.lower() for coding in members(",".join(values["transfer-encoding"]))]
        if codings and (codings != ["chunked"] or lengths or self.version == 10):
            raise UpstreamError(502, "the framing of its response can be read in two ways")
        if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            raise UpstreamError(502, "its Content-Length is malformed")
        options = [option.lower() for option in members(",".join(values["connection"]))]
        self.chunked = bool(codings)
        self.length = int(lengths.pop()) if lengths else None
        if self._is_head or self.status in _WITHOUT_CONTENT:
            self.length, self.chunked = 0, False
        ends = self.chunked or self.length is not None
        self.will_close = (
            not ends or self.version == 10 or "close" in options or self._request.is_cut
        )
        for name, value in self.fields:  # what urllib3 looks at
            if name.lower() in ("content-length", "transfer-encoding") and self.length != 0:
                self.msg.set_raw(name, value)
        if self.length == 0:
            self._finish()

    # --- the content ------------------------------------------------------------------------------

    @property
    def is_here(self) -> bool:
        """The whole content was received together with the head."""
        return not self.chunked and self.length is not None and len(self._ahead) >= self.length

    def read1(self, n: int | None = -1) -> bytes:
        """Return what there is of the content, at most `n` bytes; wait only when that is nothing.

        Raises:
            IncompleteRead: it ends too early, or a chunk is malformed.
        """
        if self.fp is None:
            return b""
        size = BLOCK_BYTES if n is None or n < 0 else n
        if self.chunked:
            if not self._chunk_left and not self._next_chunk():
                return b""
            data = self._take(min(size, self._chunk_left))
            self._chunk_left -= len(data)
        elif self.length is None:
            data = self._take(size, may_end=True)
            if not data:
                self.close()
        else:
            data = self._take(min(size, self.length))
            self.length -= len(data)
            if not self.length:
                self._finish()
        return data

    def _next_chunk(self) -> bool:
        """Go on to the next chunk; return False at the end."""
        if self._in_chunk and self._line():
            raise IncompleteRead(b"")
        match = _CHUNK_LINE.fullmatch(self._line())
        if match is None:
            raise IncompleteRead(b"")
        self._chunk_left = int(match[1], 16)
        self._in_chunk = True
        if self._chunk_left:
            return True
        for _ in range(MOST_TRAILERS):
            if not self._line():
                self._finish()
                return False
        raise IncompleteRead(b"")

    def _line(self) -> bytes:
        ahead = self._ahead
        while (end := ahead.find(b"\r\n")) < 0:
            data = self._receive(BLOCK_BYTES) if len(ahead) <= LONGEST_LINE else b""
            if not data:
                raise IncompleteRead(b"")
            ahead += data
        if end > LONGEST_LINE:
            raise IncompleteRead(b"")
        line = bytes(ahead[:end])
        del ahead[: end + 2]
        return line

    def _take(self, size: int, *, may_end: bool = False) -> bytes:
        ahead = self._ahead
        if ahead:
            data = bytes(ahead[:size])
            del ahead[:size]
            return data
        data = self._receive(size)
        if not data and not may_end:
            raise IncompleteRead(b"")
        return data

    def _receive(self, size: int) -> bytes:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the time for the response is over")
            self._socket.settimeout(min(left, self._request.wait))
        received: bytes = self._socket.recv(size)
        return received

    def _finish(self) -> None:
        """End the response; what was received past its end belongs to no request."""
        if self._ahead:
            self._request.connection.close()
        self.close()
