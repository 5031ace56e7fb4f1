"""The way to the supervisor: one request at a time over a connected socket, as docs/control.md says."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, Final

ANSWER_SECONDS: Final = 10.0
"""A supervisor that is well answers `status` in milliseconds, `stacks` in a second or two."""


class LinkError(Exception):
    """The supervisor does not answer; its text is a sentence."""


class RefusedError(LinkError):
    """The supervisor says that it cannot be, or that it has failed."""


class Link:
    """One connection; any thread may ask, one after the other."""

    def __init__(self, sock: socket.socket, *, seconds: float | None = ANSWER_SECONDS) -> None:
        """Take over a connected socket; `seconds` is how long an answer may take, None for ever."""
        sock.settimeout(seconds)
        self._socket = sock
        self._lines = sock.makefile("rb")
        self._asking = threading.Lock()
        self._broken = False

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Return the result of a command.

        Raises:
            RefusedError: the supervisor says why not.
            LinkError: it says nothing, or has gone. Then nothing can be asked here any more.
        """
        line = json.dumps({"command": command, **arguments}).encode() + b"\n"
        with self._asking:
            if self._broken:
                raise LinkError("The supervisor has not answered before.")
            try:
                self._socket.sendall(line)
                message = self._answer()
            except (OSError, ValueError) as error:
                # What comes late would be taken for the answer to the next question.
                self._broken = True
                raise LinkError("The supervisor does not answer.") from error
        if message["ok"]:
            return dict(message["result"])
        raise RefusedError(str(message["error"]))

    def _answer(self) -> dict[str, Any]:
        for line in self._lines:
            message: dict[str, Any] = json.loads(line)
            if "ok" in message:
                return message
        raise ConnectionResetError("the end of the connection")

    @property
    def broken(self) -> bool:
        """Whether nothing can be asked here any more."""
        return self._broken

    def close(self) -> None:
        """Give the socket back."""
        self._lines.close()
        self._socket.close()
