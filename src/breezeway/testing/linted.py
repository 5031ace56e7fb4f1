"""An application under `Lint`, of which no breach gets lost."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.lint import Lint
from breezeway.middleware.lint.faults import Fault, LintError

log = logging.getLogger("breezeway.middleware")


class Linted:
    """Raises each breach where it is found, and again after the request.

    The second time is for those that the application, or a handler of errors around it, has caught.
    Advice, on what PEP 3333 allows but not everybody does, is logged.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self.application = Lint(application, report=self._report)
        self._found: list[LintError] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application, and check both ways."""
        return self.application(environ, start_response)

    def check(self) -> None:
        """Raise the first breach since the last check."""
        found, self._found = self._found, []
        if found:
            raise found[0]

    def _report(self, fault: Fault) -> None:
        if fault.advice:
            log.warning("%s", fault)
            return
        error = LintError(fault)
        self._found.append(error)
        raise error
