"""Accepting: from the listeners of a worker to its connections, and when to leave them in the backlog.

They are left there while a sibling with fewer connections could take them, and while the system has
no room for them. For the holder of the baton.
"""

from __future__ import annotations

import errno
import logging
import select
import socket
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from breezeway.gateway.types import Environ
from breezeway.worker import redirect
from breezeway.worker.admission import Admission
from breezeway.worker.connection import Connection
from breezeway.worker.layer import layer_over
from breezeway.worker.listener import Listener
from breezeway.worker.scoreboard import CONNECTIONS, Row

if TYPE_CHECKING:
    from breezeway.worker.reactor import Reactor

logger = logging.getLogger("breezeway.worker")

ACCEPT_BATCH: Final = 64
"""Connections accepted at one go; the others wait for their turn in the kernel's backlog."""

YIELD_SECONDS: Final = 0.005
"""So long a worker with more connections than its siblings leaves new ones to them."""

UNASKED_BATCH: Final = 2
"""Connections that it then takes all the same, and twice as many each time that it is still ahead:
nobody else seems to want them."""

RETRY_SECONDS: Final = 0.1
"""After so long the server tries to accept again, when there was no room for a connection."""

ROOM: Final = 16
"""Idle connections that are closed when there are no descriptors left: the one that is accepted
and the application need some, too."""

RECOVERED_SECONDS: Final = 1.0
"""When accepting has worked for so long, the want of room is over, and the log says so."""

UNSENT_BYTES: Final = 128 * 1024
"""What the kernel keeps of a response that it cannot send yet. Without this bound it keeps up to
4 MiB for each client that does not read (the last of net.ipv4.tcp_wmem), of memory that all
connections of the machine share, and that no limit of ours counts: 900 readers of 1 MiB took 1.3 GB
and 4.5 s; so they take 0.17 GB and 0.2 s. Fast clients do not feel it: what is on its way to them is
not counted."""

_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", None)

_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Accepts the connections of one listener."""

    def __init__(self, acceptors: Acceptors, listener: Listener, environ: Environ) -> None:
        self._acceptors = acceptors
        self._environ = environ
        self.listener = listener
        self._layer = layer_over(listener, acceptors.reactor.settings)
        sock = listener.socket
        self._kind = sock.family, sock.type, sock.proto
        if listener.is_tcp:  # a unix socket sends at once, and keeps its own bound
            # Its connections inherit them: no system call for each.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if _NOTSENT_LOWAT is not None:
                sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT_BYTES)

    def on_event(self, event: int) -> bool:
        """Accept what is in the backlog."""
        self.accept(ACCEPT_BATCH)
        return True

    def accept(self, maximum: int) -> None:
        """Accept at most `maximum` connections, and no more than a fair share."""
        acceptors = self._acceptors
        reactor, admission = acceptors.reactor, acceptors.admission
        # `socket.accept` makes two members of an enum anew each time: 2 of its 7 us.
        accept = self.listener.socket._accept  # type: ignore[attr-defined]
        for _ in range(maximum):
            if acceptors.leaves_the_next():
                return
            try:
                descriptor, address = accept()
                client = socket.socket(*self._kind, fileno=descriptor)
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError as error:
                if self._somebody_waits() and acceptors.makes_room(error):
                    continue
                return
            owner = admission.admit(client, address, plain=self._layer is None)
            if owner is None:
                continue
            try:
                channel = client if self._layer is None else self._layer(client, address)
                connection = reactor.connection(reactor, channel, address, self._environ)
                connection.owner = owner
            except OSError as error:
                reactor.note("accept.failed", "a connection cannot be set up: %s", error)
                half_made = reactor.targets.get(descriptor)
                if isinstance(half_made, Connection):
                    half_made.close()
                client.close()
                admission.leave(owner)

    def _somebody_waits(self) -> bool:
        """Whether there is a connection in the backlog.

        Without a descriptor left, the kernel says so before it looks: the want is nobody's, then.
        """
        poll = select.poll()
        poll.register(self.listener.socket, select.POLLIN)
        return bool(poll.poll(0))


class Acceptors:
    """The acceptors of a worker's listeners; all of them accept, or none does."""

    def __init__(
        self,
        reactor: Reactor,
        listeners: Sequence[Listener],
        *,
        multiprocess: bool,
        row: Row | None,
    ) -> None:
        self.reactor = reactor
        self.admission = Admission(reactor)
        self.each = [
            Acceptor(
                self,
                listener,
                redirect.mark(
                    reactor.base_environ(listener, multiprocess=multiprocess),
                    listener,
                    listeners,
                    reactor.settings,
                ),
            )
            for listener in listeners
        ]
        self._row = row
        self.accepting = False
        self.again = 0.0
        """When to accept again, if it has been left for a while; 0 if it has not."""
        self._unasked = 0
        self._next_unasked = UNASKED_BATCH
        self._short_since = self._short_at = 0.0  # of room, first and last; 0 if it is not

    @property
    def restless(self) -> bool:
        """Whether `advance` has something to do, events or not."""
        return not self.accepting or bool(self._short_since or self.admission.refused)

    @property
    def watched(self) -> int:
        """How many listeners the poller watches."""
        return len(self.each) if self.accepting else 0

    def resume(self) -> None:
        """Accept again."""
        self.accepting = True
        self.again = 0.0
        try:
            for acceptor in self.each:
                fd = acceptor.listener.socket.fileno()
                self.reactor.poller.add_listener(fd)
                self.reactor.targets[fd] = acceptor
        except OSError as error:
            self._note_want(error)
            self._pause(RETRY_SECONDS)

    def leaves_the_next(self) -> bool:
        """Whether to leave the next connection to a worker that has fewer, for a moment."""
        row = self._row
        if row is None or self.reactor.stopping:
            return False
        if self._unasked:
            self._unasked -= 1
            return False
        row[CONNECTIONS] = self.reactor.open_connections()
        if not row.is_ahead():
            self._next_unasked = UNASKED_BATCH
            return False
        self._unasked = self._next_unasked
        self._next_unasked *= 2
        self._pause(YIELD_SECONDS)
        return True

    def makes_room(self, error: OSError) -> bool:
        """Act on a failure to accept; return whether to try again at once."""
        reactor = self.reactor
        if error.errno == errno.EINVAL:  # another process has shut the listener down
            return False
        if error.errno not in _NO_ROOM:
            reactor.note("accept.failed", "a connection cannot be accepted: %s", error.strerror)
            return False
        self._note_want(error)
        if error.errno == errno.EMFILE:  # the others are the system's: ours would change nothing
            closed = sum(self.admission.close_idle() for _ in range(ROOM))
            if closed:
                return True
        self._pause(RETRY_SECONDS)
        return False

    def advance(self, now: float) -> None:
        """Do what is due; called at each tick."""
        self.admission.advance(now)
        if not self.accepting and not self.reactor.stopping and now >= self.again:
            self.resume()
        if self._short_since and self.accepting and now - self._short_at >= RECOVERED_SECONDS:
            seconds = self._short_at - self._short_since
            logger.warning("accepting connections again, after %.1f s", seconds)
            self._short_since = 0.0

    def close(self, *, leaving: bool, but: Collection[str] = ()) -> None:
        """Stop listening; accept first what is in the backlog, for nobody else will.

        When the worker is `leaving` others, they will, but for the listeners in `but`: their `spec`.
        """
        while self.each:
            acceptor = self.each[-1]
            if not leaving or acceptor.listener.spec in but:
                acceptor.accept(self.reactor.settings.backlog)
            self._stop()
            self.each.pop().listener.close()
        self.again = 0.0

    def _note_want(self, error: OSError) -> None:
        """Note that there is no room; the log has one line for all of a time without."""
        self.reactor.counters.add("accept.no_room")
        self._short_at = time.monotonic()
        if not self._short_since:
            self._short_since = self._short_at
            logger.error(
                "cannot accept connections: %s; idle ones are closed for them, and it is tried again"
                " every %g s",
                error.strerror,
                RETRY_SECONDS,
            )

    def _pause(self, seconds: float) -> None:
        self._stop()
        self.again = time.monotonic() + seconds
        self.reactor.tick_at(self.again)

    def _stop(self) -> None:
        if not self.accepting:
            return
        for acceptor in self.each:
            fd = acceptor.listener.socket.fileno()
            if self.reactor.targets.pop(fd, None) is not None:
                self.reactor.poller.remove(fd)
        self.accepting = False
