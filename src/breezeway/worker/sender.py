"""The sending half of a connection: what the thread of an application hands over goes out.

A socket that takes everything is the rule: one system call. What it does not take waits in an
`Outbox`, which the event loop drains, so that a client that reads slowly keeps no thread. Only
a producer that is ahead by more than the high watermark waits, and not for ever.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import TYPE_CHECKING, Any, Final

from breezeway.gateway.failure import ClientGone
from breezeway.gateway.file_wrapper import FileRange
from breezeway.worker.layer import Channel, Layer
from breezeway.worker.outbox import Outbox

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
        self.last_active = reactor.now
        """When a byte last came or went, or a response ended; monotonic seconds."""

    def send(self, *pieces: bytes) -> None:
        """Send the pieces in one go; keep what the client does not take yet.

        Raises:
            ClientGone: nobody will read it.
        """
        if self.gone:
            raise ClientGone("the client has left")
        outbox = self.outbox
        if outbox is None:
            kept = self._try_to_send(pieces)
            if kept:
                self._keep(Outbox(), kept)
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
                self._keep(Outbox(), kept)
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
        call ends the wait, too, for then another thread leads.

        Raises:
            ClientGone: nobody will read it.
        """
        reactor = self.reactor
        baton = reactor.baton
        together = baton.together
        if not together or self.outbox is not None:
            self.send(data)
            return
        try:
            sent = self._send(data, MSG_MORE)
        except OSError:
            self.send(data)  # it tells what is wrong
        else:
            if sent < len(data):
                self._keep(Outbox(), [memoryview(data)[sent:]])
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
        except OSError:  # a unix socket keeps nothing; a closed one neither
            pass

    def send_file(self, head: bytes, pieces: Iterable[bytes | FileRange]) -> None:
        """Send a head, then blocks and parts of one file, which may be closed afterwards.

        Raises:
            ClientGone: nobody will read it.
            OSError: there is no descriptor left; nothing was sent.
        """
        views = [memoryview(each) if isinstance(each, bytes) else each for each in pieces]
        self._keep(self.outbox or Outbox(), [memoryview(head), *views])

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
            raise ClientGone("the client has left") from error
        rest = []
        for piece in pieces:
            if sent < len(piece):
                rest.append(memoryview(piece)[sent:])
            sent = max(0, sent - len(piece))
        return rest

    def _keep(self, outbox: Outbox, pieces: Iterable[memoryview | FileRange]) -> None:
        """Put pieces into the outbox; send what the socket takes if nothing waits before them."""
        reactor = self.reactor
        with outbox.lock:
            if self.gone:
                raise ClientGone("the client has left")
            waiting = bool(outbox)
            outbox.add(*pieces)
            if waiting:
                return
            # Only now can the event loop see it: an event before this would have been lost, so
            # that the socket has to refuse once more.
            self.last_active = time.monotonic()
            self.outbox = outbox
            self.flush(outbox)
            if outbox:
                reactor.poller.want_write(self.fd, True)
        reactor.deadlines.schedule(self, time.monotonic() + reactor.settings.send_timeout)
        if self.gone:
            raise ClientGone("the client has left")

    def flush(self, outbox: Outbox) -> None:
        """Send what the socket takes; the caller holds the outbox's lock."""
        try:
            if outbox.flush(self.socket):
                self.last_active = time.monotonic()
        except (OSError, EOFError):
            self._give_up(outbox)
        if outbox.size <= self.reactor.settings.high_watermark // 2:
            outbox.make_room()

    def _give_up(self, outbox: Outbox) -> None:
        """Throw the rest of the response away; the caller holds the outbox's lock."""
        self.gone = True
        outbox.clear()
        outbox.make_room()

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
                if not waited and time.monotonic() - self.last_active >= timeout:
                    self.stall(outbox)
        if self.gone:
            raise ClientGone("the client has left, or takes nothing")

    def stall(self, outbox: Outbox) -> None:
        """Give up a client that takes nothing; the caller holds the outbox's lock."""
        reactor = self.reactor
        message = "%s dropped: took nothing for %g s"
        reactor.note("timeout.send", message, self.peer, reactor.settings.send_timeout)
        self._give_up(outbox)

    def resume(self) -> bool:
        """Go on with input that needs no event; False when this thread has lost the baton."""
        raise NotImplementedError

    def on_deadline(self, now: float) -> float:
        """Act if a deadline has passed; return the next one, 0 if there is none any more."""
        raise NotImplementedError


def remote_address(address: Any) -> tuple[str, str]:
    """REMOTE_ADDR and REMOTE_PORT: empty on a unix socket, IPv4 where a dual stack shows it so."""
    if not isinstance(address, tuple):
        return "", ""
    return address[0].removeprefix("::ffff:"), str(address[1])
