"""Answering with a file of `Static`."""

from __future__ import annotations

import errno
import io
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.beneath import OpenFile, open_beneath, status_for
from breezeway.middleware.answer import answer
from breezeway.middleware.file_parts import sent
from breezeway.middleware.static_files import Entry, Variant
from breezeway.semantics.file_plan import content_within, plan
from breezeway.semantics.negotiation import IDENTITY, choose_coding
from breezeway.semantics.ranges import Range

KEPT_BYTES: Final = 64 * 1024
"""Up to this size a file is kept in memory, as long as there is room: to open one costs 10 us."""

MEMORY_BYTES: Final = 8 * 1024 * 1024
"""Default of the room: the scripts, styles and icons of a large site, once for each process."""

ACCEPT_CHARACTERS: Final = 256
"""A longer Accept-Encoding is read anew each time, for the memo has to have a bound."""

_coding = lru_cache(maxsize=256)(choose_coding)

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
                    return self._send(entry, variant, environ, start_response)
                except OSError as error:
                    if status_for(error)[:3] != "404":
                        log.warning("static file %s: %s", variant.path, error.strerror)
        try:
            return self._send(entry, entry.variants[IDENTITY], environ, start_response)
        except OSError as error:
            status = status_for(error)
            if status[:3] == "404":
                return None
            if status[:3] != "403":
                log.error("static file %s: %s", entry.name, error.strerror)
            more = [("Retry-After", "1")] if status[:3] == "503" else []
            return answer(environ, start_response, status, headers=more)

    def _send(
        self,
        entry: Entry,
        variant: Variant,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """Answer with a variant.

        Raises:
            OSError: it cannot be opened or read; nothing was sent.
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
            start_response("200 OK", variant.whole[:])
            return [content] if environ["REQUEST_METHOD"] == "GET" else [b""]
        if (
            environ.get("HTTP_IF_NONE_MATCH") == variant.etag
            and "HTTP_IF_MATCH" not in environ
            and "HTTP_IF_UNMODIFIED_SINCE" not in environ
        ):
            start_response("304 Not Modified", variant.unchanged[:])
            return []
        file = None
        if content is None:
            file = open_beneath(entry.root, variant.path, anywhere=self._anywhere)
        try:
            return self._with(entry, variant, file, environ, start_response)
        except BaseException:
            if file is not None and file.descriptor >= 0:
                file.close()
            raise

    def _with(
        self,
        entry: Entry,
        variant: Variant,
        file: OpenFile | None,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """Answer by the plan, with a file that is open or with what is kept of it."""
        if file is not None and not variant.is_still(file.status):
            variant = variant.now(file.status)
            entry.variants[variant.representation.coding] = variant
        planned = plan(environ, variant.representation, variant.fields, time.time(), _boundary)
        pieces = planned.pieces
        has_file = any(isinstance(piece, Range) for piece in pieces)
        is_head = environ["REQUEST_METHOD"] == "HEAD"
        if file is not None and has_file and not is_head:
            self._keep(variant, file)
        content = variant.content
        if is_head or content is not None or not has_file:
            if file is not None:
                file.close()
                file.descriptor = -1
            blocks = [b"" if is_head else content_within(content or b"", pieces)]
            start_response(planned.status, planned.headers)
            return blocks if planned.status[:3] != "304" else []
        assert file is not None
        opened = io.FileIO(file.descriptor)
        try:
            start_response(planned.status, planned.headers)
            return sent(environ, opened, pieces, variant.representation.size)
        except BaseException:
            file.descriptor = -1
            opened.close()
            raise

    def _keep(self, variant: Variant, file: OpenFile) -> None:
        """Keep the content of a small file, if there is room."""
        size = variant.representation.size
        if size > min(KEPT_BYTES, self._room):
            return
        with self._lock:
            if variant.content is not None or size > self._room:
                return
            content = os.pread(file.descriptor, size, 0)
            if len(content) != size:
                raise OSError(errno.EIO, "the file has become shorter while it was read")
            self._room -= size
            variant.content = content


def _boundary() -> str:
    return secrets.token_hex(12)
