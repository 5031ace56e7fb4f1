"""Breezeway's own log: one readable line per message on standard error, times in UTC.

Only the loggers below `breezeway` are touched. The root logger and whatever the application does
with `logging` stay as they are, and nothing of ours reaches them.
"""

from __future__ import annotations

import logging
import time

ROOT = "breezeway"
"""The name above all of Breezeway's loggers."""

_SHORT = {"WARNING": "WARN", "CRITICAL": "FATAL"}
"""Names cut to five letters, so that the messages stand in one column."""


class _Line(logging.Formatter):
    """`2026-11-21 15:04:05.123 INFO  message`."""

    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03d"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(short)-5s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.short = _SHORT.get(record.levelname, record.levelname)
        return super().format(record)


def configure(level: str) -> None:
    """Log messages of `level` (`debug` to `critical`) and above to standard error.

    May be called again, to change the level.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_Line())
    logger = logging.getLogger(ROOT)
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
