"""The time limits of a connection: which one runs in which state, and what happens at its end.

`look` is called by the wheel of `deadlines` and says when it wants to be called again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from breezeway.http1.errors import ProtocolError
from breezeway.worker.ending import (
    AWAITED,
    BODY,
    CLOSED,
    DRAIN,
    DRAIN_CLOSE,
    HEAD,
    IDLE,
    LINGER,
    LINGER_SECONDS,
)

if TYPE_CHECKING:
    from breezeway.worker.connection import Connection

MEMO_SECONDS: Final = 5.0
"""After so long at rest a connection forgets its last head, so that idle ones need little memory."""

BUSY_LOOK_SECONDS: Final = 5.0
"""How often a connection is looked at whose response is being made."""


def first(keep_alive: float) -> float:
    """Return after how many seconds a new connection is to be looked at."""
    return min(MEMO_SECONDS, keep_alive)


def look(connection: Connection, now: float) -> float:
    """Act if a deadline has passed; return the next one, 0 if there is none any more."""
    settings = connection.reactor.settings
    state = connection.state
    if state == IDLE:
        return _rest(connection, now, settings.keep_alive_timeout)
    if state == HEAD:
        started = connection.intake.note_start() if connection.intake is not None else now
        return _expect(connection, started + settings.head_timeout, now, "head")
    if state in (BODY, AWAITED):
        return _expect(connection, connection.last_active + settings.body_timeout, now, "body")
    if state in (LINGER, CLOSED):
        connection.close()
        return 0
    return _send(connection, now, settings.send_timeout)


def _rest(connection: Connection, now: float, keep_alive: float) -> float:
    if connection.layer is not None and not connection.layer.ready:
        due = connection.began + connection.reactor.settings.head_timeout
        if now < due:
            return due
        connection.reactor.note("timeout.layer", "%s: no request in time", connection.peer)
        connection.close()
        return 0
    rests_since = max(connection.began, connection.last_active)
    idle = now - rests_since
    if idle >= keep_alive:
        connection.close()
        return 0
    if idle >= MEMO_SECONDS:
        connection.forget_request()
    elif keep_alive > MEMO_SECONDS:
        return rests_since + MEMO_SECONDS
    return rests_since + keep_alive


def _expect(connection: Connection, due: float, now: float, what: str) -> float:
    if now < due:
        return due
    connection.reactor.counters[f"timeout.{what}"] += 1
    connection.refuse(ProtocolError(408, f"the request {what} did not come in time"))
    if connection.state == LINGER:
        return now + LINGER_SECONDS
    return now + BUSY_LOOK_SECONDS if connection.state != CLOSED else 0


def _send(connection: Connection, now: float, timeout: float) -> float:
    """Look at a response that is being made or drained."""
    outbox = connection.outbox
    if outbox:
        with outbox.lock:
            if now - connection.last_active >= timeout:
                connection.stall(outbox)
    if connection.gone and connection.state in (DRAIN, DRAIN_CLOSE):
        connection.abort()
        return 0
    return now + min(BUSY_LOOK_SECONDS, timeout)
