"""What the recorder hears of a connection: an entry for each response, when its last byte has gone.

The fast path of `connection` makes its entries itself. Here is the general road: `enter` when the
application is done, `record` when the client has everything, has left, or was given up.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from breezeway.gateway.types import Environ
from breezeway.http1.head import Head
from breezeway.observe import access_lines
from breezeway.observe.access_filter import filtered
from breezeway.observe.access_log import DROPPED_LINE, DROPPED_OBJECT, AccessLog
from breezeway.observe.access_options import JOURNALD, JSON
from breezeway.observe.access_target import target_of
from breezeway.observe.counts import Counts
from breezeway.observe.entry import ABORTED, COMPLETE, LEFT, Entry
from breezeway.observe.recorder import Recorder
from breezeway.observe.tally import Tallies
from breezeway.worker.health import UNLOGGED
from breezeway.worker.layer import Channel
from breezeway.worker.sender import Sender

if TYPE_CHECKING:
    from breezeway.config.settings import Settings
    from breezeway.gateway.exchange import Exchange
    from breezeway.worker.reactor import Reactor
    from breezeway.worker.scoreboard import Row


@dataclass(slots=True)
class OwnResponse:
    """The head of an answer of the server's own."""

    status: int
    lines: bytes


class Recording(Sender):
    """Tells the recorder of responses."""

    __slots__ = ("_unrecorded", "began", "head", "request")

    def __init__(self, reactor: Reactor, client: Channel, peer: str) -> None:
        """Take the arguments of `Sender`."""
        super().__init__(reactor, client, peer)
        self.began = self.last_active
        """When the current request, or the last, was complete; monotonic seconds."""
        self.head: Head | None = None
        """That of the last request, if it may serve again."""
        self.request: Head | None = None
        """The head of the current request."""
        self._unrecorded: tuple[Entry, str, bool] | None = None
        """The entry of the current response, whose thread it was, whether the access log has it."""

    def enter(self, exchange: Exchange, environ: Environ, thread: str = "") -> None:
        """Note what the application has answered, in the thread of this name; without one, in this."""
        if self.reactor.recorder is None or not exchange.called:
            return
        entry = (
            self.request or self._unread(),
            environ,
            exchange.head,
            exchange.size,
            self.began,
            exchange.called,
            getattr(exchange, "first", 0.0),
            exchange.returned,
            0.0,
            ABORTED if exchange.aborted or exchange.ousted else COMPLETE,
        )
        thread = thread or threading.current_thread().name
        self._unrecorded = entry, thread, UNLOGGED not in environ

    def enter_own(self, answer: bytes, status: int, *, began: float) -> None:
        """Note what the server itself has answered, in place of the application if that was called."""
        if self.reactor.recorder is None:
            return
        head, _, body = answer.partition(b"\r\n\r\n")
        response = OwnResponse(status, head)
        if self._unrecorded is not None:
            entry, thread, logged = self._unrecorded
            answered = (*entry[:2], response, len(body), *entry[4:9], COMPLETE)
            self._unrecorded = answered, thread, logged
            return
        now = time.monotonic()
        request = self.request or self._unread()
        entry = (request, request.environ, response, len(body), began, now, 0.0, now, 0.0, COMPLETE)
        self._unrecorded = entry, threading.current_thread().name, True

    def record(self, outcome: int, finished: float = 0.0) -> None:
        """Record the current response, if there is one that was not.

        `finished` is when the last byte went, in monotonic seconds; 0.0: before the application
        was done.
        """
        if self._unrecorded is None:
            return
        (entry, thread, logged), self._unrecorded = self._unrecorded, None
        if outcome == COMPLETE:
            outcome = entry[9]
        if outcome == LEFT:
            outcome = self.loss
        size = entry[3] if outcome == COMPLETE else max(0, entry[3] - self._not_sent())
        recorder = self.reactor.recorder
        if recorder is not None:
            entry = (*entry[:3], size, *entry[4:8], finished, outcome)
            recorder.record(entry, thread, logged=logged)

    def _not_sent(self) -> int:
        """Return how many bytes of a response that was broken off have not gone."""
        outbox = self.outbox
        if not outbox:
            return self.missed
        with outbox.lock:
            return self.missed + outbox.waiting

    def enter_lost(self, request: Head) -> None:
        """Note a request that the client has left in the middle of its body."""
        if self.reactor.recorder is None:
            return
        now = time.monotonic()
        entry = (self.introduced(request), request.environ, None, 0, now, now, 0.0, now, 0.0, LEFT)
        self._unrecorded = entry, threading.current_thread().name, True

    def introduced(self, request: Head) -> Head:
        """Name the client in a head that was not complete, or not understood."""
        environ = request.environ
        if self.layer is not None and self.layer.ready:
            environ.update(self.layer.environ())
        environ.setdefault("REMOTE_ADDR", "" if self.peer == "unix" else self.peer)
        return request

    def _unread(self) -> Head:
        """Stand in for the head of a request of which nothing was understood."""
        environ = {"REQUEST_METHOD": "-"}
        return self.introduced(Head(raw=b"", block=b"", environ=environ, length=0, flags=0))


def recorder_of(settings: Settings, row: Row | None, counters: Counts[str]) -> Recorder | None:
    """Make the recorder; without an access log and a supervisor nobody needs one.

    Raises:
        UsageError: the access log cannot be written to.
    """
    access_log = None
    if settings.access_log or settings.access_log_file is not None:
        access_log = _access_log_of(settings, row, counters)
    if access_log is None and row is None:
        return None
    return Recorder(row.tally if row is not None else Tallies(0).row(0), access_log)


def _access_log_of(settings: Settings, row: Row | None, counters: Counts[str]) -> AccessLog:
    where, form = settings.access_log_file, settings.access_log_format
    identity = {"worker": row.worker if row is not None else 0, "pid": os.getpid()}
    if where == JOURNALD:
        from breezeway.observe import access_journald, access_json

        lines = access_journald.lines_of(form, access_json.lines_of(identity))
    else:
        lines = access_lines.lines_of(form, identity, standard_output=where is None)
    return AccessLog(
        filtered(
            lines,
            skip=settings.access_log_skip,
            sample=settings.access_log_sample,
            slow=settings.access_log_slow,
        ),
        target_of(where),
        row.line_buffer() if row is not None else None,
        counters=counters,
        dropped=DROPPED_OBJECT if form == JSON else DROPPED_LINE,
    )
