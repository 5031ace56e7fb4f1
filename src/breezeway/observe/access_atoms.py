"""A line of the access log by a format of gunicorn's, so that what reads such lines goes on to.

A value cannot end the quotes that are around it: `"` and a backslash get a backslash, as in Apache's
logs; control characters are escaped. Names in braces have no case.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from breezeway.observe.access_options import Atom, atoms_of
from breezeway.observe.access_text import COMMON_STAMP, Stamp, escape
from breezeway.observe.entry import Entry, Response

if TYPE_CHECKING:
    from breezeway.observe.access_lines import Lines


class _Seen(NamedTuple):
    """What atoms are made of."""

    asked: dict[str, Any]
    """The environ as it came."""
    left: dict[str, Any]
    """The same as the application has left it."""
    response: Response | None
    size: int
    time: str
    microseconds: int


Value = Callable[[_Seen], object]

_OF_THE_HEAD: Final = frozenset("hlrmUqHfapi")
"""The atoms that are the same as long as the head is."""

_DIRECTIVE: Final = re.compile(r"%(?:%|[^a-z%]*[a-z])")


def lines_of(form: str, *, keep: bool = True) -> Lines:
    """Return what makes lines of this format.

    With `keep` what is the same for each request with the same head is kept in its note; for who has
    no other use for that.

    Raises:
        ValueError: it is none.
    """
    template, atoms = atoms_of(form)
    template += "\n"
    values = [_value_of(atom) for atom in atoms]
    lasting = [keep and atom.letter in _OF_THE_HEAD for atom in atoms]
    changing = [value for value, lasts in zip(values, lasting, strict=True) if not lasts]
    stamp = Stamp(COMMON_STAMP)

    def fill_in(seen: _Seen) -> str:
        """Fill the atoms in that do not change; return what is a template again."""
        each = iter(zip(values, lasting, strict=True))

        def atom(found: re.Match[str]) -> str:
            if found[0] == "%%":
                return "%%"
            value, lasts = next(each)
            return (found[0] % _safe(value(seen))).replace("%", "%%") if lasts else found[0]

        return _DIRECTIVE.sub(atom, template)

    def line(entry: Entry) -> str:
        request, environ, response, size, began, _, _, returned, finished, _ = entry
        microseconds = int(((finished or returned) - began) * 1e6)
        seen = _Seen(request.environ, environ, response, size, stamp.whole(began), microseconds)
        note = template
        if keep:
            note = request.note or fill_in(seen)
            request.note = note
        return note % tuple([_safe(value(seen)) for value in changing])

    return lambda entries, _: [line(entry) for entry in entries]


def _safe(text: object) -> object:
    if not isinstance(text, str):
        return text
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(
        f"\\{each}" if each in '"\\' else each if each.isprintable() else escape(each)
        for each in text
    )


def _value_of(atom: Atom) -> Value:
    if not atom.key:
        return _VALUES[atom.letter]
    key = atom.key.upper().replace("-", "_")
    if atom.letter == "i":
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        return lambda seen: str(seen.asked.get(key, "-"))
    if atom.letter == "o":
        name = atom.key.lower()
        return lambda seen: _field(seen.response, name)
    names = (atom.key, atom.key.upper(), atom.key.lower())
    return lambda seen: str(next((seen.left[each] for each in names if each in seen.left), "-"))


def _field(response: Response | None, name: str) -> str:
    """Return a field of a response, as the application has given it."""
    lines = b"" if response is None else response.lines
    fields = [line.partition(":") for line in lines.decode("latin-1").split("\r\n")[1:]]
    return ", ".join(value.strip() for key, _, value in fields if key.lower() == name) or "-"


def _user(seen: _Seen) -> str:
    if seen.left.get("REMOTE_USER"):
        return str(seen.left["REMOTE_USER"])
    scheme, _, token = str(seen.asked.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() != "basic":
        return "-"
    try:
        name, _, _ = base64.b64decode(token.strip()).partition(b":")
        return name.decode() or "-"
    except (binascii.Error, ValueError):
        return "-"


def _asked(key: str) -> Value:
    return lambda seen: str(seen.asked.get(key, "-"))


def _request_line(seen: _Seen) -> str:
    get = seen.asked.get
    keys = ("REQUEST_METHOD", "RAW_URI", "SERVER_PROTOCOL")
    return " ".join(str(get(key, "-")) for key in keys)


_VALUES: Final[dict[str, Value]] = {
    "h": lambda seen: str(seen.asked.get("REMOTE_ADDR") or "-"),
    "l": lambda _: "-",
    "u": _user,
    "t": lambda seen: f"[{seen.time}]",
    "r": _request_line,
    "m": _asked("REQUEST_METHOD"),
    "U": _asked("PATH_INFO"),
    "q": _asked("QUERY_STRING"),
    "H": _asked("SERVER_PROTOCOL"),
    "s": lambda seen: "-" if seen.response is None else str(seen.response.status),
    "B": lambda seen: seen.size,
    "b": lambda seen: "-" if seen.response is None else str(seen.size),
    "f": _asked("HTTP_REFERER"),
    "a": _asked("HTTP_USER_AGENT"),
    "T": lambda seen: seen.microseconds // 1_000_000,
    "M": lambda seen: seen.microseconds // 1000,
    "D": lambda seen: seen.microseconds,
    "L": lambda seen: f"{seen.microseconds // 1_000_000}.{seen.microseconds % 1_000_000:06d}",
    "p": lambda _: f"<{os.getpid()}>",
}
