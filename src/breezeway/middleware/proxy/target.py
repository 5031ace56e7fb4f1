"""The request-target that `Proxy` sends: the path as raw as can be, below the upstream's base."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes
from wsgiref.types import WSGIEnvironment

from breezeway.middleware.proxy.errors import BAD_REQUEST, RefusedError

VISIBLE: Final = re.compile(r"[!-\"$-~]*")
"""ASCII that can stand in a request-target, as raw as it may be; no fragment."""

_PATH_SAFE: Final = "/:@!$&'()*+,;=~-._"


def path_of(environ: WSGIEnvironment) -> str:
    """Return PATH_INFO as it stands in a URL, spelt as the client has spelt it.

    Raises:
        RefusedError: it is no path.
    """
    path: str = environ.get("PATH_INFO", "")
    if not path:
        return ""
    if path[0] != "/":
        if path == "*" and environ["REQUEST_METHOD"] == "OPTIONS":
            return path
        raise RefusedError(BAD_REQUEST, "The path is malformed.")
    raw: str = environ.get("REQUEST_URI") or environ.get("RAW_URI") or ""
    found = _raw_path(raw.partition("?")[0], path, environ.get("SCRIPT_NAME", ""))
    return quote(latin(path), safe=_PATH_SAFE) if found is None else found


def _raw_path(raw: str, path: str, script: str) -> str | None:
    """Return the end of a raw path that is PATH_INFO; None if there is no such end.

    PATH_INFO is what the pieces around have looked at: the raw path is only another spelling of it.
    """
    if raw[:1] != "/" or VISIBLE.fullmatch(raw) is None:
        return None
    whole = unquote_to_bytes(raw).decode("latin-1")
    if not whole.endswith(path) or not script.endswith(whole[: len(whole) - len(path)]):
        return None
    at = 0
    for _ in range(len(whole) - len(path)):
        at += 3 if raw[at] == "%" else 1
    return raw[at:] if unquote_to_bytes(raw[at:]).decode("latin-1") == path else None


def below(path: str, base: str) -> str:
    """Return a path for an upstream that has everything below `base`.

    Raises:
        RefusedError: it would lead out of there.
    """
    if base and ("." in path or "%2e" in path.lower()):
        plain = unquote_to_bytes(path).replace(b"\\", b"/")
        # Some servers take parameters off a segment before they look at its dots.
        if any(segment.partition(b";")[0] == b".." for segment in plain.split(b"/")):
            raise RefusedError(BAD_REQUEST, "The path leads out of what is served here.")
    return path if path == "*" else f"{base}{path}" or "/"


def latin(text: str) -> bytes:
    """Return the bytes of a text of the environ.

    Raises:
        RefusedError: it is none of bytes (PEP 3333, "Unicode Issues").
    """
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise RefusedError(BAD_REQUEST, "The request is malformed.") from None


def script_name(environ: WSGIEnvironment) -> str:
    """Return SCRIPT_NAME as it stands in a URL."""
    return quote(latin(environ.get("SCRIPT_NAME", "")), safe=_PATH_SAFE)
