"""Errors that are answers: raised in a handler, each becomes a response with its status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

HeadersLike = Iterable[tuple[str, str]] | Mapping[str, str]


class HTTPError(Exception):
    """Ends a request with a status of 400 or above.

    `detail` is a sentence for the client, or an exception that has one; `headers` go into the response,
    pairs or a table; `more` are further members of its problem details (RFC 9457).
    """

    status: ClassVar[int] = 0

    def __init__(
        self, status: int = 0, detail: str | Exception = "", headers: HeadersLike = (), **more: Any
    ) -> None:
        code = status or self.status
        if not isinstance(code, int) or not 400 <= code <= 599:
            raise ValueError(f"an HTTPError has a status from 400 to 599, not {code!r}")
        self.detail = str(detail)  # of another exception, often
        super().__init__(code, self.detail)
        self.code = code
        self.headers = [*(headers.items() if isinstance(headers, Mapping) else headers)]
        self.more = more

    @property
    def title(self) -> str:
        """The phrase of the status."""
        return phrase(self.code)

    def __str__(self) -> str:
        return f"{self.code} {self.title}" + (f": {self.detail}" if self.detail else "")


def phrase(code: int) -> str:
    """Return the phrase of a status code (RFC 9110 section 15)."""
    if code in _RENAMED:
        return _RENAMED[code]
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Unknown"


_RENAMED: Final = {
    413: "Content Too Large",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""By RFC 9110; the library's depend on the Python."""


class _Fixed(HTTPError):
    """An error whose status is that of its class."""

    def __init__(
        self, detail: str | Exception = "", headers: HeadersLike = (), **more: Any
    ) -> None:
        super().__init__(self.status, detail, headers, **more)


class BadRequest(_Fixed):
    """The request is malformed."""

    status = 400


class Missing(BadRequest, KeyError):
    """A field of the query, the form or the head, or a cookie, is not there."""

    def __init__(self, name: object) -> None:
        super().__init__(f"{str(name)[:100]!r} is missing")


class Unauthorized(_Fixed):
    """Nobody knows who the client is."""

    status = 401


class Forbidden(_Fixed):
    """It is known, and may not."""

    status = 403


class NotFound(_Fixed):
    """There is nothing at this path."""

    status = 404


class MethodNotAllowed(_Fixed):
    """Not with this method; the field Allow has those that there are."""

    status = 405


class NotAcceptable(_Fixed):
    """There is nothing of a type that the client takes."""

    status = 406


class Conflict(_Fixed):
    """Somebody else was quicker."""

    status = 409


class Gone(_Fixed):
    """There was something, and it will not come back."""

    status = 410


class PreconditionFailed(_Fixed):
    """It is another version by now."""

    status = 412


class ContentTooLarge(_Fixed):
    """The body has more bytes, parts or fields than are taken."""

    status = 413


class UnsupportedMediaType(_Fixed):
    """The body is of a type that is not taken."""

    status = 415


class UnprocessableContent(_Fixed):
    """The request is well-formed, and says what cannot be; `faults` in `more` lists what."""

    status = 422


class TooManyRequests(_Fixed):
    """Not so fast."""

    status = 429
