"""Readiness of file descriptors, over epoll, kqueue or poll: one interface, edge-triggered.

A descriptor is added once, for reading and writing. An event is then reported when something has
changed, and not again: who gets it reads until the system has nothing more (or remembers that it
has not). With epoll and kqueue that saves a system call for each request and the kernel's second look
at every reported socket. `PollPoller`, the fallback, is level-triggered by nature; `mute` and
`want_write`, which cost the others nothing, keep it from reporting the same state for ever.

Events are the numbers of epoll(7) everywhere.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
import threading
from typing import Final, Protocol

from breezeway.errors import UsageError

IN: Final = 0x001
OUT: Final = 0x004
ERR: Final = 0x008
HUP: Final = 0x010
RDHUP: Final = 0x2000
READABLE: Final = IN | OUT
"""What a connection at rest reports when a request comes in: it can be written to all the time."""

_EDGE: Final = 1 << 31

BATCH: Final = 128
"""Events of one poll. More would make a newly accepted connection wait longer, fewer gain nothing."""


class Poller(Protocol):
    """Reports which file descriptors are ready."""

    def add(self, fd: int) -> None:
        """Watch a connection."""

    def add_listener(self, fd: int) -> None:
        """Watch a listening socket, level-triggered."""

    def remove(self, fd: int) -> None:
        """Stop watching a listening socket."""

    def forget(self, fd: int) -> None:
        """Note that a connection is about to be closed."""

    def mute(self, fd: int) -> None:
        """Note that what was reported is left for later."""

    def unmute(self, fd: int) -> None:
        """Take `mute` back."""

    def want_write(self, fd: int, wanted: bool) -> None:
        """Note that bytes wait to be sent, or not any more."""

    def poll(self, timeout: float, maximum: int, /) -> list[tuple[int, int]]:
        """Wait at most `timeout` seconds (negative: for ever) for (descriptor, event) pairs."""

    waker_fd: int
    """Is reported when `wake` was called; `rest` silences it."""

    def wake(self) -> None:
        """Make a `poll` in another thread return."""

    def rest(self) -> None:
        """Take `wake` back."""

    def close(self) -> None:
        """Give the system's objects back."""


class Waker:
    """A pipe to oneself."""

    def __init__(self) -> None:
        self.fd, write_end = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(write_end, False)
        # An object, not a number: once it is closed, no thread that is late can write to whatever
        # has the descriptor then.
        self._write_end = io.FileIO(write_end, "w")

    def wake(self) -> None:
        """Make the pipe readable."""
        with contextlib.suppress(ValueError):  # closed: there is nobody left to wake
            self._write_end.write(b"\0")  # None when it is full: readable already

    def rest(self) -> None:
        """Empty the pipe."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)

    def close(self) -> None:
        """Close both ends."""
        self._write_end.close()
        os.close(self.fd)


class _BasePoller:
    """What the pollers share: the waker."""

    def __init__(self) -> None:
        self._waker = Waker()
        self.wake = self._waker.wake
        self.waker_fd = self._waker.fd
        self.rest = self._waker.rest

    def forget(self, fd: int) -> None:
        """Do nothing: the system forgets what is closed."""

    def mute(self, fd: int) -> None:
        """Do nothing: an edge is reported once."""

    def unmute(self, fd: int) -> None:
        """Do nothing: an edge is reported once."""

    def want_write(self, fd: int, wanted: bool) -> None:
        """Do nothing: an edge is reported once."""

    def close(self) -> None:
        """Give the system's objects back."""
        self._waker.close()


class EpollPoller(_BasePoller):
    """Linux."""

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()
        self.poll = self._epoll.poll
        self.add_listener(self.waker_fd)

    def add(self, fd: int) -> None:
        """Watch a connection."""
        self._epoll.register(fd, IN | OUT | RDHUP | _EDGE)

    def add_listener(self, fd: int) -> None:
        """Watch a listening socket, level-triggered."""
        self._epoll.register(fd, IN)

    def remove(self, fd: int) -> None:
        """Stop watching a listening socket."""
        self._epoll.unregister(fd)

    def close(self) -> None:
        """Give the system's objects back."""
        self._epoll.close()
        super().close()


class PollPoller(_BasePoller):
    """Everywhere else; also what the tests use to show that nothing hangs on one system's ways."""

    def __init__(self) -> None:
        super().__init__()
        self._poll = select.poll()
        self._lock = threading.Lock()  # a thread may want to write while the event loop mutes
        self._interest: dict[int, int] = {}
        self.add_listener(self.waker_fd)

    def add(self, fd: int) -> None:
        """Watch a connection."""
        with self._lock:
            self._interest[fd] = 0
        self._change(fd, IN, True)

    add_listener = add

    def _change(self, fd: int, event: int, wanted: bool) -> None:
        with self._lock:
            before = self._interest.get(fd)
            if before is None:  # the connection has been closed meanwhile
                return
            interest = before | event if wanted else before & ~event
            if interest == before:
                return
            self._interest[fd] = interest
            if interest:
                self._poll.register(fd, interest)
            else:  # or the end of the connection would be reported for ever
                self._poll.unregister(fd)
        self.wake()  # a poll that is under way in another thread has the old interest

    def forget(self, fd: int) -> None:
        """Stop watching."""
        with self._lock:
            if self._interest.pop(fd, 0):
                self._poll.unregister(fd)

    remove = forget

    def mute(self, fd: int) -> None:
        """Watch no longer for reading."""
        self._change(fd, IN, False)

    def unmute(self, fd: int) -> None:
        """Watch for reading again."""
        self._change(fd, IN, True)

    def want_write(self, fd: int, wanted: bool) -> None:
        """Watch for writing, or no longer."""
        self._change(fd, OUT, wanted)

    def poll(self, timeout: float, maximum: int, /) -> list[tuple[int, int]]:
        """Wait at most `timeout` seconds (negative: for ever) for (descriptor, event) pairs.

        All of them: if only the first were taken, the last would starve behind those that are busy.
        """
        events = self._poll.poll(None if timeout < 0 else timeout * 1000)
        return [(fd, event | OUT if event & IN else event) for fd, event in events]


if sys.platform != "linux" and hasattr(select, "kqueue"):

    class KqueuePoller(_BasePoller):
        """macOS and the BSDs."""

        def __init__(self) -> None:
            super().__init__()
            self._kqueue = select.kqueue()
            self.add_listener(self.waker_fd)

        def _control(self, fd: int, filters: list[int], flags: int) -> None:
            self._kqueue.control([select.kevent(fd, each, flags) for each in filters], 0)

        def add(self, fd: int) -> None:
            """Watch a connection."""
            both = [select.KQ_FILTER_READ, select.KQ_FILTER_WRITE]
            self._control(fd, both, select.KQ_EV_ADD | select.KQ_EV_CLEAR)

        def add_listener(self, fd: int) -> None:
            """Watch a listening socket, level-triggered."""
            self._control(fd, [select.KQ_FILTER_READ], select.KQ_EV_ADD)

        def remove(self, fd: int) -> None:
            """Stop watching a listening socket."""
            self._control(fd, [select.KQ_FILTER_READ], select.KQ_EV_DELETE)

        def poll(self, timeout: float, maximum: int, /) -> list[tuple[int, int]]:
            """Wait at most `timeout` seconds (negative: for ever) for (descriptor, event) pairs."""
            events = self._kqueue.control(None, maximum, None if timeout < 0 else timeout)
            return [(event.ident, self._translate(event)) for event in events]

        @staticmethod
        def _translate(event: select.kevent) -> int:
            if event.filter == select.KQ_FILTER_WRITE:
                return OUT
            return READABLE | RDHUP if event.flags & select.KQ_EV_EOF else READABLE

        def close(self) -> None:
            """Give the system's objects back."""
            self._kqueue.close()
            super().close()


def best_poller() -> Poller:
    """Return the fastest poller that this system has.

    Raises:
        UsageError: greenlets have taken the place of threads.
    """
    if sys.platform == "linux":
        if not hasattr(select, "epoll"):  # monkey patching removes what a greenlet cannot wait for
            raise UsageError(
                "the standard library is monkey-patched for greenlets, and requests need threads.",
                "Leave out monkey.patch_all() of gevent, or monkey_patch() of eventlet, and set"
                " --threads.",
            )
        return EpollPoller()
    elif hasattr(select, "kqueue"):
        return KqueuePoller()
    else:
        return PollPoller()
