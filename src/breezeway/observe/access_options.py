"""What the settings of the access log can say, read into parts; nothing here writes a line.

The check of the settings and those who act on them read the same functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

AUTO, LINE, COMBINED, JSON = FORMATS = ("auto", "line", "combined", "json")
"""The formats that have a name."""

ATOMS: Final = {
    "h": "address of the client; `-` on a unix socket",
    "l": "`-`, always",
    "u": "user: `REMOTE_USER` as the application has left it, else that of Basic authentication",
    "t": "when the request was complete: `[22/Nov/2026:15:04:05 +0000]`",
    "r": "request line: method, request-target, version",
    "m": "method",
    "U": "path without the query, decoded (`PATH_INFO`)",
    "q": "query, without `?`",
    "H": "version: `HTTP/1.1`",
    "s": "status; `-` when there was no response",
    "B": "bytes of the response body",
    "b": "the same; `-` when there was no response",
    "f": "field `Referer`",
    "a": "field `User-Agent`",
    "T": "duration in whole seconds",
    "M": "duration in whole milliseconds",
    "D": "duration in microseconds",
    "L": "duration in seconds, with six digits behind the point",
    "p": "process id of the worker: `<1234>`",
}
"""The atoms of gunicorn's formats, and what each is here."""

NUMBERS: Final = frozenset("BTMD")
"""The atoms that are numbers, which `%(D)d` and the like can write."""

LOOKUPS: Final = {
    "i": "field of the request",
    "o": "field of the response",
    "e": "key of the environ, as the application has left it",
}
"""And those that name what they look up: `%({user-agent}i)s`."""

_DIRECTIVE: Final = re.compile(
    r"%(?:%|\((?P<name>[^()]*)\)(?P<spec>[-+ #0]*\d*(?:\.\d+)?(?P<type>[a-zA-Z])))"
)
_LOOKUP: Final = re.compile(r"\{(?P<key>[^{}]+)\}(?P<kind>[ioe])")
_CLASS: Final = re.compile(r"[1-5]xx|[1-5]\d\d")

LOG_SOCKET: Final = "/dev/log"
"""Where syslog(3) sends to."""

SYSLOG_PORT: Final = 514
"""Of UDP (RFC 5426) and, by custom, of TCP."""

JOURNALD: Final = "journald"


class Atom(NamedTuple):
    """One atom of a format: a letter of `ATOMS`, or one of `LOOKUPS` and what to look up."""

    letter: str
    key: str = ""


class Syslog(NamedTuple):
    """A syslog server: `unix`, `udp` or `tcp`; the path of a socket, or a host and a port."""

    transport: str
    host: str
    port: int = 0


def atoms_of(form: str) -> tuple[str, list[Atom]]:
    """Return a gunicorn format as a template for `%` without names, and the atoms that it takes.

    Raises:
        ValueError: it is none; the text is the rest of a sentence.
    """
    atoms: list[Atom] = []

    def take(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%%"
        name, kind = found["name"], found["type"]
        if kind != "s" and not (kind == "d" and name in NUMBERS):
            raise ValueError(f"has {found[0]!r}; write %({name})s")
        atoms.append(_atom(name))
        return f"%{found['spec']}"

    template = _DIRECTIVE.sub(take, form)
    if "%" in _DIRECTIVE.sub("", form):
        raise ValueError(f"has a % that is neither %% nor an atom such as %(h)s: {form!r}")
    if not atoms:
        raise ValueError(f"must be {', '.join(FORMATS)}, or have atoms such as %(h)s, not {form!r}")
    if not form.isprintable():
        raise ValueError(f"has a control character: {form!r}")
    return template, atoms


def _atom(name: str) -> Atom:
    if name in ATOMS:
        return Atom(name)
    lookup = _LOOKUP.fullmatch(name)
    if lookup is None:
        known = ", ".join(ATOMS)
        raise ValueError(
            f"has no atom {name!r}; there are {known}, {{field}}i, {{field}}o, {{key}}e"
        )
    return Atom(lookup["kind"], lookup["key"])


def line_format(form: str) -> None:
    """Want one of `FORMATS`, or a format with atoms."""
    if form not in FORMATS:
        atoms_of(form)


def shares(specs: Iterable[str]) -> dict[str, float]:
    """Read STATUS=SHARE, such as `2xx=0.1` or `404=0`: how many of such responses have a line.

    Raises:
        ValueError: one is not that; the text is the rest of a sentence.
    """
    found: dict[str, float] = {}
    for spec in specs:
        status, _, text = spec.partition("=")
        try:
            share = float(text)
        except ValueError:
            share = -1.0
        if not _CLASS.fullmatch(status) or not 0 <= share <= 1:
            raise ValueError(f"must be STATUS=SHARE, such as 2xx=0.1 or 404=0, not {spec!r}")
        if status in found:
            raise ValueError(f"has {status} twice")
        found[status] = share
    return found


def target(text: str) -> Syslog | str:
    """Read where the log goes: a syslog server, `JOURNALD`, or the path of a file.

    A syslog server is `syslog:`, `syslog:/PATH`, `syslog:udp://HOST[:PORT]` or `syslog:tcp://...`.

    Raises:
        ValueError: it is none of these; the text is the rest of a sentence.
    """
    scheme, colon, rest = text.partition(":")
    if scheme != "syslog" or not colon:
        if not text or "\0" in text:
            raise ValueError(f"must be the path of a file, not {text!r}")
        return text
    if not rest or rest.startswith("/"):
        return Syslog("unix", rest or LOG_SOCKET)
    found = re.fullmatch(r"(udp|tcp)://(\[[0-9A-Fa-f:.]+\]|[^][:/\s]+)(?::(\d{1,5}))?", rest)
    if found is None or not 0 < int(found[3] or SYSLOG_PORT) < 1 << 16:
        known = "syslog:, syslog:/PATH, syslog:udp://HOST:PORT or syslog:tcp://HOST:PORT"
        raise ValueError(f"must be {known}, not {text!r}")
    return Syslog(found[1], found[2].strip("[]"), int(found[3] or SYSLOG_PORT))


def file_of(text: str | None) -> str | None:
    """Return the path if the log goes to a file of its own."""
    found = JOURNALD if text is None else target(text)
    return None if isinstance(found, Syslog) or found == JOURNALD else found
