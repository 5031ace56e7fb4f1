"""The URL of a request, from its environ."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote
from wsgiref.types import WSGIEnvironment

from breezeway.semantics.hosts import parse_host
from breezeway.semantics.path_prefixes import mount_point
from breezeway.web.errors import BadRequest

PORTS: Final = {"http": "80", "https": "443"}

# pchar = unreserved / pct-encoded / sub-delims / ":" / "@"                RFC 3986 section 3.3
PATH_SAFE: Final = "/:@!$&'()*+,;=~"

_QUERY_UNSAFE: Final = re.compile(r"[^\x21\x23-\x3b\x3d\x3f-\x7e]")
"""What cannot stand in a query: blanks, `"<>`, what is no ASCII. Percent signs stay: it is encoded."""

_ORIGIN: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


def encoded(text: str) -> str:
    """Percent-encode a path of an environ, of which each character stands for a byte."""
    return quote(text.encode("latin-1"), safe=PATH_SAFE)


def root(environ: WSGIEnvironment) -> str:
    """Return where the application is mounted: empty, or a path with one slash in front and none last."""
    return mount_point(environ.get("SCRIPT_NAME", ""))


def encoded_query(text: str) -> str:
    """Percent-encode what in a query is not, such as bytes of UTF-8."""
    return _QUERY_UNSAFE.sub(lambda match: quote(match[0].encode("latin-1")), text)


def host(environ: WSGIEnvironment) -> str:
    """Return host and port as the client named them; the server's, if it did not.

    Raises:
        BadRequest: it is neither a name nor an address, or the port is none.
    """
    text = environ.get("HTTP_HOST")
    if not text:
        name, port = environ["SERVER_NAME"], environ["SERVER_PORT"]
        if ":" in name and not name.startswith("["):
            name = f"[{name}]"
        return str(name) if port == PORTS.get(environ["wsgi.url_scheme"]) else f"{name}:{port}"
    try:
        parse_host(text)
    except ValueError:
        raise BadRequest("Host is malformed") from None
    return str(text)


def raw_path(environ: WSGIEnvironment) -> str:
    """Return the whole path as the client has sent it, where the server tells (REQUEST_URI, RAW_URI).

    Otherwise it is encoded again, and `%2F` is a slash by then.
    """
    target = environ.get("REQUEST_URI") or environ.get("RAW_URI") or ""
    path = _ORIGIN.sub("", target, count=1).partition("?")[0]
    if path.startswith("/") and path.isascii():
        return str(path)
    return encoded(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")) or "/"
