"""Debugger beside Werkzeug's, when nothing fails."""

from __future__ import annotations

import os

from case import Application, Case

from breezeway.middleware import Debugger


def _werkzeug(application: Application) -> Application:
    from werkzeug.debug import DebuggedApplication

    os.environ["WERKZEUG_DEBUG_PIN"] = "off"
    return DebuggedApplication(application, evalex=True)


def cases() -> list[Case]:
    """Return the cases."""
    return [Case("Debugger", "idle", Debugger, "Werkzeug DebuggedApplication", _werkzeug)]
