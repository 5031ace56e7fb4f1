"""The pages of a log that grows are given back, those at its end are not."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from breezeway.observe import page_cache
from breezeway.observe.access_target import File
from breezeway.observe.page_cache import PageCache
from tests.live import eventually

Grow = Callable[[int], None]


class Advice(list[tuple[int, int]]):
    """What the system is told not to keep: from where, how many bytes; `disk` is set while it is quick."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = threading.Event()
        self.disk.set()


@pytest.fixture
def advice(monkeypatch: pytest.MonkeyPatch) -> Advice:
    """Collect what the system is told."""
    given = Advice()

    def posix_fadvise(fd: int, offset: int, length: int, advice: int) -> None:
        assert advice == os.POSIX_FADV_DONTNEED
        given.append((offset, length))
        assert given.disk.wait(20)

    monkeypatch.setattr(os, "posix_fadvise", posix_fadvise)
    monkeypatch.setattr(page_cache, "STEP_BYTES", 100)
    return given


def wait_for_threads() -> None:
    """Wait until those that give back have done so."""
    for thread in threading.enumerate():
        if thread.name == "breezeway-page-cache":
            thread.join(20)


@pytest.fixture
def grow(tmp_path: Path, advice: Advice) -> Iterator[Grow]:
    """Append so many bytes to a file that had 50 before."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * 50)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    cache = PageCache(fd)

    def grow(size: int) -> None:
        os.write(fd, b"x" * size)
        cache.note(size)
        if advice.disk.is_set():
            wait_for_threads()

    yield grow
    os.close(fd)


def test_each_step_is_begun_and_then_forgotten(advice: Advice, grow: Grow) -> None:
    """What is not on the disk yet cannot be given back: each part is named twice."""
    for _ in range(6):
        grow(60)
    assert advice == [(50, 120), (50, 240), (170, 240)]


def test_file_that_begins_anew(advice: Advice, grow: Grow, tmp_path: Path) -> None:
    """After it was truncated, or rotated, its places are others."""
    grow(100)
    os.truncate(tmp_path / "log", 0)
    grow(100)
    grow(100)
    assert advice == [(50, 100), (0, 100), (0, 200)]


def test_what_is_no_file(advice: Advice) -> None:
    """A pipe has no pages, and neither has what was closed meanwhile."""
    reading, writing = os.pipe()
    cache = PageCache(writing)
    cache.note(200)
    wait_for_threads()
    os.close(reading)
    os.close(writing)
    cache.note(200)
    wait_for_threads()
    assert advice == []


def test_disk_that_is_behind(advice: Advice, grow: Grow) -> None:
    """No second thread waits for it; the next one has all of it."""
    advice.disk.clear()
    grow(100)
    eventually(lambda: len(advice) == 1, "the disk has to do")
    grow(200)
    advice.disk.set()
    wait_for_threads()
    assert advice == [(50, 100)]
    grow(10)
    assert advice == [(50, 100), (50, 310)]


def test_no_thread_is_to_be_had(
    advice: Advice, grow: Grow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at a limit of processes: what is written has been written all the same."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", start)
        grow(100)
        grow(100)
    grow(10)
    assert advice == [(50, 210)]


def test_access_log_tells_what_it_writes(advice: Advice, tmp_path: Path) -> None:
    """A file of the access log takes part."""
    target = File(str(tmp_path / "log"))
    for _ in range(2):
        target.write(memoryview(b"y" * 60 + b"\n"))
    wait_for_threads()
    assert advice == [(0, 122)]
    target.close()
