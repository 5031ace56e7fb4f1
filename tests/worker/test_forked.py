"""A process that the application forks in the middle of a request, and that comes back from it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from breezeway.testing import LiveServer
from breezeway.worker.forked import STATUS, keep_to_itself, on_sigterm
from breezeway.worker.listener import bind

from ..applications import PLAIN
from ..live import eventually, serving
from .driven import echo


def ended(pid: int) -> bool:
    """Whether a process has ended, by itself."""
    found, status = os.waitpid(pid, os.WNOHANG)
    assert not found or os.waitstatus_to_exitcode(status) == STATUS
    return found == pid


def once() -> list[bytes]:
    """Answer."""
    return [b"child"]


def in_pieces() -> Iterator[bytes]:
    """Answer in pieces."""
    yield b"chi"
    yield b"ld"


def leave() -> list[bytes]:
    """Leave as from a program."""
    raise SystemExit


@pytest.mark.parametrize("come_back", [once, in_pieces, leave])
def test_it_does_not_serve(come_back: Callable[[], Any]) -> None:
    """It ends, and its parent alone answers, on the same connection, too."""
    pids: list[int] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        pid = os.getpid()
        if environ["PATH_INFO"] == "/fork":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of threads, since 3.12
                pid = os.fork()
        start_response("200 OK", [PLAIN])
        if not pid:
            return come_back()  # type: ignore[no-any-return]
        pids.append(pid)
        return [b"parent"]

    with serving() as live:
        live.play(application)
        with live.connect() as client:
            try:
                assert client.get("/fork").body == b"parent"
                eventually(lambda: ended(pids[0]), "it ends")
            except BaseException:
                os.kill(pids[0], signal.SIGKILL)
                raise
            assert client.get("/").body == b"parent"
    assert pids[1:] == [os.getpid()]


def test_it_keeps_no_connection_and_no_listener() -> None:
    """What the server closes is closed for its clients, whoever was forked and lives."""
    pids: list[int] = []
    lives, ends = os.pipe()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            os.close(ends)
            os.read(lives, 1)
            os._exit(STATUS)
        pids.append(pid)
        start_response("200 OK", [PLAIN])
        return [b"parent"]

    try:
        with serving(keep_alive_timeout=0.1) as live:
            live.play(application)
            with live.connect() as client:
                assert client.get("/").body == b"parent"
                assert client.rest() == b""
        with socket.socket() as late:
            assert late.connect_ex(live.address) == errno.ECONNREFUSED
    finally:
        os.close(ends)
        os.close(lives)
        for pid in pids:
            os.waitpid(pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_lock_that_another_thread_has_just_got_is_free() -> None:
    """A thread that was let into the lock, and waits for the GIL to say so, is not there after a fork."""
    with LiveServer(echo) as server:
        mutex = server.reactor.mutex
        mutex.acquire()
        other = threading.Thread(target=lambda: mutex.acquire() and mutex.release())
        other.start()
        eventually(lambda: is_asleep(other), "it waits")
        interval = sys.getswitchinterval()
        sys.setswitchinterval(10)
        try:
            mutex.release()
            woken = time.monotonic() + 0.01
            while time.monotonic() < woken:  # with the GIL
                pass
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
            if not pid:
                os._exit(not mutex.acquire(blocking=False))
        finally:
            sys.setswitchinterval(interval)
        assert os.waitpid(pid, 0)[1] == 0
        other.join()


def is_asleep(thread: threading.Thread) -> bool:
    """Whether a thread of this process waits for something."""
    stat = Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "S"


def test_listener_that_is_closed_already() -> None:
    """It is passed over: its descriptor may be that of something else by now."""
    listeners = [bind("127.0.0.1:0", backlog=1, unix_mode=None) for _ in range(5)]
    keep_to_itself(listeners)
    *closed, last = listeners
    for each in closed:
        each.close()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            os._exit(stat.S_ISSOCK(os.fstat(last.socket.fileno()).st_mode))
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        last.close()


def test_sigterm_of_the_application() -> None:
    """What the application itself does on SIGTERM stays as it is."""
    before = on_sigterm(lambda *_: None)
    try:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            signal.raise_signal(signal.SIGTERM)
            os._exit(STATUS)
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        signal.signal(signal.SIGTERM, before)


def test_sigterm_ends_it() -> None:
    """What handles SIGTERM in the server does not in a process that is forked from it."""
    before = on_sigterm(lambda *_: None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            signal.raise_signal(signal.SIGTERM)
            os._exit(STATUS)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
