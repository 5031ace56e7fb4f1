"""`breezeway dev`: serve for who writes the application.

It is `serve` with `--reload`, the Debugger around the application, and an access log for people. What a
file of settings says for production (workers, no reload, an access log) does not count here; what the
command line says does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.config import address
from breezeway.config.sources import Resolved
from breezeway.errors import UsageError
from breezeway.middleware import Debugger, Static
from breezeway.observe.access_options import LINE
from breezeway.project.finding import layers
from breezeway.semantics.networks import LOOPBACK, Networks
from breezeway.web.templates import reload_templates

NO_DEBUGGER: Final = "--no-debugger serves without it."

REPLACED: Final = ("Errors",)
"""Middleware in whose place the Debugger is: it would answer for the failures that are to be seen."""

THROW_ERRORS: Final = "x-wsgiorg.throw_errors"
"""In the environ: an application that answers for its own failures shall raise them (wsgi.org)."""

LINES: Final[dict[str, Any]] = {
    "access_log": True,
    "access_log_format": LINE,
    "access_log_skip": (),
    "access_log_sample": (),
    "access_log_slow": None,
    "access_log_file": None,
}
"""The access log of development, whatever a file of settings says."""

_OURS: Final = Networks(LOOPBACK)


def options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a command line with those of development."""
    chosen = {name: value for name, value in given.items() if value not in (None, ())}
    return {"reload": True, "workers": 1, **chosen}


def with_lines(resolved: Resolved, given: Mapping[str, Any]) -> Resolved:
    """Have the access log of development, but for what the command line says of it."""
    lines = {name: value for name, value in LINES.items() if given.get(name) in (None, ())}
    return replace(resolved, settings=replace(resolved.settings, **lines))


def check(resolved: Resolved) -> None:
    """See whether the Debugger will run.

    Raises:
        UsageError: it will not.
    """
    settings = resolved.settings
    if not settings.reload:
        raise UsageError("the debugger needs --reload: there is one process then.", NO_DEBUGGER)
    if (settings.workers or 1) > 1:
        raise UsageError(
            f"the debugger does not run with {settings.workers} workers: each would know nothing of"
            " the failures of the others.",
            NO_DEBUGGER,
        )
    for spec in settings.bind:
        parsed = address.parse(spec)
        if isinstance(parsed, address.TcpAddress) and not _is_loopback(parsed.host or ""):
            raise UsageError(
                "the debugger runs code for whoever reaches it, and so it is for loopback addresses"
                f" alone, not for {spec} ({resolved.origins['bind']}).",
                f"Use --bind 127.0.0.1:8000, or another port; {NO_DEBUGGER}",
            )
    if settings.server_name is not None and not _is_loopback(settings.server_name):
        raise UsageError(
            "the debugger is for this machine alone, and does not run for the name"
            f" {settings.server_name!r} ({resolved.origins['server_name']}).",
            f"Use --server-name localhost; {NO_DEBUGGER}",
        )


def _is_loopback(name: str) -> bool:
    plain = name.strip("[]").lower()
    return plain == "localhost" or (bool(plain) and plain in _OURS)


def wrap(
    application: WSGIApplication,
    resolved: Resolved,
    around: Callable[[WSGIApplication, Resolved], WSGIApplication],
    *,
    debugger: bool,
) -> WSGIApplication:
    """Put all around the application; `around` puts the middleware of the settings.

    Static files are served as they are, wherever the piece is that serves them, and templates of the
    toolkit are read again when they change: a reload looks neither for all names nor everywhere.
    """
    reload_templates()
    if debugger:
        kept = tuple(table for table in resolved.middleware if table.use not in REPLACED)
        resolved = replace(resolved, middleware=kept)
    application = around(application, resolved)
    for layer in layers(application):
        if isinstance(layer, Static):
            layer.refresh()
        if debugger:
            _let_through(layer)
    return Debugger(_Throwing(application)) if debugger else application


def _let_through(layer: Any) -> None:
    """Have an application of another framework raise its failures, where it has a switch for that."""
    frameworks = {kind.__module__.partition(".")[0] for kind in type(layer).__mro__}
    if "flask" in frameworks and layer.config.get("PROPAGATE_EXCEPTIONS") is None:
        layer.config["PROPAGATE_EXCEPTIONS"] = True
    elif "bottle" in frameworks:
        layer.catchall = False
    elif "falcon" in frameworks:
        layer.add_error_handler(Exception, _raise)
    elif "django" in frameworks:
        sys.modules["django.conf"].settings.DEBUG_PROPAGATE_EXCEPTIONS = True


def _raise(request: Any, response: Any, error: Exception, parameters: Any) -> None:
    raise error


class _Throwing:
    """Asks an application not to answer for its failures, where it knows of such a wish."""

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[THROW_ERRORS] = True
        return self.application(environ, start_response)
