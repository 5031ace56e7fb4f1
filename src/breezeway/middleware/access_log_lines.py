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


class _Clock:
    """Wall-clock times as text; a second's is made once."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._now = (0, "")

    def __call__(self) -> str:
        second, text = self._now
        now = int(time.time())
        if now != second:
            text = time.strftime(self._form, time.gmtime(now))
            self._now = (now, text)
        return text


_stamp: Final = _Clock("%d/%b/%Y:%H:%M:%S +0000")
_iso: Final = _Clock("%Y-%m-%dT%H:%M:%SZ")


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
    # All six quotes are ours, and nothing else is special: one look at the line in place of seven.
    if line.isprintable() and line.count('"') == 6 and "\\" not in line and " " not in user:
        return line
    quoted = [_escaped(each) for each in (address, seen.method, target, protocol, referer, agent)]
    address, method, target, protocol, referer, agent = quoted
    user = _escaped(user).replace(" ", "\\x20")
    return (
        f'{address} - {user} [{_stamp()}] "{method} {target} {protocol}" {_escaped(seen.code)}'
        f' {seen.size} "{referer}" "{agent}" {tail}'
    )


def _json(seen: Observed, seconds: float) -> str:
    environ = seen.environ
    get = environ.get
    text = encode_basestring_ascii
    line = (
        f'{{"time":"{_iso()}","address":{text(get("REMOTE_ADDR", ""))},"method":{text(seen.method)},'
        f'"target":{text(get("RAW_URI") or _target(environ))},'
        f'"protocol":{text(get("SERVER_PROTOCOL", ""))},"host":{text(get("HTTP_HOST", ""))},'
        f'"status":{text(seen.code)},"bytes":{seen.size},"microseconds":{seconds * 1e6:.0f},'
        f'"outcome":"{_outcome(seen)}","referer":{text(get("HTTP_REFERER", ""))},'
        f'"agent":{text(get("HTTP_USER_AGENT", ""))}'
    )
    for name, key in (("user", "REMOTE_USER"), ("id", "breezeway.request_id")):
        value = get(key)
        if value:
            line += f',"{name}":{text(str(value))}'
    return line + "}"


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
