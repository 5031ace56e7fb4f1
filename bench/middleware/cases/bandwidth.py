"""Bandwidth: a response that fits into the burst; nobody has a counterpart for WSGI that is in use."""

from __future__ import annotations

from case import Case

from breezeway.middleware import Bandwidth

RATE = 10**9
"""Bytes a second: nothing is slowed down."""


def cases() -> list[Case]:
    """Measure."""
    return [
        Case("Bandwidth", "idle", lambda app: Bandwidth(app, rate=RATE)),
        Case("Bandwidth", "for each client", lambda app: Bandwidth(app, rate=RATE, key="address")),
        Case("Bandwidth", "other path", lambda app: Bandwidth(app, rate=RATE, paths=["/files"])),
    ]
