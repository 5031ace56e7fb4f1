"""The sending half of a connection: what the thread of an application hands over goes out.

A socket that takes everything is the rule: one system call. What it does not take waits in an
`Outbox`, which the event loop drains, so that a client that reads slowly keeps no thread. Only
a producer that is ahead by more than the high watermark waits, and not for ever.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import TYPE_CHECKING, Any, Final

from breezeway.gateway.failure import ClientGone
from breezeway.gateway.file_wrapper import FileRange
from breezeway.observe.entry import ABORTED, LEFT, TIMED_OUT
from breezeway.worker.layer import Channel, Layer
from breezeway.worker.outbox import Outbox, rest_of
from breezeway.worker.slow_readers import Pace, look_seconds

if TYPE_CHECKING:
    from breezeway.gateway.exchange import Exchange
    from breezeway.worker.reactor import Reactor

MSG_MORE: Final = getattr(socket, "MSG_MORE", 0)  # Linux


class Sender:
    """Sends to one client; `gateway.exchange.Transport` for the application's side."""

    __slots__ = (
        "_send",
        "exchange",
        "fd",
        "gone",
        "last_active",
        "layer",
        "loss",
        "missed",
        "outbox",
        "peer",
        "reactor",
        "slot",
        "socket",
    )

    def __init__(self, reactor: Reactor, client: Channel, peer: str) -> None:
        """`client` is a non-blocking socket, `peer` the client's address for the log."""
        self.reactor = reactor
        self.socket = client
        self.layer: Layer | None = None if isinstance(client, socket.socket) else client
        self.fd = client.fileno()
        self.peer = peer
        self._send = client.send
        self.slot = 0  # on the wheel of deadlines
        self.exchange: Exchange | None = None
        """The current one, or the last."""
        self.outbox: Outbox | None = None
        self.gone = False
        """The client has left, or was given up: nothing more can be sent."""
        self.loss = LEFT
        """How a response ends that the client does not get whole: TIMED_OUT if it takes too long, or
        too much waits for clients that do; ABORTED if the rest cannot be had."""
        self.missed = 0
        """Bytes that were handed over and have not gone, nor ever will."""
        self.last_active = reactor.now
        """When a byte last came or went, or a response ended; monotonic seconds."""

    @property
    def has_sent_all(self) -> bool:
        """Whether the system has taken all that was handed over so far."""
        return not (self.missed or self.outbox)

    def send(self, *pieces: bytes) -> None:
        """Send the pieces in one go; keep what the client does not take yet.

        Raises:
            ClientGone: nobody will read it.
        """
        if self.gone:
            self.missed += sum(map(len, pieces))
            raise ClientGone("the client has left")
        outbox = self.outbox
        if outbox is None:
            kept = self._try_to_send(pieces)
            if kept:
                self._keep(None, kept)
        else:
            self._keep(outbox, [memoryview(piece) for piece in pieces])

    def send_block(self, *pieces: bytes) -> None:
        """Send a block of a response that goes on; wait first for a client that is far behind.

        While the warden watches the call, the kernel may keep the end of it for the next block:
        many small blocks then cost the client one wake-up. The warden makes an end of that at its
        second look at the same call (`uncork`), and so the block is under way a few milliseconds
        later at most, whatever the application does (PEP 3333, 'Buffering and Streaming').

        Raises:
            ClientGone: nobody will read it.
        """
        outbox = self.outbox
        if outbox is not None:
            self._wait_for_room(outbox)
        elif self.watched:
            kept = self._try_to_send(pieces, MSG_MORE)
            if kept:
                self._keep(None, kept)
            if not self.watched:
                self.uncork()
            return
        self.send(*pieces)

    def send_last(self, data: bytes) -> None:
        """Send the end of a response, which may leave together with the responses of others.

        Each packet that goes out alone wakes a client on the same machine up, which costs more
        than making a small response. So while calls are neither very fast nor slow, the kernel
        keeps what is complete until the batch of events is done or half a millisecond has gone:
        hello from Flask at 18,700 requests/s instead of 16,100. The warden's second look at a
        call ends the wait, too, for then another thread leads. A unix socket keeps nothing.

        Raises:
            ClientGone: nobody will read it.
        """
        reactor = self.reactor
        baton = reactor.baton
        together = baton.together
        if not together or self.outbox is not None or self.peer == "unix":
            self.send(data)
            return
        send = self._send
        try:
            sent = send(data, MSG_MORE)
        except OSError:
            self.send(data)  # it tells what is wrong
        else:
            if sent < len(data):
                self._keep(None, [rest_of(data, sent)])
        corked = reactor.corked
        corked.append(self)
        try:
            watched = baton.window[-1] is self.exchange
        except IndexError:
            watched = False
        if len(corked) >= together or not watched:
            reactor.uncork()

    @property
    def watched(self) -> bool:
        """Whether the warden watches the call that makes the response: it is not slow so far."""
        try:
            return self.reactor.baton.window[-1] is self.exchange
        except IndexError:
            return False

    def uncork(self) -> None:
        """Have the kernel send what it has kept for the next block."""
        try:
            self.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        except OSError:  # it has been closed, or is a unix socket
            pass

    def send_file(self, head: bytes, pieces: Iterable[bytes | FileRange]) -> None:
        """Send a head, then blocks and parts of one file, which may be closed afterwards.

        Raises:
            ClientGone: nobody will read it.
            OSError: there is no descriptor left; nothing was sent.
        """
        views = [memoryview(each) if isinstance(each, bytes) else each for each in pieces]
        outbox = self.outbox
        if outbox is not None:
            self._keep(outbox, [memoryview(head), *views])
            return
        if self.gone:
            self.missed += _total([memoryview(head), *views])
            raise ClientGone("the client has left")
        outbox = self._new_outbox()
        outbox.add(memoryview(head), *views)
        try:
            outbox.flush(self.socket)  # all of it as a rule: then nobody has to hear of it
        except (OSError, EOFError) as error:
            self._note_end(error)
            self.missed += outbox.clear()
            raise ClientGone("the client has left, or the file has become shorter") from error
        if outbox:
            self._reserve(outbox, outbox.size)
            self._wait_for_reader(outbox)

    def _try_to_send(self, pieces: tuple[bytes, ...], flags: int = 0) -> list[memoryview]:
        """Send at once what the socket takes; return the rest."""
        try:
            if len(pieces) == 1:
                sent = self._send(pieces[0], flags)
                if sent == len(pieces[0]):
                    return []
            else:
                sent = self.socket.sendmsg(pieces, (), flags)
                if sent == sum(map(len, pieces)):
                    return []
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self.gone = True
            self.missed += sum(map(len, pieces))
            raise ClientGone("the client has left") from error
        rest = []
        for piece in pieces:
            if sent < len(piece):
                rest.append(rest_of(piece, sent))
            sent = max(0, sent - len(piece))
        return rest

    def _keep(self, outbox: Outbox | None, pieces: Sequence[memoryview | FileRange]) -> None:
        """Put pieces into the outbox; send what the socket takes if nothing waits before them."""
        if outbox is None:
            outbox = self._new_outbox()
        size = sum(each.nbytes for each in pieces if isinstance(each, memoryview))
        try:
            self._reserve(outbox, size)
        except ClientGone:
            self.missed += _total(pieces)
            raise
        with outbox.lock:
            if self.gone:
                self.missed += _total(pieces)
                self.reactor.unsent.give(outbox, size)
                raise ClientGone("the client has left")
            waiting = bool(outbox)
            try:
                outbox.add(*pieces)
            except OSError:
                self.reactor.unsent.give(outbox, size)
                raise
        if not waiting:
            self._wait_for_reader(outbox)

    def _new_outbox(self) -> Outbox:
        return Outbox(Pace(self.socket, time.monotonic()))

    def _reserve(self, outbox: Outbox, size: int) -> None:
        """Make room for bytes in the memory that there is for slow readers.

        Raises:
            ClientGone: there is none, and this client is dropped.
        """
        if not self.reactor.unsent.take(self, outbox, size):
            if outbox is self.outbox:
                self.drop_slow(outbox)
            else:
                self.missed += outbox.clear()
                self._note_drop()
            self.gone = True
            raise ClientGone("too much waits for clients that read slowly")

    def _wait_for_reader(self, outbox: Outbox) -> None:
        """Have the event loop send what is in the outbox."""
        reactor = self.reactor
        now = time.monotonic()
        with outbox.lock:
            # Only now can the event loop see it: an event before this would have been lost, so
            # that the socket has to refuse once more.
            self.last_active = now
            self.outbox = outbox
            if outbox:
                outbox.pace.wait(now)
                self.flush(outbox)
            if outbox:
                reactor.poller.want_write(self.fd, True)
        reactor.deadlines.schedule(self, now + look_seconds(reactor.settings))
        if self.gone and not self.has_sent_all:
            raise ClientGone("the client has left")

    def flush(self, outbox: Outbox) -> None:
        """Send what the socket takes in one turn; the caller holds the outbox's lock."""
        before = outbox.size
        try:
            if outbox.flush(self.socket):
                self.last_active = time.monotonic()
                if not outbox:
                    outbox.pace.rest(self.last_active)
        except (OSError, EOFError) as error:
            self._note_end(error)
        self.reactor.unsent.give(outbox, before - outbox.size)
        if self.gone:
            self._give_up(outbox)
        elif outbox.more:
            self.reactor.enqueue(self)
        if outbox.size <= self.reactor.settings.high_watermark // 2:
            outbox.make_room()

    def _note_end(self, error: OSError | EOFError) -> None:
        """Note why nothing more can be sent: the client has left, or a file cannot be read on."""
        self.gone = True
        if isinstance(error, EOFError):
            self.reactor.note("file.shorter", "%s: response broken off: %s", self.peer, error)
            self.loss = ABORTED

    def _give_up(self, outbox: Outbox) -> None:
        """Throw the rest of the response away; the caller holds the outbox's lock."""
        self.gone = True
        self.empty(outbox)
        outbox.make_room()

    def empty(self, outbox: Outbox) -> None:
        """Throw away what waits; the caller holds the outbox's lock."""
        size = outbox.size
        self.missed += outbox.clear()
        self.reactor.unsent.give(outbox, size)

    def _wait_for_room(self, outbox: Outbox) -> None:
        """Wait for a client that is further behind than the high watermark."""
        reactor = self.reactor
        if outbox.size <= reactor.settings.high_watermark:
            return
        timeout = reactor.settings.send_timeout
        reactor.baton.step_aside(self.exchange)
        with outbox.lock:
            while outbox.size > reactor.settings.high_watermark // 2 and not self.gone:
                waited = outbox.wait_for_room(timeout)
                if not waited:
                    self.judge(outbox, time.monotonic())

    def judge(self, outbox: Outbox, now: float) -> None:
        """Drop a client that takes nothing, or too little; the caller holds the outbox's lock."""
        if not outbox:
            return
        settings, pace = self.reactor.settings, outbox.pace
        if pace.look(self.socket):
            self.last_active = now
        if now - self.last_active >= settings.send_timeout:
            message = "%s dropped: took nothing for %g s"
            self.reactor.note("timeout.send", message, self.peer, settings.send_timeout)
            self.loss = TIMED_OUT
            self._give_up(outbox)
        elif pace.is_too_slow(settings.min_rate, settings.min_rate_after, now):
            message = "%s dropped: takes less than %d bytes a second"
            self.reactor.note("timeout.send_rate", message, self.peer, settings.min_rate)
            self.loss = TIMED_OUT
            self._give_up(outbox)

    def drop_slow(self, outbox: Outbox) -> None:
        """Drop a client for which too much waits, from any thread, without waiting for its own."""
        with outbox.lock:
            if outbox:
                self._note_drop()
                self._give_up(outbox)
        self.reactor.deadlines.schedule(self, time.monotonic())

    def _note_drop(self) -> None:
        message = "%s dropped: too much waits for clients that read slowly (--limit-unsent)"
        self.reactor.note("limit.unsent", message, self.peer)
        self.loss = TIMED_OUT

    def resume(self) -> bool:
        """Go on with input that needs no event; False when this thread has lost the baton."""
        raise NotImplementedError

    def on_deadline(self, now: float) -> float:
        """Act if a deadline has passed; return the next one, 0 if there is none any more."""
        raise NotImplementedError


def _total(pieces: Sequence[memoryview | FileRange]) -> int:
    """Return the bytes of these pieces, those in files included."""
    return sum(each.nbytes if isinstance(each, memoryview) else each.length for each in pieces)


def remote_address(address: Any) -> tuple[str, str]:
    """REMOTE_ADDR and REMOTE_PORT: empty on a unix socket, IPv4 where a dual stack shows it so."""
    if not isinstance(address, tuple):
        return "", ""
    return address[0].removeprefix("::ffff:"), str(address[1])
