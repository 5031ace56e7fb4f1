"""A raw HTTP/1 client: sends the bytes that it is told to, reads answers by the letter.

It never mends anything: what deviates from RFC 9112 in an answer raises `ProtocolError`, an answer
that ends before its framing says so, or in a reset, raises `Truncated`. Every wait has a deadline.
"""

from __future__ import annotations

import re
import select
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

DEADLINE_SECONDS = 5.0
"""Longest wait of one client for anything at all; a server under test answers at once."""

RECV_BYTES = 65536

_STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
_FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)")
_SIZE_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}")


class ProtocolError(AssertionError):
    """The server sent what RFC 9112 does not allow."""


class Truncated(ProtocolError):
    """The connection ended within an answer, or in a reset; `received` is what came of the body."""

    def __init__(self, why: str, received: bytes = b"") -> None:
        super().__init__(why)
        self.received = received


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; `body` is without its framing, `chunks` is how it came if it was chunked."""

    version: str
    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    chunks: tuple[bytes, ...] | None = None
    interim: tuple[Response, ...] = field(default=())

    def values(self, name: str) -> list[str]:
        """Return the values of every field line of that name."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def value(self, name: str) -> str | None:
        """Return the value of a field that may come once at most."""
        values = self.values(name)
        if len(values) > 1:
            raise ProtocolError(f"{name} came {len(values)} times")
        return values[0] if values else None

    def options(self) -> set[str]:
        """Return the connection options, in lower case."""
        words = ",".join(self.values("Connection")).split(",")
        return {word.strip().lower() for word in words} - {""}


class Client:
    """One connection to the server under test."""

    def __init__(
        self, address: tuple[str, int], *, deadline: float = DEADLINE_SECONDS, window: int = 0
    ) -> None:
        """Connect; `window` bounds the receive buffer, for a client that reads slowly."""
        self._ends = time.monotonic() + deadline
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(deadline)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        self.socket.close()

    def reset(self) -> None:
        """Leave with a TCP reset in place of an orderly end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def end(self) -> None:
        """Send no more; still read."""
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def drip(self, data: bytes) -> None:
        """Send byte by byte, and stop when the server has gone."""
        for at in range(len(data)):
            try:
                self.socket.sendall(data[at : at + 1])
            except (BrokenPipeError, ConnectionResetError):
                return

    def get(self, target: str = "/", *fields: tuple[str, str]) -> Response:
        """Ask for a target and return the answer."""
        self.send(request("GET", target, *fields))
        return self.response()

    def response(self, method: str = "GET") -> Response:
        """Read one final answer to a request of that method, with its interim answers."""
        interim: list[Response] = []
        while True:
            head = self.head()
            if head.status >= 200:
                return self._finish(head, method, tuple(interim))
            if head.values("Content-Length") or head.values("Transfer-Encoding"):
                raise ProtocolError(f"{head.status} with framing: {head.fields}")
            interim.append(head)

    def head(self) -> Response:
        """Read one head, of an interim or a final answer, and leave the body unread."""
        match = _STATUS_LINE.fullmatch(line := self._line())
        if match is None:
            raise ProtocolError(f"bad status line {line!r}")
        version, status, reason = (part.decode("latin-1") for part in match.groups())
        return Response(version, int(status), reason, tuple(self._fields()))

    def rest(self) -> bytes:
        """Read to the orderly end of the connection; a reset raises `Truncated`."""
        while self._receive():
            pass
        return self.take(len(self._buffer))

    def chunk(self) -> bytes:
        """Read one chunk of a chunked body; the last one is empty, its trailers are dropped."""
        size_line = self._line()
        if _SIZE_LINE.fullmatch(size_line) is None:
            raise ProtocolError(f"bad chunk size {size_line!r}")
        size = int(size_line, 16)
        if size == 0:
            list(self._fields())
            return b""
        data = self.take(size)
        if self.take(2) != b"\r\n":
            raise ProtocolError("chunk data does not end in CRLF")
        return data

    def take(self, size: int) -> bytes:
        """Read so many bytes of whatever comes."""
        while len(self._buffer) < size:
            if not self._receive():
                raise Truncated(f"ended within {size} bytes", bytes(self._buffer))
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def silent(self, seconds: float) -> bool:
        """Whether the server says nothing for so long."""
        return not self._buffer and not select.select([self.socket], [], [], seconds)[0]

    def _finish(self, head: Response, method: str, interim: tuple[Response, ...]) -> Response:
        body, chunks = b"", None
        length = head.value("Content-Length")
        coding = head.value("Transfer-Encoding")
        if coding is not None and (length is not None or coding.lower() != "chunked"):
            raise ProtocolError(f"framing in two ways: {head.fields}")
        if coding is not None and head.version == "HTTP/1.0":
            raise ProtocolError("Transfer-Encoding in HTTP/1.0")
        if head.status in (204, 304) and coding is not None:
            raise ProtocolError(f"{head.status} with Transfer-Encoding")
        if head.status == 204 and length is not None:
            raise ProtocolError("204 with Content-Length")
        if method == "HEAD" or head.status in (204, 304):
            pass
        elif coding is not None:
            chunks = self._chunks()
            body = b"".join(chunks)
        elif length is not None:
            if not length.isascii() or not length.isdigit():
                raise ProtocolError(f"bad Content-Length {length!r}")
            body = self.take(int(length))
        else:
            body = self.rest()
        return Response(head.version, head.status, head.reason, head.fields, body, chunks, interim)

    def _chunks(self) -> tuple[bytes, ...]:
        chunks: list[bytes] = []
        try:
            while chunk := self.chunk():
                chunks.append(chunk)
        except Truncated as error:
            raise Truncated(str(error), b"".join([*chunks, error.received])) from None
        return tuple(chunks)

    def _fields(self) -> Iterable[tuple[str, str]]:
        while line := self._line():
            match = _FIELD_LINE.fullmatch(line)
            if match is None:
                raise ProtocolError(f"bad field line {line!r}")
            yield match[1].decode("ascii"), match[2].strip(b" \t").decode("latin-1")

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if not self._receive():
                raise Truncated(f"ended within a line: {bytes(self._buffer)!r}")
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise ProtocolError(f"bad line end {line!r}")
        return line[:-2]

    def _receive(self) -> bool:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"the server said nothing in time; so far {bytes(self._buffer)!r}")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(RECV_BYTES)
        except ConnectionResetError:
            raise Truncated("the connection was reset", bytes(self._buffer)) from None
        self._buffer += data
        return bool(data)


def request(
    method: str, target: str, *fields: tuple[str, str], version: str = "1.1", body: bytes = b""
) -> bytes:
    """Return a request with Host, the given fields, and Content-Length if there is a body."""
    lines = [f"{method} {target} HTTP/{version}", "Host: test"]
    lines += [f"{name}: {value}" for name, value in fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
