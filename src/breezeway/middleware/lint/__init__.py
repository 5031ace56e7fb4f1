"""`Lint`: tells breaches of PEP 3333, on both sides of the line."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any, Final
from wsgiref.types import WSGIApplication, WSGIEnvironment

from breezeway.middleware.lint.environ import check_environ
from breezeway.middleware.lint.exchange import Exchange
from breezeway.middleware.lint.faults import APPLICATION_SIDE, Fault, LintError, Report
from breezeway.middleware.lint.streams import Errors, Input
from breezeway.middleware.stack import unset

RAISE: Final = "raise"
LOG: Final = "log"

MOST_LOGGED: Final = 1000
"""Different faults that are logged; what goes on saying something new is not read any more."""

log = logging.getLogger("breezeway.middleware")


class Lint:
    """Finds where an application, a server or the middleware between them breaks PEP 3333.

    It stands between any two of them and checks what passes: the environ, wsgi.input and wsgi.errors,
    the arguments of start_response, each block, and when what is called. Each fault names the clause,
    says what was found, and how to mend it. It finds what `wsgiref.validate` does, and what that misses:
    a start_response that comes late, twice or never, hop-by-hop fields, content that is not as long as
    Content-Length says, content with a 204 or 304, an iterable that is closed twice or by nobody, text
    beyond ISO-8859-1, middleware that leaves out half of wsgi.input.

    It costs some 15 us for each request and hides objects of wsgi.file_wrapper from the server: it is
    for development and tests.
    """

    def __init__(
        self, application: WSGIApplication = unset, *, report: str | Report = RAISE
    ) -> None:
        """Check what passes to and from `application`.

        `report` is what happens with a fault: "raise" (the default), where it was found, as `LintError`,
        an AssertionError; "log", each different one once, as a warning of the logger
        `breezeway.middleware`; or a function that is called with each `Fault`. Advice, on what PEP 3333
        allows but not everybody does, is logged in place of being raised.

        Raises:
            ValueError: `report` is none of these.
        """
        self.application = application
        if report == RAISE:
            self._report: Report = self._raise
        elif report == LOG:
            self._report = self._log
        elif callable(report):
            self._report = report
        else:
            raise ValueError(f"report must be 'raise', 'log' or a function, not {report!r}")
        self._logged: set[Fault] = set()
        self._lock = threading.Lock()

    def __call__(self, *args: Any, **keywords: Any) -> Iterable[bytes]:
        """Call the application with what was given, and check both ways."""
        if keywords or len(args) != 2:
            self._report(
                Fault(
                    APPLICATION_SIDE,
                    f"the application was called with {len(args)} positional arguments"
                    + (f" and {', '.join(keywords)} by name" if keywords else ""),
                    "Call it with two, by position: environ and start_response",
                    server=True,
                )
            )
            return self.application(*args, **keywords)
        environ: WSGIEnvironment = args[0]
        for fault in check_environ(environ):
            self._report(fault)
        for key, wrap in (("wsgi.input", Input), ("wsgi.errors", Errors)):
            if key in environ:
                environ[key] = wrap(environ[key], self._report)
        return Exchange(environ, args[1], self._report).run(self.application)

    def _raise(self, fault: Fault) -> None:
        if fault.advice:
            self._log(fault)
        else:
            raise LintError(fault)

    def _log(self, fault: Fault) -> None:
        with self._lock:
            if fault in self._logged or len(self._logged) >= MOST_LOGGED:
                return
            self._logged.add(fault)
        log.warning("%s", fault)
