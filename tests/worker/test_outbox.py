"""What a socket would not take: order, bounds, files, and a producer that waits."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeway.gateway.file_wrapper import FileRange
from breezeway.worker.outbox import TURN_BYTES, Outbox
from breezeway.worker.slow_readers import Pace

from ..live import eventually

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Give a client, and a server that does not block."""
    client, server = socket.socketpair()
    server.setblocking(False)
    client.settimeout(5)
    with client, server:
        yield client, server


def drained(outbox: Outbox, pair: Pair, size: int) -> bytes:
    """Send and receive in turns until so many bytes are there."""
    client, server = pair
    received = b""
    while len(received) < size:
        outbox.flush(server)
        received += client.recv(65536)
    return received


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a file of 3 MB."""
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3_000_000))
    return path


def test_order(pair: Pair, path: Path) -> None:
    """Bytes and files go out in the order in which they were added, whole."""
    outbox = Outbox(Pace(pair[1], 0.0))
    blocks = [bytes([number]) * 300_000 for number in range(5)]
    for block in blocks:
        outbox.add(memoryview(block))
    assert outbox.size == 1_500_000
    with path.open("rb") as file:
        outbox.add(FileRange(file.fileno(), 10, 2_000_000))
    outbox.add(memoryview(b"end"))
    expected = b"".join(blocks) + path.read_bytes()[10:2_000_010] + b"end"
    assert drained(outbox, pair, len(expected)) == expected
    assert outbox.pace.sent == len(expected)
    assert not outbox
    assert outbox.size == 0


def test_progress(pair: Pair) -> None:
    """A flush tells whether the socket took anything."""
    _, server = pair
    outbox = Outbox(Pace(pair[1], 0.0))
    outbox.add(memoryview(bytes(10_000_000)))
    assert outbox.flush(server)
    assert not outbox.flush(server)
    assert 0 < outbox.size < 10_000_000


def test_file_that_became_shorter(pair: Pair, path: Path) -> None:
    """A file that ends too early is an error: the response is not whole."""
    _, server = pair
    outbox = Outbox(Pace(pair[1], 0.0))
    with path.open("r+b") as file:
        outbox.add(FileRange(file.fileno(), 0, 3_000_000))
        file.truncate(10)
        with pytest.raises(EOFError):
            outbox.flush(server)
    outbox.clear()


def test_disk_that_fails(pair: Pair, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is one that cannot be read: no client has left."""

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "sendfile", fail)
    outbox = Outbox(Pace(pair[1], 0.0))
    with path.open("rb") as file:
        outbox.add(FileRange(file.fileno(), 0, 100))
    with pytest.raises(EOFError, match=r"cannot be read: Input/output error"):
        outbox.flush(pair[1])
    outbox.clear()


def test_cleared_files_are_closed(pair: Pair, path: Path) -> None:
    """No descriptor stays open when the rest is thrown away."""
    before = len(os.listdir("/proc/self/fd"))
    outbox = Outbox(Pace(pair[1], 0.0))
    with path.open("rb") as file:
        for _ in range(10):
            outbox.add(FileRange(file.fileno(), 0, 100))
    assert len(os.listdir("/proc/self/fd")) == before + 10
    outbox.clear()
    outbox.clear()
    assert len(os.listdir("/proc/self/fd")) == before
    assert outbox.size == 0


def test_parts_share_a_descriptor(pair: Pair, path: Path) -> None:
    """Many ranges of one file cost one descriptor, until the last of them is out."""
    before = len(os.listdir("/proc/self/fd"))
    outbox = Outbox(Pace(pair[1], 0.0))
    with path.open("rb") as file:
        ranges = [FileRange(file.fileno(), 1000 * each, 5) for each in range(20)]
        outbox.add(memoryview(b"head"), *ranges, memoryview(b"end"))
    assert len(os.listdir("/proc/self/fd")) == before + 1
    content = path.read_bytes()
    expected = b"".join(content[1000 * each : 1000 * each + 5] for each in range(20))
    assert drained(outbox, pair, len(expected) + 7) == b"head" + expected + b"end"
    assert len(os.listdir("/proc/self/fd")) == before


class Bottomless:
    """A connection that takes whatever it is given."""

    def __init__(self) -> None:
        self.taken = 0

    def send(self, data: memoryview, flags: int = 0) -> int:
        """Take it."""
        self.taken += min(data.nbytes, 300_000)
        return min(data.nbytes, 300_000)

    def send_file(self, descriptor: int, offset: int, count: int) -> int:
        """Take it, too."""
        self.taken += min(count, 300_000)
        return min(count, 300_000)


def test_one_turn(pair: Pair, path: Path) -> None:
    """A client that takes everything at once gets about a megabyte, then others have their turn."""
    outbox = Outbox(Pace(pair[1], 0.0))
    with path.open("rb") as file:
        outbox.add(memoryview(bytes(5_000_000)), FileRange(file.fileno(), 0, 3_000_000))
    bottomless = Bottomless()
    turns = 0
    while outbox:
        before = bottomless.taken
        assert outbox.flush(bottomless)  # type: ignore[arg-type]
        assert bottomless.taken - before < 2 * TURN_BYTES
        assert outbox.more is bool(outbox)
        turns += 1
    assert bottomless.taken == 8_000_000
    assert turns >= 5


def test_full_socket_is_not_more(pair: Pair) -> None:
    """When the socket is full there will be an event, and no turn is needed before."""
    outbox = Outbox(Pace(pair[1], 0.0))
    outbox.add(memoryview(bytes(10_000_000)))
    while outbox.flush(pair[1]) and outbox.more:
        pass
    assert outbox
    assert not outbox.more


def test_producer_waits_for_room(pair: Pair) -> None:
    """`wait_for_room` returns True when room is made, and the lock is free meanwhile."""
    outbox = Outbox(Pace(pair[1], 0.0))
    results: list[bool] = []

    def produce() -> None:
        with outbox.lock:
            results.append(outbox.wait_for_room(5))

    thread = threading.Thread(target=produce)
    thread.start()
    eventually(lambda: outbox.room is not None, "the producer waits")
    with outbox.lock:
        outbox.make_room()
        outbox.make_room()
    thread.join(5)
    assert results == [True]
    assert outbox.room is None


def test_producer_does_not_wait_for_ever(pair: Pair) -> None:
    """`wait_for_room` returns False after its time."""
    outbox = Outbox(Pace(pair[1], 0.0))
    with outbox.lock:
        assert not outbox.wait_for_room(0.001)
    assert outbox.room is None
