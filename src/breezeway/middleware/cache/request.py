"""The requests of a cache's own: for revalidating, and for refreshing in the background."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Final
from wsgiref.types import WSGIEnvironment

from breezeway.middleware.cache.entry import Entry
from breezeway.semantics.fields import get

CONDITIONAL: Final = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_RANGE", "HTTP_RANGE")


def conditional(environ: WSGIEnvironment, entry: Entry) -> WSGIEnvironment:
    """Return the environ of a request for the whole, unless it is what is stored (section 4.3.1)."""
    asked = {key: value for key, value in environ.items() if key not in CONDITIONAL}
    etag, modified = get(entry.headers, "etag"), get(entry.headers, "last-modified")
    if etag is not None:
        asked["HTTP_IF_NONE_MATCH"] = etag
    if modified is not None:
        asked["HTTP_IF_MODIFIED_SINCE"] = modified
    return asked


def detached(environ: WSGIEnvironment) -> WSGIEnvironment:
    """Return what of an environ may outlive its request: texts of CGI, and no object of the server.

    Whatever else is in there, such as a file, a socket or a session, ends with the request.
    """
    asked: WSGIEnvironment = {}
    for key, value in environ.items():
        if type(value) is str and key.isupper():
            asked[key] = value
    for key in ("CONTENT_LENGTH", "CONTENT_TYPE"):
        asked.pop(key, None)
    asked["REQUEST_METHOD"] = "GET"
    for key in ("wsgi.version", "wsgi.url_scheme", "wsgi.multiprocess"):
        asked[key] = environ[key]
    asked["wsgi.multithread"], asked["wsgi.run_once"] = True, False
    asked["wsgi.input"], asked["wsgi.errors"] = BytesIO(), sys.stderr
    return asked
