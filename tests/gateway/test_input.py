"""Bodies in memory and on disk, and what happens when there is no room for them."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.gateway.input import EMPTY_INPUT, AwaitedInput, BodyStore, Spool

from ..applications import Recorder
from ..live import eventually, serving
from ..wire.client import request

LIMIT = 10


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let every temporary file be on a full disk; give those that were opened."""
    opened: list[Any] = []

    def temporary_file(**_: Any) -> Any:
        opened.append(io.FileIO("/dev/full", "w+"))
        return opened[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", temporary_file)
    return opened


@given(pieces=st.lists(st.binary(max_size=15)))
def test_spool_gives_back_what_it_got(pieces: list[bytes]) -> None:
    """In memory or on disk, a body is the sum of its pieces."""
    spool = Spool(BodyStore(LIMIT))
    for piece in pieces:
        spool.write(piece)
    whole = b"".join(pieces)
    body = spool.finish()
    assert spool.size == len(whole)
    assert isinstance(body, io.BytesIO) == (len(whole) <= LIMIT)
    assert body.read() == whole
    body.close()


def test_spool_leaves_nothing_behind() -> None:
    """A body that is thrown away takes its file along."""
    before = len(os.listdir("/proc/self/fd"))
    spool = Spool(BodyStore(LIMIT))
    spool.write(bytes(100))
    assert len(os.listdir("/proc/self/fd")) == before + 1
    spool.close()
    spool.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("size", [100, 100_000], ids=["buffered", "written"])
def test_full_disk(full_disk: list[Any], size: int) -> None:
    """A body that the disk does not take raises, and can be thrown away all the same."""
    spool = Spool(BodyStore(LIMIT))
    with pytest.raises(OSError, match="No space left"):  # noqa: PT012
        spool.write(bytes(size))
        spool.finish()
    spool.close()
    assert [file.closed for file in full_disk] == [True]


@pytest.mark.parametrize("size", [1000, 100_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_full_disk_is_507(full_disk: list[Any], size: int, chunked: bool) -> None:
    """RFC 4918 section 11.5: the client is told, the file is closed, and the server goes on."""
    if chunked:
        coded = b"%x\r\n%b\r\n0\r\n\r\n" % (size, bytes(size))
        wire = request("POST", "/", ("Transfer-Encoding", "chunked")) + coded
    else:
        wire = request("POST", "/", body=bytes(size))
    recorder = Recorder()
    with serving(body_memory=100) as live:
        live.play(recorder)
        with live.connect() as client:
            client.send(wire)
            response = client.response()
            assert response.status == 507
            assert response.options() == {"close"}
            assert client.rest() == b""
        eventually(lambda: all(file.closed for file in full_disk), "the file is closed")
        assert live.get("/").status == 200
    assert len(full_disk) == 1
    assert len(recorder.seen) == 1


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (lambda body: body.read(), b"a\nb\nc"),
        (lambda body: body.read(None), b"a\nb\nc"),
        (lambda body: body.read(2), b"a\n"),
        (lambda body: body.readline(), b"a\n"),
        (lambda body: body.readline(1), b"a"),
        (lambda body: body.readlines(), [b"a\n", b"b\n", b"c"]),
        (lambda body: body.readlines(2), [b"a\n"]),
        (lambda body: next(body), b"a\n"),
        (list, [b"a\n", b"b\n", b"c"]),
        (lambda body: body.seekable(), True),
    ],
)
def test_awaited_input(use: Callable[[Any], Any], expected: Any) -> None:
    """The body is fetched at the first use of any kind, and once."""
    fetched: list[io.BytesIO] = []

    def fetch() -> io.BytesIO:
        fetched.append(io.BytesIO(b"a\nb\nc"))
        return fetched[0]

    body = AwaitedInput(fetch)
    assert not fetched
    assert use(body) == expected
    assert body.read() == fetched[0].getvalue()[len(b"".join(_flat(expected))) :]
    assert len(fetched) == 1


def test_closed_before_its_body_was_fetched() -> None:
    """The client is not asked for a body only to close it."""
    fetched: list[io.BytesIO] = []

    def fetch() -> io.BytesIO:
        fetched.append(io.BytesIO())
        return fetched[0]

    body = AwaitedInput(fetch)
    body.close()
    with pytest.raises(ValueError, match="closed"):
        body.read()
    assert not fetched


def _flat(expected: Any) -> list[bytes]:
    if isinstance(expected, bytes):
        return [expected]
    return expected if isinstance(expected, list) else []


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.write(b"left"),
        lambda body: body.writelines([b"left"]),
        lambda body: setattr(body, "left", b"left"),
        lambda body: body.seek(4),
        lambda body: body.truncate(4),
        lambda body: body.close(),
    ],
)
def test_nothing_is_left_in_the_empty_input(change: Callable[[Any], Any]) -> None:
    """It is that of all requests without a body: what one does to it is nothing to the next."""
    with contextlib.suppress(io.UnsupportedOperation, AttributeError):
        change(EMPTY_INPUT)
    assert (EMPTY_INPUT.tell(), EMPTY_INPUT.read(), EMPTY_INPUT.closed) == (0, b"", False)
    assert not vars(EMPTY_INPUT)
    assert (EMPTY_INPUT.seek(4), EMPTY_INPUT.seek(0, io.SEEK_END), EMPTY_INPUT.tell()) == (4, 0, 0)


def test_memory_of_all_bodies() -> None:
    """Past the bound of all, a body goes to the disk before it has reached its own; nothing is lost."""
    store = BodyStore(LIMIT, total=2 * LIMIT)
    spools = [Spool(store) for _ in range(5)]
    for spool in spools:
        spool.write(b"a" * (LIMIT - 1))
        spool.write(b"b")
        assert store.memory.held <= 2 * LIMIT
    assert store.memory.held == 2 * LIMIT
    bodies = [spool.finish() for spool in spools[1:]]
    assert [isinstance(body, io.BytesIO) for body in bodies] == [True, False, False, False]
    assert store.memory.held == LIMIT
    spools[0].close()
    assert store.memory.held == 0
    for body in bodies:
        assert body.read() == b"a" * (LIMIT - 1) + b"b"
        body.close()


def test_memory_is_given_back() -> None:
    """A body that has gone to the disk, or is thrown away twice, takes nothing any more."""
    store = BodyStore(LIMIT)
    spool = Spool(store)
    spool.write(b"x" * LIMIT)
    assert store.memory.held == LIMIT
    spool.write(b"x")
    assert store.memory.held == 0
    spool.close()
    spool.close()
    assert store.memory.held == 0
