"""What `Conditional` makes of a response that is a file."""

from __future__ import annotations

import io
import os
import stat
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from wsgiref.types import WSGIEnvironment

from breezeway.middleware.closing import closing
from breezeway.middleware.conditional.plan import (
    Answer,
    Options,
    asked_of,
    has_ranges,
    may_tag,
    plan_of,
    tag_of,
)
from breezeway.middleware.file_parts import BLOCK_BYTES, sent
from breezeway.semantics.dates import http_date
from breezeway.semantics.fields import Headers, without
from breezeway.semantics.file_plan import Representation, validators_of
from breezeway.semantics.ranges import Range


class Offered:
    """What the application gets as `wsgi.file_wrapper` (PEP 3333), so that its files are known."""

    def __init__(self, filelike: Any, block_size: int = BLOCK_BYTES) -> None:
        """`filelike` has `read(size)` and maybe `close()`; `block_size` is in bytes."""
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the content in blocks."""
        while block := self.filelike.read(self.block_size):
            yield block

    def passed_on(self, wrapper: Any) -> Iterable[bytes]:
        """Return what the server gets for the file as it is; `wrapper` is its own, or None."""
        if wrapper is None:
            return self
        return self.closed_with(wrapper(self.filelike, self.block_size), wrapper)

    def closed_with(self, blocks: Iterable[bytes], wrapper: Any) -> Iterable[bytes]:
        """Return blocks of the file at whose end this is closed, too, if that is more than the file."""
        close = vars(self).get("close")
        if close is None or close == getattr(self.filelike, "close", None):
            return blocks
        return closing(blocks, {"wsgi.file_wrapper": wrapper}, close)


class Extent(NamedTuple):
    """Which part of a file is the content, in bytes."""

    start: int
    size: int
    to_end: bool
    modified_ns: int | None
    """Nanoseconds since the epoch, if it is a regular file."""


def of_file(
    offered: Offered, headers: Headers, environ: WSGIEnvironment, options: Options, wrapper: Any
) -> Answer | None:
    """Return what goes out for a file; None if its content is not known well enough.

    If that is a list, nothing of the file is needed any more.
    """
    file = offered.filelike
    named = {name.lower(): value for name, value in headers}
    extent = _extent(file, named.get("content-length"))
    if extent is None:
        return None
    headers, etag = _validated(file, extent, headers, named, options)
    asked = asked_of(environ, named, etag, options)
    planned = plan_of(
        asked or {"REQUEST_METHOD": environ["REQUEST_METHOD"]},
        extent.size,
        headers,
        etag,
        {name.lower(): value for name, value in headers},
    )
    fields = (
        planned.headers if has_ranges(named, options) else without(planned.headers, "accept-ranges")
    )
    is_head = environ["REQUEST_METHOD"] == "HEAD"
    blocks: Iterable[bytes]
    if is_head or not any(isinstance(piece, Range) for piece in planned.pieces):
        blocks = [] if is_head else [p for p in planned.pieces if isinstance(p, bytes)]
    elif planned.status[:3] == "200":
        blocks = offered.passed_on(wrapper)
    else:
        itself = wrapper if extent.to_end else None
        pieces = sent(itself, file, planned.pieces, extent.size, extent.start)
        blocks = offered.closed_with(pieces, wrapper)
    return Answer("" if planned.status[:3] == "200" else planned.status, fields, blocks)


def _extent(file: Any, length: str | None) -> Extent | None:
    """Tell where the content lies; None if that is not known without reading it.

    Only of types that are known is the size taken from the file: the descriptor of a `gzip.GzipFile`
    is that of the compressed file, and to seek to its end is to unpack it.
    """
    modified_ns = None
    available = None
    kind = type(file)
    try:
        if kind in (io.BufferedReader, io.BufferedRandom, io.FileIO):
            raw = file if kind is io.FileIO else file.raw
            if type(raw) is not io.FileIO:
                return None
            status = os.fstat(raw.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            available, modified_ns = status.st_size, status.st_mtime_ns
        elif kind is io.BytesIO:
            available = file.getbuffer().nbytes
        elif length is None or not file.seekable():
            return None
        start = file.tell()
    except (AttributeError, OSError, ValueError):
        return None
    if available is not None:
        available -= start
    if length is None:
        size = available or 0
    else:
        size = int(length) if length.isascii() and length.isdigit() else 0
    if size <= 0 or (available is not None and size > available):
        return None  # files of /proc are empty by what they say
    return Extent(start, size, size == available, modified_ns)


def _validated(
    file: Any, extent: Extent, headers: Headers, named: dict[str, str], options: Options
) -> tuple[Headers, str | None]:
    """Return the fields with what validators the file has, and the tag."""
    etag = named.get("etag")
    is_tagged = etag is None and may_tag(named, options)
    if extent.modified_ns is not None:
        its = validators_of(Representation(extent.size, extent.modified_ns))
        assert its.modified is not None
        if "last-modified" not in named and 0 <= its.modified <= time.time():
            headers = [*headers, ("Last-Modified", http_date(its.modified).decode("ascii"))]
        if is_tagged and its.etag is not None:
            etag = f"W/{its.etag}" if options.etag == "weak" else its.etag
            return [*headers, ("ETag", etag)], etag
    elif is_tagged and type(file) is io.BytesIO and extent.size <= options.maximum:
        with file.getbuffer() as content:
            etag = tag_of(content[extent.start : extent.start + extent.size], options)
        return [*headers, ("ETag", etag)], etag
    return headers, etag
