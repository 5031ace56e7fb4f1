"""Maintenance; nothing that people use as a piece of WSGI middleware compares."""

from __future__ import annotations

from case import Case

from breezeway.middleware import Maintenance

OPTIONS = {"allow": ["10.0.0.0/8"], "paths": ["/health"], "secret": "0123456789abcdef"}


def cases() -> list[Case]:
    """Off, by the file and by the option, and on."""
    return [
        Case("maintenance", "idle", lambda app: Maintenance(app, file="/nonexistent", **OPTIONS)),
        Case("maintenance", "off for good", lambda app: Maintenance(app, **OPTIONS)),
        Case(
            "maintenance",
            "the page",
            lambda app: Maintenance(app, on=True, **OPTIONS),
            expect="503",
        ),
    ]
