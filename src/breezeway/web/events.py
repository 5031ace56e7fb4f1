"""Server-sent events: what a page hears of by `new EventSource(url)` (HTML Standard, section 9.2).

A thread of the server is taken for as long as a page listens. A server finds out that a page has gone
when it sends something; so there has to be something to send, a comment if nothing else. Breezeway can be
asked before (`breezeway.client_disconnected`), and whether it waits for the end of its requests, to end
itself (`breezeway.stopping`); `queued` does.
"""

from __future__ import annotations

import queue
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from breezeway.web.response import Fields, Response, dumps
from breezeway.web.stream import close

if TYPE_CHECKING:
    from breezeway.web.request import Request

HEARTBEAT_SECONDS: Final = 15.0
"""Of silence, then a comment is sent: proxies take a connection for dead after 30 to 60."""

LOOK_SECONDS: Final = 1.0
"""Between two looks whether the page has gone, for who loads it again and again takes a thread each time,
and whether the server stops."""

END: Final[Any] = object()
"""In a queue: there are no more events."""

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_IN_ONE_LINE: Final = re.compile(r"[^\r\n\0]*")

_COMMENT: Final = b":\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` that is no text is written as JSON.

    `event` is its type, `message` for a browser if it is empty. `id` is what the browser sends back as
    Last-Event-ID when it comes again. `retry` is after how many seconds it does.
    """

    data: Any = ""
    event: str = ""
    id: str | int | None = None
    retry: float | None = None

    def encoded(self) -> bytes:
        """Write the event.

        Raises:
            ValueError: `event` or `id` has more than one line, or `retry` is less than nothing.
        """
        lines = []
        for name, value in (("event", self.event), ("id", self.id)):
            if value is not None and (value or name == "id"):
                line = f"{name}: {value}"
                if not _IN_ONE_LINE.fullmatch(line):
                    raise ValueError(f"{name} of an event is one line, not {value!r}")
                lines.append(line)
        if self.retry is not None:
            lines.append(f"retry: {_milliseconds(self.retry)}")
        text = self.data if isinstance(self.data, str) else dumps(self.data).decode()
        lines += [f"data: {line}" for line in _LINE_END.split(text)]
        return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


class EventStream(Response):
    """A response with events as they come.

    `events` gives an `Event`, what is the data of one, or None, for which a comment is sent. It is closed
    when the page has gone, so that a generator can clean up in `finally`.
    """

    __slots__ = ()

    def __init__(
        self, events: Iterable[Any], headers: Fields = (), *, retry: float | None = None
    ) -> None:
        """`retry` is after how many seconds a page comes again that has lost the connection.

        Raises:
            TypeError: `events` is one text or table, which would be sent letter by letter, or gives none.
        """
        if isinstance(events, str | bytes | dict) or not hasattr(events, "__iter__"):
            raise TypeError(
                "events are a list or a generator of them, such as queued(request, queue),"
                f" not one {type(events).__name__}"
            )
        super().__init__(_Encoded(events, retry), headers=headers, content_type="text/event-stream")
        # Nothing on the way may collect what belongs to a page now: no-transform keeps it from being
        # compressed in large blocks, and nginx asks for a field of its own.
        self.headers.setdefault("Cache-Control", "no-store, no-transform")
        self.headers.setdefault("X-Accel-Buffering", "no")


class _Encoded:
    def __init__(self, events: Iterable[Any], retry: float | None) -> None:
        self._events: Any = events
        # Something goes out at once, so that the page knows that it is connected.
        self._first = _COMMENT if retry is None else f"retry: {_milliseconds(retry)}\n\n".encode()

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        for event in self._events:
            if event is None:
                yield _COMMENT
            else:
                yield (event if isinstance(event, Event) else Event(event)).encoded()

    def close(self) -> None:
        """Close what gives the events."""
        close(self._events)


def queued(
    request: Request, events: queue.Queue[Any], heartbeat: float = HEARTBEAT_SECONDS
) -> Iterator[Any]:
    """Give the events of a queue as they come, and None after `heartbeat` seconds without one.

    It ends with `END` in the queue; and, where the server tells, when the page that has sent the request
    has gone, or the server stops: then the page connects anew, to what has come in its place.
    """
    has_gone = request.environ.get("breezeway.client_disconnected", bool)
    stopping = request.environ.get("breezeway.stopping", bool)
    beats_at = time.monotonic() + heartbeat
    while not has_gone():
        try:
            left = max(0.0, beats_at - time.monotonic())
            event = events.get(timeout=min(left, LOOK_SECONDS))
        except queue.Empty:
            if stopping():
                return
            if time.monotonic() < beats_at:
                continue
            event = None
        if event is END:
            return
        yield event
        beats_at = time.monotonic() + heartbeat


def last_event_id(request: Request) -> str:
    """Return the id of the last event that a page which comes again has got; empty without one."""
    value: str = request.environ.get("HTTP_LAST_EVENT_ID", "")
    return value.encode("latin-1").decode("utf-8", "replace")


def _milliseconds(seconds: float) -> int:
    if not 0 <= seconds < 1e9:
        raise ValueError(f"retry is a number of seconds, 0 or more, not {seconds!r}")
    return round(seconds * 1000)
