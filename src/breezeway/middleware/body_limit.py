"""`BodyLimit`: no request body larger than it may be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.option_checks import prefixes, whole
from breezeway.middleware.request_body import BodyRefusedError, Refusal, refusable
from breezeway.middleware.stack import unset
from breezeway.semantics.path_prefixes import PathTable

MAXIMUM_BYTES: Final = 1024 * 1024
"""As in nginx (client_max_body_size)."""

DIGITS: Final = 18
"""Of a Content-Length; more is larger than any body, and work to read."""

PIECE_BYTES: Final = 64 * 1024
"""What is asked for at once when everything is: a server may make room for all that is asked for."""

STATUS: Final = "413 Content Too Large"


class BodyLimit:
    """Refuses request bodies that are too large with 413 (RFC 9110 section 15.5.14).

    A Content-Length that is too large is answered before the application is called. A body without one,
    which comes in chunks, is counted while the application reads it: the read that comes to its bound
    raises an OSError, and the client gets 413, also when the application makes a 400 or 500 of that,
    unless the response has begun; one that does without the body and succeeds is believed. The need: an
    application that reads a body into memory can be filled up by anybody.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        maximum: int = MAXIMUM_BYTES,
        paths: Mapping[str, int] | None = None,
    ) -> None:
        """Set the bounds.

        `maximum` is in bytes (1 MiB); 0 allows no body. `paths` has other bounds, by prefix of PATH_INFO:
        `{"/upload": 100_000_000}` is for `/upload` and all below it; the longest prefix counts. A path is
        compared as it comes, so that what an application takes for the same in another spelling has the
        bound `maximum`: let that be the lowest.

        Raises:
            ValueError: a bound is no number of bytes, or a prefix does not begin with a slash.
        """
        self.application = application
        self._maximum = whole("maximum", maximum, 0, unit="bytes")
        if not isinstance(paths, Mapping | None):
            raise ValueError(f"paths must be a table of bounds by prefix, not {paths!r}")
        prefixes("paths", (paths or {}).keys())
        for prefix, bound in (paths or {}).items():
            whole(f"paths: {prefix!r}", bound, 0, unit="bytes")
        self._paths = PathTable(paths) if paths else None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        length = environ.get("CONTENT_LENGTH")
        if length:
            if length.isascii() and length.isdigit():
                maximum = self._maximum_of(environ)
                if len(length) <= DIGITS and int(length) <= maximum:
                    return self.application(environ, start_response)
                return answer(environ, start_response, STATUS, _text(maximum))
        elif "HTTP_TRANSFER_ENCODING" not in environ and not environ.get("wsgi.input_terminated"):
            return self.application(environ, start_response)  # there is no body
        body = BoundedInput(environ["wsgi.input"], self._maximum_of(environ))
        environ["wsgi.input"] = body
        return refusable(self.application, environ, start_response, body)

    def _maximum_of(self, environ: WSGIEnvironment) -> int:
        if self._paths is None:
            return self._maximum
        return self._paths.agreed(environ.get("PATH_INFO", ""), self._maximum, self._maximum)


class BoundedInput:
    """A `wsgi.input` of which so many bytes are read, and not one more. It reads as `io.BytesIO` does."""

    __slots__ = ("_input", "_left", "_maximum", "refusal")

    def __init__(self, input_: Any, maximum: int) -> None:
        self._input = input_
        self._maximum = maximum
        self._left = maximum
        self.refusal: Refusal | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes, all that is left when it is negative or None.

        Raises:
            BodyRefusedError: the body is too large.
        """
        if size is not None and size >= 0:
            return self._counted(self._input.read(self._most(size)))
        pieces = []
        while piece := self._counted(self._input.read(self._most(PIECE_BYTES))):
            pieces.append(piece)
        return b"".join(pieces)

    def read1(self, size: int | None = -1, /) -> bytes:
        """Read what there is, at most `size` bytes of it; as `read` does, of an input that cannot."""
        size = PIECE_BYTES if size is None or size < 0 else size
        read = getattr(self._input, "read1", self._input.read)
        return self._counted(read(self._most(size)))

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read one line, at most `size` bytes of it."""
        size = -1 if size is None else size
        return self._counted(self._input.readline(self._most(size)))

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """Read lines until their sum reaches `hint`."""
        lines: list[bytes] = []
        total = 0
        while line := self.readline():
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the lines."""
        return self

    def __next__(self) -> bytes:
        """Read the next line."""
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def _most(self, size: int) -> int:
        """Return how much to ask for: one byte too much tells that there are more."""
        if self.refusal is not None:
            raise BodyRefusedError(self.refusal.text)
        return self._left + 1 if size < 0 else min(size, self._left + 1)

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            self.refusal = Refusal(STATUS, _text(self._maximum))
            raise BodyRefusedError(self.refusal.text)
        return data


def _text(maximum: int) -> str:
    return f"The request body is larger than {maximum} bytes."
