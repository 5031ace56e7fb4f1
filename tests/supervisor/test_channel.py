"""The channel between supervisor and worker."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from breezeway.supervisor.channel import RECEIVE_BYTES, Channel

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Return the supervisor's end and the worker's."""
    ours, theirs = Channel.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_messages_in_order(pair: Pair) -> None:
    """Each message arrives with its fields, in the order in which they were sent."""
    ours, theirs = pair
    assert theirs.send("born", pid=5)
    assert theirs.send("failed", message="no “database”\n", detail="a\nb")
    assert ours.receive() == [
        {"kind": "born", "pid": 5},
        {"kind": "failed", "message": "no “database”\n", "detail": "a\nb"},
    ]
    assert ours.receive() == []
    assert not ours.at_end


def test_end(pair: Pair) -> None:
    """The end comes after everything that was said before it."""
    ours, theirs = pair
    theirs.send("ready")
    theirs.close()
    assert ours.receive() == [{"kind": "ready"}]
    assert not ours.at_end
    assert ours.receive() == []
    assert ours.at_end
    assert not ours.send("stop")


def test_default_timeout() -> None:
    """An application that sets one for its own sockets must not end a worker that hears nothing."""
    socket.setdefaulttimeout(0.001)
    try:
        ours, theirs = Channel.pair()
        again = Channel(socket.socket(fileno=theirs.socket.detach()))
    finally:
        socket.setdefaulttimeout(None)
    assert ours.socket.gettimeout() == 0.0
    assert again.socket.gettimeout() is None
    ours.close()
    again.close()


def test_long_message(pair: Pair) -> None:
    """A message that is longer than one read comes in pieces, and whole at last."""
    ours, theirs = pair
    text = "x" * (3 * RECEIVE_BYTES)
    sender = threading.Thread(target=theirs.send, args=("failed",), kwargs={"detail": text})
    sender.start()
    found = []
    while not found:
        found = ours.receive()
    sender.join()
    assert found == [{"kind": "failed", "detail": text}]


def test_last_words(pair: Pair) -> None:
    """All that a process has said before its death is there, however long it is."""
    ours, theirs = pair
    for _ in range(2):
        theirs.send("failed", detail="x" * (RECEIVE_BYTES - 1))
    theirs.close()
    assert [len(each["detail"]) for each in ours.last_words()] == [RECEIVE_BYTES - 1] * 2
    assert ours.at_end
    assert ours.last_words() == []


def test_last_words_beside_a_child_that_lives(pair: Pair) -> None:
    """A child of the dead one may have its end of the channel open still."""
    ours, theirs = pair
    copy = os.dup(theirs.socket.fileno())
    theirs.send("ready")
    theirs.close()
    assert ours.last_words() == [{"kind": "ready"}]
    assert not ours.at_end
    os.close(copy)


def test_torn_message(pair: Pair) -> None:
    """What was cut off by a death is no message."""
    ours, theirs = pair
    theirs.socket.sendall(b'{"kind": "ready"}\n{"kind": "fai')
    theirs.close()
    assert ours.last_words() == [{"kind": "ready"}]


def test_other_end_that_does_not_listen(pair: Pair) -> None:
    """The supervisor never waits for a worker that reads nothing: it is told nothing more."""
    ours, _ = pair
    sent = 0
    while ours.send("stacks"):
        sent += 1
    assert sent > 10


def test_worker_waits(pair: Pair) -> None:
    """The worker's end waits for messages, until the supervisor is gone."""
    ours, theirs = pair
    found: list[str] = []

    def listen() -> None:
        found.extend(message["kind"] for message in theirs.messages())

    listener = threading.Thread(target=listen)
    listener.start()
    ours.send("retire")
    ours.send("stop")
    ours.close()
    listener.join(5)
    assert found == ["retire", "stop"]
