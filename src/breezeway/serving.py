"""Bind, announce, serve, stop: what every entry point that serves in this process has in common."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click

from breezeway import terminal
from breezeway.config.settings import Settings
from breezeway.errors import UserError
from breezeway.gateway.types import Application
from breezeway.observe import logs
from breezeway.worker import listener, process


def serve_settings(application: Application, settings: Settings, name: str = "") -> int:
    """Serve with these settings until a signal says stop; return the exit status.

    `name` is what the line at start calls the application. Logging that is set up already stays.

    Raises:
        UserError: an address cannot be listened on.
    """
    listeners = listener.bind_all(settings)
    try:
        if not logging.getLogger(logs.ROOT).hasHandlers():
            logs.configure(settings.log_level)
        for each in listeners:
            what = f"Serving {name} on" if name else "Serving on"
            terminal.say(f"{what} {click.style(each.url, fg='green', bold=True)}")
        return process.run(application, listeners, settings)
    finally:
        for each in listeners:
            each.close()


def serve(application: Application, bind: str | tuple[str, ...], **settings: Any) -> None:
    """Do what `breezeway.serve` says."""
    addresses = (bind,) if isinstance(bind, str) else tuple(bind)
    try:
        status = serve_settings(application, Settings(bind=addresses, **settings))
    except UserError as error:
        terminal.fail(error)
    if status:
        sys.exit(status)
