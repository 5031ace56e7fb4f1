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
from breezeway.worker.slow_readers import LOOK_SECONDS, look_seconds

if TYPE_CHECKING:
    from breezeway.worker.bodies import Bodies
    from breezeway.worker.connection import Connection

MEMO_SECONDS: Final = 5.0
"""After so long at rest a connection forgets its last head, so that idle ones need little memory."""

LATE: Final = {
    "head": "the request head did not come in time",
    "body": "the request body did not come in time",
    "body_rate": "the request body came too slowly",
}
"""What a client is told, by the name of the counter."""


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
        due = started + settings.head_timeout
        if now >= due and connection.only_blank:
            return _leave(connection, now)
        return _expect(connection, due, now, "head")
    if state in (BODY, AWAITED):
        return _expect_body(connection, now)
    if state in (LINGER, CLOSED):
        due = connection.last_active + LINGER_SECONDS
        if state == LINGER and now < due:  # this look was for an earlier state
            return due
        connection.close()
        return 0
    return _send(connection, now)


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
        return _leave(connection, now)
    if idle >= MEMO_SECONDS:
        connection.forget_request()
    elif keep_alive > MEMO_SECONDS:
        return rests_since + MEMO_SECONDS
    return rests_since + keep_alive


def _leave(connection: Connection, now: float) -> float:
    """Close a connection at rest, unless a request has come whose turn is still to come."""
    if not connection.is_silent():
        return now
    connection.close()
    return 0


def body_due(connection: Bodies) -> float:
    """Return when a body that is waited for is late, if nothing more of it comes."""
    settings = connection.reactor.settings
    still = connection.last_active + settings.body_timeout
    if connection.intake is None:
        return still
    slow = connection.intake.too_slow_at(settings.min_rate, settings.min_rate_after)
    return min(still, slow)


def _expect_body(connection: Connection, now: float) -> float:
    due = body_due(connection)
    if due <= now < connection.last_active + connection.reactor.settings.body_timeout:
        return _expect(connection, due, now, "body_rate")
    return _expect(connection, due, now, "body")


def _expect(connection: Connection, due: float, now: float, what: str) -> float:
    if now < due:
        return due
    connection.reactor.counters.add(f"timeout.{what}")
    connection.refuse(ProtocolError(408, LATE[what]))
    if connection.state == LINGER:
        return now + LINGER_SECONDS
    return now + LOOK_SECONDS if connection.state != CLOSED else 0


def _send(connection: Connection, now: float) -> float:
    """Look at a response that is being made or drained."""
    outbox = connection.outbox
    if outbox:
        with outbox.lock:
            connection.judge(outbox, now)
    if connection.gone and connection.state in (DRAIN, DRAIN_CLOSE):
        connection.abort()
        return 0
    return now + look_seconds(connection.reactor.settings)
