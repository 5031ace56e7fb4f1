"""Breezeway's own log: where its lines go; what they look like is in `log_format`.

It goes to standard error, or to a file that is opened again by `reopen` after it was rotated.

Only the loggers below `breezeway` are touched. The root logger and whatever the application does
with `logging` stay as they are, and nothing of ours reaches them. Nor does what the application does
with `logging` take our log away: `logging.config` closes all handlers that there are, and by default
disables all loggers that it is not told of.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from breezeway.observe import turns
from breezeway.observe.log_file import LogFile
from breezeway.observe.log_format import JSONFormatter, TextFormatter, role
from breezeway.observe.turns import turn

ROOT = "breezeway"
"""The name above all of Breezeway's loggers."""

logger = logging.getLogger("breezeway.logs")

STUCK_SECONDS = 0.1
"""How long a line waits for standard error, or for a log file that is a pipe, when nobody empties it; the
next ones do not wait at all. The event loop writes lines, too."""


class _StandardError(logging.StreamHandler):  # type: ignore[type-arg]  # generic for mypy alone
    """Writes to standard error.

    When that is closed or full, or nobody empties the pipe, lines are lost: there is nobody left to
    tell, and no thread waits for it. How many it were is the first thing to be told afterwards.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lost = 0
        self._torn = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            descriptor = self.stream.fileno()
        except (AttributeError, OSError, ValueError):  # closed, or a stream within this process
            super().emit(record)
            return
        try:
            text = f"{self.format(record)}\n"
            if self._lost:
                note = "standard error took nothing for a while: %d lines are lost"
                text = f"{self.format(_record(logging.WARNING, note, self._lost))}\n{text}"
            with turn(0.0 if self._lost else STUCK_SECONDS):
                self._put(descriptor, text.encode(errors="backslashreplace"))
            self._lost = 0
        except OSError:
            self._lost += 1
        except Exception:
            self.handleError(record)

    def _put(self, descriptor: int, data: bytes) -> None:
        """Write a line in pieces that a pipe takes whole, while it takes any.

        Raises:
            OSError: not all of it was written.
        """
        if self._torn:
            data = b"\n" + data
        wait = 0.0 if self._lost else STUCK_SECONDS
        for start in range(0, len(data), select.PIPE_BUF):
            if not select.select([], [descriptor], [], wait)[1]:
                raise TimeoutError("standard error takes nothing")
            os.write(descriptor, data[start : start + select.PIPE_BUF])
            self._torn = start + select.PIPE_BUF < len(data)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handleError(record)


class _File(logging.Handler):
    """Appends to a file; while that is impossible, lines go to standard error."""

    def __init__(self, file: LogFile) -> None:
        super().__init__()
        self.file = file
        self._instead = _StandardError()
        self._elsewhere = 0
        """Lines that went to standard error since the file failed."""

    def setFormatter(self, formatter: logging.Formatter | None) -> None:  # noqa: N802
        super().setFormatter(formatter)
        self._instead.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = f"{self.format(record)}\n"
            if self._elsewhere:
                note = "the log file could not be written to: %d lines went to standard error"
                text = f"{self.format(_record(logging.WARNING, note, self._elsewhere))}\n{text}"
            wait = 0.0 if self._elsewhere else STUCK_SECONDS
            self.file.write(text.encode(errors="backslashreplace"), wait)
            self._elsewhere = 0
        except OSError as error:
            if not self._elsewhere:
                note = "cannot write to the log file %s: %s; its lines come here"
                reason = error.strerror or str(error)
                self._instead.emit(_record(logging.ERROR, note, self.file.path, reason))
            self._elsewhere += 1
            self._instead.emit(record)
        except Exception:
            self.handleError(record)

    def complain(self, text: str, *args: object) -> None:
        """Say what is wrong with the file in it, and where it is seen if the file is none any more."""
        logger.error(text, *args)
        self._instead.emit(_record(logging.ERROR, text, *args))

    def dismiss(self) -> None:
        """Close the file. `close` does not, for `logging.config` calls it, and we go on."""
        self.file.close()


def _record(level: int, text: str, *args: object) -> logging.LogRecord:
    """Make a message about the log itself."""
    return logger.makeRecord(logger.name, level, __file__, 0, text, args, None)


def configure(
    level: str, file: str | None = None, process: bool = False, style: str = "text"
) -> None:
    """Log messages of `level` (`debug` to `critical`) and above to standard error, or to `file`.

    `style` is `text` or `json`. With `process`, each line of text says which process wrote it. May
    be called again, to change something.

    Raises:
        UsageError: the file cannot be written to; then all stays as it was.
    """
    turns.prepare()
    handler = _File(LogFile(file, "--log-file")) if file is not None else _StandardError()
    handler.setFormatter(JSONFormatter() if style == "json" else TextFormatter(process=process))
    ours = logging.getLogger(ROOT)
    before, ours.handlers[:] = ours.handlers[:], [handler]
    for each in before:
        each.close()
        if isinstance(each, _File):
            each.dismiss()
    ours.setLevel(level.upper())
    ours.propagate = False
    revive()


def is_json() -> bool:
    """Whether messages are JSON objects."""
    handlers = logging.getLogger(ROOT).handlers
    return any(isinstance(each.formatter, JSONFormatter) for each in handlers)


def become(name: str) -> None:
    """Say what this process is to the others, in a word and a number, after a fork: `worker 3`."""
    role.become(name)


def revive() -> None:
    """Enable our loggers again, after somebody has disabled all that he did not name."""
    for name, found in [*logging.root.manager.loggerDict.items()]:
        if name.partition(".")[0] == ROOT and isinstance(found, logging.Logger):
            found.disabled = False


def look() -> None:
    """Enable our loggers if they were disabled meanwhile: an application may do that at any time."""
    if logging.getLogger(ROOT).disabled:
        revive()


@contextlib.contextmanager
def kept(named: Mapping[str, Any] | None) -> Iterator[None]:
    """Keep our handlers and our level while `logging` is configured within this.

    `named` is what the configuration says of the logger `breezeway` itself, None if nothing: what
    it says holds.
    """
    ours = logging.getLogger(ROOT)
    handlers, level, propagate = ours.handlers[:], ours.level, ours.propagate
    try:
        yield
    finally:
        told = named if named is not None else {}
        if "handlers" not in told:
            ours.handlers[:] = handlers
        if "level" not in told:
            ours.setLevel(level)
        if "propagate" not in told:
            ours.propagate = propagate
        revive()


def reopen() -> None:
    """Open the log file again, after it was renamed; without a file do nothing.

    If that fails, the log and standard error say so, and it goes on in the file from before.
    """
    for handler in logging.getLogger(ROOT).handlers:
        if isinstance(handler, _File):
            try:
                handler.file.reopen()
            except OSError as error:
                text = "cannot open the log file %s again: %s; still writing to the old one"
                handler.complain(text, handler.file.path, error.strerror)
