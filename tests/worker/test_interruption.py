"""Interrupting a thread: once at most, and in the application's code alone."""

from __future__ import annotations

import _thread
import ctypes
import logging
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, SupportsIndex

import pytest

from breezeway import RequestTimeout
from breezeway.worker import interruption as interruptions
from breezeway.worker.interruption import Interruption

from ..gil import needs_gil
from ..live import eventually

ROUNDS = 900
"""How often the end of a call and its interruption coincide in one test."""

LONGEST_SECONDS = 0.0002
"""A call takes at most so long, and so does it until the interruption comes."""


@pytest.fixture
def restless() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def spin(turns: int) -> int:
    """Be busy in pure Python."""
    done = 0
    while done < turns:
        done += 1
    return done


def pause(part: float = 1.0) -> None:
    """Wait without the GIL, so that two threads are really under way at the same time."""
    time.sleep(random.random() * LONGEST_SECONDS * part)


class Trigger:
    """A thread that fires at each interruption it is given, a moment later."""

    def __init__(self) -> None:
        self._next: list[Interruption] = []
        self._ends = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Callable[[Interruption], None]:
        self._thread.start()
        return self._take

    def _take(self, interruption: Interruption) -> None:
        self._next.append(interruption)
        while self._next:
            pass

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._thread.join()

    def _run(self) -> None:
        while not self._ends:
            if self._next:
                interruption = self._next.pop()
                pause()
                interruption.fire()


def in_a_thread(function: Callable[[], None]) -> None:
    """Run something in a thread of its own and raise what it raises."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


@needs_gil
@pytest.mark.usefixtures("restless")
def test_nothing_comes_after_the_call() -> None:
    """The interruption coincides with the end of the call: it comes out of `call` or not at all."""
    interrupted = 0

    def work() -> None:
        nonlocal interrupted
        with Trigger() as trigger:
            for _ in range(ROUNDS):
                interruption = Interruption(threading.Lock())
                interruption.begin()
                trigger(interruption)
                try:
                    interruption.call(pause)
                except RequestTimeout:
                    interrupted += 1
                assert not interruption._window
                assert spin(50) == 50  # our own code: nothing may be raised here

    in_a_thread(work)
    assert 0 < interrupted < ROUNDS


@needs_gil
@pytest.mark.usefixtures("restless")
def test_nothing_comes_aside() -> None:
    """Our code that the application calls is never interrupted; the application is, once."""
    counts = []

    def work() -> None:
        with Trigger() as trigger:
            for _ in range(ROUNDS // 3):
                inside = [False]
                seen = 0

                def ours(inside: list[bool] = inside) -> None:
                    inside[0] = True
                    pause(0.1)
                    inside[0] = False

                interruption = Interruption(threading.Lock())
                interruption.begin()

                def application(interruption: Interruption = interruption) -> None:
                    for _ in range(5):
                        interruption.aside(ours)
                        pause(0.1)

                trigger(interruption)
                for _ in range(3):
                    try:
                        interruption.call(application)
                    except RequestTimeout:
                        seen += 1
                    assert not inside[0]
                counts.append(seen)

    in_a_thread(work)
    assert 1 in counts
    assert max(counts) == 1


class Held(list[None]):
    """A window: who fires has taken the element out, and is held up before the next step."""

    def __init__(self) -> None:
        super().__init__()
        self.fires = threading.Event()
        self.returns = threading.Event()

    def pop(self, index: SupportsIndex = -1) -> None:
        """Wait, after the element is out, until the call returns."""
        super().pop(index)
        if threading.current_thread().name == "fire":
            self.fires.set()
            assert self.returns.wait(5)
            time.sleep(0.01)  # it may take the next step, too


@needs_gil
def test_interruption_at_the_last_moment() -> None:
    """The call returns while the exception is on its way: it comes before anything else."""
    for _ in range(20):
        interruption = Interruption(threading.Lock())
        window = interruption._window = Held()
        interruption.begin()
        go = threading.Event()

        def fire_then(interruption: Interruption = interruption, go: threading.Event = go) -> None:
            assert go.wait(5)
            eventually(interruption.fire, "it is interrupted")

        thread = threading.Thread(target=fire_then, name="fire")
        thread.start()

        def application(window: Held = window, go: threading.Event = go) -> None:
            go.set()
            assert window.fires.wait(5)
            window.returns.set()

        with pytest.raises(RequestTimeout):
            interruption.call(application)
        thread.join()
        assert spin(50) == 50
        interruption.call(lambda: None)


@needs_gil
def test_what_has_not_come_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that is still on its way when the call ends comes there, and goes no further."""
    sent: list[tuple[int, object]] = []

    def record(ident: ctypes.c_ulong, error: ctypes.py_object[object]) -> None:
        sent.append((ident.value, error.value))
        if threading.get_ident() == ident.value:
            raise RequestTimeout  # here it comes

    monkeypatch.setattr(interruptions, "_set_exception", record)
    interruption = Interruption(threading.Lock())
    interruption.begin()
    interruption.call(lambda: fire(interruption))
    assert sent == [(threading.get_ident(), RequestTimeout)] * 2


PROFILED = """
import cProfile, threading, time
from breezeway import RequestTimeout
from breezeway.worker.interruption import Interruption

interruption = Interruption(threading.Lock())
interruption.begin()

def fire():
    while not interruption.fire():
        time.sleep(0.001)

thread = threading.Thread(target=fire)

def application():
    thread.start()
    while True:
        pass

try:
    interruption.call(application)
except RequestTimeout:
    thread.join()
    cProfile.run("interruption.call(lambda: None)")
"""


@needs_gil
def test_no_mark_is_left() -> None:
    """After an interruption the interpreter looks for no other: a profiler gets on (CPython 3.11)."""
    done = subprocess.run(
        [sys.executable, "-c", PROFILED], timeout=30, check=True, capture_output=True, text=True
    )
    assert "function calls" in done.stdout


@needs_gil
def test_loop_without_an_end() -> None:
    """A thread in a loop of pure Python leaves it."""
    interruption = Interruption(threading.Lock())
    inside = threading.Event()

    def work() -> None:
        interruption.begin()

        def loop() -> None:
            inside.set()
            while True:
                pass

        with pytest.raises(RequestTimeout):
            interruption.call(loop)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(5)
    assert interruption.ident == thread.ident
    assert interruption.fire()
    assert interruption.fire()
    thread.join(5)
    assert not thread.is_alive()


def test_raised_at_the_next_step() -> None:
    """A thread that is in our code meanwhile is interrupted when it goes back, and only once."""
    interruption = Interruption(threading.Lock())
    interruption.begin()
    seen = []

    def application() -> None:
        try:
            interruption.aside(lambda: fire(interruption))
        except RequestTimeout:
            seen.append(True)
        interruption.aside(lambda: None)

    interruption.call(application)
    assert seen == [True]
    interruption.call(lambda: None)


def test_without_the_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    """There nothing is raised in the application's code: it comes when the thread goes back into it."""
    monkeypatch.setattr(interruptions, "has_gil", lambda: False)
    interruption = Interruption(threading.Lock())
    interruption.begin()
    done = []

    def application() -> None:
        assert fire(interruption)
        assert spin(50) == 50
        done.append("the step")
        interruption.aside(lambda: done.append("our code"))

    with pytest.raises(RequestTimeout):
        interruption.call(application)
    assert done == ["the step", "our code"]
    interruption.call(lambda: done.append("after it"))
    assert done[2:] == ["after it"]


def test_interrupted_before_the_call() -> None:
    """What is interrupted between two calls does not make the second one."""
    interruption = Interruption(threading.Lock())
    interruption.begin()
    interruption.call(lambda: None)
    fire(interruption)
    called = []
    with pytest.raises(RequestTimeout):
        interruption.call(lambda: called.append(True))
    assert not called


def test_other_threads_of_the_application() -> None:
    """Our code that the application calls from a thread of its own leaves the window as it is."""
    interruption = Interruption(threading.Lock())
    interruption.begin()
    called = []

    def application() -> None:
        thread = threading.Thread(target=interruption.aside, args=(lambda: called.append(True),))
        thread.start()
        thread.join()
        assert interruption._window

    interruption.call(application)
    assert called


def test_our_code_within_our_code() -> None:
    """A callback of the application's that is called while it is not interrupted changes nothing."""
    interruption = Interruption(threading.Lock())
    interruption.begin()
    assert interruption.aside(lambda: interruption.aside(lambda: 5)) == 5
    assert not interruption._window


@needs_gil
def test_not_while_logging() -> None:
    """A thread that logs has the lock of a handler, which others need, too: it is left alone."""
    interruption = Interruption(threading.Lock())
    inside, go = threading.Event(), threading.Event()
    outcome = []

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            inside.set()
            assert go.wait(5)

    def application() -> None:
        log = logging.Logger("test")
        log.addHandler(Slow())
        log.error("here")
        while True:
            pass

    def work() -> None:
        interruption.begin()
        try:
            interruption.call(application)
        except RequestTimeout:
            outcome.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(5)
    assert not interruption.fire()
    assert not outcome
    go.set()
    eventually(interruption.fire, "it has left the log")
    thread.join(5)
    assert outcome == [True]


@needs_gil
@pytest.mark.parametrize(
    ("module", "function", "left_alone"),
    [
        ("logging", "anything", True),
        ("importlib._bootstrap", "_find_and_load", True),
        ("threading", "start", True),
        ("threading", "wait", False),
        ("application", "start", False),
    ],
)
def test_locks_of_all(module: str, function: str, left_alone: bool) -> None:
    """A thread is left alone in a function that may have a lock which others need, too."""
    names: dict[str, Any] = {"__name__": module}
    exec(f"def {function}(then): then()", names)
    interruption = Interruption(threading.Lock())
    interruption.begin()
    outcome = []

    def application() -> None:
        names[function](lambda: outcome.append(fire(interruption)))

    if left_alone:
        interruption.call(application)
        assert outcome == [False]
    else:
        with pytest.raises(RequestTimeout):
            interruption.call(application)


def fire(interruption: Interruption) -> bool:
    """Fire from another thread and wait for it; return what comes of it."""
    results: list[bool] = []
    # Not by `threading`: a thread is left alone in `Thread.start`.
    _thread.start_new_thread(lambda: results.append(interruption.fire()), ())
    eventually(lambda: bool(results), "it has fired")
    return results[0]
