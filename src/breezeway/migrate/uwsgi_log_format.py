"""A log format of uWSGI's in our atoms, which are gunicorn's."""

from __future__ import annotations

import re
from typing import Final

_ATOMS: Final = {
    "addr": "h",
    "user": "u",
    "method": "m",
    "uri": "{RAW_URI}e",
    "proto": "H",
    "status": "s",
    "size": "B",
    "rsize": "B",
    "referer": "f",
    "uagent": "a",
    "host": "{host}i",
    "secs": "T",
    "msecs": "M",
    "micros": "D",
}
"""The names of uWSGI's that have a counterpart. Sizes are of the body here."""

_TIME: Final = "[%(ltime)]"
"""The brackets are part of our atom."""

_NAME: Final = re.compile(r"%\(([^()]*)\)")


def translate(form: str) -> str | None:
    """Return the format in our atoms; None if it has a name without a counterpart."""
    unknown = False

    def atom(found: re.Match[str]) -> str:
        nonlocal unknown
        name = found[1]
        if name.startswith("var."):
            return f"%({{{name.removeprefix('var.')}}}e)s"
        unknown = unknown or name not in _ATOMS
        return f"%({_ATOMS.get(name, '')})s"

    before, time, after = form.partition(_TIME)
    parts = [_NAME.sub(atom, part) for part in (before, after)]
    return None if unknown else ("%(t)s" if time else "").join(parts)
