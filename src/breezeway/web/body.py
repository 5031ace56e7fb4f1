"""`BodyStream`: the body of a request as a file that ends where the body does."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final
from wsgiref.types import WSGIEnvironment

from breezeway.web.errors import BadRequest, HTTPError

BLOCK_BYTES: Final = 64 * 1024
"""What is asked for at once: more gains nothing, and a server may make room for all of it."""

LENGTH_DIGITS: Final = 18
"""Of a Content-Length; more is larger than any body, and work to read."""


def content_length(environ: WSGIEnvironment) -> int | None:
    """Return the length of the body in bytes; None if nobody knows it before it is read.

    Raises:
        BadRequest: Content-Length is not a number.
        HTTPError: 411, the body comes in chunks, and the server does not say that its input ends with it
            (`wsgi.input_terminated`): nobody can tell where it does.
    """
    value = environ.get("CONTENT_LENGTH")
    if value:
        if not (value.isascii() and value.isdigit() and len(value) <= LENGTH_DIGITS):
            raise BadRequest("Content-Length is not a number")
        return int(value)
    if environ.get("wsgi.input_terminated"):
        return None
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise HTTPError(411, "the body needs a Content-Length here")
    return 0


class BodyStream(io.BufferedIOBase):
    """Reads `wsgi.input`, of which PEP 3333 does not say that it ends; closing it leaves that open.

    Each read raises `BadRequest` when the client has not sent the whole of the body, so that a half is
    never taken for all.
    """

    def __init__(self, input_: Any, length: int | None) -> None:
        """Read `length` bytes, or all that there is if it is None."""
        self._input = input_
        self._left = length
        self._ahead = b""
        """A byte that was looked at and not read."""
        self.taken = 0
        """Bytes that have been read."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Read `size` bytes, fewer at the end alone; all that is left when it is negative or None.

        Raises:
            BadRequest: the body was cut short.
        """
        left = size if size is not None and size >= 0 else None
        pieces = []
        while left is None or left > 0:
            piece = self.read1(BLOCK_BYTES if left is None else min(left, BLOCK_BYTES))
            if not piece:
                break
            pieces.append(piece)
            if left is not None:
                left -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read1(self, size: int = -1, /) -> bytes:
        """Read with one call of the input, `size` bytes at most.

        Raises:
            BadRequest: the body was cut short.
        """
        return self._taken(self._input.read, BLOCK_BYTES if size < 0 else size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read one line, at most `size` bytes of it.

        Raises:
            BadRequest: the body was cut short.
        """
        left = size if size is not None and size >= 0 else None
        pieces: list[bytes] = []
        while (left is None or left > 0) and not (pieces and pieces[-1].endswith(b"\n")):
            most = BLOCK_BYTES if left is None else min(left, BLOCK_BYTES)
            piece = self._taken(self._input.readline, most)
            if not piece:
                break
            pieces.append(piece)
            if left is not None:
                left -= len(piece)
        return b"".join(pieces)

    def blocks(self, size: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Go over the body in blocks of at most `size` bytes, as they come.

        Raises:
            BadRequest: the body was cut short.
        """
        while block := self.read1(size):
            yield block

    def is_at_end(self) -> bool:
        """Tell whether there is nothing left; one byte is looked at if nobody knows otherwise.

        Raises:
            BadRequest: the body was cut short.
        """
        if self._left is not None:
            return not self._left
        if not self._ahead:
            self._ahead = self.read1(1)
            self.taken -= len(self._ahead)
        return not self._ahead

    def _taken(self, read: Any, size: int) -> bytes:
        data: bytes
        if self._left is not None:
            size = min(size, self._left)
        if not size:
            return b""
        if self._ahead:
            data, self._ahead = self._ahead, b""
            self.taken += len(data)
            return data
        try:
            data = read(size)
        except OSError as error:  # the client has gone, or a piece around has refused the body
            raise BadRequest("the body could not be read") from error
        self.taken += len(data)
        if self._left is not None:
            if not data:
                raise BadRequest("the body was cut short")
            self._left -= len(data)
        return data


class Content:
    """What has been read of the body of a request: all `Request` over one environ share it.

    So a piece around an application may look at a form, and the application finds it as well. Another
    `wsgi.input` in the environ is another body.
    """

    __slots__ = ("body", "failure", "form", "input", "json", "stream")

    def __init__(self, input_: Any, length: int | None) -> None:
        self.input = input_
        self.stream = BodyStream(input_, length)
        self.failure: HTTPError | None = None
        """Why the body cannot be read, once something of it was."""
        self.body: bytes | None = None
        self.json: Any = UNREAD
        self.form: Any = None

    def unread(self) -> BodyStream:
        """Return what there is to read.

        Raises:
            HTTPError: it cannot be read.
            RuntimeError: it was read, as a stream or a form.
        """
        if self.failure is not None:
            raise self.failure
        if self.stream.taken:
            raise RuntimeError("the body has been read already, as a stream or a form")
        return self.stream

    def is_empty(self) -> bool:
        """Tell whether there is no body at all.

        Raises:
            BadRequest: it was cut short.
        """
        if self.body is not None:
            return not self.body
        return self.form is None and not self.stream.taken and self.stream.is_at_end()

    def failed(self, error: HTTPError) -> HTTPError:
        """Remember an error if nobody can try again; return it."""
        if self.stream.taken and self.body is None:
            self.failure = error
        return error


UNREAD: Final[Any] = object()

KEY: Final = "breezeway.web.content"


def content_of(environ: WSGIEnvironment) -> Content:
    """Return what has been read of the body.

    Raises:
        BadRequest, HTTPError: as `content_length` does.
    """
    found: Content | None = environ.get(KEY)
    if found is None or found.input is not environ["wsgi.input"]:
        found = environ[KEY] = Content(environ["wsgi.input"], content_length(environ))
    return found
