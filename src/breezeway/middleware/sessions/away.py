"""What a client gets whose session cannot be read or written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.sessions.session import Session
from breezeway.middleware.sessions.store import StoreAwayError

AWAY: Final = "503 Service Unavailable"
RETRY: Final = ("Retry-After", "1")
"""Redis is asked again a second after it has failed."""


def unavailable(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Answer 503."""
    return answer(environ, start_response, AWAY, headers=[RETRY])


class StartsLate:
    """The blocks of an application that calls `start_response` when it is asked for the first of them.

    So it touches its session then, too, and fails then if the store is away.
    """

    __slots__ = ("_blocks", "_environ", "_session", "_start_response")

    def __init__(
        self,
        blocks: Iterable[bytes],
        session: Session,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        self._blocks: Iterable[bytes] | None = blocks
        self._session = session
        self._environ = environ
        self._start_response = start_response

    def __iter__(self) -> Iterator[bytes]:
        assert self._blocks is not None
        try:
            for block in self._blocks:  # noqa: UP028  # that would close them when this is dropped
                yield block
        except StoreAwayError:
            if self._session.is_sent:
                raise
            yield from unavailable(self._environ, self._start_response)

    def close(self) -> None:
        """Close the blocks, once."""
        blocks, self._blocks = self._blocks, None
        close = getattr(blocks, "close", None)
        if close is not None:
            close()
