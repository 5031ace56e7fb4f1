"""Looks a host name up in a process of its own.

The resolver may take half a minute, or for ever, and whoever asks it waits. The supervisor may not wait,
nor may it have a thread for this: it forks, and what such a thread holds would stay held in the workers.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Final

from breezeway.supervisor import child

MOST_SECONDS: Final = 30.0
"""Nobody answers after so long: that is three servers asked twice, 5 s each, as resolv.conf(5) has it."""

ANSWER_BYTES: Final = 4096
"""Of a pipe this much comes at one go, if it is written so."""

_FOUND, _FAILED = b"+", b"-"


class NotFoundError(Exception):
    """There is no such host, or nobody says so; the text is the rest of a sentence."""


class NameLookup:
    """A name on its way to an address."""

    def __init__(self, host: str, port: int, prepare: Callable[[], None]) -> None:
        """Begin; `prepare` is called in the new process, and closes there what is its parent's alone.

        Raises:
            OSError: the system has no room for a process.
        """
        self._host = host
        self._ends = time.monotonic() + MOST_SECONDS
        self._fd, write = os.pipe()
        try:
            with child.signals_held():
                self._pid = os.fork()
                if not self._pid:
                    with child.never_returning():
                        os.close(self._fd)
                        prepare()
                        child.forget_supervising()
                        with contextlib.suppress(BrokenPipeError):  # the supervisor was killed
                            os.write(write, _look_up(host, port))
                        os._exit(0)
        except OSError:
            os.close(self._fd)
            raise
        finally:
            os.close(write)

    def wait(self, seconds: float) -> str | None:
        """Return the address; None if it is not known after so long.

        Raises:
            NotFoundError: there is none. It is over then, as it is when there is one.
        """
        if not self._is_over(seconds):
            if time.monotonic() < self._ends:
                return None
            self.close()
            raise NotFoundError(
                f"{self._host} cannot be found: nobody answers in {MOST_SECONDS:g} s"
            )
        answer = os.read(self._fd, ANSWER_BYTES)
        self.close()
        text = answer[1:].decode()
        if answer[:1] == _FOUND:
            return text
        raise NotFoundError(f"{self._host} cannot be found: {text or 'the look-up was ended'}")

    def close(self) -> None:
        """Give it up, if it is not over."""
        is_over = self._is_over(0.0)
        os.close(self._fd)
        if not is_over:  # as long as its end of the pipe is open, its pid is its own
            os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):  # the supervisor's loop may have been first
            os.waitpid(self._pid, os.WNOHANG if is_over else 0)

    def _is_over(self, seconds: float) -> bool:
        return bool(select.select([self._fd], [], [], seconds)[0])

    def close_in_child(self) -> None:
        """Close what is the supervisor's alone, in a process just forked."""
        os.close(self._fd)


def _look_up(host: str, port: int) -> bytes:
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4]
        flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        return _FOUND + socket.getnameinfo(address, flags)[0].encode()
    except (OSError, UnicodeError) as error:
        return _FAILED + (getattr(error, "strerror", None) or str(error)).encode()
