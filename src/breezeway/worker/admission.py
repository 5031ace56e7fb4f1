"""Which connections are let in: as many as the worker may have, and as one client may have.

At the limit the connection that has idled longest is closed for the new one, and past a client's own
limit, its own that has idled longest. If none is idle, one goes whose answer is out, or else whose
request head has not become complete for a while: nobody who means well needs a second for that,
and who fills a server with halves of requests must not keep the others out. If there is none of
these, the new one is told 503 and closed, for which nothing is set up: no `Connection`, no look by
the poller.

Who idles is not kept track of, which each request would pay for. When it is asked for, one scan finds
all that may go, in order, and a list is made of them; each is looked at again when its turn comes. So
a flood of new connections costs a scan now and then: those it closes have paid for it, or it takes
no more than `SCAN_SHARE` of the time.

All of this is for the holder of the baton, but for `leave`.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Collection
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from breezeway.http1.errors import ProtocolError
from breezeway.http1.response import plain_answer
from breezeway.worker import descriptors
from breezeway.worker.connection import Connection
from breezeway.worker.ending import HEAD, IDLE, LINGER, RETRY_AFTER, Ending

if TYPE_CHECKING:
    from breezeway.semantics.networks import Networks
    from breezeway.worker.reactor import Reactor

Client = str | bytes
"""Whose connection it is; empty for those that are not counted."""

SCAN_SHARE: Final = 0.05
"""The part of a core that may go into scans."""

SLOW_HEAD_SECONDS: Final = 1.0
"""A head that has not become complete in this may be dropped for a new connection."""

PAID_PART: Final = 8
"""A scan of so many connections is paid for by each one that is closed: some 2 us."""

KEEP_SECONDS: Final = 5.0
"""So long after a scan what it has found is thrown away: most of it would not idle any more."""

REFUSED_SECONDS: Final = 1.0
"""A refused connection is half closed for so long: if the client's request came to a closed socket,
the reset might destroy the answer on its way."""

REFUSED_KEPT: Final = 64
"""Refused connections that are kept so; past it the oldest is closed, for a flood must be cheap."""

IPV6_HOST_BYTES: Final = 8
"""An IPv6 client is known by its /64: that is what one host gets, and it may take any address in it
for each connection. Providers give a customer a /56 or a /48, but hosters put many into one."""

_MAPPED: Final = bytes(10) + b"\xff\xff"  # RFC 4291 section 2.5.5.2
_LINK_LOCAL: Final = bytes.fromhex("fe80")  # one network for all neighbours

_IDLE, _DONE, _SLOW = range(3)
_KINDS: Final = {
    _IDLE: ("limit.idle", "idle connection"),
    _DONE: ("limit.lingering", "answered connection"),
    _SLOW: ("limit.slow_head", "connection with half a request head"),
}

_Candidate = tuple[tuple[int, float], Connection]

ANSWER: Final = "The server has too many connections; try again in a moment."


def client_of(address: str) -> Client:
    """Return what the connections from an IP address are counted under."""
    if ":" not in address:
        return address
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        return address
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[len(_MAPPED) :])
    return packed if packed.startswith(_LINK_LOCAL) else packed[:IPV6_HOST_BYTES]


class Admission:
    """The connections of one worker, counted."""

    def __init__(self, reactor: Reactor) -> None:
        """Set up; this process's limit on open files is raised for the connections."""
        settings = reactor.settings
        self._reactor = reactor
        self.limit = descriptors.connections(settings.limit_connections)
        self._client_limit = settings.limit_connections_per_client
        self._trusted = _networks(settings.trusted_proxies)
        self._named_later = _networks(settings.proxy_protocol)
        self._lock = threading.Lock()
        self._counts: dict[Client, int] = {}
        self._idle: deque[_Candidate] = deque()
        self._idle_of: dict[Client, deque[_Candidate]] = {}
        self._next_scan = self._forget_at = 0.0
        self._to_pay = 0
        self.refused: deque[tuple[float, socket.socket]] = deque()
        """Connections that have their 503, and when they got it."""

    def admit(self, client: socket.socket, address: object, *, plain: bool) -> Client | None:
        """Count a new connection; None if it is turned away, and closed.

        Not `plain` is a client that understands no answer before a handshake.
        """
        host = address[0] if isinstance(address, tuple) else ""
        owner = "" if host in self._named_later else self._owner(host)
        if not self._has_room_for(owner):
            text = "%s refused with 503: it has %d connections to this worker already"
            self._reactor.note("limit.client", text, host, self._client_limit)
        elif self._reactor.open_connections() >= self.limit and not self.close_idle():
            text = "%s refused with 503: this worker has its %d connections, and none is idle"
            self._reactor.note("limit.connections", text, host or "unix", self.limit)
        else:
            self._enter(owner)
            return owner
        self._turn_away(client, plain=plain)
        return None

    def move(self, connection: Ending, host: str) -> None:
        """Count a connection for the client that a proxy has named; for the proxy it does not count.

        Raises:
            ProtocolError: that has too many.
        """
        owner = self._owner(host)
        if not self._has_room_for(owner):
            text = "%s refused with 503: it has %d connections to this worker already"
            self._reactor.note("limit.client", text, host, self._client_limit)
            raise ProtocolError(503, ANSWER)
        self._enter(owner)
        connection.owner = owner

    def leave(self, owner: Client) -> None:
        """Count a connection no longer; from any thread."""
        if not owner:
            return
        with self._lock:
            count = self._counts.pop(owner) - 1
            if count:
                self._counts[owner] = count

    def close_idle(self, owner: Client = "") -> bool:
        """Close a connection, of an owner or of anybody, that is needed least; False if all work."""
        if self._close_first(owner):
            return True
        now = time.monotonic()
        if now < self._next_scan and self._to_pay > 0:
            return False
        self._scan(now)
        return self._close_first(owner)

    def advance(self, now: float) -> None:
        """Close the refused connections that have had their time."""
        refused = self.refused
        while refused and now - refused[0][0] >= REFUSED_SECONDS:
            _close(refused.popleft()[1])
        if self._idle and now >= self._forget_at:
            self._idle.clear()
            self._idle_of.clear()

    def close(self) -> None:
        """Close what is left of the refused connections."""
        while self.refused:
            _close(self.refused.popleft()[1])

    def _owner(self, host: str) -> Client:
        if not self._client_limit or not host or host in self._trusted:
            return ""
        return client_of(host)

    def _enter(self, owner: Client) -> None:
        if owner:
            with self._lock:
                self._counts[owner] = self._counts.get(owner, 0) + 1

    def _has_room_for(self, owner: Client) -> bool:
        if not owner or self._counts.get(owner, 0) < self._client_limit:
            return True
        return self.close_idle(owner)

    def _scan(self, now: float) -> None:
        """Find the connections that may go, in the order in which they will."""
        began = time.perf_counter()
        found = []
        for each in self._reactor.connections():
            place = _place(each)
            if place is not None and (place[0] != _SLOW or now - place[1] >= SLOW_HEAD_SECONDS):
                found.append((place, each))
        found.sort(key=itemgetter(0))
        self._idle = deque(found)
        self._idle_of = {}
        for entry in found:
            owner = entry[1].owner
            if owner and self._counts.get(owner, 0) >= self._client_limit:
                self._idle_of.setdefault(owner, deque()).append(entry)
        self._to_pay = self._reactor.open_connections()
        self._next_scan = now + (time.perf_counter() - began) / SCAN_SHARE
        self._forget_at = now + KEEP_SECONDS

    def _close_first(self, owner: Client) -> bool:
        queue = self._idle_of.get(owner) if owner else self._idle
        while queue:
            place, connection = queue.popleft()
            if _place(connection) != place:
                continue
            rank = place[0]
            if rank == _DONE or connection.is_silent():
                kind, what = _KINDS[rank]
                self._reactor.note(kind, f"%s: {what} closed for a new connection", connection.peer)
                if rank == _SLOW:
                    connection.dismiss(ANSWER)
                else:
                    connection.close()
                self._to_pay -= PAID_PART
                return True
        return False

    def _turn_away(self, client: socket.socket, *, plain: bool) -> None:
        if not plain:
            client.close()
            return
        answer = plain_answer(503, ANSWER, RETRY_AFTER + self._reactor.encoder.ending)
        try:
            client.send(answer, socket.MSG_DONTWAIT)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            client.close()
            return
        self.refused.append((self._reactor.now, client))
        if len(self.refused) > REFUSED_KEPT:
            _close(self.refused.popleft()[1])


def _place(connection: Connection) -> tuple[int, float] | None:
    """Return where a connection stands among those that may go; the lowest goes first."""
    state = connection.state
    if state == IDLE or (state == HEAD and connection.only_blank):
        return _IDLE, max(connection.began, connection.last_active)
    if state == LINGER:
        return _DONE, connection.last_active
    if state == HEAD and connection.intake is not None and connection.intake.started:
        return _SLOW, connection.intake.started
    return None


def _networks(specs: Collection[str]) -> Networks | tuple[()]:
    if not specs:
        return ()
    from breezeway.semantics.networks import Networks  # here alone, since many servers have none

    return Networks(specs)


def _close(client: socket.socket) -> None:
    """Close a refused connection, without a reset if one read empties it."""
    try:
        client.recv(65536, socket.MSG_DONTWAIT)
    except OSError:
        pass
    client.close()
