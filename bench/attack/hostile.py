"""The hostile side: one process, one event loop, as many connections as it is told.

An attack is a coroutine that gets a `Hostile`: it opens clients, calls `ready` when it is at full
strength, and ends soon after `stopped` is set. What was sent and what came back is in its `Tally`.
It runs at a low priority, so that what the innocent feel is the server and not a full core.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

HOST = "127.0.0.1"
NICE = 10
CONNECT_LIMIT = 5.0  # seconds
READ_LIMIT = 5.0  # seconds for anything that a server does at once
RECEIVE = 65536
RESET = struct.pack("ii", 1, 0)
SETTLE = 1.5  # seconds from the last of a crowd to the measurement: what is felt then lasts
BATCH = 100  # connections that are opened at a time

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_HEAD_PART = 12  # bytes of a status line that may be cut by the end of a piece


@dataclass
class Tally:
    """What an attack has sent, and what came back."""

    connections: int = 0
    unconnected: int = 0
    requests: int = 0
    sent: int = 0
    received: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    closed: int = 0
    """Connections that the server has ended, in order or by a reset."""
    reset: int = 0
    """Those of them with a reset."""
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Client:
    """One hostile connection. Its methods return false values when the server has ended it."""

    def __init__(self, tally: Tally, port: int, source: str = "", window: int = 0) -> None:
        self._tally = tally
        self._port = port
        self._tail = b""
        self.answers = 0
        """Status lines that came."""
        self.alive = False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.socket.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            self.socket.bind((source, 0))

    async def open(self) -> bool:
        """Connect."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                await loop.sock_connect(self.socket, (HOST, self._port))
        except (OSError, TimeoutError):
            self._tally.unconnected += 1
            self.socket.close()
            return False
        self._tally.connections += 1
        self.alive = True
        return True

    async def send(self, data: bytes, *, requests: int = 0) -> bool:
        """Send; `requests` is how many requests that was."""
        try:
            await asyncio.get_running_loop().sock_sendall(self.socket, data)
        except OSError as error:
            self._ended(error)
            return False
        self._tally.sent += len(data)
        self._tally.requests += requests
        return True

    async def read(self, size: int = RECEIVE) -> bytes:
        """Receive what is there, and note the statuses in it."""
        if not self.alive:
            return b""
        try:
            data = await asyncio.get_running_loop().sock_recv(self.socket, size)
        except OSError as error:
            self._ended(error)
            return b""
        if not data:
            self._ended(None)
            return b""
        tally = self._tally
        tally.received += len(data)
        seen = self._tail + data
        last = 0
        for match in _STATUS.finditer(seen):
            status = match[1].decode()
            tally.statuses[status] = tally.statuses.get(status, 0) + 1
            self.answers += 1
            last = match.end()
        self._tail = seen[max(last, len(seen) - _HEAD_PART) :]
        return data

    async def read_to_end(self, limit: float = READ_LIMIT) -> bytes:
        """Read until the server closes, or for `limit` seconds; return the beginning of it."""
        first = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while data := await self.read():
                    if len(first) < RECEIVE:
                        first += data
        return first

    async def talk(self, data: bytes, limit: float = READ_LIMIT) -> bytes:
        """Open, send a request, read to the end, close; return the beginning of what came."""
        if not await self.open():
            return b""
        await self.send(data, requests=1)
        try:
            return await self.read_to_end(limit)
        finally:
            self.close()

    def end(self) -> None:
        """End the sending side."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave."""
        self.alive = False
        self.socket.close()

    def reset(self) -> None:
        """Leave with a reset."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()

    def _ended(self, error: OSError | None) -> None:
        if self.alive:
            self._tally.closed += 1
            self._tally.reset += error is not None
            self.alive = False


Life = Callable[[], Awaitable[None]]


class Hostile:
    """What an attack works with."""

    def __init__(self, port: int, on_ready: Callable[[], None]) -> None:
        self.port = port
        self.tally = Tally()
        self.stopped = asyncio.Event()
        self._on_ready = on_ready
        self._was_ready = False
        self._numbers = itertools.count()

    def ready(self) -> None:
        """Tell that the attack is at full strength."""
        if not self._was_ready:
            self._was_ready = True
            self._on_ready()

    def client(self, *, many: bool = False, window: int = 0) -> Client:
        """Return a new client; with `many`, each comes from one of 250 addresses."""
        source = f"127.0.1.{next(self._numbers) % 250 + 1}" if many else ""
        return Client(self.tally, self.port, source, window)

    async def pause(self, seconds: float) -> bool:
        """Wait; return whether to go on."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopped.wait()
        return not self.stopped.is_set()

    async def crowd(self, count: int, begin: Callable[[int], Awaitable[Life | None]]) -> None:
        """Begin so many clients, some at a time, then let what they returned run until the end."""
        lives = []
        for first in range(0, count, BATCH):
            numbers = range(first, min(first + BATCH, count))
            begun = await asyncio.gather(*(begin(number) for number in numbers))
            lives += [asyncio.ensure_future(life()) for life in begun if life is not None]
            if self.stopped.is_set():
                break
        await self.pause(SETTLE)
        self.ready()
        await self.stopped.wait()
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)

    async def again_and_again(self, at_a_time: int, once: Callable[[], Awaitable[None]]) -> None:
        """Do the same all the time, in so many tasks."""

        async def task() -> None:
            while not self.stopped.is_set():
                await once()

        self.ready()
        await asyncio.gather(*(task() for _ in range(at_a_time)))


Attack = Callable[[Hostile], Awaitable[None]]


def run(attack: Attack, port: int, limit: float, nice: int) -> Tally:
    """Run an attack in this process: says `ready` on standard output, stops at the end of its input."""
    os.nice(nice)

    async def main() -> Tally:
        hostile = Hostile(port, lambda: print("ready", flush=True))
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), hostile.stopped.set)
        began = time.monotonic()
        try:
            async with asyncio.timeout(limit):
                await attack(hostile)
        except TimeoutError:
            hostile.tally.notes.append(f"cut off after {limit:.0f} s")
        hostile.ready()
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        hostile.tally.seconds = time.monotonic() - began
        return hostile.tally

    return asyncio.run(main())
