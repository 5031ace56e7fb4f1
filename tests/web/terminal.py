"""A window with a shell in it: type a command, see what a person would see."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path

DEADLINE_SECONDS = 20.0
"""For whatever a command does; a machine may be busy."""

POLL_SECONDS = 0.2

READ_BYTES = 65536

PROMPT = "<<prompt>>"

INTERRUPT = "\x03"
"""Ctrl-C."""


class Terminal:
    """A shell that believes to be talked to by a person; nothing that is typed is echoed."""

    def __init__(self, directory: Path, environ: Mapping[str, str], others: list[Terminal]) -> None:
        """Open it beside `others`, whose output is taken at the same time: programs wait for readers."""
        self._master, self._slave = pty.openpty()
        attributes = termios.tcgetattr(self._slave)
        attributes[1] &= ~termios.OPOST
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        # The first shell has no terminal: what it opens becomes its own, so that Ctrl-C works.
        begin = 'PS1=$1 PS2= exec bash --norc --noprofile --noediting -i <"$0" >"$0" 2>&1'
        self._process = subprocess.Popen(
            ["bash", "-c", begin, os.ttyname(self._slave), PROMPT],
            cwd=directory,
            env={**environ, "TERM": "dumb"},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._all = others
        others.append(self)
        self._received = b""
        self.is_busy = True
        """Whether a command is running."""
        self.finish()

    @property
    def text(self) -> str:
        """What has been printed and nobody has taken."""
        return self._received.decode("utf-8", "replace")

    def type(self, text: str) -> None:
        """Type a line, or a control character."""
        os.write(self._master, text.encode() if text == INTERRUPT else f"{text}\n".encode())
        self.is_busy = True

    def finish(self) -> str:
        """Wait for the end of a command; take what it has printed."""
        text = self.wait_for(re.escape(PROMPT))
        self.is_busy = False
        return text.removesuffix(PROMPT)

    def wait_for(self, pattern: str) -> str:
        """Wait until what is printed has a match; take all up to its end."""
        ends = time.monotonic() + DEADLINE_SECONDS
        while (match := re.search(pattern, self.text, re.MULTILINE)) is None:
            assert time.monotonic() < ends, f"no {pattern!r} in:\n{self.text}"
            self._receive()
        taken = self.text[: match.end()]
        self._received = self.text[match.end() :].encode()
        return taken

    def _receive(self) -> None:
        masters = {each._master: each for each in self._all}
        for master in select.select([*masters], [], [], POLL_SECONDS)[0]:
            masters[master]._received += os.read(master, READ_BYTES)

    def processes(self) -> list[int]:
        """List what runs in it, with the shell."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.getsid(int(name)) == self._process.pid:
                    found.append(int(name))
        return found

    def close(self) -> None:
        """End the shell and what runs in it."""
        for pid in self.processes():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(DEADLINE_SECONDS)
        os.close(self._master)
        os.close(self._slave)
