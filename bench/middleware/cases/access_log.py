"""The access log: its work is what it does for each request, so there is no other idle."""

from __future__ import annotations

import logging
import os

from case import Application, Case

from breezeway.middleware import AccessLog


def paste(application: Application) -> Application:
    """Log into a file that takes everything, as Paste's translogger does."""
    from paste.translogger import TransLogger

    logger = logging.getLogger("bench.paste")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.handlers = [logging.FileHandler(os.devnull)]
    return TransLogger(application, logger=logger, setup_console_handler=False)  # type: ignore[no-any-return]


def with_logger(application: Application) -> Application:
    """Log with the logging module, as Paste's does."""
    logger = logging.getLogger("bench.ours")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.handlers = [logging.FileHandler(os.devnull)]
    return AccessLog(application, logger=logger)


def cases() -> list[Case]:
    """Return the cases."""
    raw = {"RAW_URI": "/"}
    return [
        Case(
            "access_log",
            "skip",
            lambda app: AccessLog(app, file=os.devnull, skip=["/"]),
        ),
        Case(
            "access_log",
            "combined, file",
            lambda app: AccessLog(app, file=os.devnull),
            "paste.translogger",
            paste,
            environ=raw,
        ),
        Case(
            "access_log", "combined, logger", with_logger, "paste.translogger", paste, environ=raw
        ),
        Case(
            "access_log",
            "json, file",
            lambda app: AccessLog(app, file=os.devnull, format="json"),
            "paste.translogger",
            paste,
            environ=raw,
        ),
        Case(
            "access_log",
            "template, file",
            lambda app: AccessLog(
                app, file=os.devnull, format="{address} {method} {path} {status} {microseconds}"
            ),
            "paste.translogger",
            paste,
            environ=raw,
        ),
    ]
