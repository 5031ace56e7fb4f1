"""How a connection ends, or comes to rest, after a response.

    DRAIN, DRAIN_CLOSE  the thread has gone on, the event loop sends what is left of the response
    LINGER              the last response is out; input is thrown away until the client closes
    CLOSED              nothing refers to it any more

The other states are told in `connection`.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from breezeway.gateway.current import current_exchange
from breezeway.gateway.failure import ClientGone
from breezeway.http1.head import METHOD_HEAD
from breezeway.http1.response import plain_answer
from breezeway.observe.entry import ABORTED, COMPLETE, LEFT, NO_THREAD
from breezeway.worker.layer import Channel
from breezeway.worker.poller import ERR, HUP
from breezeway.worker.recording import Recording

if TYPE_CHECKING:
    from breezeway.worker.admission import Client
    from breezeway.worker.reactor import Reactor

IDLE, HEAD, BODY, BUSY, AWAITED, DRAIN, DRAIN_CLOSE, LINGER, CLOSED = range(9)

BODY_RECEIVE_BYTES: Final = 64 * 1024
"""Of one recv in the middle of a body."""

READ_SECONDS: Final = 0.0003
"""After so long the other connections have their turn: some 16 recv of a plain body, one of the worst
of chunks."""

DISCARD_TURNS: Final = 16
"""As READ_SECONDS, in recv of what is only thrown away."""

LINGER_SECONDS: Final = 2.0
"""How long input is thrown away after the last response, so that a reset does not destroy it."""

RETRY_AFTER: Final = b"Retry-After: 1\r\n"
"""What a 503 says: in a second some will have had their turn."""

_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST, which every client can tell


class Ending(Recording):
    """The states of a connection, and the ways out of each."""

    __slots__ = ("_receive", "half_closed", "owner", "state", "unread")

    def __init__(self, reactor: Reactor, client: Channel, peer: str) -> None:
        """Take the arguments of `Sender`."""
        super().__init__(reactor, client, peer)
        self._receive = client.recv
        self.state = IDLE
        self.unread = False
        """The system may hold input of which there will be no event."""
        self.half_closed = False
        """The client has ended its side."""
        self.owner: Client = ""
        """Who it is counted for, see `Admission`."""

    def _drain(self) -> None:
        """Send what waits; for the holder of the baton."""
        outbox = self.outbox
        if outbox is None:  # the thread has just found it empty
            return
        with outbox.lock:
            self.flush(outbox)
            if outbox:
                return
            self.reactor.poller.want_write(self.fd, False)
        reactor = self.reactor
        with reactor.mutex:
            state = self.state
            if state not in (DRAIN, DRAIN_CLOSE) or outbox:
                return  # the thread is still at it, or has added more
            whole = self.has_sent_all
            if whole:
                self.record(COMPLETE, time.monotonic())
            self.outbox = None
            self.state = self.state_at_rest()
        if not whole:
            self.abort()
        elif self.gone:
            self.close()
        elif state == DRAIN_CLOSE or (reactor.stopping and not reactor.retired_at):
            self._hang_up()
        elif self.unread:
            reactor.ready.append(self)

    def _turn_away(self, flags: int) -> None:
        """Answer a request for which there is no thread."""
        self.reactor.note_refusal(self.peer, 503, NO_THREAD)
        text = "The server is busy; try again in a moment."
        self._last_words(503, text, bodiless=bool(flags & METHOD_HEAD))

    def _last_words(self, status: int, text: str, *, bodiless: bool) -> None:
        """Send an answer of the server's own and close."""
        ending = self.reactor.encoder.ending
        if status == 503:
            ending = RETRY_AFTER + ending
        answer = plain_answer(status, text, ending, bodiless=bodiless)
        began = self.began if self.state == BUSY else time.monotonic()
        self.enter_own(answer, status, began=began)
        self.forget_request()
        self.unread = True
        try:
            self.send(answer)
        except ClientGone:
            self.close()
            return
        self._settle(close=True)

    def _settle(self, *, close: bool) -> None:
        """Go on after all of a response was handed over."""
        reactor = self.reactor
        with reactor.mutex:
            if self.outbox:
                self.state = DRAIN_CLOSE if close else DRAIN
                return
            whole, gone = self.has_sent_all, self.gone
            self.outbox = None
            if whole:
                self.record(COMPLETE)
            if not (close or gone):  # from here on it may be closed by the event loop
                self.state = self.state_at_rest()
        if gone:
            self.close() if whole else self.abort()
        elif close:
            self._hang_up()
        elif self.unread:
            reactor.ready.append(self)

    def _hang_up(self) -> None:
        """Close after a complete response, by halves (RFC 9112 section 9.6).

        A socket that is closed with unread input, or to which input comes later, sends a reset,
        which may destroy the response on its way. So input is thrown away until the client closes.
        """
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self.last_active = time.monotonic()
        with self.reactor.mutex:
            self.state = LINGER
        self.reactor.deadlines.schedule(self, self.last_active + LINGER_SECONDS)
        if self.unread:
            self.reactor.enqueue(self)

    def _discard(self) -> None:
        """Throw input away until the client closes."""
        try:
            for _ in range(DISCARD_TURNS):
                if not self._receive(BODY_RECEIVE_BYTES):
                    break
            else:
                self.reactor.ready.append(self)
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self.close()

    def abort(self) -> None:
        """Break the connection off, so that the client cannot take the response for whole."""
        self.reactor.counters.add("aborted")
        self.record(LEFT if self.gone else ABORTED, time.monotonic())
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close()

    def close(self) -> None:
        """Close the connection and forget everything about it."""
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self.record(LEFT, time.monotonic())
        reactor = self.reactor
        # The descriptor may be taken by a new connection as soon as it is closed: that comes last.
        reactor.targets.pop(self.fd, None)
        reactor.deadlines.remove(self)
        owner, self.owner = self.owner, ""
        reactor.admission.leave(owner)
        reactor.poller.forget(self.fd)
        outbox = self.outbox
        if outbox is not None:
            with outbox.lock:  # the event loop may be sending from it
                self.empty(outbox)
        self.forget_request()
        self.socket.close()
        if reactor.stopping:
            reactor.poller.wake()

    def state_at_rest(self) -> int:
        """Return the state between two requests."""
        raise NotImplementedError

    def forget_request(self) -> None:
        """Let go of everything about the last request and what was received of the next."""
        raise NotImplementedError

    def answers(self, exchange: object) -> bool:
        """Whether this exchange's response is under way, and it is this thread that makes it.

        A thread of the application's own could come in the middle of the response's end.
        """
        if exchange is not self.exchange or self.state not in (BUSY, AWAITED):
            return False
        running = current_exchange()
        return running is exchange or (running is None and self.reactor.baton.employs_this_thread())

    def _note_event(self, event: int) -> None:
        """Note what has come in while a thread answers."""
        self.unread = True
        self.reactor.poller.mute(self.fd)
        if event & (ERR | HUP) and self._has_left():
            self.gone = True

    def client_disconnected(self) -> bool:
        """`breezeway.client_disconnected`: whether the client has closed its side."""
        return self.gone or self.half_closed or self._has_left()

    def is_silent(self) -> bool:
        """Whether nothing has come since the event loop last looked."""
        if self.unread:
            return False
        try:
            return not self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return True

    def _has_left(self) -> bool:
        try:
            return not self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True
