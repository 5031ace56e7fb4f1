"""Answers a request with an open file by its plan (`semantics.file_plan`)."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from breezeway.beneath import OpenFile, status_for
from breezeway.gateway.file_wrapper import FilePieces
from breezeway.gateway.types import Environ, Headers, StartResponse
from breezeway.semantics.file_plan import (
    NOSNIFF,
    FilePlan,
    Representation,
    content_within,
    plan,
)
from breezeway.semantics.negotiation import IDENTITY
from breezeway.semantics.ranges import Range

SMALL_BYTES: Final = 16 * 1024
"""Up to this size a file is read, and leaves with its head in one send; above, sendfile(2) is cheaper
than to copy it twice. It is what `exchange.COPY_BYTES` joins."""


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

_ANSWERS: Final = {each.status: each for each in (NOT_FOUND, FORBIDDEN, BUSY, FAILED)}


def refusal_for(error: OSError) -> Refusal:
    """Return the answer when a file cannot be opened or read."""
    return _ANSWERS[status_for(error)]


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
