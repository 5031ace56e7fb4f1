"""Throttle: a slot that is free; nobody has a counterpart for WSGI that is in use."""

from __future__ import annotations

from case import Case

from breezeway.middleware import Throttle


def cases() -> list[Case]:
    """Measure."""
    return [
        Case("Throttle", "idle", lambda app: Throttle(app, requests=100)),
        Case("Throttle", "for each client", lambda app: Throttle(app, requests=9, key="address")),
        Case("Throttle", "other path", lambda app: Throttle(app, requests=9, paths=["/report"])),
    ]
