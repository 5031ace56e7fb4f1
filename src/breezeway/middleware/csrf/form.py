"""A token in a form, looked for before the application reads that form.

An urlencoded form is read whole, up to a bound. Of one with files (multipart/form-data, RFC 7578) only as
many bytes are read from its beginning: a page has its token there, before the files. The application
finds the form as it came, and the rest of it is read only when the application does so. No more than the
bound is held or divided twice.

What looks like a field with a token need not be one for whoever reads the form later. That does no harm:
nobody but a page of this site knows a token of the visitor, wherever it stands.
"""

from __future__ import annotations

import io
from typing import Any, Final
from urllib.parse import unquote_plus
from wsgiref.types import WSGIEnvironment

from breezeway.semantics.form_data import parse_disposition
from breezeway.semantics.media_types import parse_media_type

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

_LENGTH_DIGITS: Final = 18
"""Of a Content-Length; more is larger than any body, and work to read."""


def token_in_form(environ: WSGIEnvironment, field: str, most: int) -> str | None:
    """Return the value of a field of a form, and have `wsgi.input` begin anew.

    `most` is how many bytes are read. None: there is no such field among them, or it is no form of a
    known length; an urlencoded one that is longer is not read at all.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdigit() and len(length) <= _LENGTH_DIGITS):
        return None
    try:
        media_type = parse_media_type(environ.get("CONTENT_TYPE", ""))
    except ValueError:
        return None
    if media_type.name == URLENCODED and int(length) <= most:
        return _of_pairs(_begin(environ, int(length), most), field)
    boundary = media_type.parameters.get("boundary", "")
    if media_type.name == MULTIPART and boundary:
        return _of_parts(_begin(environ, int(length), most), boundary, field)
    return None


def _begin(environ: WSGIEnvironment, length: int, most: int) -> bytes:
    """Read the first bytes of a body; the application finds all of it."""
    source = environ["wsgi.input"]
    left = min(length, most)
    blocks = []
    while left > 0 and (block := source.read(left)):
        blocks.append(block)
        left -= len(block)
    data = b"".join(blocks)
    # All of it, or all that the client has sent.
    is_all = left > 0 or len(data) == length
    environ["wsgi.input"] = (
        io.BytesIO(data) if is_all else io.BufferedReader(_Whole(data, source, length - len(data)))
    )
    return data


def _of_pairs(data: bytes, field: str) -> str | None:
    for pair in data.decode("latin-1").split("&"):
        name, _, value = pair.partition("=")
        if unquote_plus(name) == field:
            return unquote_plus(value)
    return None


def _of_parts(data: bytes, boundary: str, field: str) -> str | None:
    delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
    parts = (b"\r\n" + data).split(delimiter)
    for part in parts[
        1:-1
    ]:  # the first is before all of them, the end of the last one is not there
        head, _, content = part.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-disposition" and _is_field(value, field):
                return content.decode("latin-1")
    return None


def _is_field(disposition: bytes, field: str) -> bool:
    try:
        part = parse_disposition(disposition.decode().strip(" \t"))
    except ValueError:
        return False
    return part.name == field and part.filename is None


class _Whole(io.RawIOBase):
    """Bytes that have been read of an input, and those that are left in it."""

    def __init__(self, data: bytes, source: Any, left: int) -> None:
        self._data = memoryview(data)
        self._source = source
        self._left = left

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read what there is, as much as fits."""
        room = memoryview(buffer).cast("B")
        if self._data:
            piece = self._data[: len(room)]
            self._data = self._data[len(piece) :]
        else:
            piece = memoryview(self._source.read(min(len(room), self._left)))
            self._left -= len(piece)
        room[: len(piece)] = piece
        return len(piece)
