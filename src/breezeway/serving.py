"""Serve: what the entry points that serve have in common, in this process or under a supervisor."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import click

from breezeway import terminal
from breezeway.config.directories import check_directories
from breezeway.config.settings import TABLE, Settings
from breezeway.config.sources import DEFAULT, Resolved
from breezeway.errors import UsageError, UserError
from breezeway.gateway.types import Application
from breezeway.observe import logs
from breezeway.supervisor import report
from breezeway.worker import credentials, listener, process


def serve_settings(application: Application, settings: Settings, name: str = "") -> int:
    """Serve in this process until a signal says stop; return the exit status.

    `name` is what the line at start calls the application. Logging that is set up already stays.

    Raises:
        UserError: an address cannot be listened on, a directory is not there, or a setting needs a
            supervisor.
    """
    for setting, what in (("admin_bind", "serve it"), ("statsd", "push there")):
        if getattr(settings, setting) is not None:
            message = f"{setting}: without workers nobody would {what}."
            raise UsageError(message, "One is enough: workers=1.")
    credentials.prepare(settings)
    check_directories(settings)
    application = _traced(application, settings, name)
    listeners = listener.bind_all(settings)
    try:
        if not logging.getLogger(logs.ROOT).hasHandlers():
            logs.configure(settings.log_level, settings.log_file, style=settings.log_format)
        for each in listeners:
            what = f"Serving {name} on" if name else "Serving on"
            if each.role == listener.REDIRECT:
                what = "Redirecting to https from"
            report.say(f"{what} {click.style(each.url, fg='green', bold=True)}")
        return process.run(application, listeners, settings)
    finally:
        for each in listeners:
            each.close()


def supervise(
    resolve: Callable[[], Resolved],
    load: Callable[[Resolved], Application],
    name: str | None = None,
) -> int:
    """Serve in processes under a supervisor until a signal says stop; return the exit status.

    `resolve` reads the settings, now and at each reload. `load` imports the application; it is
    called in each worker, or in the process that forks them. `name` is what messages call it;
    without one, it is what `resolve` says.

    Raises:
        UserError: a setting cannot be, or what it asks for cannot be had.
    """
    from breezeway import importer, logging_setup
    from breezeway.supervisor import service
    from breezeway.supervisor.deployment import Deployment

    def deployment() -> Deployment:
        resolved = resolve()
        shown = name if name is not None else resolved.application or ""

        def load_application() -> Application:
            with logging_setup.around_import(resolved.logging, resolved.settings.app_dir):
                return _traced(load(resolved), resolved.settings, shown)

        def call_hook(target: str) -> None:
            importer.call_hook(target, resolved.settings.app_dir)

        def settings_page() -> dict[str, Any]:
            from breezeway.config import view  # for who asks alone

            return view.as_rows(resolved)

        return Deployment(
            resolved.settings,
            shown,
            load_application,
            call_hook,
            resolved.directory,
            resolved.files,
            settings_page,
        )

    return service.run(deployment)


def _traced(application: Application, settings: Settings, name: str) -> Application:
    """Return the application within what --otel puts around it; `name` is that of the service."""
    if not settings.otel:
        return application
    from breezeway import telemetry

    traced: Application = telemetry.traced(application, name or "breezeway")
    return traced


def supervise_settings(application: Application, settings: Settings, origin: str) -> int:
    """Serve a loaded application as `supervise` does; `origin` says where its settings come from."""
    origins = {
        row.name: DEFAULT if getattr(settings, row.name) == row.default else origin for row in TABLE
    }
    resolved = Resolved(settings, origins, None, "", "")
    return supervise(lambda: resolved, lambda _: application)


def serve(
    application: Application, bind: str | list[str] | tuple[str, ...], **settings: Any
) -> None:
    """Do what `breezeway.serve` says."""
    try:
        if not callable(application):
            raise UsageError(f"breezeway.serve: {application!r} is not a WSGI application.")
        chosen = Settings.given(bind=bind, **settings)
        if chosen.reload:
            raise UsageError(
                "reload: breezeway.serve is given an application that is loaded already.",
                "breezeway.run starts the script anew, and so does 'breezeway MODULE:NAME --reload'.",
            )
        if chosen.workers is None:
            status = serve_settings(application, chosen)
        else:
            status = supervise_settings(application, chosen, "breezeway.serve")
    except UserError as error:
        terminal.fail(error)
    if status:
        sys.exit(status)
