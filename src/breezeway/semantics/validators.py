"""Validators and preconditions (RFC 9110 sections 8.8 and 13).

An `environ` joins the lines of a field that came more than once with a comma. That is what a list of
entity tags is, and what no date is: two dates are ignored, as one that is malformed is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from breezeway.semantics.dates import parse_http_date

NOT_MODIFIED: Final = 304
PRECONDITION_FAILED: Final = 412

STRONG_DATE_SECONDS: Final = 1
"""RFC 9110 section 8.8.2.2: a date says for sure which version it was when the version was at least
this old at the time of the response; before that, a second one may have the same date."""

# RFC 9110 section 8.8.3:
# entity-tag = [ weak ] opaque-tag
# weak       = %s"W/"
# opaque-tag = DQUOTE *etagc DQUOTE
# etagc      = %x21 / %x23-7E / obs-text
_ENTITY_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_BETWEEN: Final = re.compile(r"[ \t,]*")

_WEAK: Final = "W/"


class Validators(NamedTuple):
    """What tells one version of a representation from another."""

    etag: str | None
    """The entity tag as it stands in the ETag field, quotes included."""

    modified: int | None
    """Last-Modified, in whole seconds since the epoch."""


def precondition(environ: Mapping[str, Any], validators: Validators) -> int | None:
    """Evaluate the preconditions of a request for a representation that there is.

    Return the status that answers the request, 304 or 412, or None when it is to be performed. The
    order is that of RFC 9110 section 13.2.2; its last step, If-Range, is `range_applies`.
    """
    safe = environ["REQUEST_METHOD"] in ("GET", "HEAD")
    etag, modified = validators
    if_match = environ.get("HTTP_IF_MATCH")
    if if_match is not None:
        if not matches(if_match, etag, strong=True):
            return PRECONDITION_FAILED
    elif modified is not None:
        since = _date(environ, "HTTP_IF_UNMODIFIED_SINCE")
        if since is not None and modified > since:
            return PRECONDITION_FAILED
    if_none_match = environ.get("HTTP_IF_NONE_MATCH")
    if if_none_match is not None:
        if matches(if_none_match, etag, strong=False):
            return NOT_MODIFIED if safe else PRECONDITION_FAILED
    elif safe and modified is not None:
        since = _date(environ, "HTTP_IF_MODIFIED_SINCE")
        if since is not None and modified <= since:
            return NOT_MODIFIED
    return None


def range_applies(environ: Mapping[str, Any], validators: Validators, now: float) -> bool:
    """Whether If-Range, if there is one, allows to answer with a range (RFC 9110 section 13.1.5).

    `now` is in seconds since the epoch.
    """
    value = environ.get("HTTP_IF_RANGE")
    if value is None:
        return True
    etag, modified = validators
    if value.startswith(('"', _WEAK)):
        return value == etag and not value.startswith(_WEAK)
    return (
        modified is not None
        and parse_http_date(value) == modified
        and modified <= now - STRONG_DATE_SECONDS
    )


def matches(value: str, etag: str | None, *, strong: bool) -> bool:
    """Whether `value`, an If-Match or If-None-Match, names the entity tag of the representation.

    `*` does whatever the tag is. A list that is not well-formed names nothing.
    """
    if value == "*":
        return True
    if etag is None:
        return False
    if strong:
        return not etag.startswith(_WEAK) and etag in entity_tags(value)
    opaque = etag.removeprefix(_WEAK)
    return any(tag.removeprefix(_WEAK) == opaque for tag in entity_tags(value))


def entity_tags(value: str) -> list[str]:
    """Return the entity tags of a list; none when any of it is malformed."""
    try:
        return list(_tags(value))
    except ValueError:
        return []


def _tags(value: str) -> Iterator[str]:
    at = _end(_BETWEEN.match(value))
    while at < len(value):
        tag = _ENTITY_TAG.match(value, at)
        if tag is None:
            raise ValueError("not an entity tag")
        yield tag[0]
        between = _BETWEEN.match(value, tag.end())
        at = _end(between)
        if between is not None and at < len(value) and "," not in between[0]:
            raise ValueError("no comma between two entity tags")


def _end(match: re.Match[str] | None) -> int:
    return 0 if match is None else match.end()


def _date(environ: Mapping[str, Any], key: str) -> int | None:
    value = environ.get(key)
    return None if value is None else parse_http_date(value)
