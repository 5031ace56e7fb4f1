"""Pollers: each gives the same promises to the event loop."""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from breezeway.errors import UsageError
from breezeway.worker.poller import ERR, HUP, IN, OUT, READABLE, Poller, PollPoller, best_poller

SOON = 5.0
"""Seconds in which an event that is due must come."""

BATCH = 16


@pytest.fixture(params=[best_poller, PollPoller])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    """Give a poller of each kind."""
    poller = request.param()
    yield poller
    poller.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give a connection: its client and its server."""
    client, server = socket.socketpair()
    server.setblocking(False)
    with client, server:
        yield client, server


Pair = tuple[socket.socket, socket.socket]


def settled(poller: Poller) -> None:
    """Take what is reported because it is new."""
    while poller.poll(0, BATCH):
        poller.rest()


def events(poller: Poller, fd: int, timeout: float = SOON) -> int:
    """Wait for the events of a descriptor, past those of the waker."""
    while found := dict(poller.poll(timeout, BATCH)):
        poller.rest()
        if fd in found:
            return found[fd]
        timeout = 0
    return 0


def test_input_is_reported(poller: Poller, pair: Pair) -> None:
    """What a connection at rest reports is what the fast path tests for."""
    client, server = pair
    poller.add(server.fileno())
    settled(poller)
    client.send(b"x")
    assert events(poller, server.fileno()) == READABLE


def test_muted_input_is_not_reported(poller: Poller, pair: Pair) -> None:
    """Input that is left for later is not reported again and again."""
    client, server = pair
    poller.add(server.fileno())
    client.send(b"x")
    assert events(poller, server.fileno()) & IN
    poller.mute(server.fileno())
    settled(poller)
    assert events(poller, server.fileno(), timeout=0) == 0


def test_muted_end_is_not_reported_for_ever(poller: Poller, pair: Pair) -> None:
    """The end of a connection that is left for later does not keep the event loop spinning."""
    client, server = pair
    poller.add(server.fileno())
    client.close()
    assert events(poller, server.fileno()) & (IN | HUP)
    poller.mute(server.fileno())
    settled(poller)
    assert events(poller, server.fileno(), timeout=0) == 0
    poller.unmute(server.fileno())


def test_unmuted_input_is_reported(poller: Poller, pair: Pair) -> None:
    """Input that comes after `unmute` is reported, after whatever came before."""
    client, server = pair
    poller.add(server.fileno())
    client.send(b"x")
    assert events(poller, server.fileno()) & IN
    poller.mute(server.fileno())
    poller.unmute(server.fileno())
    server.recv(10)
    client.send(b"y")
    assert events(poller, server.fileno()) & IN


def test_room_is_reported(poller: Poller, pair: Pair) -> None:
    """A socket that has refused bytes is reported when it takes some again, muted or not."""
    client, server = pair
    fd = server.fileno()
    poller.add(fd)
    settled(poller)
    poller.mute(fd)
    try:
        while server.send(b"x" * 65536):
            pass
    except BlockingIOError:
        pass
    poller.want_write(fd, True)
    settled(poller)
    client.settimeout(0.2)
    try:
        while client.recv(65536):
            pass
    except TimeoutError:
        pass
    assert events(poller, fd) & OUT
    poller.want_write(fd, False)
    settled(poller)
    assert events(poller, fd, timeout=0) == 0


def test_reset_is_reported(poller: Poller) -> None:
    """A connection that is reset says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with server:
            poller.add(server.fileno())
            settled(poller)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
            assert events(poller, server.fileno()) & (IN | ERR | HUP)


def test_closed_connections_are_forgotten(poller: Poller, pair: Pair) -> None:
    """Nothing that is said about a descriptor after `forget` has an effect, or an error."""
    _, server = pair
    fd = server.fileno()
    poller.add(fd)
    poller.forget(fd)
    server.close()
    poller.forget(fd)
    poller.mute(fd)
    poller.unmute(fd)
    poller.want_write(fd, True)
    poller.want_write(fd, False)
    settled(poller)


def test_all_are_reported(poller: Poller) -> None:
    """No connection starves behind others that are always ready."""
    pairs = [socket.socketpair() for _ in range(10)]
    waiting = {server.fileno() for _, server in pairs}
    for client, server in pairs:
        poller.add(server.fileno())
        client.send(b"x")
    for _ in range(10):
        waiting -= {fd for fd, event in poller.poll(SOON, 3) if event & IN}
        if not waiting:
            break
    assert not waiting
    for each in pairs:
        each[0].close()
        each[1].close()


def test_wake(poller: Poller) -> None:
    """A thread in `poll` returns when another one calls `wake`, and rests afterwards."""
    woken: list[int] = []

    def wait() -> None:
        woken.extend(fd for fd, _ in poller.poll(SOON, BATCH))

    thread = threading.Thread(target=wait)
    thread.start()
    poller.wake()
    thread.join(SOON)
    assert woken == [poller.waker_fd]
    poller.rest()
    assert list(poller.poll(0, BATCH)) == []


def test_wake_never_blocks(poller: Poller) -> None:
    """However often it is called, and also when nobody polls any more."""
    for _ in range(100_000):
        poller.wake()
    poller.rest()


def test_wake_after_close() -> None:
    """A thread that is late writes to no descriptor that somebody else has by then."""
    poller = best_poller()
    poller.close()
    ends = [os.pipe() for _ in range(5)]
    poller.wake()
    for read_end, write_end in ends:
        os.close(write_end)
        assert os.read(read_end, 1) == b""
        os.close(read_end)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there are other pollers")
def test_greenlets_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What gevent and eventlet take away is the user's mistake, and no failure of ours."""
    monkeypatch.delattr(select, "epoll")
    with pytest.raises(UsageError, match="monkey-patched for greenlets") as caught:
        best_poller()
    assert "monkey.patch_all()" in caught.value.hint


def test_interest_survives_threads() -> None:
    """What one thread says about writing and another about reading does not overwrite each other."""
    poller = PollPoller()
    client, server = socket.socketpair()
    fd = server.fileno()
    poller.add(fd)

    def mute() -> None:
        for _ in range(2000):
            poller.mute(fd)
            poller.unmute(fd)

    thread = threading.Thread(target=mute)
    thread.start()
    for _ in range(2000):
        poller.want_write(fd, False)
        poller.want_write(fd, True)
    thread.join()
    client.send(b"x")
    assert events(poller, fd) == IN | OUT
    with client, server:
        poller.close()
