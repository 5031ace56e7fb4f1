"""Messages for the next page that is shown: `Saved.` after the redirect of a form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from breezeway.web.request import Request

KEY: Final = "_flashes"
"""In the session."""

SHOWN: Final = "breezeway.flashes"
"""In the environ: those that this request has taken, for the parts of one page ask more than once."""

MOST: Final = 10
"""Messages that are kept, the newest."""

MOST_BYTES: Final = 2_000
"""Of all messages as JSON: a session in a cookie has room for 3,000, and fails if there is more. Texts with
characters beyond ASCII take up to six bytes for each."""

ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"

LONGEST: Final = 500
"""Characters of a message; the rest is cut off."""


class Flash(NamedTuple):
    """One message."""

    text: str
    kind: str


def flash(request: Request, text: str, kind: str = "info") -> None:
    """Keep a message for the next page that asks for them; `kind` is for the look of it.

    The text is text, not HTML: templates escape it.

    Raises:
        RuntimeError: there are no sessions.
    """
    session = request.session
    kept = [*_pairs(session.get(KEY)), [_cut(str(text)), str(kind)]][-MOST:]
    while len(kept) > 1 and _bytes(kept) > MOST_BYTES:
        del kept[0]
    session[KEY] = kept


def flashes(request: Request) -> list[Flash]:
    """Take the messages for this visitor, the oldest first: the next page will not have them.

    Within one request each call returns the same.

    Raises:
        RuntimeError: there are no sessions.
    """
    shown: list[Flash] | None = request.environ.get(SHOWN)
    if shown is None:
        session = request.session
        shown = [
            Flash(*pair) for pair in _pairs(session.pop(KEY, None) if KEY in session else None)
        ]
        request.environ[SHOWN] = shown
    return shown


def _cut(text: str) -> str:
    """Cut a text that is too long at its end."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 1]}{ELLIPSIS}"
    while _bytes(text) > MOST_BYTES:
        text = f"{text[: len(text) * 9 // 10]}{ELLIPSIS}"
    return text


def _bytes(kept: Any) -> int:
    return len(json.dumps(kept, separators=(",", ":")))


def _pairs(kept: Any) -> list[list[str]]:
    """Return what is in a session, which another version of the application may have written."""
    if not isinstance(kept, list):
        return []
    return [
        pair
        for pair in kept
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(each, str) for each in pair)
    ]
