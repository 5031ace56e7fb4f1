"""X-Sendfile: an application names a file in its response, and the server sends it.

The application decides who may have the file, and the server does what it does for static files:
sendfile(2), ranges, conditions. It is on only where `--sendfile-root` names a directory; otherwise
the field goes out as it came, to a proxy that may want it.

X-Accel-Redirect is not taken: it names a location of nginx, not a file, and only nginx knows which
file that is. Through here it passes as any field does.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, Final

from breezeway.beneath import OutsideError, open_beneath
from breezeway.gateway.failure import CLOSE_RAISED, log_failure
from breezeway.gateway.file_answer import FAILED, content_of, plan_for, refusal_for
from breezeway.gateway.types import Application, Environ, ExcInfo, Headers, StartResponse, Write
from breezeway.semantics.file_plan import METHODS, FilePlan, fields_of
from breezeway.semantics.ranges import Range

logger = logging.getLogger("breezeway.application")

_FIELD: Final = "x-sendfile"

_REPLACED: Final = frozenset([_FIELD, "content-length", "content-range", "accept-ranges"])
"""Fields of the application's that the server makes anew; the others stay."""

_PLANNED: Final = ("200", "206")
"""With these the server answers by the request's range and conditions, with another status whole: the
page for an error may be a file, too."""


class XSendfile:
    """An application around another one: replaces what it returns by the file that it names."""

    def __init__(self, application: Application, *, root: str) -> None:
        """`root` is the directory below which files may be named."""
        self._application = application
        self._root = os.path.abspath(root)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application, and send the file that it names, if it does."""
        response = _Response(start_response)
        method, target = environ["REQUEST_METHOD"], environ.get("RAW_URI", environ["PATH_INFO"])
        result = self._application(environ, response.start)
        if not response.started and not isinstance(result, (list, tuple)):
            result = _begun(result)  # an application that is a generator has done nothing so far
        if response.file_name is None:
            return result
        close = getattr(result, "close", None)
        if close is not None:
            try:
                close()
            except BaseException as error:  # as that of a result that is sent
                log_failure(error, environ, CLOSE_RAISED)
        # The application may have changed all of the environ.
        environ = {**environ, "REQUEST_METHOD": method}
        return self._answer(environ, start_response, response, f"{method} {target}")

    def _answer(
        self, environ: Environ, start_response: StartResponse, response: _Response, request: str
    ) -> Iterable[bytes]:
        """`request` is its name for the log."""
        assert response.file_name is not None
        try:
            file = open_beneath(self._root, self._relative(response.file_name))
        except OutsideError:
            message = "%s: X-Sendfile names %r, which is not below --sendfile-root"
            logger.error(message, request, response.file_name)
            return FAILED(environ, start_response)
        except OSError as error:
            message = "%s: X-Sendfile names %r: %s"
            logger.warning(message, request, response.file_name, error.strerror)
            return refusal_for(error)(environ, start_response)
        try:
            planned = response.plan(environ, file.status)
            start_response(planned.status, planned.headers, *response.exc_info)
            return content_of(environ, file, planned.pieces)
        except BaseException:
            file.close()
            raise

    def _relative(self, name: str) -> str:
        """Return the path below the root of a file that is named in full, or below it.

        Raises:
            OutsideError: no file there can have that name.
        """
        path = os.fsdecode(name.encode("latin-1"))
        for root in (self._root, os.path.realpath(self._root)):
            if path.startswith(root.rstrip("/") + "/"):
                path = path[len(root) :].lstrip("/")
                break
        if not path or path.startswith("/") or "\0" in path or ".." in path.split("/"):
            raise OutsideError
        return path


class _Response:
    """The head of the application's response: kept if it names a file, passed on if not."""

    def __init__(self, start_response: StartResponse) -> None:
        self._start_response = start_response
        self.started = False
        self.file_name: str | None = None
        self._status = ""
        self._headers: Headers = []
        self.exc_info: tuple[ExcInfo, ...] = ()

    def start(self, status: str, headers: Headers, *exc_info: ExcInfo) -> Write:
        """Do what `start_response` does."""
        self.started = True
        self.file_name = None
        for name, value in headers:
            if name.lower() == _FIELD:
                self.file_name = value
        if self.file_name is None:
            return self._start_response(status, headers, *exc_info)
        self._status, self._headers, self.exc_info = status, headers, exc_info
        return _ignore

    def plan(self, environ: Environ, status: os.stat_result) -> FilePlan:
        """Plan the response with the file of that `status`."""
        fields = [(name, value) for name, value in self._headers if name.lower() not in _REPLACED]
        named = {name.lower() for name, _ in fields}
        name = os.path.basename(self.file_name or "")
        fields += [field for field in fields_of(name) if field[0].lower() not in named]
        if self._status[:3] in _PLANNED and environ["REQUEST_METHOD"] in METHODS:
            return plan_for(environ, status, fields)
        size = status.st_size
        pieces = (Range(0, size),) if size else ()
        return FilePlan(self._status, [*fields, ("Content-Length", str(size))], pieces, whole=False)


def _ignore(data: bytes) -> None:
    """Stand in for `write` of a response that is replaced."""


def _begun(result: Iterable[bytes]) -> Iterable[bytes]:
    """Return an iterable of the same blocks whose first one was asked for already."""
    try:
        iterator = iter(result)
        first = list(islice(iterator, 1))
    except BaseException:
        close = getattr(result, "close", None)
        if close is not None:
            close()
        raise
    return _Begun(chain(first, iterator), result)


class _Begun:
    """Blocks, and whose `close` they have."""

    def __init__(self, blocks: Iterator[bytes], result: Any) -> None:
        self._blocks = blocks
        if hasattr(result, "close"):
            self.close = result.close

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the blocks."""
        return self._blocks
