"""The event loop of one worker, run by whichever thread holds the baton.

Who owns what: everything here belongs to the holder of the baton. A thread that has lost it answers
its request on its own, and touches only its `Connection`, under `mutex` where the event loop looks
at the same; what is then left to do it puts into `ready` and wakes the poller.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import TYPE_CHECKING, Protocol

from breezeway.config.settings import Settings
from breezeway.gateway import failure
from breezeway.gateway.environ import base_environ
from breezeway.gateway.error_stream import ERRORS
from breezeway.gateway.exchange import Exchange
from breezeway.gateway.types import Application, Environ
from breezeway.http1.head import Parser
from breezeway.http1.response import Encoder
from breezeway.observe import logs
from breezeway.observe.counts import Counts, Refusals
from breezeway.observe.throttle import Throttle
from breezeway.semantics.dates import http_date
from breezeway.worker.acceptor import Acceptors
from breezeway.worker.baton import Baton
from breezeway.worker.connection import RECEIVE_BYTES, UNSHARED, Connection
from breezeway.worker.deadlines import SLOT_SECONDS, Deadlines
from breezeway.worker.failed_turns import FailedTurns
from breezeway.worker.forked import watch_over
from breezeway.worker.front import believed_fields, front_of
from breezeway.worker.intake import intakes
from breezeway.worker.listener import Listener
from breezeway.worker.poller import BATCH, Poller, best_poller
from breezeway.worker.recording import recorder_of
from breezeway.worker.scoreboard import (
    ACCEPTING,
    BEAT,
    BUSY,
    CONNECTIONS,
    QUEUED,
    REQUESTS,
    SPARE,
    THREADS,
    TIRED,
    Row,
)
from breezeway.worker.sender import Sender
from breezeway.worker.slow_readers import Unsent

if TYPE_CHECKING:
    from breezeway.worker.slow_requests import SlowRequests

logger = logging.getLogger("breezeway.worker")

TICK_SECONDS = SLOT_SECONDS
"""How often the Date field is renewed and the deadlines are looked at."""

JOIN_SECONDS = 1.0
"""How long `close` waits for threads that have nothing to do any more."""

READY_SECONDS = 0.0005
"""So long go on those who have sent more than was taken at a go; then new events have their turn. So
bodies that cost much for each byte, on many connections, do not keep the others waiting."""

BEAT_SECONDS = 1.0
"""How often at least the event loop of a supervised worker turns, and says so."""

RETIRE_IDLE_SECONDS = 5.0
"""A worker that retires keeps a connection open for so long after its last request, so that a
client that is about to send the next one is not cut off in the middle of it."""


class Target(Protocol):
    """What a file descriptor in the poller stands for."""

    def on_event(self, event: int) -> bool:
        """Act on an event; False when the thread has lost the baton over it."""


class WakeUp:
    """The poller's own descriptor: it has no other purpose than to end a poll."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller

    def on_event(self, event: int) -> bool:
        """Silence it."""
        self._poller.rest()
        return True


class Reactor:
    """Everything that the connections of one worker share."""

    def __init__(
        self,
        application: Application,
        listeners: list[Listener],
        settings: Settings,
        *,
        multiprocess: bool = False,
        poller: Poller | None = None,
        row: Row | None = None,
    ) -> None:
        """Set up; `start` begins to serve. `row` is where a supervised worker tells about itself."""
        self.application = application
        self.settings = settings
        self._root_path = as_bytes(settings.root_path)
        self.parser = Parser(settings.limits, self._root_path, believed_fields(settings))
        self.intake = intakes(self.parser, settings)
        self.encoder = Encoder()
        self.front = front_of(settings, self.note, lambda: not self.stopping)
        self.poller = poller or best_poller()
        self.targets: dict[int, Target] = {self.poller.waker_fd: WakeUp(self.poller)}
        self.deadlines = Deadlines()
        self.ready: deque[Sender] = deque()
        """Connections with input that needs no event to be looked at."""
        self.corked: list[Sender] = []
        """Connections whose response is complete and waits in the kernel for those of others."""
        self.mutex = threading.Lock()
        """Held to change the state of a connection that a thread answers apart."""
        self.unsent = Unsent(settings.limit_unsent)
        self.awaited_bodies = 0
        """Requests under way whose client sends the body after `100 Continue`."""
        self.counters: Counts[str] = Counts()
        self._recorder = recorder_of(settings, row, self.counters)
        self.recorder = self._recorder
        """Hears of each response; None while nobody wants to know, which saves its cost."""
        self.refusals = Refusals()
        self._throttle = Throttle(logger)
        self._slow_requests: SlowRequests | None = None
        if settings.slow_request_log is not None:
            from breezeway.worker.slow_requests import SlowRequests

            self._slow_requests = SlowRequests(settings.slow_request_log)
        self.requests = 0
        self.now = time.monotonic()
        self.stopping = False
        self.retired_at = 0.0
        """When `retire` was called; 0 if it was not."""
        self._retire_idle = RETIRE_IDLE_SECONDS
        self._closing_listeners: Collection[str] = ()
        self.stopped = threading.Event()
        self.failed = False
        """The event loop has ended since it could not go on; `stopped` is set, too."""
        self.on_failure: Callable[[], None] = lambda: None
        """Called when that happens: the process has to end, for nobody serves any more."""
        self.wants_replacement: str | None = None
        """Why this worker should be replaced, in plain words."""
        self.connection: type[Connection] = Connection
        self.exchange: Callable[..., Exchange] = Exchange
        self.unshared = UNSHARED
        """References to an exchange that may serve again; 0: none does."""
        self.buffer = bytearray(RECEIVE_BYTES)
        """Where a request on the fast path is received, in place of memory of its own each time."""
        if settings.sendfile_root is not None:
            from breezeway.gateway.x_sendfile import XSendfile

            self.application = XSendfile(application, root=settings.sendfile_root)
        self.request_timeouts = tuple(
            (as_bytes(prefix), seconds) for prefix, seconds in settings.request_timeouts
        )
        if self.request_timeouts:  # who has none goes without ctypes
            from breezeway.worker.request_timeout import TimedConnection, TimedExchange

            self.connection, self.exchange = TimedConnection, TimedExchange
            self.unshared = 0
        self.baton = Baton(
            self.lead,
            threads=settings.threads,
            queue_limit=settings.queue_limit,
            queue_timeout=settings.queue_timeout,
        )
        self.baton.complain = partial(self.note, "threads.refused")
        self.acceptors = Acceptors(self, listeners, multiprocess=multiprocess, row=row)
        self.admission = self.acceptors.admission
        self._row = row
        self._failed_turns = FailedTurns()
        self._next_look = 0.0
        self._batch: Iterator[tuple[int, int]] = iter(())
        self._next_tick = 0.0
        watch_over(self)

    def base_environ(self, listener: Listener, *, multiprocess: bool = False) -> Environ:
        """Build what the environs of all requests of a listener have in common."""
        return base_environ(
            server_name=self.settings.server_name or listener.server_name,
            server_port=listener.server_port,
            root_path=self._root_path,
            multithread=self.settings.threads > 1,
            multiprocess=multiprocess,
            stopping=lambda: self.stopping,
        )

    def start(self) -> None:
        """Begin to serve, in threads of its own."""
        self.acceptors.resume()
        self.now = time.monotonic()
        self._tick(self.now)
        self.baton.start()

    def stop(self) -> None:
        """Begin to stop; `stopped` is set when the last request has been answered.

        May be called from any thread and from a signal handler.
        """
        self.retired_at = 0.0
        self._begin_to_stop()

    def retire(
        self, idle_seconds: float = RETIRE_IDLE_SECONDS, closing: Collection[str] = ()
    ) -> None:
        """Begin to stop without a client noticing, since other workers share the listeners.

        What is in the backlog is left to them, but for the listeners in `closing` (their `spec`),
        which they do not have. Connections get `Connection: close` with their next response; one
        that sends nothing more is closed `idle_seconds` after its last request.
        """
        self._closing_listeners = closing
        self._retire_idle = idle_seconds
        self.retired_at = time.monotonic()
        self._begin_to_stop()

    def _begin_to_stop(self) -> None:
        self.stopping = True
        self.baton.pooled = True
        self.poller.wake()
        self.baton.wake_warden()

    # --- the loop ----------------------------------------------------------------------------

    def lead(self, *, as_warden: bool = False) -> None:
        """Run the event loop for as long as this thread holds the baton."""
        self.baton.leads += 1
        while True:
            try:
                self._lead(as_warden)
                return
            except BaseException as error:  # a handler of the log may raise any
                self.baton.polling = False
                self.note_own_error("the event loop goes on")
                if self._failed_turns.are_too_many(self.now):
                    self._fail(error)
                    return

    def _lead(self, as_warden: bool) -> None:
        self.uncork()  # the leader before may have lost the baton in the middle of a batch
        if self.recorder is not None:
            self.recorder.change_thread(threading.current_thread().name)
        baton = self.baton
        poll = self.poller.poll
        targets = self.targets
        while True:
            batch = self._batch
            target: object = None
            try:
                for fd, event in batch:
                    try:
                        target = found = targets[fd]
                    except KeyError:  # closed by another thread meanwhile
                        continue
                    if not found.on_event(event):
                        return
                ends = time.monotonic() + READY_SECONDS if self.ready else 0.0
                for left in range(len(self.ready) - 1, -1, -1):
                    if self.ready:  # another thread may have led in between
                        target = connection = self.ready.popleft()
                        if not connection.resume():
                            return
                        if left and time.monotonic() >= ends:
                            baton.calls -= left  # they are counted again when they have their turn
                            break
            except BaseException:
                self._survive(target)
                continue
            if self.corked:
                self.uncork()
            if self.recorder is not None:
                self.recorder.settle()
            if self._batch is not batch:
                continue  # the baton went to another thread and came back in between
            if baton.pooled:
                if not as_warden:
                    baton.hand_to_warden()
                    return
                if self._lead_as_warden():
                    return
            baton.polling = True
            events = poll(0 if self.ready else self._wait_seconds(), BATCH)
            baton.polling = False
            if events or self.ready:
                baton.calls += len(events) + len(self.ready)
                if baton.asleep:
                    baton.wake_warden()
            self._batch = iter(events)
            self.now = now = time.monotonic()
            if now >= self._next_tick:
                self._tick(now)

    def uncork(self) -> None:
        """Have the kernel send the responses that wait for each other; from any thread."""
        try:
            while True:
                self.corked.pop().uncork()
        except IndexError:
            pass

    def note(self, kind: str, message: str, *args: object) -> None:
        """Count what went wrong with a client, and log it, limited in rate; from any thread."""
        self.counters.add(kind)
        self._throttle.log(self.now, kind, logging.WARNING, message, *args)

    def note_refusal(self, peer: str, status: int, reason: str, why: str = "") -> None:
        """Count and log a request that is refused; the log has `why`, if that is more than the reason."""
        self.note(f"refused.{status}", "%s refused with %d: %s", peer, status, why or reason)
        self.refusals.add((status, reason))

    def note_own_error(self, outcome: str = "its connection is closed") -> None:
        """Count the exception that is being handled, and log it, limited in rate."""
        self.counters.add("internal_error")
        message = f"internal error; {outcome}"
        self._throttle.log(self.now, message, logging.ERROR, message, exc_info=True)

    def _survive(self, target: object) -> None:
        """Go on after an error of our own: it costs its connection, not the server."""
        self.note_own_error()
        if isinstance(target, Connection):
            target.abort()

    def _fail(self, error: BaseException) -> None:
        """End the event loop for good, and have the process end."""
        self.failed = True
        try:
            logger.critical("the event loop cannot go on (%r); this process ends", error)
        finally:
            self.baton.stop()
            self.stopped.set()
            self.on_failure()

    def _lead_as_warden(self) -> bool:
        """Do what falls to the warden; return whether its lead is over."""
        if self.stopping:
            return self._drain()
        if not self.baton.give_back():
            return False
        if self.stopping:  # `stop` came between: its `pooled` has been overwritten
            self.baton.pooled = True
        return not self.baton.pooled

    def _wait_seconds(self) -> float:
        if self._next_tick <= self.now:
            return 0.0
        due, again = self.baton.due, self.acceptors.again
        if again and not 0 < due < again:
            due = again
        if due:
            self.tick_at(due)
            return min(TICK_SECONDS, max(0.0, due - time.monotonic()))
        if self.deadlines or self.acceptors.restless or self._has_to_tell():
            return TICK_SECONDS
        return -1 if self._row is None else BEAT_SECONDS

    def _has_to_tell(self) -> bool:
        """Whether a tick may have something for the log."""
        if self._throttle or failure.throttle or ERRORS.waits:
            return True
        slow = self._slow_requests
        return slow is not None and bool(slow or self._threads_in_requests())

    def _threads_in_requests(self) -> int:
        return max(0, self.baton.busy_threads - (not self.baton.pooled))  # one of them leads

    def tick_at(self, when: float) -> None:
        """Have the next tick no later than that."""
        self._next_tick = min(self._next_tick, when)

    def _tick(self, now: float) -> None:
        self._next_tick = now + TICK_SECONDS
        self.encoder.set_date(http_date(time.time()))
        try:
            if self.deadlines.is_behind(now) or self.deadlines.advance(now):
                self.tick_at(now)
        except Exception:
            self._survive(None)
        self.baton.expire(now)
        self._advance_logs(now)
        self._advance_recorder(now)
        self.acceptors.advance(now)
        if self._row is not None:
            self._tell(self._row)

    def _advance_logs(self, now: float) -> None:
        logs.look()
        self._throttle.advance(now)
        failure.throttle.advance(now)
        ERRORS.advance(now)
        if self._slow_requests is not None:
            self._slow_requests.look(now)

    def _close_logs(self) -> None:
        self._throttle.close()
        failure.throttle.close()
        ERRORS.advance(math.inf)
        if self._slow_requests is not None:
            self._slow_requests.close(self.now)

    def _advance_recorder(self, now: float) -> None:
        recorder = self._recorder
        if recorder is None:
            return
        wanted = recorder.logs or self.settings.counts_requests
        if not wanted and self._row is not None:
            wanted = self._row.is_watched(now)
        if wanted and self.recorder is None:
            recorder.change_thread(threading.current_thread().name)
        self.recorder = recorder if wanted else None
        recorder.advance()

    def _tell(self, row: Row) -> None:
        """Tell the supervisor and the other workers how it stands."""
        row[BEAT] = int(self.now * 1000)
        row[CONNECTIONS] = self.open_connections()
        row[REQUESTS] = self.requests
        row[THREADS] = self.settings.threads
        row[BUSY] = self._threads_in_requests()
        row[SPARE] = self.baton.spare_threads
        row[QUEUED] = self.baton.queued
        row.tally.note_threads(self.baton.leads, self.baton.submitted)
        row[ACCEPTING] = self.acceptors.accepting
        row[TIRED] = self.wants_replacement is not None

    def reopen_logs(self) -> None:
        """Have the file of the access log opened again; from any thread."""
        if self._recorder is not None:
            self._recorder.reopen()

    def end_logs(self) -> None:
        """Have what is in the access log so far written, before requests are cut off."""
        if self._recorder is not None:
            self._recorder.end_log()

    def open_connections(self) -> int:
        """Count the connections that are open."""
        return len(self.targets) - 1 - self.acceptors.watched

    def connections(self) -> list[Connection]:
        """List the connections that are open."""
        return [each for each in list(self.targets.values()) if isinstance(each, Connection)]

    def enqueue(self, connection: Sender) -> None:
        """Have the event loop look at a connection; from a thread without the baton."""
        self.ready.append(connection)
        self.poller.wake()

    # --- the end -----------------------------------------------------------------------------

    def _drain(self) -> bool:
        """Close what is idle; return whether nothing is left."""
        self.encoder.close()
        self.acceptors.close(leaving=bool(self.retired_at), but=self._closing_listeners)
        if not self.retired_at:
            for connection in self.connections():
                connection.close_if_idle()
        elif self.now >= self._next_look:
            self._next_look = self.now + TICK_SECONDS
            for connection in self.connections():
                last = max(connection.began, connection.last_active)
                if self.now - last >= self._retire_idle:
                    connection.close_if_idle()
        if self.connections():
            return False
        self.admission.close()
        self._close_logs()
        self.baton.stop()
        if self._recorder is not None:
            self._recorder.close()
        self.stopped.set()
        return True

    def close(self) -> None:
        """Let the threads end and give the system's objects back, after `stopped`."""
        self.baton.join(JOIN_SECONDS)
        self.poller.close()


def as_bytes(path: str) -> str:
    """Return a path as an environ has it: its bytes, as latin-1 (PEP 3333, 'Unicode Issues')."""
    return path.encode().decode("latin-1")
