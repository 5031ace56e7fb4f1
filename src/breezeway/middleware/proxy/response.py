"""A response on its way through `Proxy`: what of an upstream's goes on to the client."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from breezeway.middleware.proxy.errors import UpstreamError
from breezeway.middleware.proxy.upstream_answer import BLOCK_BYTES
from breezeway.semantics.fields import Headers
from breezeway.semantics.intermediaries import end_to_end

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_NOT_FOR_US: Final = frozenset(["status", "x-accel-redirect", "x-sendfile"])
"""Fields with which an application tells its own server something, such as a file to send: the
upstream's files are not ours. `Status` is CGI's, and PEP 3333 does not allow it."""

_WITHOUT_CONTENT: Final = (204, 304)

_ABSOLUTE: Final = re.compile(r"(?:(https?):)?//([^/?#]*)(.*)", re.IGNORECASE)
_COOKIE_PATH: Final = re.compile(r"(;[ \t]*path[ \t]*=[ \t]*)([^; \t]*)", re.IGNORECASE)


class Places(NamedTuple):
    """Where the same thing is for the client and for the upstream."""

    script: str
    """What stands in front of the path for the client, percent-encoded; may be empty."""
    base: str
    """What stands in front of the path at the upstream; may be empty."""
    hosts: tuple[str, ...]
    """The names of the upstream itself, as in a Host field, in lower case."""
    public: str
    """The Host that the client has asked for, in lower case."""

    def path(self, path: str) -> str | None:
        """Translate a path of the upstream's; None if it is not below its base."""
        below = path
        if self.base:
            if not _is_below(path, self.base):
                return None
            below = path[len(self.base) :]
        elif self.script and _is_below(path, self.script):  # it knows of X-Forwarded-Prefix
            return path
        return self.script + (below if below[:1] == "/" else f"/{below}")

    def location(self, value: str) -> str:
        """Translate a Location; what leads elsewhere stays as it is."""
        match = _ABSOLUTE.fullmatch(value)
        front, path = "", value
        if match is not None:
            authority, path = match[2].lower(), match[3]
            if authority == self.public:
                front = value[: match.start(3)]  # with its scheme: it may lead to https
            elif authority not in self.hosts:
                return value
        elif value[:1] != "/":
            return value
        translated = self.path(path)
        return value if translated is None else front + translated

    def cookie(self, value: str) -> str:
        """Translate the Path of a Set-Cookie."""
        return _COOKIE_PATH.sub(
            lambda match: match[1] + ((self.path(match[2]) if match[2] else None) or match[2]),
            value,
        )


def _is_below(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/", "?", "#")


def phrase(status: int) -> str:
    """Return a reason phrase, which PEP 3333 wants, where the upstream has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def client_fields(
    fields: Headers, status: int, places: Places | None, *, locations: bool, cookies: bool
) -> Headers:
    """Return the fields for the client; `places` is None if there is nothing to translate."""
    dropped = _NOT_FOR_US
    if status in _WITHOUT_CONTENT:
        dropped = dropped | {"content-type"}
        if status == _WITHOUT_CONTENT[0]:  # RFC 9110 section 8.6
            dropped = dropped | {"content-length"}
    found: Headers = []
    length_seen = False
    for name, value in end_to_end(fields):
        lowered = name.lower()
        if lowered in dropped:
            continue
        if lowered == "content-length":
            if length_seen:
                continue
            length_seen = True
        elif locations and lowered in ("location", "content-location"):
            value = places.location(value) if places else value
        elif cookies and lowered == "set-cookie":
            value = places.cookie(value) if places else value
        found.append((name, value))
    return found


class Blocks:
    """The content, block by block as it arrives.

    What is cut short raises, so that the server breaks off: nobody can take a part for the whole.
    """

    def __init__(
        self,
        response: BaseHTTPResponse,
        failures: tuple[type[Exception], ...],
        finish: Callable[[UpstreamError | None], None],
    ) -> None:
        """`failures` are what reading raises; `finish` is called once, with what went wrong if so."""
        self._response = response
        self._failures = failures
        self._finish: Callable[[UpstreamError | None], None] | None = finish

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            data = self._response.read1(BLOCK_BYTES, decode_content=False)
        except self._failures as error:
            late = isinstance(error.__cause__, TimeoutError)
            reason = (
                "nothing more came in time" if late else "it broke off, or a chunk is malformed"
            )
            failure = UpstreamError(502, f"the response is cut short: {reason}")
            self._end(failure)
            raise failure from error
        if not data:
            self._end(None)
            raise StopIteration
        return data

    def _end(self, error: UpstreamError | None) -> None:
        finish, self._finish = self._finish, None
        if finish is not None:
            finish(error)

    def close(self) -> None:
        """Give the connection back, or close it if the response did not come to its end."""
        self._response.close()
        self._response.release_conn()
        self._end(None)
