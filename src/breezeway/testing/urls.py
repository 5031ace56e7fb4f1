"""URLs of requests: below the base, percent-encoded, and where a redirect leads."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, quote, urldefrag, urlencode, urljoin, urlsplit, urlunsplit

from breezeway.testing.request_body import Pairs, texts

_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH_SAFE: Final = "/%:@!$&'()*+,;=-._~"
_QUERY_SAFE: Final = _PATH_SAFE + "?"

PORTS: Final = {"http": 80, "https": 443}


def checked_base(url: str) -> str:
    """Return a base without a slash at its end.

    Raises:
        ValueError: it is not the URL of an http or https server, or has a query or fragment.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"a base URL is like http://localhost/path, not {url!r}")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"a base URL has scheme, host and path and nothing more, unlike {url!r}")
    return encoded(url).rstrip("/")


def resolved(base: str, url: str, params: Pairs | str | None) -> str:
    """Return the absolute URL of a request.

    `url` is absolute, or a path below the base with or without a slash in front: `//host/` is such a
    path, too. `params` are added to its query.
    """
    if not isinstance(url, str):
        raise TypeError(f"a URL is a text, not {url!r}")
    if not _ABSOLUTE.match(url):
        slash = "" if not url or url[0] == "/" else "/"
        url = f"{base}{slash}{url}"
    parts = urlsplit(encoded(url))
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is no URL of http or https")
    if parts.username is not None:
        raise ValueError(f"{url!r} has a user in it: that goes into auth")
    if params is not None:
        more = params if isinstance(params, str) else urlencode(texts(params))
        query = "&".join(filter(None, [parts.query, more]))
        parts = parts._replace(query=quote(_without_stray(query), safe=_QUERY_SAFE))
    return urlunsplit(parts._replace(path=parts.path or "/"))


def encoded(url: str) -> str:
    """Percent-encode what may not be in a URL as it is; what is encoded stays so."""
    parts = urlsplit(url)
    return urlunsplit(
        SplitResult(
            parts.scheme.lower(),
            parts.netloc,
            quote(_without_stray(parts.path), safe=_PATH_SAFE),
            quote(_without_stray(parts.query), safe=_QUERY_SAFE),
            quote(_without_stray(parts.fragment), safe=_QUERY_SAFE),
        )
    )


def _without_stray(text: str) -> str:
    return _STRAY_PERCENT.sub("%25", text)


def redirected(url: str, location: str) -> str:
    """Return where a redirect leads (RFC 9110 section 10.2.2): a fragment is handed down.

    Location is a character for each byte; bytes beyond ASCII are taken for UTF-8.
    """
    text = location.encode("latin-1", "replace").decode("utf-8", "replace")
    target = encoded(urljoin(url, text))
    fragment = urldefrag(url).fragment
    if fragment and not urldefrag(target).fragment:
        target = f"{target}#{fragment}"
    parts = urlsplit(target)
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=netloc, path=parts.path or "/"))


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
