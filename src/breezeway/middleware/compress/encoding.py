"""One response on its way through a content coding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.middleware.compress.codings import Coding, Encoder
from breezeway.middleware.response_filter import Response
from breezeway.semantics import fields
from breezeway.semantics.fields import Headers
from breezeway.semantics.negotiation import IDENTITY

_OF_ONE_CODING: Final = (
    "content-length",
    "accept-ranges",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
)
"""Fields that say something about the bytes as the application has them (RFC 9530 for the digests)."""


class Encoding:
    """A filter for one response, and the response that it filters.

    A whole response is compressed whole. Of one that comes in blocks, each is flushed.
    """

    __slots__ = (
        "_blocks",
        "_coding",
        "_encoder",
        "_environ",
        "_flushes",
        "_is_head",
        "_is_whole",
        "_left",
        "_minimum",
        "_name",
        "response",
    )

    def __init__(
        self, environ: WSGIEnvironment, start_response: StartResponse, minimum: int
    ) -> None:
        self.response = Response(environ, start_response, self)
        self._minimum = minimum
        self._is_head = environ["REQUEST_METHOD"] == "HEAD"
        self._environ = environ
        self._name = IDENTITY
        self._coding: Coding | None = None
        self._encoder: Encoder | None = None
        self._blocks: list[bytes] = []
        self._is_whole = False
        self._flushes = True
        self._left = 0
        """Bytes of the content that are still to come, if the application has said how many."""

    def choose(self, name: str | None, codings: Mapping[str, Coding]) -> None:
        """Take a coding for the head that comes next; None leaves it as it is."""
        self._name = name or IDENTITY
        self._coding = codings.get(self._name)

    def look(self, returned: Iterable[bytes]) -> None:
        """See what the application has returned: a whole response, blocks, or a file."""
        self._is_whole = type(returned) is list or type(returned) is tuple
        # Nobody waits for the next block of a file.
        self._flushes = type(returned) is not self._environ.get("wsgi.file_wrapper")

    def start(self, status: str, headers: Headers, length: int | None) -> Headers | None:
        """Return the fields of the compressed response."""
        if self._coding is None or (length is not None and length < self._minimum):
            return None
        self._left = 0 if self._is_head else fields.content_length(headers) or 0
        if not self._is_whole and not self._is_head:
            self._encoder = self._coding.encoder()
        headers = fields.weakened(fields.without(headers, *_OF_ONE_CODING))
        headers.append(("Content-Encoding", self._name))
        return headers

    def block(self, block: bytes) -> bytes:
        """Compress a block, or keep it until all are there."""
        self._left -= len(block)
        if self._encoder is not None:
            return self._encoder.block(block, self._flushes) if block else b""
        if not self._is_head:
            self._blocks.append(block)
        return b""

    def end(self) -> bytes:
        """Compress what is whole; end what is streamed.

        Raises:
            ValueError: there was less than Content-Length says. It is gone, so that no server would
                notice, and what was cut short would look whole.
        """
        if self._left > 0:
            raise ValueError(f"the content is {self._left} bytes shorter than its Content-Length")
        if self._encoder is not None:
            return self._encoder.end()
        if self._is_head:
            return b""
        assert self._coding is not None
        blocks = self._blocks
        return self._coding.whole(blocks[0] if len(blocks) == 1 else b"".join(blocks))
