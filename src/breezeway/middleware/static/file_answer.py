"""Answering with a file of `Static`."""

from __future__ import annotations

import errno
import io
import logging
import os
import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.beneath import OpenFile, open_beneath, reopen, status_for
from breezeway.middleware.answer import answer
from breezeway.middleware.file_parts import sent
from breezeway.middleware.static.files import Entry, Variant
from breezeway.semantics.fields import Headers
from breezeway.semantics.file_plan import FilePlan, content_within
from breezeway.semantics.negotiation import IDENTITY, choose_coding
from breezeway.semantics.ranges import Range

KEPT_BYTES: Final = 64 * 1024
"""Up to this size a file is kept in memory, as long as there is room: to open one costs 10 us."""

MEMORY_BYTES: Final = 8 * 1024 * 1024
"""Default of the room: the scripts, styles and icons of a large site, once for each process."""

ACCEPT_CHARACTERS: Final = 256
"""A longer Accept-Encoding is read anew each time, for the memo has to have a bound."""

_coding: Final = lru_cache(maxsize=256)(choose_coding)

Response = tuple[str, Headers, Iterable[bytes]]

log = logging.getLogger("breezeway.middleware")


class Sender:
    """Sends files, and keeps the small ones."""

    def __init__(self, *, anywhere: bool, memory: int, keeps: bool) -> None:
        """`anywhere`: links may lead out of the directory; `memory` is the room in bytes.

        `keeps`: an entry stands for more than one request, so that it can keep content.

        Raises:
            ValueError: `memory` is no size.
        """
        if not isinstance(memory, int) or isinstance(memory, bool) or memory < 0:
            raise ValueError(f"memory must be a number of bytes, 0 or more, not {memory!r}")
        self._anywhere = anywhere
        self._room = memory if keeps else 0
        self._lock = threading.Lock()

    def answer(
        self, entry: Entry, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes] | None:
        """Answer with the best variant, or with the file itself; None if it has gone."""
        if entry.codings:
            accepted = environ.get("HTTP_ACCEPT_ENCODING")
            is_long = accepted is not None and len(accepted) > ACCEPT_CHARACTERS
            coding = (choose_coding if is_long else _coding)(accepted, entry.codings)
            if coding != IDENTITY:
                variant = entry.variants[coding]
                try:
                    response = self._response(entry, variant, environ)
                except OSError as error:
                    if status_for(error)[:3] != "404":
                        log.warning("static file %s: %s", variant.path, error.strerror)
                else:
                    return _started(response, start_response)
        try:
            response = self._response(entry, entry.variants[IDENTITY], environ)
        except OSError as error:
            status = status_for(error)
            if status[:3] == "404":
                return None
            if status[:3] != "403":
                log.error("static file %s: %s", entry.name, error.strerror)
            more = [("Retry-After", "1")] if status[:3] == "503" else []
            return answer(environ, start_response, status, headers=more)
        return _started(response, start_response)

    def _response(self, entry: Entry, variant: Variant, environ: WSGIEnvironment) -> Response:
        """Return the answer with a variant.

        Raises:
            OSError: it cannot be opened or read.
        """
        is_plain = not (
            "HTTP_IF_NONE_MATCH" in environ
            or "HTTP_IF_MODIFIED_SINCE" in environ
            or "HTTP_RANGE" in environ
            or "HTTP_IF_MATCH" in environ
            or "HTTP_IF_UNMODIFIED_SINCE" in environ
        )
        content = variant.content
        if is_plain and content is not None:
            blocks = [b""] if environ["REQUEST_METHOD"] == "HEAD" else [content]
            return "200 OK", variant.whole[:], blocks
        if (
            environ.get("HTTP_IF_NONE_MATCH") == variant.validators.etag
            and "HTTP_IF_MATCH" not in environ
            and "HTTP_IF_UNMODIFIED_SINCE" not in environ
        ):
            return "304 Not Modified", variant.unchanged[:], []
        if content is not None:
            planned = variant.plan(environ)
            silent = _silent(environ, planned)
            blocks = [content_within(content, planned.pieces)] if silent is None else silent
            return planned.status, planned.headers, blocks
        file = self._open(entry, variant)
        try:
            if file.status is not variant.status:
                variant = Variant(variant.path, file.status, variant.coding, variant.fields)
                entry.variants[variant.coding] = variant  # another version has come
            return self._with(variant, file, environ, is_plain=is_plain)
        finally:
            file.close()

    def _open(self, entry: Entry, variant: Variant) -> OpenFile:
        """Open the file; its status is that of the variant if it is the same."""
        file = reopen(f"{entry.root}/{variant.path}", variant.status)
        if file is None:
            return open_beneath(entry.root, variant.path, anywhere=self._anywhere)
        file.status = variant.status
        return file

    def _with(
        self, variant: Variant, file: OpenFile, environ: WSGIEnvironment, *, is_plain: bool
    ) -> Response:
        """Return the answer with a file that is open; its descriptor is taken if need be."""
        size = variant.status.st_size
        wrapper = environ.get("wsgi.file_wrapper")
        if is_plain and size > KEPT_BYTES and environ["REQUEST_METHOD"] == "GET":
            pieces = (Range(0, size),)  # without a plan, for it is known
            return "200 OK", variant.whole[:], sent(wrapper, io.FileIO(file.take()), pieces, size)
        planned = variant.plan(environ)
        blocks: Iterable[bytes] | None = _silent(environ, planned)
        if blocks is None:
            blocks = self._small(variant, file, planned)
        if blocks is None:
            blocks = sent(wrapper, io.FileIO(file.take()), planned.pieces, size)
        return planned.status, planned.headers, blocks

    def _small(self, variant: Variant, file: OpenFile, planned: FilePlan) -> list[bytes] | None:
        """Return content that is small, read; keep it if it is the whole file, and there is room."""
        left = KEPT_BYTES
        for piece in planned.pieces:
            left -= len(piece) if isinstance(piece, bytes) else piece.stop - piece.start
        if left < 0:
            return None
        blocks = [
            piece if isinstance(piece, bytes) else _read(file, piece) for piece in planned.pieces
        ]
        content = b"".join(blocks)
        if planned.whole and len(content) <= self._room:
            with self._lock:
                if variant.content is None and len(content) <= self._room:
                    self._room -= len(content)
                    variant.content = content
        return [content]


def _started(response: Response, start_response: StartResponse) -> Iterable[bytes]:
    status, headers, blocks = response
    try:
        start_response(status, headers)
    except BaseException:
        close = getattr(blocks, "close", None)
        if close is not None:
            close()
        raise
    return blocks


def _silent(environ: WSGIEnvironment, planned: FilePlan) -> list[bytes] | None:
    """Return the blocks of a response that has no content; None if it has some."""
    if planned.status[:3] == "304":
        return []
    return [b""] if environ["REQUEST_METHOD"] == "HEAD" else None


def _read(file: OpenFile, part: Range) -> bytes:
    content = os.pread(file.descriptor, part.stop - part.start, part.start)
    if len(content) != part.stop - part.start:
        raise OSError(errno.EIO, "the file has become shorter while it was read")
    return content
