"""A raw-socket HTTP/1.1 client that shows a body while it arrives.

It is strict about what it needs (status line, framing) and lets the rest through as it came, so
that the check sees what the server really sent.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType

HOST = "127.0.0.1"
RECEIVE = 65536


@dataclass
class Response:
    """One response as it came; `framing` is what ends the body: length, chunked or close."""

    version: str
    status: int
    headers: dict[str, str]
    body: bytes = b""
    framing: str = ""

    @property
    def closes(self) -> bool:
        """Whether the server says that the connection ends with this response."""
        return "close" in self.headers.get("connection", "").lower()


class Connection:
    """One connection to the server, with the bytes that were received and not yet used."""

    def __init__(self, port: int, timeout: float) -> None:
        self.socket = socket.create_connection((HOST, port), timeout)
        self._buffer = bytearray()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it, also while another thread waits for an answer on it."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def ask(self, request: bytes, watch: Callable[[int], None] | None = None) -> Response:
        """Send the request and return the whole response; `ValueError` when it is malformed.

        `watch` is called with the length of the body so far, each time that some of it has come.
        """
        self.socket.sendall(request)
        response = self._head()
        length = response.headers.get("content-length")
        if "chunked" in response.headers.get("transfer-encoding", "").lower():
            response.framing = "chunked"
            parts = self._chunks()
        elif length is not None:
            response.framing = "length"
            parts = self._sized(int(length))
        else:
            response.framing = "close"
            parts = self._rest()
        body = bytearray()
        for part in parts:
            body += part
            if watch:
                watch(len(body))
        response.body = bytes(body)
        return response

    def closed_by_peer(self) -> bool:
        """Wait for the end of the stream; anything else than an end, or silence, is `False`."""
        try:
            return not self._buffer and self.socket.recv(RECEIVE) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _receive(self) -> None:
        data = self.socket.recv(RECEIVE)
        if not data:
            raise ValueError("the server closed the connection before the response was whole")
        self._buffer += data

    def _until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            self._receive()
        found = bytes(self._buffer[:end])
        del self._buffer[: end + len(mark)]
        return found

    def _head(self) -> Response:
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Response(version, int(rest[:3]), headers)

    def _sized(self, length: int) -> Iterator[bytes]:
        """Yield exactly `length` bytes as they come."""
        while length:
            if not self._buffer:
                self._receive()
            part = bytes(self._buffer[:length])
            del self._buffer[:length]
            length -= len(part)
            yield part

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._until(b"\r\n").partition(b";")[0], 16):
            yield from self._sized(size)
            if self._until(b"\r\n"):
                raise ValueError("a chunk is longer than its size")
        self._until(b"\r\n")

    def _rest(self) -> Iterator[bytes]:
        if self._buffer:
            yield bytes(self._buffer)
            self._buffer.clear()
        while data := self.socket.recv(RECEIVE):
            yield data


class Beside:
    """Clients that ask the same again and again, each in a thread, while something is measured."""

    def __init__(self, port: int, request: bytes, count: int, timeout: float) -> None:
        self.answered = 0
        self._request = request
        self._stopping = False
        self._connections = [Connection(port, timeout) for _ in range(count)]
        self._threads = [
            threading.Thread(target=self._loop, args=(port, connection, timeout), daemon=True)
            for connection in self._connections
        ]

    def __enter__(self) -> Beside:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping = True
        for connection in self._connections:
            connection.close()
        for thread in self._threads:
            thread.join()

    def _loop(self, port: int, connection: Connection, timeout: float) -> None:
        while not self._stopping:
            try:
                response = connection.ask(self._request)
                self.answered += 1
                if not response.closes:
                    continue
            except (OSError, ValueError):
                pass
            if not self._stopping:
                connection = self._again(port, connection, timeout)

    def _again(self, port: int, connection: Connection, timeout: float) -> Connection:
        """Replace a connection that the server closed."""
        connection.close()
        with contextlib.suppress(OSError):
            fresh = Connection(port, timeout)
            self._connections[self._connections.index(connection)] = fresh
            return fresh
        time.sleep(0.01)
        return connection
