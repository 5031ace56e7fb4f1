"""Answers a request with an open file by its plan (`semantics.file_plan`)."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from breezeway.gateway.beneath import OpenFile
from breezeway.gateway.file_wrapper import FilePieces
from breezeway.gateway.types import Environ, Headers, StartResponse
from breezeway.semantics.content_types import content_type
from breezeway.semantics.file_plan import FilePlan, Representation, plan
from breezeway.semantics.negotiation import IDENTITY
from breezeway.semantics.ranges import Range

SMALL_BYTES: Final = 16 * 1024
"""Up to this size a file is read, and leaves with its head in one send; above, sendfile(2) is cheaper
than to copy it twice. It is what `exchange.COPY_BYTES` joins."""

NOSNIFF: Final = ("X-Content-Type-Options", "nosniff")
"""A browser that guesses at types would run an uploaded text as a page."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer in place of a file."""

    status: str
    headers: Headers
    body: bytes

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with it, as a WSGI application."""
        start_response(self.status, list(self.headers))
        return [self.body]


def refusal(status: str, *more: tuple[str, str]) -> Refusal:
    """Make an answer in plain text."""
    text = f"{status}\n".encode("latin-1")
    headers = [("Content-Type", "text/plain; charset=utf-8"), NOSNIFF, *more]
    return Refusal(status, [*headers, ("Content-Length", str(len(text)))], text)


NOT_FOUND: Final = refusal("404 Not Found")
FORBIDDEN: Final = refusal("403 Forbidden")
BUSY: Final = refusal("503 Service Unavailable", ("Retry-After", "1"))
FAILED: Final = refusal("500 Internal Server Error")

_ANSWERS: Final = {
    errno.ENOENT: NOT_FOUND,
    errno.ENOTDIR: NOT_FOUND,
    errno.EISDIR: NOT_FOUND,
    errno.ENAMETOOLONG: NOT_FOUND,
    errno.ELOOP: NOT_FOUND,
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
    errno.EMFILE: BUSY,
    errno.ENFILE: BUSY,
    errno.ENOMEM: BUSY,
}


def refusal_for(error: OSError) -> Refusal:
    """Return the answer when a file cannot be opened or read."""
    return _ANSWERS.get(error.errno or 0, FAILED)


def fields_of(name: str, coding: str = IDENTITY) -> Headers:
    """Return what a response says of a file of this name, which was found in that coding."""
    fields = [("Content-Type", content_type(name)), NOSNIFF]
    if coding != IDENTITY:
        fields.append(("Content-Encoding", coding))
    return fields


def plan_for(
    environ: Environ, status: os.stat_result, fields: Headers, coding: str = IDENTITY
) -> FilePlan:
    """Plan the answer to a GET or HEAD with the file of that `status`."""
    representation = Representation(status.st_size, status.st_mtime_ns, coding)
    return plan(environ, representation, fields, time.time(), _boundary)


def content_of(
    environ: Environ, file: OpenFile, pieces: Sequence[bytes | Range]
) -> Iterable[bytes]:
    """Return the content of a response; the file is closed with it, or at once.

    Raises:
        OSError: it cannot be read; then it is still open.
    """
    only = pieces[0] if len(pieces) == 1 else None
    if environ["REQUEST_METHOD"] == "HEAD":
        blocks = [b""]
    elif isinstance(only, Range) and only.stop - only.start <= SMALL_BYTES:
        blocks = [read(file, only)]
    elif any(isinstance(each, Range) for each in pieces):
        return FilePieces(file.descriptor, pieces)
    else:
        blocks = [content_within(b"", pieces)]
    file.close()
    return blocks


def content_within(content: bytes, pieces: Sequence[bytes | Range]) -> bytes:
    """Return the content of a response with a file whose content is known."""
    return b"".join(
        each if isinstance(each, bytes) else content[each.start : each.stop] for each in pieces
    )


def read(file: OpenFile, part: Range) -> bytes:
    """Read a part of a file.

    Raises:
        OSError: it cannot be read, or has become shorter.
    """
    content = os.pread(file.descriptor, part.stop - part.start, part.start)
    if len(content) != part.stop - part.start:
        raise OSError(errno.EIO, "the file has become shorter while it was read")
    return content


def _boundary() -> str:
    return secrets.token_hex(12)
