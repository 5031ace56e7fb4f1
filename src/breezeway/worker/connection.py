"""One client's connection: from received bytes to a request, and from a response to sent bytes.

States, and who owns the connection in each:

    IDLE, HEAD, BODY  the event loop waits for a request's first byte, rest of the head, body
    BUSY              a thread runs the application; it alone may change the state
    AWAITED           as BUSY, but the thread sleeps until the event loop has received the body, or
                      some more of it (`bodies`)

and those after a response, which `ending` tells.

`on_event` is the fast path: the same head as last time (`http1.head`), a body that is there already,
a response that the socket takes. Everything else goes through `intake` and `_finish`.

The poller is edge-triggered, so `unread` remembers that the system may hold more input.
"""

from __future__ import annotations

import io
import time
from functools import partial
from sys import getrefcount
from threading import current_thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from breezeway.gateway.exchange import ABORTED, STARTED, Exchange
from breezeway.gateway.failure import ClientGone
from breezeway.gateway.input import EMPTY_INPUT
from breezeway.gateway.types import Environ, Headers
from breezeway.http1.errors import ProtocolError
from breezeway.http1.head import CLOSE, EXPECT_CONTINUE, LOCAL, METHOD_HEAD, Head
from breezeway.http1.response import says_close
from breezeway.observe.entry import COMPLETE
from breezeway.worker import time_limits
from breezeway.worker.baton import Job
from breezeway.worker.bodies import Bodies
from breezeway.worker.ending import (
    AWAITED,
    BODY,
    BODY_RECEIVE_BYTES,
    BUSY,
    CLOSED,
    DRAIN,
    DRAIN_CLOSE,
    HEAD,
    IDLE,
    LINGER,
    READ_SECONDS,
)
from breezeway.worker.forked import end_if_forked
from breezeway.worker.gil import has_gil
from breezeway.worker.intake import Intake, Request, fill_environ
from breezeway.worker.layer import Channel, LayerError
from breezeway.worker.poller import ERR, HUP, IN, OUT, RDHUP, READABLE
from breezeway.worker.sender import remote_address

if TYPE_CHECKING:
    from breezeway.worker.reactor import Reactor

RECEIVE_BYTES: Final = 8 * 1024
"""Of one recv for a request head: most requests are smaller by far."""

UNSHARED: Final = 2 if has_gil() else 0
"""What `getrefcount` says of an exchange that nobody holds but its connection, and the call itself.
0, which is never: without the GIL it adds two numbers up that other threads change in between."""

LOCAL_KEY: Final = "breezeway.local"
"""Where the environ of a request that the server itself answers has what answers it."""

MEMO_BYTES: Final = 4 * 1024
"""A larger head is not kept for the next request: it is rare, and an idle connection pays for it."""


class Connection(Bodies):
    """One client."""

    __slots__ = (
        "_environ",
        "_receive_into",
        "_remote",
        "accepted",
        "chores",
    )

    def __init__(self, reactor: Reactor, client: Channel, address: Any, environ: Environ) -> None:
        """Take over a connection just accepted; `environ` is its listener's."""
        client.setblocking(False)
        self._remote = remote_address(address)
        super().__init__(reactor, client, self._remote[0] or "unix")
        self._environ = environ
        self._receive_into = client.recv_into
        self.accepted = reactor.now
        self.chores = False
        """There is more to do after the current response than to send it."""
        reactor.targets[self.fd] = self
        due = self.last_active + time_limits.first(reactor.settings.keep_alive_timeout)
        if self.layer is not None:
            due = min(due, self.last_active + reactor.settings.head_timeout)
        reactor.deadlines.schedule(self, due)
        reactor.poller.add(self.fd)

    # --- events: for the holder of the baton --------------------------------------------------

    def on_event(self, event: int) -> bool:
        """Act on an event; False when this thread has lost the baton over it."""
        if self.state or event != READABLE:
            return self._on_other_event(event)
        buffer = self.reactor.buffer
        receive_into = self._receive_into
        try:
            size = receive_into(buffer)
        except OSError as error:
            return self._on_receive_error(error)
        head = self.head
        if head is not None and size == head.whole and buffer.startswith(head.raw):
            environ = head.environ.copy()
            if head.length:
                if size >= RECEIVE_BYTES:
                    self.unread = self.chores = True
                environ["wsgi.input"] = io.BytesIO(buffer[head.size : size])
            return self._answer(environ, head.flags)
        if not size:
            return self._on_eof()
        answered = self._take_in(bytes(buffer[:size]))
        return self._queue_up() if answered is None else answered

    def _answer(self, environ: Environ, flags: int) -> bool:
        """Run the application in this thread, which holds the baton; False when it has lost it."""
        if flags and flags & LOCAL:
            return self._answer_locally(environ, flags & ~LOCAL)
        reactor = self.reactor
        self.began = now = reactor.now
        reactor.requests += 1
        baton = reactor.baton
        if baton.pooled:
            return self._submit(partial(self._run_apart, environ, flags), flags)
        self.state = BUSY
        if getrefcount(self.exchange) == reactor.unshared:
            exchange = self.exchange
            assert exchange is not None
            exchange.renew(flags)
        else:
            exchange = self.exchange = reactor.exchange(self, reactor.encoder, flags)
        window = baton.window
        window.append(exchange)
        recorder = reactor.recorder
        called = monotonic() if recorder is not None else 0.0
        response = exchange.run(reactor.application, environ)
        returned = monotonic() if recorder is not None else 0.0
        try:
            token = window.pop()
        except IndexError:
            exchange.called, exchange.returned = called, returned or monotonic()
            self._finish_apart(environ, response)
            return False
        if token is not exchange:
            exchange.called, exchange.returned = called, returned or monotonic()
            # This thread had lost the baton, and has just taken it from another one.
            token.uncork()
            if reactor.recorder is not None:
                reactor.recorder.change_thread(current_thread().name)
            self._finish_apart(environ, response)
            return True
        if not self.chores:
            if response:
                send = self._send
                try:
                    sent = send(response)
                except OSError:
                    sent = 0  # `_finish` tries again, and tells what is wrong
                done = sent == len(response)
                if not done:
                    response = response[sent:]
                first = 0.0
            else:  # it went out piece by piece
                done = exchange.flags == STARTED and self.outbox is None
                first = exchange.first
            if done:
                self.state = IDLE
                if recorder is None:
                    return True
                request, head, size = self.request, exchange.head, exchange._size
                assert request is not None
                assert head is not None
                recorder.add_duration(returned - now)
                recorder.add_queued(called - now)
                recorder.add_received(request.whole)
                recorder.add_sent(size)
                if not (request.common and head.common):
                    recorder.count_uncommon(request.environ["REQUEST_METHOD"], head.status)
                if recorder.logs:
                    recorder.add_entry(
                        (request, environ, head, size, now, called, first, returned, 0.0, COMPLETE)
                    )
                return True
        exchange.called, exchange.returned = called, returned
        self._finish(environ, response)
        return True

    def _answer_locally(self, environ: Environ, flags: int) -> bool:
        """Have the server itself answer, in this thread, also while all others are busy."""
        reactor = self.reactor
        self.began = reactor.now
        reactor.requests += 1
        self.state = BUSY
        exchange = self.exchange = Exchange(self, reactor.encoder, flags)
        exchange.called = monotonic()
        response = exchange.run(environ.pop(LOCAL_KEY), environ)
        exchange.returned = monotonic()
        self._finish(environ, response)
        return True

    def _submit(self, job: Job, flags: int) -> bool:
        """Leave the request to the pool."""
        reactor = self.reactor
        self.state = BUSY
        turn_away = partial(self._turn_away, flags)
        if not reactor.baton.submit(job, turn_away, reactor.now):
            turn_away()
        return True

    def _take_in(self, data: bytes) -> bool | None:
        """Add to the input; answer the request if it is complete; None if it is not."""
        if self.intake is None:
            again = self._same_fields(data)
            if again is not None:
                self.head = self.request = again
                if self.half_closed or len(data) >= RECEIVE_BYTES:
                    self.unread = self.chores = True
                return self._answer(again.environ.copy(), again.flags)
            reactor = self.reactor
            self.intake = reactor.intake()
        if self.state != AWAITED:
            self.request = None
        try:
            request = self.intake.take(data, self._environ)
        except ProtocolError as error:
            self.refuse(error)
            return True
        except OSError as error:
            self._refuse_unkept(error)
            return True
        if not (self._met or self._meet(request)):
            return True
        if request is None:
            self._wait_for_more(self.intake)
            return None
        return self._on_request(request, self.intake, len(data))

    def _same_fields(self, data: bytes) -> Head | None:
        """Parse a head without body that differs from the last one in its request line alone."""
        last = self.head
        if last is None or last.length:
            return None
        end = data.find(b"\r\n")
        if len(data) - end != len(last.block) or not data.endswith(last.block):
            return None
        settings = self.reactor.settings
        if end > settings.limit_request_line or len(data) > settings.limit_head:
            return None
        try:
            again = self.reactor.parser.parse_again(data, last)
            if again is not None:
                self._locate(again)
            return again
        except ProtocolError:
            return None  # it is told on the general road

    def _remember(self, head: Head) -> None:
        """Keep a head for the next request, if it is one for the fast path."""
        fast = head.length >= 0 and not head.flags & EXPECT_CONTINUE and head.size <= MEMO_BYTES
        self.head = head if fast else None

    def _wait_for_more(self, intake: Intake) -> None:
        """Wait for the rest of a request."""
        reactor = self.reactor
        self.last_active = reactor.now
        if self.state == AWAITED:
            return
        if intake.in_body:
            self.state = BODY
            reactor.deadlines.schedule(self, time_limits.body_due(self))
        else:
            self.state = HEAD
            due = intake.note_start() + reactor.settings.head_timeout
            reactor.deadlines.schedule(self, due)

    def _on_request(self, request: Request, intake: Intake, received: int) -> bool:
        """Go on with a complete request; `received` is the size of the last piece of it.

        A receive that was not filled has left nothing behind; without one, nobody knows.
        """
        self.unread = self.half_closed or bool(intake) or not 0 < received < RECEIVE_BYTES
        self.chores = True
        if self.state == AWAITED:
            self.deliver(request.body, None)
            return True
        head = self.request = request.head
        self._own(head.environ)
        if self.reactor.front is not None:
            try:
                self.reactor.front.admit(head.environ)
                self._locate(head)
            except ProtocolError as error:
                self.refuse(error)
                return True
        self._remember(head)
        if not intake:
            self.intake = None
        if request.body is None:
            self.intake = intake
            return self._answer_before_body(head, intake)
        self._body = request.body if request.body is not EMPTY_INPUT else None
        return self._answer(fill_environ(request), head.flags)

    def _locate(self, head: Head) -> None:
        """Note in a head whether the server itself answers the request."""
        front = self.reactor.front
        if front is None:
            return
        local = front.local(head.environ)
        if local is None:
            head.flags &= ~LOCAL
            head.environ.pop(LOCAL_KEY, None)
        else:
            head.flags |= LOCAL
            head.environ[LOCAL_KEY] = local

    def _own(self, environ: Environ) -> None:
        """Add what is particular to this connection."""
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = self._remote
        if self.layer is not None:
            environ.update(self.layer.environ())
        environ["wsgi.early_hints"] = self.early_hints
        environ["breezeway.client_disconnected"] = self.client_disconnected

    def _read_on(self) -> bool:
        """Receive until there is a complete request or the system has no more."""
        self.unread = False
        ends = time.monotonic() + READ_SECONDS
        while not self.unread:
            size, intake = RECEIVE_BYTES, self.intake
            if intake is not None:
                size = intake.receive_size(BODY_RECEIVE_BYTES, RECEIVE_BYTES)
            try:
                data = self._receive(size)
            except OSError as error:
                return self._on_receive_error(error)
            answered = self._take_in(data) if data else self._on_eof()
            if answered is not None:
                return answered
            self.unread = time.monotonic() >= ends
        self.reactor.ready.append(self)
        return True

    def resume(self) -> bool:
        """Go on with what needs no event; False when this thread has lost the baton."""
        if self.outbox is not None and self.outbox.more and self.state != CLOSED:
            self._drain()
        if self.state not in (IDLE, HEAD, BODY, AWAITED, LINGER):
            return True
        self.unread = False
        self.reactor.poller.unmute(self.fd)
        if self.state == LINGER:
            self._discard()
            return True
        if self.state == AWAITED:
            return self._receive_awaited()
        if self.intake:
            answered = self._take_in(b"")
            if answered is not None:
                return answered
        return self._read_on()

    def _on_other_event(self, event: int) -> bool:
        if self.outbox is not None and event & (OUT | ERR | HUP):
            self._drain()
        if not event & (IN | RDHUP | ERR | HUP):
            return True
        # In the turn of its accept, an event is left from who had the descriptor before.
        if event & RDHUP and self.accepted != self.reactor.now:
            self.half_closed = True
        if self.state in (BUSY, DRAIN, DRAIN_CLOSE):
            with self.reactor.mutex:
                if self.state in (BUSY, DRAIN, DRAIN_CLOSE):
                    self._note_event(event)
                    return True
        return self._queue_up() if self.state in (HEAD, BODY) else self.resume()

    def _queue_up(self) -> bool:
        """Have the rest of a request received when it is this connection's turn."""
        if not self.unread:  # else it is among those already
            self.unread = True
            self.reactor.ready.append(self)
        return True

    def _on_receive_error(self, error: OSError) -> bool:
        if not (self._met or self._meet()):
            pass
        elif isinstance(error, LayerError):
            if error.answer is not None:
                self.reactor.counters.add(error.kind)
                self.refuse(error.answer)
            else:
                self.reactor.note(error.kind, "%s: %s", self.peer, error.reason)
                self._lose()
        elif not isinstance(error, BlockingIOError | InterruptedError):
            self._lose()
        return True

    # --- the application's side: for the thread that answers ------------------------------------

    def _run_apart(self, environ: Environ, flags: int) -> None:
        """Run the application in a thread of the pool."""
        reactor = self.reactor
        exchange = self.exchange = reactor.exchange(self, reactor.encoder, flags)
        exchange.called = monotonic()
        response = exchange.run(reactor.application, environ)
        exchange.returned = monotonic()
        reactor.baton.count(exchange.returned - exchange.called)
        self._finish_apart(environ, response)

    def early_hints(self, headers: Headers) -> None:
        """`wsgi.early_hints`: send a 103 (RFC 8297) before the response that this thread makes.

        Raises:
            TypeError, ValueError: a header cannot be sent.
        """
        if self.exchange is not None and self.answers(self.exchange):
            self.exchange.early_hints(headers)

    # --- the end of a response -------------------------------------------------------------------

    def _finish_apart(self, environ: Environ, response: bytes) -> None:
        """Finish in a thread that does not hold the baton; raise nothing."""
        end_if_forked(self.reactor)
        self.last_active = time.monotonic()
        try:
            self._finish(environ, response)
        except BaseException:
            self.reactor.note_own_error()
            self.abort()
        if self.unread or self.reactor.stopping:
            self.reactor.poller.wake()

    def _finish(self, environ: Environ, response: bytes) -> None:
        """Send what `Exchange.run` has returned, and go on to the state after the response."""
        reactor = self.reactor
        exchange = self.exchange
        assert exchange is not None
        self.chores = False
        self.enter(exchange, environ)
        if response:
            try:
                self.send(response)
            except ClientGone:
                exchange.flags |= ABORTED
        refusal = self._end_body()
        if refusal is not None and not exchange.started:
            bodiless = bool(exchange.flags & METHOD_HEAD)
            self._last_words(refusal.status, refusal.reason, bodiless=bodiless)
            return
        lost = self.gone and (exchange.aborted or not self.has_sent_all)
        if lost or (exchange.aborted and not exchange.delimited):
            self.abort()
            return
        close = bool(exchange.flags & (CLOSE | ABORTED))
        if reactor.stopping and not close:
            # A worker that retires closes only after it has said so: the client may be sending.
            close = not reactor.retired_at or says_close(response)
        self._settle(close=close)

    def refuse(self, error: ProtocolError, why: str = "") -> None:
        """Answer a request that cannot be served as it stands, and close; `why` is for the log."""
        if not (self._met or self._meet()):
            return
        self.reactor.note_refusal(self.peer, error.status, error.reason, why)
        if self.state == AWAITED:
            self.deliver(None, ClientGone(f"the request body is refused: {error.reason}"), error)
        else:
            if self.intake is not None and self.request is None:
                self.request = self.introduced(self.intake.begun())
            bodiless = self.intake is not None and self.intake.method_head
            self._last_words(error.status, error.reason, bodiless=bodiless)

    def on_deadline(self, now: float) -> float:
        """Act if a deadline has passed; return the next one, 0 if there is none any more."""
        return time_limits.look(self, now)

    def close_if_idle(self) -> None:
        """Close, unless a request is there or under way; for the end of the worker."""
        if self.state in (IDLE, HEAD):
            self._read_on()
        if self.state == IDLE or (self.state == HEAD and self.only_blank):
            self.close()
