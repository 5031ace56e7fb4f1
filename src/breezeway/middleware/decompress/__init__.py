"""`Decompress`: request bodies that come compressed, as if they did not."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from tempfile import TemporaryFile
from typing import IO, Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.closing import closing
from breezeway.middleware.decompress.codings import (
    PIECE_BYTES,
    Decoder,
    MalformedError,
    make_decoders,
)
from breezeway.middleware.decompress.input import DecodedInput, LikeBytesIO
from breezeway.middleware.option_checks import flag, whole
from breezeway.middleware.request_body import BodyRefusedError, Refusal, refusable
from breezeway.middleware.stack import unset

MAXIMUM_BYTES: Final = 16 * 1024 * 1024
"""Of a decoded body; larger uploads are mostly of formats that are compressed by themselves."""

RATIO: Final = 100
"""Text gets ten times smaller, logs thirty times; a bomb of gzip a thousand times."""

FREE_BYTES: Final = 1024 * 1024
"""Decoded, before the ratio counts: that much is no bomb, and a short body may be very regular."""

MEMORY_BYTES: Final = 1024 * 1024
"""Of a body that is decoded before the application is called; a larger one is in a temporary file."""

MOST_CODINGS: Final = 2
"""Of one body, one upon the other. There is no use for two, but some proxies add one."""

DIGITS: Final = 18
"""Of a Content-Length; more is larger than any body, and work to read."""

_ALIASES: Final = {"x-gzip": "gzip"}
"""RFC 9110 section 8.4.1.3."""


class Decompress:
    """Decodes request bodies with a Content-Encoding (RFC 9110 section 8.4).

    An application reads a body as if it had come without a coding: Content-Encoding is gone, and
    CONTENT_LENGTH is that of the decoded body.

    The attack is the decompression bomb: a few kilobytes that become gigabytes. A decoded body has a
    bound in bytes, and one in proportion to what was sent; past either the client gets 413, and no more
    than a few megabytes were decoded in advance. A coding that is not known is 415 with Accept-Encoding
    (RFC 9110 section 15.5.16), a body that is not well-formed, or ends too early, 400.

    By default a body is decoded before the application is called, so that it is good when it is seen.
    With `stream` it is decoded as it is read: there is no CONTENT_LENGTH then, `wsgi.input` has an end
    (`wsgi.input_terminated`), and a body that turns out bad raises an OSError from the read. The client
    gets 400 or 413 all the same, unless the response has begun.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        codings: Sequence[str] | None = None,
        maximum: int = MAXIMUM_BYTES,
        ratio: float = RATIO,
        stream: bool = False,
        memory: int = MEMORY_BYTES,
    ) -> None:
        """Choose what to decode, and how much.

        `codings` are names of `zstd`, `br`, `gzip` and `deflate`. Without it, they are those whose package
        is installed. `maximum` is the bound on a decoded body in bytes (16 MiB). `ratio` is how many times
        larger than what was sent it may be (100); it counts from 1 MiB on. With `stream`, it is decoded
        as the application reads it (no), for an application that knows `wsgi.input_terminated`: Flask
        does, Django does not. Without, `memory` is how many bytes of it are held in memory (1 MiB); more
        goes to a temporary file.

        Raises:
            ValueError: an option is not as it must be, or a package that is asked for is not installed.
        """
        self.application = application
        self._decoders = make_decoders(codings)
        if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not ratio >= 1:
            raise ValueError(f"ratio must be a number from 1 on, not {ratio!r}")
        self._maximum = whole("maximum", maximum, 0, unit="bytes")
        self._ratio = ratio
        self._stream = flag("stream", stream)
        self._memory = whole("memory", memory, 0, unit="bytes")
        accepted = ", ".join(self._decoders)
        text = f"The request body has a content coding that is not one of {accepted}."
        self._unsupported = Refusal(
            "415 Unsupported Media Type", text, (("Accept-Encoding", accepted),)
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        field = environ.get("HTTP_CONTENT_ENCODING")
        if field is None:
            return self.application(environ, start_response)
        codings = [_ALIASES.get(name, name) for name in _names(field)]
        if len(codings) > MOST_CODINGS or not self._decoders.keys() >= {*codings}:
            return answer(environ, start_response, *self._unsupported)
        del environ["HTTP_CONTENT_ENCODING"]
        if not codings:
            return self.application(environ, start_response)
        decoders = [self._decoders[name] for name in reversed(codings)]
        pieces = self._decoded(_Wire(environ), decoders)
        environ["wsgi.input_terminated"] = True
        environ.pop("CONTENT_LENGTH", None)
        if not self._stream:
            return self._with_whole_body(environ, start_response, pieces)
        body = DecodedInput(pieces)
        environ["wsgi.input"] = body
        # There is a body, though nobody knows its length: what looks at the head alone has to see that.
        environ["HTTP_TRANSFER_ENCODING"] = "chunked"
        return refusable(self.application, environ, start_response, body)

    def _with_whole_body(
        self, environ: WSGIEnvironment, start_response: StartResponse, pieces: Iterator[bytes]
    ) -> Iterable[bytes]:
        """Decode the body, then call the application."""
        try:
            body, size, in_memory = self._collected(pieces)
        except _RefusedError as error:
            return answer(environ, start_response, *error.refusal)
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(size)
        environ["wsgi.input"] = body
        if in_memory:
            return self.application(environ, start_response)
        try:
            returned = self.application(environ, start_response)
        except BaseException:
            body.close()
            raise
        if type(returned) is list or type(returned) is tuple:
            body.close()
            return returned
        return closing(returned, environ, body.close)

    def _collected(self, pieces: Iterator[bytes]) -> tuple[IO[bytes], int, bool]:
        """Return a decoded body, its size, and whether it is in memory."""
        held = []
        size = 0
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size > self._memory:
                break
        else:
            return io.BytesIO(b"".join(held)), size, True
        file = TemporaryFile(prefix="breezeway-decoded-", buffering=0)  # noqa: SIM115 (see above)
        try:
            for piece in chain(held, pieces):
                _write(file, piece)
            size = file.seek(0, io.SEEK_CUR)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return LikeBytesIO(file), size, False

    def _decoded(self, wire: _Wire, decoders: Sequence[Decoder]) -> Iterator[bytes]:
        """Yield the pieces of a decoded body.

        Raises:
            BodyRefusedError: it is malformed or too large.
        """
        first = next(wire, b"")
        if not first:
            return  # no body, which needs no coding
        pieces: Iterator[bytes] = chain([first], wire)
        for decode in decoders:
            pieces = self._bounded(decode(pieces), wire)
        try:
            yield from pieces
        except MalformedError:
            text = "The request body is not what its Content-Encoding says."
            raise _RefusedError(Refusal("400 Bad Request", text)) from None

    def _bounded(self, pieces: Iterator[bytes], wire: _Wire) -> Iterator[bytes]:
        """Let through what is not too much."""
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > self._maximum:
                text = f"The request body is larger than {self._maximum} bytes when it is decoded."
                raise _RefusedError(Refusal("413 Content Too Large", text))
            if size > FREE_BYTES and size > self._ratio * wire.size:
                text = f"The request body grows more than {self._ratio:g} times when it is decoded."
                raise _RefusedError(Refusal("413 Content Too Large", text))
            if piece:
                yield piece


class _RefusedError(BodyRefusedError):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


class _Wire:
    """The pieces of a body as it was sent; `size` is how many bytes of it were read."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._input: Any = environ["wsgi.input"]
        self._read: Callable[[int], bytes] | None = None
        self.size = 0
        length = environ.get("CONTENT_LENGTH", "")
        self._length: int | None = None
        if length.isascii() and length.isdigit() and len(length) <= DIGITS:
            self._length = int(length)
        elif not environ.get("wsgi.input_terminated") and "HTTP_TRANSFER_ENCODING" not in environ:
            self._length = 0  # reading on might never end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        most = PIECE_BYTES if self._length is None else self._length - self.size
        if most <= 0:
            raise StopIteration
        if self._read is None:  # not earlier: a look at it can make a client send its body
            self._read = getattr(self._input, "read1", self._input.read)
        piece = self._read(min(most, PIECE_BYTES))
        if not piece:
            raise StopIteration
        self.size += len(piece)
        return piece


def _names(field: str) -> list[str]:
    """Return the codings of a Content-Encoding, in the order in which they were applied."""
    names = (member.strip(" \t") for member in field.lower().split(","))
    return [name for name in names if name and name != "identity"]


def _write(file: IO[bytes], piece: bytes) -> None:
    """Write all of a piece into a file without a buffer."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]
