"""Breezeway's own log: one readable line per message, times in UTC.

It goes to standard error, or to a file that is opened again by `reopen` after it was rotated.

Only the loggers below `breezeway` are touched. The root logger and whatever the application does
with `logging` stay as they are, and nothing of ours reaches them.
"""

from __future__ import annotations

import logging
import sys
import time

from breezeway.observe.log_file import LogFile

ROOT = "breezeway"
"""The name above all of Breezeway's loggers."""

logger = logging.getLogger("breezeway.logs")

_SHORT = {"WARNING": "WARN", "CRITICAL": "FATAL"}
"""Names cut to five letters, so that the messages stand in one column."""

_role = ""
"""What this process is to the others, such as `worker`."""


class _Line(logging.Formatter):
    """`2026-11-21 15:04:05.123 INFO  message`, or `... INFO  [worker 1234] message`."""

    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03d"

    def __init__(self, *, process: bool) -> None:
        who = "[%(role)s%(process)d] " if process else ""
        super().__init__(f"%(asctime)s %(short)-5s {who}%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.short = _SHORT.get(record.levelname, record.levelname)
        record.role = f"{_role} " if _role else ""
        return super().format(record)


class _StandardError(logging.StreamHandler):  # type: ignore[type-arg]  # generic for mypy alone
    """Writes to standard error; when that is closed or full, there is nobody left to tell."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handleError(record)


class _File(logging.Handler):
    """Appends to a file; while that is impossible, lines go to standard error."""

    def __init__(self, file: LogFile) -> None:
        super().__init__()
        self.file = file
        self._instead = _StandardError()
        self._failing = False

    def setFormatter(self, formatter: logging.Formatter | None) -> None:  # noqa: N802
        super().setFormatter(formatter)
        self._instead.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.file.write(f"{self.format(record)}\n".encode(errors="backslashreplace"))
            self._failing = False
        except OSError as error:
            if not self._failing:
                self._failing = True
                self._instead.emit(self._complaint(error))
            self._instead.emit(record)
        except Exception:
            self.handleError(record)

    def _complaint(self, error: OSError) -> logging.LogRecord:
        text = "cannot write to the log file %s: %s; its lines come here"
        args = (self.file.path, error.strerror)
        return logger.makeRecord(logger.name, logging.ERROR, __file__, 0, text, args, None)

    def close(self) -> None:
        super().close()
        self.file.close()


def configure(level: str, file: str | None = None, process: bool = False) -> None:
    """Log messages of `level` (`debug` to `critical`) and above to standard error, or to `file`.

    With `process`, each line says which process wrote it. May be called again, to change something.

    Raises:
        UsageError: the file cannot be written to; then all stays as it was.
    """
    handler = _File(LogFile(file, "--log-file")) if file is not None else _StandardError()
    handler.setFormatter(_Line(process=process))
    ours = logging.getLogger(ROOT)
    before, ours.handlers[:] = ours.handlers[:], [handler]
    for each in before:
        each.close()
    ours.setLevel(level.upper())
    ours.propagate = False


def become(role: str) -> None:
    """Say what this process is to the others, in a word or two, after a fork: `worker 3`."""
    global _role
    _role = role


def reopen() -> None:
    """Open the log file again, after it was renamed; without a file do nothing.

    If that fails, the log says so, and goes on in the file from before.
    """
    for handler in logging.getLogger(ROOT).handlers:
        if isinstance(handler, _File):
            try:
                handler.file.reopen()
            except OSError as error:
                text = "cannot open the log file %s again: %s; still writing to the old one"
                logger.error(text, handler.file.path, error.strerror)
