"""What a line of the access log says of a request: combined, JSON, or by a template."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from string import Formatter
from typing import Any, Final
from urllib.parse import quote
from wsgiref.types import WSGIEnvironment

from breezeway.middleware.closing import Observed

COMBINED: Final = "combined"
JSON: Final = "json"

Line = Callable[[Observed, float], str]
"""Makes the line of a request that took so many seconds."""

# A header field or a key of the environ: request[User-Agent], response[Content-Type], environ[a.key]
_LOOKUP: Final = re.compile(r"(request|response|environ)\[([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\]")


_SPECIAL: Final = bytes([*range(0x20), 0x22, 0x5C, 0x7F])


def _is_plain(line: str, quotes: int) -> bool:
    """Tell whether nothing in a line needs an escape: the only quotes are the `quotes` of our own.

    One look at the line in place of one at each value, in a quarter of the time.
    """
    return line.isascii() and len(line) - len(line.encode().translate(None, _SPECIAL)) == quotes


def _escaped(value: object) -> str:
    """Write a value so that it stays within its quotes and its line; the way back is clear."""
    text = str(value)
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(
        char if char.isprintable() and char not in '"\\' else _escape(char) for char in text
    )


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\U{code:08x}"


def _target(environ: WSGIEnvironment) -> str:
    """Return the request-target as it came, if the server tells; else made from its parts."""
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw:
        return str(raw)
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING")
    target = quote(path, encoding="latin-1", errors="replace")
    return f"{target}?{query}" if query else target


def _outcome(seen: Observed) -> str:
    return "failed" if seen.error is not None else "left" if seen.left else "done"


def _clock(form: str) -> Callable[[], str]:
    """Return what tells the time as text, which is made once in a second."""
    now = time.time
    began, text = 0, ""

    def read() -> str:
        nonlocal began, text
        if not 0 <= now() - began < 1:  # a clock may be set back
            began = int(now())
            text = time.strftime(form, time.gmtime(began))
        return text

    return read


_stamp: Final = _clock("%d/%b/%Y:%H:%M:%S +0000")
_iso: Final = _clock("%Y-%m-%dT%H:%M:%SZ")


# --- lines ---------------------------------------------------------------------------------------


def _combined(seen: Observed, seconds: float) -> str:
    environ = seen.environ
    get = environ.get
    address = get("REMOTE_ADDR") or "-"
    user = get("REMOTE_USER") or "-"
    target = get("RAW_URI") or _target(environ)
    protocol = get("SERVER_PROTOCOL", "-")
    referer = get("HTTP_REFERER", "-")
    agent = get("HTTP_USER_AGENT", "-")
    tail = f"{seconds * 1000:.1f}ms"
    line = (
        f'{address} - {user} [{_stamp()}] "{seen.method} {target} {protocol}" {seen.code}'
        f' {seen.size} "{referer}" "{agent}" {tail}'
    )
    if _is_plain(line, 6) and (user == "-" or " " not in str(user)):
        return line
    quoted = [_escaped(each) for each in (address, seen.method, target, protocol, referer, agent)]
    address, method, target, protocol, referer, agent = quoted
    user = _escaped(user).replace(" ", "\\x20")
    return (
        f'{address} - {user} [{_stamp()}] "{method} {target} {protocol}" {_escaped(seen.code)}'
        f' {seen.size} "{referer}" "{agent}" {tail}'
    )


def _json(seen: Observed, seconds: float) -> str:
    get = seen.environ.get
    values = (
        get("REMOTE_ADDR", ""),
        seen.method,
        get("RAW_URI") or _target(seen.environ),
        get("SERVER_PROTOCOL", ""),
        get("HTTP_HOST", ""),
        seen.code,
        get("HTTP_REFERER", ""),
        get("HTTP_USER_AGENT", ""),
    )
    more = f',"bytes":{seen.size},"microseconds":{int(seconds * 1e6)},"outcome":"{_outcome(seen)}"'
    line = _json_line(more, *values)
    if not _is_plain(line, 44):
        line = _json_line(more, *[encode_basestring_ascii(str(value))[1:-1] for value in values])
    for name, key in (("user", "REMOTE_USER"), ("id", "breezeway.request_id")):
        value = get(key)
        if value:
            line = f'{line[:-1]},"{name}":{encode_basestring_ascii(str(value))}}}'
    return line


def _json_line(
    more: str,
    address: str,
    method: str,
    target: str,
    protocol: str,
    host: str,
    status: str,
    referer: str,
    agent: str,
) -> str:
    return (
        f'{{"time":"{_iso()}","address":"{address}","method":"{method}","target":"{target}",'
        f'"protocol":"{protocol}","host":"{host}","status":"{status}","referer":"{referer}",'
        f'"agent":"{agent}"{more}}}'
    )


_FIELDS: Final[dict[str, Callable[[Observed, float], object]]] = {
    "address": lambda seen, _: seen.environ.get("REMOTE_ADDR") or "-",
    "agent": lambda seen, _: seen.environ.get("HTTP_USER_AGENT", "-"),
    "bytes": lambda seen, _: seen.size,
    "host": lambda seen, _: seen.environ.get("HTTP_HOST", "-"),
    "id": lambda seen, _: seen.environ.get("breezeway.request_id", "-"),
    "iso": lambda seen, _: _iso(),
    "method": lambda seen, _: seen.method,
    "microseconds": lambda _, seconds: f"{seconds * 1e6:.0f}",
    "milliseconds": lambda _, seconds: f"{seconds * 1e3:.1f}",
    "outcome": lambda seen, _: _outcome(seen),
    "path": lambda seen, _: seen.environ.get("SCRIPT_NAME", "") + seen.environ.get("PATH_INFO", ""),
    "protocol": lambda seen, _: seen.environ.get("SERVER_PROTOCOL", "-"),
    "query": lambda seen, _: seen.environ.get("QUERY_STRING", ""),
    "referer": lambda seen, _: seen.environ.get("HTTP_REFERER", "-"),
    "scheme": lambda seen, _: seen.environ.get("wsgi.url_scheme", "-"),
    "status": lambda seen, _: seen.code,
    "target": lambda seen, _: _target(seen.environ),
    "time": lambda seen, _: _stamp(),
    "user": lambda seen, _: seen.environ.get("REMOTE_USER") or "-",
}


def line_of(form: str) -> Line:
    """Return what makes lines of this form: `combined`, `json`, or a template with fields.

    Raises:
        ValueError: it is none, or has a field that is not known.
    """
    if not isinstance(form, str) or not form:
        raise ValueError(f"format must be combined, json or a template, not {form!r}")
    if form in (COMBINED, JSON):
        return _combined if form == COMBINED else _json
    try:
        parts = list(Formatter().parse(form))
    except ValueError as error:
        raise ValueError(f"format is no template: {error}") from None
    if not any(name is not None for _, name, _, _ in parts):
        raise ValueError(f"format must be combined, json or a template with fields, not {form!r}")
    if "\n" in form or "\r" in form:
        raise ValueError("format must be one line")
    pattern = "".join(
        text.replace("%", "%%") + ("" if name is None else "%s") for text, name, _, _ in parts
    )
    values = [_value_of(*part[1:]) for part in parts if part[1] is not None]
    return lambda seen, seconds: (
        pattern % tuple([_escaped(value(seen, seconds)) for value in values])
    )


def _value_of(name: Any, spec: Any, conversion: Any) -> Callable[[Observed, float], object]:
    if spec or conversion:
        raise ValueError(f"format has more than a name in {{{name}}}")
    if name in _FIELDS:
        return _FIELDS[name]
    match = _LOOKUP.fullmatch(name)
    if match is None:
        raise ValueError(f"format has no field {name!r}; there are {', '.join(_FIELDS)}")
    kind, key = match.groups()
    if kind == "response":
        wanted = key.lower()
        return lambda seen, _: (
            ", ".join(value for field, value in seen.headers if field.lower() == wanted) or "-"
        )
    if kind == "request":
        key = key.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
    return lambda seen, _: seen.environ.get(key, "-")
