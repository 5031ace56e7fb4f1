"""A load that misses nothing: each request has to be answered, whole, on the connection it was sent on.

Keep-alive clients send the next request as soon as they have the last response, and connect anew only
when that said `Connection: close`; one-shot clients connect for each request. An end of file or a
reset before a complete response is a failure, and so is a response of another status than 200.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

TIMEOUT_SECONDS = 20.0


class Load:
    """Sends requests from many clients within a `with` block."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        keep_alive: int,
        one_shot: int = 0,
        path: str = "/",
        pause: float = 0.0,
    ) -> None:
        """`pause` is the seconds between two requests of a client."""
        self.address = address
        self.failures: list[str] = []
        self.responses: Counter[str] = Counter()
        """How often each body came."""
        self.closed = 0
        """Responses with `Connection: close` on keep-alive connections."""
        self._path = path
        self._pause = pause
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._client, args=(kept,), daemon=True)
            for kept in [True] * keep_alive + [False] * one_shot
        ]
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """Responses so far."""
        return sum(self.responses.values())

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
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
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS)

    def _client(self, kept: bool) -> None:
        connection = "keep-alive" if kept else "close"
        request = f"GET {self._path} HTTP/1.1\r\nHost: test\r\nConnection: {connection}\r\n\r\n"
        while not self._over.is_set():
            served = 0
            try:
                with socket.create_connection(self.address, TIMEOUT_SECONDS) as client:
                    while not self._over.is_set():
                        client.sendall(request.encode())
                        head, body = _response(client)
                        self._note(head, body, kept)
                        served += 1
                        if b"\r\nConnection: close" in head or not kept:
                            break
                        if self._pause:
                            time.sleep(self._pause)
            except (OSError, ValueError) as error:
                with self._lock:
                    self.failures.append(f"{type(error).__name__} after {served}: {error}")

    def _note(self, head: bytes, body: bytes, kept: bool) -> None:
        with self._lock:
            if not head.startswith(b"HTTP/1.1 200 "):
                self.failures.append(head.split(b"\r\n")[0].decode())
            self.responses[body.decode().strip()] += 1
            self.closed += kept and b"\r\nConnection: close" in head


def _response(client: socket.socket) -> tuple[bytes, bytes]:
    """Read a response with a Content-Length; ValueError if it ends too early."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(client, data)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += _received(client, data)
    return head, body


def _received(client: socket.socket, before: bytes) -> bytes:
    data = client.recv(65536)
    if not data:
        raise ValueError(f"end of file after {len(before)} bytes of a response")
    return data
