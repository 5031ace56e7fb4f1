"""The plan for answering a request with one file: which variant, status, fields and bytes.

Nothing here opens a file. Who does says how large it is and when it was modified, and gets back what
to send: blocks, and ranges of the file.

**The entity tag** is made of the size and of the time of modification in nanoseconds, and of the content
coding for a variant. It has no inode number: machines behind one balancer that have unpacked the same
image or archive agree on the tag, and a range that was begun on one can be continued on another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from breezeway.semantics import ranges
from breezeway.semantics.content_types import content_type
from breezeway.semantics.dates import http_date, parse_http_date
from breezeway.semantics.negotiation import IDENTITY
from breezeway.semantics.ranges import Range
from breezeway.semantics.validators import (
    NOT_MODIFIED,
    Validators,
    precondition,
    range_applies,
)

Headers = list[tuple[str, str]]

SIBLINGS: Final = (("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz"))
"""Content codings and the extensions of precompressed files, the best first."""

METHODS: Final = ("GET", "HEAD")
ALLOW: Final = "GET, HEAD, OPTIONS"

FOR_EVER: Final = "public, max-age=31536000, immutable"
"""Cache-Control of a name that has its content's hash in it; a year is what caches take for ever
(RFC 9111 section 1.2.2 and the practice), and RFC 8246 says not even to ask on reload."""

ASK_FIRST: Final = "no-cache"
"""Cache-Control of any other name: keep it, and ask before each use whether it is still the same.
Without it browsers guess, and show yesterday's script with today's page."""

_NANOSECONDS: Final = 10**9

_OF_CONTENT: Final = frozenset(
    [
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-range",
        "content-type",
        "last-modified",
    ]
)
"""What a 304 does not repeat (RFC 9110 section 15.4.5)."""

_OF_WHOLE: Final = _OF_CONTENT | {"cache-control", "etag", "expires"}
"""What is not true of the 412 or 416 that stands in for a response: neither of them is to be cached as
long as the file is."""

NOSNIFF: Final = ("X-Content-Type-Options", "nosniff")
"""A browser that guesses at types would run an uploaded text as a page."""

WELL_KNOWN: Final = ".well-known"
"""RFC 8615; any other name that begins with a dot is not for the public, such as .git and .env."""

STALE_SECONDS: Final = 60
"""A precompressed sibling that is older than its file by more than this was made of an older version,
and is left alone. Less is the disorder of copying a tree."""

_PLAIN: Final = ("Content-Type", "text/plain; charset=utf-8")


class Representation(NamedTuple):
    """One variant of a file."""

    size: int
    """Bytes."""

    modified_ns: int
    """Nanoseconds since the epoch."""

    coding: str = IDENTITY
    """Its content coding."""


class FilePlan(NamedTuple):
    """What to answer."""

    status: str
    headers: Headers
    """With Content-Length, unless there is no content at all."""

    pieces: Sequence[bytes | Range]
    """The content in order: blocks, and ranges of the file; for a HEAD as for a GET."""

    whole: bool
    """It is the whole file, so that another GET or HEAD may well get the same plan."""


def file_name(path: str) -> str | None:
    """Return the name of a file for a path of an environ; None if no file may have it.

    There is one path for each file: no empty segment, no `.` and no `..`.
    """
    if "\0" in path or not _is_latin(path):
        return None
    for number, segment in enumerate(path.split("/")):
        if not segment or (segment.startswith(".") and (number or segment != WELL_KNOWN)):
            return None
    return os.fsdecode(path.encode("latin-1"))


def _is_latin(path: str) -> bool:
    """Tell whether a path is one of an environ: bytes, each as a character (PEP 3333)."""
    return path.isascii() or max(path) <= "\xff"


def fields_of(name: str, coding: str = IDENTITY) -> Headers:
    """Return what a response says of a file of this name, which was found in that coding."""
    fields = [("Content-Type", content_type(name)), NOSNIFF]
    if coding != IDENTITY:
        fields.append(("Content-Encoding", coding))
    return fields


def content_within(content: bytes, pieces: Sequence[bytes | Range]) -> bytes:
    """Return the content of a response with a file whose content is known."""
    return b"".join(
        each if isinstance(each, bytes) else content[each.start : each.stop] for each in pieces
    )


def validators_of(representation: Representation) -> Validators:
    """Return the validators of a representation; its tag is a strong one."""
    size, modified_ns, coding = representation
    suffix = "" if coding == IDENTITY else f"-{coding}"
    return Validators(f'"{modified_ns:x}-{size:x}{suffix}"', modified_ns // _NANOSECONDS)


def plan(
    environ: Mapping[str, Any],
    representation: Representation,
    fields: Headers,
    now: float,
    boundary: Callable[[], str],
) -> FilePlan:
    """Plan the answer to a GET or HEAD.

    `fields` is what the response says of the file beside its length, range and validators, which come
    from `representation` unless `fields` has them; it has a Content-Type. `now` is in seconds since
    the epoch. `boundary` makes a multipart boundary that nobody can foresee, for nobody must be able
    to put it into a file.
    """
    validators, fields = with_validators(representation, fields, now)
    return plan_by(environ, representation.size, validators, fields, now, boundary)


def plan_by(
    environ: Mapping[str, Any],
    size: int,
    validators: Validators,
    fields: Headers,
    now: float,
    boundary: Callable[[], str],
) -> FilePlan:
    """Plan the answer to a GET or HEAD with content of `size` bytes, as `plan` does.

    `validators` are those that `fields` tells the client.
    """
    status = precondition(environ, validators)
    if status == NOT_MODIFIED:
        return FilePlan("304 Not Modified", of_not_modified(fields), (), whole=False)
    if status is not None:
        text = b"412 Precondition Failed\n"
        headers = [*of_failure(fields), *_told(text)]
        return FilePlan("412 Precondition Failed", headers, (text,), whole=False)
    wanted = None
    asked = environ.get("HTTP_RANGE")
    if asked is not None and environ["REQUEST_METHOD"] == "GET":  # RFC 9110 section 14.2
        wanted = ranges.requested(asked, size)
        if wanted is not None and not range_applies(environ, validators, now):
            wanted = None
    if wanted is not None:
        return _partial(wanted, size, fields, boundary)
    headers = [*fields, ("Accept-Ranges", "bytes"), ("Content-Length", str(size))]
    return FilePlan("200 OK", headers, (Range(0, size),) if size else (), whole=asked is None)


def _partial(
    wanted: list[Range], size: int, fields: Headers, boundary: Callable[[], str]
) -> FilePlan:
    """Plan a 206 or a 416 (RFC 9110 sections 15.3.7 and 15.5.17)."""
    if not wanted:
        text = b"416 Range Not Satisfiable\n"
        told = [*_told(text), ("Content-Range", ranges.unsatisfied(size))]
        headers = [*of_failure(fields), *told]
        return FilePlan("416 Range Not Satisfiable", headers, (text,), whole=False)
    pieces: list[bytes | Range]
    if len(wanted) == 1:
        pieces = [wanted[0]]
        more = [("Content-Range", ranges.content_range(wanted[0], size))]
    else:
        separator = boundary()
        content_type = next((v for n, v in fields if n.lower() == "content-type"), "")
        fields = [(n, v) for n, v in fields if n.lower() != "content-type"]
        pieces = ranges.multipart(wanted, size, content_type, separator)
        more = [("Content-Type", f"multipart/byteranges; boundary={separator}")]
    length = sum(len(p) if isinstance(p, bytes) else p.stop - p.start for p in pieces)
    headers = [*fields, *more, ("Accept-Ranges", "bytes"), ("Content-Length", str(length))]
    return FilePlan("206 Partial Content", headers, pieces, whole=False)


def with_validators(
    representation: Representation, fields: Headers, now: float
) -> tuple[Validators, Headers]:
    """Return the validators of a file, and `fields` with them; those that are there already win."""
    etag, modified = validators_of(representation)
    named = {name.lower(): value for name, value in fields}
    if "last-modified" in named:
        modified = parse_http_date(named["last-modified"])
    elif modified is not None:
        if not 0 <= modified <= now:  # RFC 9110 section 8.8.2.1: never later than Date
            modified = None
        else:
            fields = [*fields, ("Last-Modified", http_date(modified).decode("ascii"))]
    if "etag" in named:
        etag = named["etag"]
    elif etag is not None:
        fields = [*fields, ("ETag", etag)]
    return Validators(etag, modified), fields


def of_not_modified(fields: Headers) -> Headers:
    """Keep what steers caches, and nothing of the content that is not sent."""
    return [field for field in fields if field[0].lower() not in _OF_CONTENT]


def of_failure(fields: Headers) -> Headers:
    """Keep for a 412 or 416 what is of the response and not of its content: cookies, CORS, an id."""
    return [field for field in fields if field[0].lower() not in _OF_WHOLE]


def _told(text: bytes) -> Headers:
    return [_PLAIN, ("Content-Length", str(len(text)))]
