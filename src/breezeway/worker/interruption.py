"""Interrupts the thread of a request: at most once, and in the application's code alone.

CPython can raise an exception in another thread (`PyThreadState_SetAsyncExc`), at any instruction of
Python that this thread comes to. That must never be one of ours, which may hold a lock or be between
two steps that belong together, and never one of the next request. So there is a window: a list with
one element while the thread is in the application's code. Whoever pops it, which is atomic, decides:

- `fire` has it: the exception is on its way, and comes before the thread is through with `_shut`,
  which catches what has not come.
- the thread has it, on the way back to us: nothing can come any more. `fire` finds the window shut,
  and the exception is raised by the thread itself if it goes back into the application.

Without the GIL nobody can tell where another thread is: its frames change while they are looked at, and
the process would crash. There `fire` leaves the window alone, and the thread raises the exception by
itself when it next goes from our code into the application's: after `start_response`, for example, or
before the next block.

The thread takes no lock while the window is open, for the exception could come between getting the
lock and the `try` that gives it back. Elsewhere it may.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from breezeway.errors import RequestTimeout
from breezeway.worker.gil import has_gil

T = TypeVar("T")

SHARED: Final = ("logging", "logging.handlers", "importlib._bootstrap", "_frozen_importlib")
"""Modules of Python whose locks the application shares with all others: no thread is interrupted in
one, for it might keep the lock for ever. After that it is as safe as elsewhere."""

SHARED_IN_THREADING: Final = ("start", "_delete", "enumerate", "active_count")
"""The same for the functions of `threading` that take the lock of the list of all threads; in others,
such as `Condition.wait`, a thread may well be for ever."""

_set_exception: Final = ctypes.pythonapi.PyThreadState_SetAsyncExc


class Interruption:
    """The one interruption that there may be in a request."""

    __slots__ = ("_due", "_ident", "_mutex", "_settled", "_spent", "_window")

    def __init__(self, mutex: threading.Lock) -> None:
        """`mutex` may be shared with others; it is held for moments."""
        self._mutex = mutex
        self._ident = 0
        self._window: list[None] = []
        self._due = False  # `fire` was called
        self._settled = False  # `fire` has done what it does
        self._spent = False  # the exception was raised: never again

    def begin(self) -> None:
        """Say that it is this thread that may be interrupted."""
        self._ident = threading.get_ident()

    @property
    def ident(self) -> int:
        """The thread that may be interrupted; 0 before `begin`."""
        return self._ident

    def call(self, function: Callable[[], T]) -> T:
        """Call the application's code, which may be interrupted until this returns or raises.

        Raises:
            RequestTimeout: the interruption, which may also have come before or after the call.
        """
        self._open()
        try:
            return function()
        finally:
            self._shut()

    def aside(self, function: Callable[[], T]) -> T:
        """Call our own code on behalf of the application: it is not interrupted.

        Raises:
            RequestTimeout: the interruption, before or after the call.
        """
        if threading.get_ident() != self._ident:  # the application has threads of its own
            return function()
        opened = self._shut()
        try:
            return function()
        finally:
            if opened:
                self._open()

    def fire(self) -> bool:
        """Interrupt; False if the thread is where it must not be now, so that one has to try again.

        For another thread than the one that is interrupted.
        """
        with self._mutex:
            if self._due:
                return True
            interrupts = has_gil()
            if interrupts and _in_shared_code(self._ident):
                return False
            self._due = True
            try:
                if interrupts:
                    self._window.pop()
                    self._spent = True
                    _set_exception(ctypes.c_ulong(self._ident), ctypes.py_object(RequestTimeout))
            except IndexError:  # it is in our code
                pass
            self._settled = True
            return True

    def _open(self) -> None:
        with self._mutex:
            if self._spent:
                return
            if self._due:
                self._spent = True
                raise RequestTimeout
            self._window.append(None)

    def _shut(self) -> bool:
        """Leave the application's code; return whether the window was open.

        Raises:
            RequestTimeout: the interruption came at the last moment. The window is shut.
        """
        try:
            self._window.pop()
        except IndexError:
            if not self._due:
                return False
            while not self._settled:  # some instructions of the other thread
                time.sleep(0)
            _catch(self._ident)
        return True


def _catch(ident: int) -> None:
    """Let the exception come that may be on its way to this thread, and go no further.

    CPython would also take it back. But then a mark in the interpreter stays that there is one for
    some thread, which is only taken away when one comes: until then every thread looks for it at each
    call and jump (loops at 0.6 of their speed in 3.12), and in 3.11 a profiler never gets on.
    """
    try:
        _set_exception(ctypes.c_ulong(ident), ctypes.py_object(RequestTimeout))
        while True:  # it comes at a jump
            pass
    except RequestTimeout:
        pass


def _in_shared_code(ident: int) -> bool:
    frame = sys._current_frames().get(ident)
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if module in SHARED:
            return True
        if module == "threading" and frame.f_code.co_name in SHARED_IN_THREADING:
            return True
        frame = frame.f_back
    return False
