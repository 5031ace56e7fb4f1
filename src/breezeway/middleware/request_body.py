"""A request body that may have to be refused while the application reads it.

Whoever reads a refused body gets a `BodyRefusedError`, an OSError as for a client that has gone. Most
applications do not know what to do with it, and answer 400 or 500, or let it through. `refusable` puts
the answer of the refusal there instead, unless the head of the response was sent. An application that
answers with the status of the refusal itself, or that does without the body and succeeds, is believed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.semantics.fields import Headers


class Refusal(NamedTuple):
    """How a request is answered whose body is refused."""

    status: str
    text: str
    """One line that says why."""
    headers: tuple[tuple[str, str], ...] = ()


class BodyRefusedError(OSError):
    """A request body cannot be read on."""


class Body(Protocol):
    """What stands for `wsgi.input`."""

    @property
    def refusal(self) -> Refusal | None:
        """Why the body is refused; None until it is."""


def refusable(
    application: WSGIApplication,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    body: Body,
) -> Iterable[bytes]:
    """Call an application whose `wsgi.input` is `body`."""
    response = _Response(environ, start_response, body)
    try:
        returned = application(environ, response.start_response)
    except Exception:
        if body.refusal is None:
            raise
        return response.refuse(sys.exc_info())
    return response.returned(returned)


class _Response:
    """One response, and the iterable that the server gets if it comes in blocks."""

    __slots__ = (
        "_blocks",
        "_body",
        "_close",
        "_environ",
        "_is_over",
        "_refusing",
        "_start_response",
    )

    def __init__(self, environ: WSGIEnvironment, start_response: StartResponse, body: Body) -> None:
        self._environ = environ
        self._start_response = start_response
        self._body = body
        self._refusing: list[bytes] | None = None
        """The content of the refusal, when that is what is sent."""
        self._is_over = False

    def start_response(
        self, status: str, headers: Headers, exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """Start the application's response, or that of the refusal if there is one."""
        refusal = self._body.refusal
        if refusal is not None and status[0] in "45" and status[:3] != refusal.status[:3]:
            self.refuse(exc_info)
            return _discard
        self._refusing = None
        if exc_info is None:
            return self._start_response(status, headers)
        return self._start_response(status, headers, exc_info)

    def refuse(self, exc_info: Any) -> list[bytes]:
        """Start the response of the refusal; return its content.

        Raises:
            Exception: that of `exc_info`, when the head was sent.
        """
        refusal = self._body.refusal
        assert refusal is not None
        content = f"{refusal.text}\n".encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(content))),
            *refusal.headers,
        ]
        if exc_info is None:
            self._start_response(refusal.status, headers)
        else:
            try:
                self._start_response(refusal.status, headers, exc_info)
            finally:
                exc_info = None  # no circle through the traceback
        self._refusing = [] if self._environ["REQUEST_METHOD"] == "HEAD" else [content]
        return self._refusing

    def returned(self, returned: Iterable[bytes]) -> Iterable[bytes]:
        """Take what the application has returned; return what the server gets."""
        kind = type(returned)
        if self._refusing is not None:
            _close(returned)
            return self._refusing
        if kind is list or kind is tuple or kind is self._environ.get("wsgi.file_wrapper"):
            return returned
        try:
            self._blocks: Iterator[bytes] = iter(returned)
        except BaseException:
            _close(returned)
            raise
        self._close = getattr(returned, "close", None)
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        try:
            block = next(self._blocks)
        except StopIteration:
            if self._refusing is None:
                raise
        except Exception:
            if self._body.refusal is None or self._refusing is not None:
                raise
            self.refuse(sys.exc_info())
        if self._refusing is None:
            return block
        self._is_over = True
        return b"".join(self._refusing)

    def close(self) -> None:
        """Close the application's iterable, once."""
        close, self._close = self._close, None
        if close is not None:
            close()


def _discard(data: bytes) -> None:
    """Stand for `write` when the response is not the application's."""


def _close(returned: object) -> None:
    close = getattr(returned, "close", None)
    if close is not None:
        close()
