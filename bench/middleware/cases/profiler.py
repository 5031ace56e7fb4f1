"""The profiler when nobody asks; a profile costs what the profiler costs, ours and theirs."""

from __future__ import annotations

import tempfile

from case import Application, Case

from breezeway.middleware import Profiler

TOKEN = "0123456789abcdef"


def werkzeug(application: Application) -> Application:
    """Profile every request, as werkzeug's middleware always does."""
    import io

    from werkzeug.middleware.profiler import ProfilerMiddleware

    return ProfilerMiddleware(application, stream=io.StringIO())  # type: ignore[return-value]


def cases() -> list[Case]:
    """Return the cases."""
    directory = tempfile.mkdtemp(prefix="breezeway-bench-")
    return [
        Case("profiler", "idle", lambda app: Profiler(app, token=TOKEN)),
        Case(
            "profiler",
            "every 1000th",
            lambda app: Profiler(app, every=1000, directory=directory, files=2),
        ),
        Case(
            "profiler",
            "a flame graph each",
            lambda app: Profiler(app, token=TOKEN, networks=["*"]),
            "werkzeug",
            werkzeug,
            environ={"QUERY_STRING": f"__profile__={TOKEN}"},
        ),
    ]
