"""The deadline of one request: 504 for the client, `RequestTimeout` for the thread.

Without `--request-timeout` nothing of this is in use. With it, the connections and exchanges of a
reactor are those of this file. The clock runs from the complete request to the end of the call, the
time in the queue included; it starts anew when a body that the client has held back is complete.

When the deadline has come, in a tick of the event loop, the exchange is **ousted**: the connection
belongs to the event loop from then on, which answers 504, or breaks off what has begun. The thread
keeps the exchange, with the body and the environ, and no longer reaches the client: a `Guard` stands
between, which raises ClientGone. Both sides decide under `Reactor.mutex`, so it does not matter who
is about to do what. Then the thread is interrupted. If it is still in the same call some seconds
later, it is written off: another thread may start in its place, and it ends when it comes back.

A request that still waits for a thread is answered with 503 and Retry-After, not 504: nothing has been
done for it, so that the client may safely send it again.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from operator import call
from traceback import FrameSummary
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

from breezeway.errors import RequestTimeout
from breezeway.gateway.exchange import ABORTED, Exchange
from breezeway.gateway.failure import ClientGone, log_failure
from breezeway.gateway.file_wrapper import FileRange
from breezeway.gateway.types import Application, Environ, ExcInfo, Headers, StartResponse, Write
from breezeway.http1.head import METHOD_HEAD
from breezeway.http1.response import Encoder, ResponseHead
from breezeway.observe import entry
from breezeway.worker.baton import Job
from breezeway.worker.body_fetch import BodyFetch, BodyStream
from breezeway.worker.connection import Connection
from breezeway.worker.ending import BUSY, CLOSED, LINGER_SECONDS
from breezeway.worker.interruption import Interruption
from breezeway.worker.stacks import describe, lines, places_of

if TYPE_CHECKING:
    import socket

    from breezeway.http1.errors import ProtocolError
    from breezeway.worker.reactor import Reactor

logger = logging.getLogger("breezeway.worker")

WRITE_OFF_SECONDS: Final = 5.0
"""A thread that is still in the same call so long after its deadline is stuck in C code, or has
caught the exception and goes on: it does not count against `--threads` any more."""

TEXT: Final = "The server did not get an answer in time."


OVER: Final = "the request took too long, and is over for its client"

_END: Any = object()

T = TypeVar("T")


def limit(timeouts: tuple[tuple[str, float], ...], environ: Environ) -> float:
    """Return how long a request may take, in seconds; `timeouts` has the longest prefix first.

    A prefix is one of the whole path, that of the mount included, and is compared as the path is
    spelt: percent-decoded, and with no regard to segments.
    """
    path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    for prefix, seconds in timeouts:
        if path.startswith(prefix):
            return seconds
    return math.inf


class Guard:
    """The transport of a request with a deadline: lets nothing pass once the request is ousted."""

    __slots__ = ("began", "begins", "begun", "busy", "connection", "interim", "mutex", "ousted")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.began = connection.began
        self.begins = connection.begins
        self.mutex = connection.reactor.mutex
        self.ousted = False
        """The event loop has taken the connection."""
        self.begun = False
        """Something of the final response may have gone."""
        self.busy = 0
        """Threads that are sending: the event loop leaves the connection alone meanwhile."""
        self.interim = False
        """What is sent now is no part of the final response."""

    def perform(self, function: Callable[[], T], *, begins: bool = True) -> T:
        """Do something with the connection, unless it was taken away.

        Raises:
            ClientGone: it was.
        """
        with self.mutex:
            if self.ousted:
                raise ClientGone(OVER)
            self.busy += 1
            self.begun = self.begun or begins
        try:
            return function()
        finally:
            with self.mutex:
                self.busy -= 1

    def send(self, *pieces: bytes) -> None:
        """Do what `Sender.send` says."""
        self.perform(partial(self.connection.send, *pieces), begins=not self.interim)

    def send_block(self, *pieces: bytes) -> None:
        """Do what `Sender.send_block` says."""
        self.perform(partial(self.connection.send_block, *pieces))

    def send_last(self, data: bytes) -> None:
        """Do what `Sender.send_last` says."""
        self.perform(partial(self.connection.send_last, data))

    def send_file(self, head: bytes, pieces: Sequence[bytes | FileRange]) -> None:
        """Do what `Sender.send_file` says."""
        self.perform(partial(self.connection.send_file, head, pieces))

    def answers(self, exchange: object) -> bool:
        """Do what `Ending.answers` says; if the exchange was ousted, sending says so."""
        return self.ousted or self.connection.answers(exchange)

    @property
    def watched(self) -> bool:
        """Whether the warden watches the call."""
        return self.connection.watched

    def uncork(self) -> None:
        """Have the kernel send what it has kept."""
        self.connection.uncork()


class TimedExchange(Exchange):
    """An exchange whose thread can be interrupted, in the application's code alone."""

    __slots__ = (
        "_fired",
        "_interruption",
        "_write_off_at",
        "_written_off",
        "body",
        "environ",
        "finished",
        "guard",
        "slot",
    )

    def __init__(self, connection: Connection, encoder: Encoder, flags: int) -> None:
        """Take the arguments of `Exchange`."""
        self.guard = Guard(connection)
        super().__init__(self.guard, encoder, flags)
        self._interruption = Interruption(connection.reactor.mutex)
        self.environ: Environ | None = None
        """Set when a thread begins with it."""
        self.body: IO[bytes] | None = None
        """The request's body, once the exchange is ousted: the application may be reading it."""
        self.finished = False
        """The thread is through with it; set under the mutex, so that it cannot be ousted then."""
        self.slot = 0  # on the wheel of deadlines
        self._fired = self._written_off = False
        self._write_off_at = 0.0

    # --- for the thread that runs it -------------------------------------------------------------

    def run(self, application: Application, environ: Environ) -> bytes:
        """Do what `Exchange.run` says; of an exchange that was ousted nothing is left to send."""
        self.called = time.monotonic()
        self.environ = environ  # last: from here on it may be ousted
        self._interruption.begin()
        response = super().run(partial(self._apply, application), environ)
        with self.guard.mutex:
            self.finished = True
        if not self.guard.ousted:
            self.environ = None  # whatever the application has put into it
            return response
        if self.body is not None:
            self.body.close()
        self.guard.connection.reactor.deadlines.remove(self)
        if self._written_off:
            logger.warning("%s: its thread has come back after all, and ends", describe(environ))
        return b""

    def _apply(
        self, application: Application, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Call the application; what it returns is never lost, so that it can be closed.

        A defaultdict calls its factory and keeps the result in one step of C, in which no
        exception from outside can come.
        """
        results: defaultdict[int, Iterable[bytes]] = defaultdict(
            partial(application, environ, start_response)
        )
        try:
            self._interruption.call(partial(results.__getitem__, 0))
        except RequestTimeout:
            if not results:
                raise
        return results[0]

    def _pass_on(self, result: Iterable[bytes], head: ResponseHead, environ: Environ) -> None:
        """Take the road on which each step into the application is guarded."""
        self._respond(result, environ)

    def _iterator(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        enter = self._interruption.call
        iterator = enter(partial(iter, blocks))
        return iter(partial(enter, partial(next, iterator, _END)), _END)

    def _close(self, close: Callable[[], object], environ: Environ) -> None:
        """Call `close()` of the result, exactly once: who takes it from `todo` has called it."""
        todo = iter((close,))
        try:
            self._interruption.call(partial(next, map(call, todo)))
        except BaseException as error:
            if not self._is_interruption(error):
                log_failure(error, environ, "close() of the result raised")
        for left in todo:  # the interruption was faster; there is no second one
            super()._close(left, environ)

    def _fail(self, error: BaseException, environ: Environ) -> None:
        if self._is_interruption(error):  # it was told at the deadline
            self.flags |= ABORTED
        else:
            super()._fail(error, environ)

    def _is_interruption(self, error: BaseException) -> bool:
        return self.guard.ousted and isinstance(error, RequestTimeout)

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Write:
        """Do what `Exchange.start_response` says."""
        begin = super().start_response
        return self._interruption.aside(partial(begin, status, headers, exc_info))

    def write(self, data: bytes) -> None:
        """Do what `Exchange.write` says."""
        self._interruption.aside(partial(super().write, data))

    def early_hints(self, headers: Headers) -> None:
        """Do what `Exchange.early_hints` says."""
        self._interruption.aside(partial(self._hint, headers))

    def _hint(self, headers: Headers) -> None:
        self.guard.interim = True
        try:
            super().early_hints(headers)
        finally:
            self.guard.interim = False

    def fetch(self, function: Callable[[], T]) -> T:
        """Call what waits for the client's body.

        Raises:
            ClientGone: the exchange was ousted, or what `function` raises.
        """
        perform = partial(self.guard.perform, function, begins=False)
        return self._interruption.aside(perform)

    # --- for the event loop ----------------------------------------------------------------------

    @property
    def ousted(self) -> bool:
        """Whether the deadline has passed, and the event loop has answered."""
        return self.guard.ousted

    @property
    def thread_name(self) -> str:
        """Name of the thread that runs it."""
        ident = self._interruption.ident
        names = [each.name for each in threading.enumerate() if each.ident == ident]
        return names[0] if names else "no thread"

    def places(self) -> list[FrameSummary]:
        """Return where the thread is."""
        return places_of(self._interruption.ident)

    def interrupt(self, now: float) -> None:
        """Interrupt the thread, as soon as that can be; write it off if it does not help."""
        self._fired = self._interruption.fire()
        self._write_off_at = now + WRITE_OFF_SECONDS
        following = self._write_off_at if self._fired else now
        self.guard.connection.reactor.deadlines.schedule(self, following)

    def on_deadline(self, now: float) -> float:
        """Look whether the thread is still in the call."""
        if self.finished:
            return 0
        if not self._fired:
            self._fired = self._interruption.fire()
        if now < self._write_off_at:
            return self._write_off_at if self._fired else now
        self._write_off()
        return 0

    def _write_off(self) -> None:
        reactor = self.guard.connection.reactor
        with reactor.mutex:
            if self.finished:
                return
            self._written_off = True
            reactor.baton.write_off(self._interruption.ident)
        reactor.counters.add("threads.written_off")
        logger.error(
            "%s: %s does not come back %g s after its deadline; it does not count any more:\n  %s",
            describe(self.environ or {}),
            self.thread_name,
            WRITE_OFF_SECONDS,
            "\n  ".join(lines(self.places())),
        )
        lost, threads = reactor.baton.written_off, reactor.baton.threads_limit
        if 2 * lost > threads and reactor.wants_replacement is None:
            reason = f"{lost} of its {threads} threads do not come back from their requests"
            reactor.wants_replacement = reason
            logger.error("this worker wants to be replaced: %s", reason)


class TimedConnection(Connection):
    """A connection whose requests have deadlines."""

    __slots__ = ("_due", "_limit", "_ousted", "_queued", "_waits_since")

    def __init__(
        self, reactor: Reactor, client: socket.socket, address: Any, environ: Environ
    ) -> None:
        """Take the arguments of `Connection`."""
        self._limit = self._due = math.inf
        self._waits_since = 0.0  # for a piece of the request's body
        self._queued: tuple[Job, int] | None = None  # until a thread takes it; with the flags
        self._ousted = False  # the last request on it was
        super().__init__(reactor, client, address, environ)

    def _answer(self, environ: Environ, flags: int) -> bool:
        self._limit = limit(self.reactor.request_timeouts, environ)
        self._start_clock(self.reactor.now)
        return super()._answer(environ, flags)

    def _start_clock(self, now: float) -> None:
        self._set_due(now + self._limit)

    def _set_due(self, due: float) -> None:
        self._due = due
        if self._due < math.inf:
            self.reactor.deadlines.schedule(self, self._due)

    def _submit(self, job: Job, flags: int) -> bool:
        self._queued = job, flags
        return super()._submit(job, flags)

    def _run_apart(self, environ: Environ, flags: int) -> None:
        self._queued = None
        super()._run_apart(environ, flags)

    def _fetch_body(self, flags: int) -> IO[bytes]:
        exchange = self.exchange
        if not isinstance(exchange, TimedExchange):
            raise ClientGone(OVER)
        return exchange.fetch(partial(super()._fetch_body, flags))

    def _fetch_piece(self, flags: int, stream: BodyStream) -> bytes:
        exchange = self.exchange
        if not isinstance(exchange, TimedExchange):
            raise ClientGone(OVER)
        return exchange.fetch(partial(super()._fetch_piece, flags, stream))

    def _await(self, fetch: BodyFetch | BodyStream) -> None:
        self._waits_since = self.reactor.now
        super()._await(fetch)

    def deliver(
        self,
        body: IO[bytes] | bytes | None,
        error: ClientGone | None,
        refusal: ProtocolError | None = None,
    ) -> None:
        """Do what `Connection.deliver` says.

        The clock starts anew, or has stood still while a piece of a body was waited for.
        """
        now = self.reactor.now
        if isinstance(self.fetch, BodyStream):
            self._set_due(self._due + now - self._waits_since)
        else:
            self._start_clock(now)
        super().deliver(body, error, refusal)

    def early_hints(self, headers: Headers) -> None:
        """Do what `Connection.early_hints` says.

        Raises:
            ClientGone: the request has had its 504.
        """
        if self._ousted:
            raise ClientGone(OVER)
        super().early_hints(headers)

    def client_disconnected(self) -> bool:
        """`breezeway.client_disconnected`: whether nobody waits for the response any more."""
        return self._ousted or super().client_disconnected()

    def _finish_apart(self, environ: Environ, response: bytes) -> None:
        if not self._ousted:
            super()._finish_apart(environ, response)

    def forget_request(self) -> None:
        """Let go of everything about the last request and what was received of the next."""
        self._queued = None
        super().forget_request()

    # --- the deadline: for the holder of the baton -------------------------------------------------

    def on_deadline(self, now: float) -> float:
        """Act if a deadline has passed; return the next one, 0 if there is none any more."""
        if self.state == BUSY and now >= self._due:
            self._overdue(now)
            if self.state == BUSY:
                return now  # in the next slot again
            return 0 if self.state == CLOSED else now + LINGER_SECONDS
        following = super().on_deadline(now)
        return min(following, self._due) if self.state == BUSY else following

    def _overdue(self, now: float) -> None:
        """Take the request away from whoever has it; or nothing, if it is just ending or beginning."""
        reactor, queued, exchange = self.reactor, self._queued, self.exchange
        if queued is not None:
            job, flags = queued
            if reactor.baton.withdraw(job):
                self._turn_away(flags)
            return
        if not isinstance(exchange, TimedExchange) or exchange.environ is None:
            return
        guard = exchange.guard
        with reactor.mutex:
            if exchange.finished and not guard.ousted:
                return
            first, guard.ousted = not guard.ousted, True
            self._ousted = True
            if first:
                exchange.body, self._body = self._body, None
            busy = guard.busy
        stack = exchange.places() if first else []
        if busy:
            self._end_wait()
        else:
            self._take_over(exchange, now)
        if first:
            exchange.interrupt(now)
            self._tell(exchange, stack)

    def _end_wait(self) -> None:
        """End the wait of a thread for a client that is far behind."""
        outbox = self.outbox
        if outbox is not None:
            with outbox.lock:
                if outbox.room is not None:
                    self.loss = entry.ABORTED
                    self._give_up(outbox)

    def _take_over(self, exchange: TimedExchange, now: float) -> None:
        """Answer in place of the thread."""
        bodiless = bool(exchange.flags & METHOD_HEAD)
        exchange.returned = max(now, exchange.called)  # the thread may have begun a moment ago
        if exchange.environ is not None:
            self.enter(exchange, exchange.environ, exchange.thread_name)
        if not exchange.guard.begun:
            self._last_words(504, TEXT, bodiless=bodiless)
        elif self.gone or not exchange.delimited:
            self.abort()
        else:
            self._end_body()
            self._settle(close=True)

    def _tell(self, exchange: TimedExchange, stack: list[FrameSummary]) -> None:
        self.reactor.counters.add("timeout.request")
        logger.error(
            "%s: %s took longer than %g s: %s, and its thread %s is interrupted, which was here:\n  %s",
            self.peer,
            describe(exchange.environ or {}),
            self._limit,
            "its response is broken off" if exchange.guard.begun else "answered with 504",
            exchange.thread_name,
            "\n  ".join(lines(stack)),
        )
