"""What the access log says of a request: a line in the combined format, or in one of the others.

A line costs the thread that serves, so that what is the same for each request with the same head is
made once and kept with the head (`entry.Request.note`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from breezeway.observe.access_options import AUTO, COMBINED, JSON, LINE
from breezeway.observe.access_text import COMMON_STAMP, Stamp, quoted, user_of
from breezeway.observe.entry import Entry

Lines = Callable[[list[Entry], str], list[str]]
"""Makes the lines of requests that were answered by the thread of that name."""


def lines_of(form: str, identity: Mapping[str, int], *, standard_output: bool) -> Lines:
    """Return what makes lines of a format, a name or one with atoms.

    `identity` tells in each JSON object who has written it. `auto` is for people when the log goes to
    standard output and that is a terminal.
    """
    is_terminal = standard_output and sys.stdout is not None and sys.stdout.isatty()
    if form == AUTO:
        form = LINE if is_terminal else COMBINED
    if form == COMBINED:
        return combined()
    if form == JSON:
        from breezeway.observe import access_json

        return access_json.lines_of(identity)
    if form == LINE:
        from breezeway.observe import access_terminal

        return access_terminal.lines_of(is_terminal)
    from breezeway.observe import access_atoms

    return access_atoms.lines_of(form)


def combined() -> Lines:
    """Return what makes lines as Apache and nginx have them, with the duration at the end."""
    stamp = Stamp(COMMON_STAMP)

    def lines(entries: list[Entry], thread: str) -> list[str]:
        made = []
        at, time_text = -1.0, ""
        for request, environ, response, size, began, _, _, returned, finished, _ in entries:
            if began != at:
                at, time_text = began, stamp.whole(began)
            peer, line, tail = request.note or _note(request)
            user = user_of(environ) if "REMOTE_USER" in environ else "-"
            tenths = int(((finished or returned) - began) * 10_000 + 0.5)
            made.append(
                f"{peer} - {user} [{time_text}] {line} "
                f"{response.status if response is not None else '-'} {size} {tail} "
                f"{tenths // 10}.{tenths % 10}ms\n"
            )
        return made

    return lines


def _note(request: Any) -> tuple[str, str, str]:
    get = request.environ.get
    line = " ".join(
        quoted(get(key, "-")) for key in ("REQUEST_METHOD", "RAW_URI", "SERVER_PROTOCOL")
    )
    request.note = note = (
        quoted(get("REMOTE_ADDR") or "unix"),
        f'"{line}"',
        f'"{quoted(get("HTTP_REFERER", "-"))}" "{quoted(get("HTTP_USER_AGENT", "-"))}"',
    )
    return note
