"""A load that misses nothing: each request has to be answered, whole, on the connection it was sent on.

Keep-alive clients send the next request as soon as they have the last response, and connect anew only
when that said `Connection: close`; one-shot clients connect for each request. An end of file or a
reset before a complete response is a failure, and so are a response of another status than 200 and one
that does not come in time. One thread plays all clients, so that the server gets most of the machine.
"""

from __future__ import annotations

import heapq
import select
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Self

TIMEOUT_SECONDS = 20.0
"""A response that takes longer is a failure."""

LOOK_SECONDS = 0.25
"""Between two looks at what has taken too long."""

Address = tuple[str, int] | str
"""Host and port, or the path of a unix socket."""


@dataclass(frozen=True)
class Failure:
    """A request that was not answered."""

    why: str
    last_body: str
    """The response before it on this connection; empty if it was the first."""
    at: float
    """Monotonic seconds."""


class _Client:
    """One client: at any time one connection at most, with one request on it at most."""

    def __init__(self, kept: bool, request: bytes) -> None:
        self.kept = kept
        self.request = request
        self.socket: socket.socket | None = None
        self.received = b""
        self.last_body = ""
        self.waits_since = 0.0
        """When the request was sent that has no response yet; 0 if there is none."""


class Load:
    """Sends requests from many clients within a `with` block."""

    def __init__(
        self,
        address: Address,
        *,
        keep_alive: int,
        one_shot: int = 0,
        path: str = "/",
        pause: float = 0.0,
        most: int = 0,
    ) -> None:
        """`pause` is the seconds between two requests of a client; `most` ends it after so many."""
        self.address = address
        self.failures: list[Failure] = []
        self.responses: Counter[str] = Counter()
        """How often each body came."""
        self.closed = 0
        """Responses with `Connection: close` on keep-alive connections."""
        self.total = 0
        """Responses so far."""
        self.longest_gap = 0.0
        """The most seconds that passed without any response."""
        self._pause = pause
        self._most = most
        self._sent = 0
        self._over = threading.Event()
        self._ended = threading.Event()
        self._clients = [
            _Client(kept, _request(path, "keep-alive" if kept else "close"))
            for kept in [True] * keep_alive + [False] * one_shot
        ]
        self._by_fd: dict[int, _Client] = {}
        self._later: list[tuple[float, int, _Client]] = []
        self._epoll = select.epoll()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each client finish its request."""
        self._over.set()
        self._thread.join(2 * TIMEOUT_SECONDS)
        assert self._ended.is_set(), "the load does not end"

    def join(self, seconds: float) -> None:
        """Wait until the `most` requests are done."""
        assert self._ended.wait(seconds), f"{self.total} of {self._most} after {seconds} s"

    def wait_for(self, more: int, seconds: float = TIMEOUT_SECONDS) -> None:
        """Wait for so many responses from now on."""
        wanted, ends = self.total + more, time.monotonic() + seconds
        while self.total < wanted and time.monotonic() < ends:
            self._ended.wait(0.005)
        assert self.total >= wanted, f"{self.total} of {wanted} responses, {self.failures[:3]}"

    def spread(self) -> Counter[str]:
        """Count the keep-alive clients by the last response of each."""
        return Counter(each.last_body for each in self._clients if each.kept)

    # --- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        for client in self._clients:
            self._send(client)
        looked = before = time.monotonic()
        while self._by_fd or (self._later and not self._over.is_set()):
            for fd, _ in self._epoll.poll(self._wait_seconds()):
                client = self._by_fd.get(fd)
                if client is not None and self._receive(client):
                    now = time.monotonic()
                    self.longest_gap = max(self.longest_gap, now - before)
                    before = now
            now = time.monotonic()
            while self._later and self._later[0][0] <= now:
                self._send(heapq.heappop(self._later)[2])
            if now - looked > LOOK_SECONDS:
                looked = now
                for client in list(self._by_fd.values()):
                    if now - client.waits_since > TIMEOUT_SECONDS:
                        self._fail(client, f"no response within {TIMEOUT_SECONDS:g} s")
        for client in self._clients:
            self._close(client)
        self._epoll.close()
        self._ended.set()

    def _wait_seconds(self) -> float:
        if not self._later:
            return LOOK_SECONDS
        return min(LOOK_SECONDS, max(0.0, self._later[0][0] - time.monotonic()))

    def _send(self, client: _Client) -> None:
        """Send the next request, on a new connection if need be."""
        if self._over.is_set() or (self._most and self._sent >= self._most):
            self._close(client)
            return
        self._sent += 1
        client.waits_since = time.monotonic()
        try:
            if client.socket is None:
                client.last_body = ""
                client.socket = _connect(self.address)
            client.socket.sendall(client.request)
        except OSError as error:
            self._fail(client, f"{type(error).__name__}: {error}")
            return
        fd = client.socket.fileno()
        if fd not in self._by_fd:
            self._by_fd[fd] = client
            self._epoll.register(fd, select.EPOLLIN)

    def _receive(self, client: _Client) -> bool:
        """Take what has come; return whether that made a response complete."""
        assert client.socket is not None
        try:
            data = client.socket.recv(65536)
        except OSError as error:
            self._fail(client, f"{type(error).__name__}: {error}")
            return False
        client.received += data
        if not data:
            self._fail(client, f"end of file after {len(client.received)} bytes of a response")
            return False
        head, end, body = client.received.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return False
        client.received = b""
        self._note(client, head, body)
        return True

    def _note(self, client: _Client, head: bytes, body: bytes) -> None:
        """Count a response, and go on."""
        closes = b"\r\nConnection: close" in head
        client.last_body = body.decode()
        self.total += 1
        self.responses[client.last_body] += 1
        self.closed += client.kept and closes
        if not head.startswith(b"HTTP/1.1 200 "):
            self._fail(client, head.split(b"\r\n")[0].decode())
            return
        if closes or not client.kept or self._over.is_set():
            self._close(client)
        self._go_on(client)

    def _fail(self, client: _Client, why: str) -> None:
        self.failures.append(Failure(why, client.last_body, time.monotonic()))
        self._close(client)
        self._go_on(client)

    def _go_on(self, client: _Client) -> None:
        # After a failure too there is a pause, so that a server that is gone is not run at.
        pause = self._pause or (0.05 if client.socket is None and self.failures else 0.0)
        if pause:
            if client.socket is not None:
                self._forget(client)
            heapq.heappush(self._later, (time.monotonic() + pause, id(client), client))
        else:
            self._send(client)

    def _forget(self, client: _Client) -> None:
        assert client.socket is not None
        fd = client.socket.fileno()
        if self._by_fd.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def _close(self, client: _Client) -> None:
        if client.socket is not None:
            self._forget(client)
            client.socket.close()
            client.socket = None
            client.received = b""


def _request(path: str, connection: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: {connection}\r\n\r\n".encode()


def _connect(address: Address) -> socket.socket:
    if isinstance(address, tuple):
        return socket.create_connection(address, TIMEOUT_SECONDS)
    client = socket.socket(socket.AF_UNIX)
    try:
        client.settimeout(TIMEOUT_SECONDS)
        client.connect(address)
    except BaseException:
        client.close()
        raise
    return client


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
