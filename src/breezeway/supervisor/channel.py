"""What supervisor and worker say to each other: one JSON object in each line, over a socket pair.

The supervisor's end never blocks: a worker that does not listen any more is told nothing, and what
is wrong with it shows elsewhere. The worker's end blocks; when the supervisor is gone, it reads the
end of input. Each message has a "kind"; what kinds there are is told in `handle` and `child`.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any, Final

Message = dict[str, Any]

RECEIVE_BYTES: Final = 64 * 1024


class Channel:
    """One end."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a stream socket, and let it block."""
        sock.setblocking(True)  # whatever an application gives to socket.setdefaulttimeout()
        self.socket = sock
        self.at_end = False
        """The other end is gone, and all that it said has been read."""
        self._input = bytearray()
        self._sending = threading.Lock()

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Return the supervisor's end, which does not block, and the worker's."""
        ours, theirs = map(cls, socket.socketpair())
        ours.socket.setblocking(False)
        return ours, theirs

    def send(self, kind: str, **fields: Any) -> bool:
        """Send a message, from any thread; return False if the other end does not take it."""
        line = json.dumps({"kind": kind, **fields}).encode() + b"\n"
        try:
            with self._sending:
                self.socket.sendall(line)
        except OSError:
            return False
        return True

    def receive(self) -> list[Message]:
        """Return the messages that are there; the worker's end waits for one at least."""
        self._read()
        return self._messages()

    def last_words(self) -> list[Message]:
        """Return what is left to be read; for the supervisor's end, whose other end is gone."""
        while self._read():
            pass
        return self._messages()

    def _read(self) -> bool:
        """Read once; return whether anything has come."""
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        self.at_end = not data
        self._input += data
        return bool(data)

    def _messages(self) -> list[Message]:
        *lines, rest = self._input.split(b"\n")
        self._input = bytearray(rest)
        return [json.loads(line) for line in lines]

    def messages(self) -> Iterator[Message]:
        """Wait for messages until the other end is gone."""
        while not self.at_end:
            yield from self.receive()

    def close(self) -> None:
        """Close this end."""
        self.socket.close()
