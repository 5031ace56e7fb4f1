"""The answer to a request from a stored response: whole, 304, or a range of it."""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.cache.entry import Entry
from breezeway.semantics.fields import Headers, get, replaced, without
from breezeway.semantics.ranges import Range, content_range, requested, unsatisfied
from breezeway.semantics.validators import NOT_MODIFIED, precondition, range_applies

_OF_CONTENT = ("content-length", "content-type", "content-encoding", "content-language")


def answer_from(
    entry: Entry,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    headers: Headers,
    now: float,
) -> Iterable[bytes]:
    """Answer GET or HEAD; `headers` are the entry's and what the cache adds to them."""
    is_get = environ["REQUEST_METHOD"] == "GET"
    body = entry.body
    if entry.status[:3] == "200":
        conditional = "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MODIFIED_SINCE" in environ
        if conditional and _is_known(entry, environ):
            start_response("304 Not Modified", without(headers, *_OF_CONTENT))
            return []
        if "HTTP_RANGE" in environ and is_get and range_applies(environ, entry.validators, now):
            # Several ranges are answered with the whole, as RFC 9110 section 14.2 allows.
            ranges = requested(environ["HTTP_RANGE"], len(body))
            if ranges is not None and len(ranges) < 2:
                return _range(environ, start_response, headers, body, *ranges)
    start_response(entry.status, headers)
    return [body] if is_get else []


def _is_known(entry: Entry, environ: WSGIEnvironment) -> bool:
    """Whether the client has what is stored."""
    value = environ.get("HTTP_IF_NONE_MATCH", "")
    if value.startswith(('"', 'W/"')) and value == get(entry.headers, "etag"):
        return True  # as with nearly all clients, without reading lists and dates
    return precondition(environ, entry.validators) == NOT_MODIFIED


def _range(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    headers: Headers,
    body: bytes,
    part: Range | None = None,
) -> list[bytes]:
    if part is None:
        fields = [("Content-Range", unsatisfied(len(body)))]
        return answer(environ, start_response, "416 Range Not Satisfiable", headers=fields)
    start, stop = part
    headers = replaced(headers, "Content-Length", str(stop - start))
    headers.append(("Content-Range", content_range(part, len(body))))
    start_response("206 Partial Content", headers)
    return [body[start:stop]]
