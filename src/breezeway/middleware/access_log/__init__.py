"""`AccessLog`: a line for each request, written when its response is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.access_log.lines import COMBINED, line_of
from breezeway.middleware.access_log.writer import STANDARD_OUTPUT, LineWriter
from breezeway.middleware.closing import Observed
from breezeway.middleware.option_checks import listed, path
from breezeway.middleware.stack import unset


class AccessLog:
    """Writes a line for each request: who asked for what, how it ended, how long it took.

    A line is never more than one: characters that end a line, end a quoted value or steer a terminal
    are written as escapes, so that nobody can forge a line or hide one (CWE-117). Lines are
    appended by a thread of their own, so that a slow disk stops no request, and what waits has a bound.

    The line is written when the response is over: of a list or a file when the application returns
    it (the bytes of a file are those of Content-Length), of anything else when the server closes it.
    Response and environ go on untouched. The status of an application that fails before its first
    block is the 500 that the server answers.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        format: str = COMBINED,
        file: str | None = None,
        logger: str | logging.Logger | None = None,
        skip: Iterable[str] = (),
        slow: float = 0.0,
    ) -> None:
        """Check and prepare.

        `format` is `combined` (as Apache and nginx have it, and milliseconds at the end), `json` (an
        object on each line) or a template such as `{method} {path} {status} {microseconds}`.
        `file` is a path, or `-` for standard output, which is the default. `logger` is the name of a
        logger, or one, that gets the lines with level INFO in place of a file. Requests for a path
        in `skip` (PATH_INFO, exactly) are not logged. With `slow`, in seconds, only those requests are
        logged that took at least as long, failed or got a 5xx; 0 logs all.

        Raises:
            ValueError: an option is wrong, or the file cannot be written to.
        """
        if file is not None and logger is not None:
            raise ValueError("give file or logger, not both")
        if not isinstance(slow, int | float) or isinstance(slow, bool) or not slow >= 0:
            raise ValueError(f"slow must be a number of seconds from 0 on, not {slow!r}")
        self.application = application
        self._skip = frozenset(listed("skip", skip))
        self._slow = slow
        self._line = line_of(format)
        self._put: Callable[[str], None]
        if logger is None:
            self._put = LineWriter(STANDARD_OUTPUT if file is None else path("file", file)).put
        else:
            self._put = _logger(logger).info
        self._report = self._record  # bound once

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ.get("PATH_INFO") in self._skip:
            return self.application(environ, start_response)
        return Observed(environ, start_response, self._report).call(self.application)

    def _record(self, seen: Observed) -> None:
        seconds = time.perf_counter() - seen.began
        if seconds >= self._slow or seen.error is not None or seen.code[:1] == "5":
            self._put(self._line(seen, seconds))


def _logger(logger: str | logging.Logger) -> logging.Logger:
    if isinstance(logger, str):
        return logging.getLogger(logger)
    if not callable(getattr(logger, "info", None)):
        raise ValueError(f"logger must be the name of a logger, or one, not {logger!r}")
    return logger
