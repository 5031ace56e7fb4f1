"""Errors: what it costs that nothing fails. Its counterparts stand within frameworks."""

from __future__ import annotations

from case import Case

from breezeway.middleware import Errors


def cases() -> list[Case]:
    """Return the cases."""
    return [Case("Errors", "idle", Errors)]
