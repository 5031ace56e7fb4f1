"""The meeting of a thread that wants a request body and the event loop that receives it."""

from __future__ import annotations

import threading
from typing import IO

from breezeway.gateway.failure import ClientGone
from breezeway.http1.errors import ProtocolError


class BodyFetch:
    """One body that a client sends after `100 Continue`."""

    __slots__ = ("_body", "_done", "_error", "asked", "refusal")

    def __init__(self) -> None:
        self._done = threading.Lock()
        self._done.acquire()
        self._body: IO[bytes] | None = None
        self._error: ClientGone | None = None
        self.refusal: ProtocolError | None = None
        """Why the body is refused: what the client gets unless the application has answered."""
        self.asked = False
        """The application has asked for the body."""

    def wait(self) -> IO[bytes]:
        """Wait for `finish`, which the event loop calls within the time limits of bodies.

        Raises:
            ClientGone: it does not come.
        """
        self.asked = True
        self._done.acquire()
        if self._body is None:
            # A new one each time: its traceback leads here, and a reference circle would come of it.
            raise ClientGone(self._error or "the request body did not come")
        return self._body

    def finish(
        self, body: IO[bytes] | None, error: ClientGone | None, refusal: ProtocolError | None
    ) -> None:
        """Give the body, or the reason why there is none."""
        self._body, self._error, self.refusal = body, error, refusal
        self._done.release()
