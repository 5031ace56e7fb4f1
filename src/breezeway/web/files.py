"""Files as responses: with ranges, conditions and names for saving, sent by the server itself if it can.

What to answer is planned as `breezeway.middleware.Static` plans it (semantics.file_plan); below a root
paths are walked as there (breezeway.beneath).
"""

from __future__ import annotations

import errno
import io
import logging
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.beneath import OpenFile, open_beneath, status_for
from breezeway.middleware.file_parts import FileParts, sent
from breezeway.semantics.content_disposition import content_disposition
from breezeway.semantics.content_types import content_type as type_of
from breezeway.semantics.dates import parse_http_date
from breezeway.semantics.fields import Headers, get, replaced, without
from breezeway.semantics.file_plan import (
    ASK_FIRST,
    METHODS,
    NOSNIFF,
    Representation,
    file_name,
    plan,
    plan_by,
)
from breezeway.semantics.ranges import Range
from breezeway.semantics.validators import Validators
from breezeway.web.errors import Forbidden, HTTPError, NotFound
from breezeway.web.response import (
    WITHOUT_CONTENT,
    Fields,
    Response,
    fields_without_content,
    line_of,
    merged,
)
from breezeway.web.stream import close

log = logging.getLogger("breezeway.web")

BLOCK_BYTES: Final = 64 * 1024
"""What one read takes; a default socket buffer holds about that. Up to this a file is read at once."""

BOUNDARY_BYTES: Final = 12
"""Of a multipart boundary, which nobody must be able to put into a file."""

AGAIN: Final = (("Retry-After", "1"),)
"""When no descriptor was left: there is one as soon as another response is over."""

Path = str | os.PathLike[str]


class FileResponse(Response):
    """A file, whole or in the parts that a client asks for (RFC 9110 sections 13 and 14).

    A GET or HEAD gets 206, 304, 412 or 416 where its fields say so. ETag and Last-Modified are those of
    the file on the disk. It is opened here and closed at the end of the response, on every path; the
    server may send it with sendfile(2).
    """

    __slots__ = ("_modified_ns", "_size", "_start")

    def __init__(
        self,
        file: Any,
        status: int | str = 200,
        headers: Fields = (),
        *,
        root: Path | None = None,
        name: str = "",
        download: bool = False,
        content_type: str = "",
    ) -> None:
        """`file` is a path, or an object with `read` that gives bytes, which is sent from where it stands.

        With `root`, `file` is a path below that directory as it came with a request: no way leads out,
        not by `..`, by links or by a name that begins with a dot. Never build a path of a request
        yourself.

        `name` is that for saving, of the path by default; `download` has the browser save it in place
        of showing it. `content_type` is by the extension of the name by default. What others have
        uploaded is to be downloaded, or comes from another host: a page of theirs shown from here
        could do whatever ours can.

        Without a Cache-Control among `headers`, browsers ask each time whether it has changed.

        Raises:
            NotFound, Forbidden: with `root`, there is no such file, or it may not be read.
            OSError: without, it cannot be opened, or is no regular file.
            HTTPError: 503, there is no descriptor left to open it with.
        """
        found = _opened(file, root)
        own = name or found.name
        try:
            super().__init__(b"", status, headers, content_type=content_type or type_of(own))
            self.headers.setdefault(*NOSNIFF)
            self.headers.setdefault("Cache-Control", ASK_FIRST)
            if download or name:
                kind = content_disposition("attachment" if download else "inline", own)
                self.headers.setdefault("Content-Disposition", kind)
        except BaseException:
            close(found.file)
            raise
        self.content = found.file
        self._start, self._size, self._modified_ns = found.start, found.size, found.modified_ns

    def send(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        defaults: Iterable[tuple[str, str]],
    ) -> Iterable[bytes]:
        """Send the response."""
        try:
            status, fields, pieces = self._plan(environ)
            blocks: list[bytes] | None = []
            if environ["REQUEST_METHOD"] != "HEAD":
                blocks = self._small(pieces)
            start_response(status, merged(fields, defaults))
            if blocks is not None:
                close(self.content)
                return self._finished(blocks, environ)
            return self._sent_file(environ, pieces)
        except BaseException:
            self.close()
            raise

    def _plan(self, environ: WSGIEnvironment) -> tuple[str, Headers, Pieces | None]:
        """Return status line, fields and pieces; None for all of a file whose size nobody knows."""
        size, fields = self._size, self.headers.fields
        if self.status in WITHOUT_CONTENT:
            return line_of(self.status), fields_without_content(self.status, fields), ()
        if size is None:
            status, fields, content = self._planned(environ)
            return line_of(status), fields, None if content is self.content else (content,)
        if self.status != 200 or environ["REQUEST_METHOD"] not in METHODS:
            fields = replaced(fields, "Content-Length", str(size))
            return line_of(self.status), fields, (Range(0, size),) if size else ()
        now, fields = time.time(), without(fields, "content-length")
        if self._modified_ns is None:
            validators = _validators(fields)
            planned = plan_by(environ, size, validators, fields, now, _boundary)
        else:
            representation = Representation(size, self._modified_ns)
            planned = plan(environ, representation, fields, now, _boundary)
        is_ok = planned.status[:3] == "200"
        return line_of(self.status) if is_ok else planned.status, planned.headers, planned.pieces

    def _small(self, pieces: Pieces | None) -> list[bytes] | None:
        """Return content that is small, read; None if it is not."""
        if pieces is None:
            return None
        size = sum(len(p) if isinstance(p, bytes) else p.stop - p.start for p in pieces)
        if size > BLOCK_BYTES:
            return None
        content = b"".join(FileParts(self.content, pieces, self._start))
        if len(content) != size:
            raise OSError(errno.EIO, "the file has become shorter while it was read")
        return [content] if content else []

    def _sent_file(self, environ: WSGIEnvironment, pieces: Pieces | None) -> Iterable[bytes]:
        """Return what to give the server for content that is read while it is sent."""
        file, wrapper = self.content, environ.get("wsgi.file_wrapper")
        if pieces is not None:
            assert self._size is not None
            blocks = sent(wrapper, file, pieces, self._size, self._start)
        elif wrapper is not None:
            blocks = wrapper(file, BLOCK_BYTES)
        else:
            blocks = _Rest(file)
        return self._finished(blocks, environ)


Pieces = Sequence[bytes | Range]


class _Rest:
    """The blocks of a file from where it stands."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        while block := self._file.read(BLOCK_BYTES):
            yield block

    def close(self) -> None:
        """Close the file."""
        close(self._file)


# --- opening ---------------------------------------------------------------------------------------------


class _Opened(NamedTuple):
    file: Any
    name: str
    """The last segment of its path; empty if it has none."""
    start: int = 0
    size: int | None = None
    """In bytes, from `start` on; None if nobody knows."""
    modified_ns: int | None = None
    """Nanoseconds since the epoch, of a file on the disk that is sent from its beginning."""


def _opened(file: Any, root: Path | None) -> _Opened:
    if not isinstance(file, str | os.PathLike):
        if root is not None:
            raise TypeError("with root, a file is a path below it")
        return _of_object(file)
    path = os.fspath(file)
    if not isinstance(path, str):
        raise TypeError(f"a path is a text, not {path!r}")
    name = path.rpartition("/")[2]
    found = _opened_anywhere(path) if root is None else _opened_below(root, path)
    status = found.status
    return _Opened(io.FileIO(found.take()), name, 0, status.st_size, status.st_mtime_ns)


def _opened_anywhere(path: str) -> OpenFile:
    directory, name = os.path.split(path)
    try:
        return open_beneath(directory or ".", name, anywhere=True)
    except OSError as error:
        if status_for(error)[:3] != "503":
            raise
        raise _without_descriptor(path, error) from error


def _without_descriptor(path: str, error: OSError) -> HTTPError:
    log.error("the file %.200r cannot be opened: %s", path, error.strerror)
    return HTTPError(503, headers=AGAIN)


def _opened_below(root: Path, path: str) -> OpenFile:
    try:
        name = file_name(os.fsencode(path).decode("latin-1"))
    except UnicodeEncodeError:  # no file has half a surrogate pair in its name
        name = None
    if name is None:
        raise NotFound
    try:
        return open_beneath(os.fspath(root), name)
    except OSError as error:
        code = int(status_for(error)[:3])
        if code == 500:
            raise
        kind = {403: Forbidden, 404: NotFound}.get(code)
        raise kind() if kind else _without_descriptor(path, error) from error


def _of_object(file: Any) -> _Opened:
    """Look at an open file."""
    if isinstance(file, io.TextIOBase) or not hasattr(file, "read"):
        raise TypeError(f"a file is a path, or open for reading bytes, not {file!r}")
    told = getattr(file, "name", None)
    name = os.path.basename(told) if isinstance(told, str) else ""
    try:
        start = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(start)
    except (AttributeError, OSError, ValueError):  # a pipe, or one that is unpacked as it is read
        return _Opened(file, name)
    if not isinstance(end, int):
        return _Opened(file, name)
    modified_ns = None
    if start == 0 and type(file) in (io.FileIO, io.BufferedReader, io.BufferedRandom):
        status = os.fstat(file.fileno())
        modified_ns = status.st_mtime_ns if stat.S_ISREG(status.st_mode) else None
    return _Opened(file, name, start, max(0, end - start), modified_ns)


def _validators(fields: Headers) -> Validators:
    modified = get(fields, "last-modified")
    return Validators(get(fields, "etag"), parse_http_date(modified) if modified else None)


def _boundary() -> str:
    return secrets.token_hex(BOUNDARY_BYTES)
