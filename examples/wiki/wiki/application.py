"""The application: its routes, its error pages, and what is around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from breezeway.middleware import RateLimit
from breezeway.web import App, HTTPError, Limits, Request, Response, add_static, redirect
from wiki.controllers import accounts, files, pages, search
from wiki.model.database import open_database
from wiki.settings import Settings, load_settings
from wiki.views import templates
from wiki.visitor import LogInFirst, close_database

MEGABYTE = 1024 * 1024

POLICY = {
    "default-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
"""Nothing from elsewhere and nothing inline: a script that somebody got into a page would not run."""


def make_application(settings: Settings | None = None) -> App:
    """Return the wiki, for any WSGI server."""
    settings = settings or load_settings()
    settings.data.mkdir(parents=True, exist_ok=True)
    upload_bytes = settings.upload_megabytes * MEGABYTE
    app = App(
        config=settings,
        sessions={"store": f"sqlite:{settings.data / 'sessions.db'}"},
        csrf={"unmarked": "token"},
        security={"csp": POLICY, "referrer_policy": "same-origin", "coop": "same-origin"},
        limits=Limits(files=1, file_bytes=upload_bytes, files_bytes=upload_bytes),
    )
    app.state.sessions = open_database(settings.data / "wiki.db")
    app.teardown(close_database)
    for group in (pages.group, files.group, search.group, accounts.group):
        app.include(group)
    app.error(LogInFirst)(ask_to_log_in)
    app.error(HTTPError)(show_error)
    app.error(500)(show_failure)
    add_static(app, Path(__file__).parent / "static")
    app.wsgi_app = RateLimit(
        app.wsgi_app, limits=f"{settings.log_ins_per_minute}/minute", key=attempts
    )
    return app


def attempts(environ: dict[str, Any]) -> str | None:
    """Count attempts to log in and to sign up for each address, and nothing else."""
    is_one = environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] in ("/log-in", "/sign-up")
    return environ.get("REMOTE_ADDR", "") if is_one else None


def ask_to_log_in(request: Request, _: LogInFirst) -> Response:
    """Lead to the form for it, and from there back to a page that can be led to."""
    here = request.raw_path if request.method == "GET" else None
    return redirect(request.url_for("log_in", next=here))


def show_error(request: Request, error: HTTPError) -> Response:
    """Answer for what cannot be, with its status."""
    detail = error.detail or ("There is nothing at this address." if error.code == 404 else "")
    return templates.page(request, "error.html", title=error.title, detail=detail)


def show_failure(request: Request, _: Exception) -> Response:
    """Answer for a mistake of ours. The log says which, and `breezeway dev` shows it."""
    detail = "This is our mistake. It is in our log, and nothing of yours is lost."
    return templates.page(request, "error.html", title="Something went wrong", detail=detail)
