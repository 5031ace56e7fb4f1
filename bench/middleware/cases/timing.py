"""Server-Timing for nobody, and for a developer."""

from __future__ import annotations

import time
from typing import Any

from case import Application, Case

from breezeway.middleware import Timing


def by_hand(application: Application) -> Application:
    """Wrap as one does by hand, with werkzeug's Headers."""
    from werkzeug.datastructures import Headers

    def wrapped(environ: dict[str, Any], start_response: Any) -> Any:
        began = time.perf_counter()

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            fields = Headers(headers)
            fields.add("Server-Timing", f"total;dur={(time.perf_counter() - began) * 1000:.3f}")
            return start_response(status, fields.to_wsgi_list(), exc_info)

        return application(environ, start)

    return wrapped


def cases() -> list[Case]:
    """Return the cases."""
    return [
        Case("timing", "idle", Timing, "by hand with werkzeug", by_hand),
        Case(
            "timing",
            "total",
            lambda app: Timing(app, networks=["*"]),
            "by hand with werkzeug",
            by_hand,
        ),
    ]
