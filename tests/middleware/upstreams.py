"""Upstreams that misbehave: raw sockets that play what a test says."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

DEADLINE_SECONDS = 10.0

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

Play = Callable[["Peer"], object]


class Peer:
    """The upstream's end of a connection."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        connection.settimeout(DEADLINE_SECONDS)
        self.socket = connection
        self.number = number
        """Of the connection, from 0."""
        self.seen = b""

    def head(self) -> bytes:
        """Receive the head of a request; empty if the other end has closed."""
        return self.until(b"\r\n\r\n")

    def until(self, end: bytes) -> bytes:
        """Receive up to some bytes."""
        while end not in self.seen:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return b""
            if not data:
                return b""
            self.seen += data
        found, _, self.seen = self.seen.partition(end)
        return found + end

    def send(self, *data: bytes) -> None:
        """Send."""
        for each in data:
            self.socket.sendall(each)

    def reset(self) -> None:
        """Close with a reset in place of the end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait(self) -> bool:
        """Wait until the other end closes; True if it does."""
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True


class Upstream:
    """A server that plays the same on each connection, in a thread for each."""

    def __init__(self, play: Play, path: str = "") -> None:
        self._play = play
        self._listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self._listener.bind(path or ("127.0.0.1", 0))
        self._listener.listen(64)
        self.connections = 0
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        if path:
            self.url = f"unix:{path}"
        else:
            self.url = "http://{}:{}".format(*self._listener.getsockname())

    def __enter__(self) -> Upstream:
        self._start(self._accept)
        return self

    def _start(self, run: Callable[..., object], *given: object) -> None:
        thread = threading.Thread(target=run, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self.connections += 1  # before anybody can have an answer
            self._start(self._serve, Peer(connection, self.connections - 1))

    def _serve(self, peer: Peer) -> None:
        try:
            self._play(peer)
        except OSError:
            pass
        except BaseException as error:
            self.errors.append(error)
        finally:
            peer.socket.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)
        assert not self.errors, self.errors


def answering(*answers: bytes, close: bool = False) -> Play:
    """Answer each request of a connection in turn; then do nothing, or close."""

    def play(peer: Peer) -> None:
        for each in answers:
            if not peer.head():
                return
            peer.send(each)
        if not close:
            peer.wait()

    return play


@contextmanager
def upstream(*answers: bytes, close: bool = False) -> Iterator[Upstream]:
    """Run an upstream that answers so."""
    with Upstream(answering(*answers, close=close)) as running:
        yield running


def nowhere() -> str:
    """Return the URL of a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "http://{}:{}".format(*probe.getsockname())
