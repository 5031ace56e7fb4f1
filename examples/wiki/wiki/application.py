"""The application: routes, error pages, and the middleware around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from breezeway.middleware import (
    BodyLimit,
    Compress,
    Csrf,
    Errors,
    RateLimit,
    Security,
    Sessions,
    Static,
    stack,
)
from breezeway.web import App, HTTPError, Request, Response
from wiki.answers import redirect
from wiki.controllers import accounts, pages, search
from wiki.model.database import open_database
from wiki.settings import Settings
from wiki.views import view
from wiki.visitor import LogInFirst, close_database

MEGABYTE = 1024 * 1024

POLICY = {
    "default-src": "'self'",
    "img-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
"""Nothing from elsewhere and nothing inline: a script that somebody got into a page would not run."""


class Wiki(App):
    """The routes, and what their handlers ask for by `request.app`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.sessions = open_database(settings.data / "wiki.db")


def make_application(settings: Settings | None = None) -> WSGIApplication:
    """Return the wiki as a WSGI application."""
    settings = settings or Settings()
    app = Wiki(settings)
    app.teardown(close_database)
    app.error(LogInFirst)(_ask_to_log_in)
    app.error(404)(_not_found)
    for group in (pages.group, accounts.group, search.group):
        app.include(group)
    return stack(
        app,
        Errors(),
        Compress(),
        Security(csp=POLICY, referrer_policy="same-origin", coop="same-origin"),
        Static(directory=Path(__file__).parent / "static", prefix="/static"),
        RateLimit(limits=f"{settings.log_ins_per_minute}/minute", key=_attempts),
        BodyLimit(maximum=MEGABYTE, paths={"/files": settings.upload_megabytes * MEGABYTE}),
        Sessions(store=f"sqlite:{settings.data / 'sessions.db'}"),
        Csrf(),
    )


def _attempts(environ: dict[str, Any]) -> str | None:
    """Count attempts to log in and to sign up for each address, and nothing else."""
    is_one = environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] in ("/log-in", "/sign-up")
    return environ.get("REMOTE_ADDR", "") if is_one else None


def _ask_to_log_in(request: Request, _: Exception) -> Response:
    here = request.path if request.method == "GET" else "/"
    return redirect(request, request.app.url_for("log_in", next=here))


def _not_found(request: Request, error: HTTPError) -> Response:
    detail = error.detail or "There is nothing at this address."
    return view(request, "error.html", 404, title=error.title, detail=detail)
