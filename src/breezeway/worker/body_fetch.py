"""The meeting of a thread that wants a request body and the event loop that receives it."""

from __future__ import annotations

import threading
from typing import Any

from breezeway.gateway.failure import ClientGone
from breezeway.http1.errors import ProtocolError


class Fetch:
    """What a thread waits for, and the event loop brings, within the time limits of bodies."""

    __slots__ = (
        "_done",
        "_error",
        "_found",
        "answered",
        "counted",
        "mutex",
        "refusal",
        "waited_for",
        "withheld",
    )

    def __init__(self, *, withheld: bool) -> None:
        """`withheld`: the client sends nothing before `100 Continue`."""
        self._done = threading.Lock()
        self._done.acquire()
        self._found: Any = None
        self._error: ClientGone | None = None
        self.refusal: ProtocolError | None = None
        """Why the body is refused: what the client gets unless the application has answered."""
        self.withheld = withheld
        self.mutex = threading.RLock()
        """Held to begin and to end the response, to ask for the body, and to receive it: where a thread
        of the application's own reads, all of that may come at a time. The reactor's is taken later."""
        self.answered = False
        """The response has begun, and closes the connection."""
        self.waited_for = False
        """A thread waits, or is about to."""
        self.counted = True
        """It is one of `Reactor.awaited_bodies`."""

    @property
    def failed(self) -> bool:
        """Whether nothing more will come."""
        return self._error is not None

    def wait(self) -> Any:
        """Wait for `finish`, after `waited_for` was set.

        Raises:
            ClientGone: it does not come.
        """
        self._done.acquire()
        found, self._found = self._found, None
        if found is None:
            # A new one each time: its traceback leads here, and a reference circle would come of it.
            raise ClientGone(self._error or "the request body did not come")
        return found

    def finish(
        self, found: object, error: ClientGone | None, refusal: ProtocolError | None
    ) -> None:
        """Give the thread what it waits for, or None and the reason why it does not come."""
        self._found, self._error, self.refusal = found, error, refusal
        self._done.release()


class BodyFetch(Fetch):
    """One whole body that a client sends after `100 Continue`."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        super().__init__(withheld=True)
        self.asked = False
        """The application has asked for the body."""


class BodyStream(Fetch):
    """A body that comes piece by piece."""

    __slots__ = ("ended", "trailers")

    def __init__(self, *, withheld: bool) -> None:
        super().__init__(withheld=withheld)
        self.ended = False
        """All of it has come."""
        self.trailers: list[tuple[str, str]] = []
