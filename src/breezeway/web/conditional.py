"""Validators of a response that an application makes, and preconditions on it (RFC 9110 section 13)."""

from __future__ import annotations

import hashlib
import re
import time
from datetime import datetime
from typing import Any, Final
from wsgiref.types import WSGIEnvironment

from breezeway.semantics.dates import http_date, parse_http_date
from breezeway.semantics.fields import Headers, get
from breezeway.semantics.file_plan import of_failure, of_not_modified
from breezeway.semantics.validators import NOT_MODIFIED, Validators, precondition

# entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE
# etagc      = %x21 / %x23-7E / obs-text                                   RFC 9110 section 8.8.3
# However, obs-text is not taken: a tag is ours to choose.
_TAG: Final = re.compile(r"[\x21\x23-\x7e]+")
_QUOTED: Final = re.compile(rf'(?:W/)?"(?:{_TAG.pattern})"')

TAG_BYTES: Final = 16
"""Of a SHA-256: no two versions of a page have the same 128 bits."""


def tag_of(etag: str, content: Any, *, weak: bool = False) -> str:
    """Return an entity tag as it stands in ETag; without a text it is made of the content.

    Raises:
        ValueError: the text cannot be one, or the content is not known yet.
    """
    if not etag:
        if not isinstance(content, bytes):
            raise ValueError(
                "content that is made while it is sent has no tag of its own: give one"
            )
        etag = hashlib.sha256(content).digest()[:TAG_BYTES].hex()
    tag = quoted(etag)
    return f"W/{tag}" if weak and not tag.startswith("W/") else tag


def quoted(etag: str) -> str:
    """Return an entity tag as it stands in ETag, of a text that may have its quotes already.

    Raises:
        ValueError: the text cannot be one.
    """
    if _QUOTED.fullmatch(etag):
        return etag
    if not _TAG.fullmatch(etag):
        raise ValueError(f"a tag is made of ASCII without spaces and quotes, not {etag!r}")
    return f'"{etag}"'


def told_date(modified: datetime) -> str:
    """Return a Last-Modified, which is never later than now (RFC 9110 section 8.8.2.1).

    Raises:
        ValueError: the time has no zone.
    """
    if modified.tzinfo is None:
        raise ValueError(f"a time without a time zone can be any: {modified}")
    return http_date(int(min(modified.timestamp(), time.time()))).decode()


def planned(environ: WSGIEnvironment, fields: Headers) -> tuple[int, Headers, Any] | None:
    """Return the 304 or 412 that answers a GET or HEAD in place of a response; None if none does."""
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return None
    date = get(fields, "last-modified")
    modified = None if date is None else parse_http_date(date)
    status = precondition(environ, Validators(get(fields, "etag"), modified))
    if status is None:
        return None
    if status == NOT_MODIFIED:
        return status, of_not_modified(fields), b""
    told = ("Content-Type", "text/plain; charset=utf-8")
    return status, [*of_failure(fields), told], b"412 Precondition Failed\n"
