"""A line of the access log for people: what matters first, in columns, in colour on a terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from breezeway.observe.access_text import Stamp, quoted
from breezeway.observe.entry import COMPLETE, OUTCOMES, Entry

if TYPE_CHECKING:
    from breezeway.observe.access_lines import Lines

_COLOURS: Final = {2: 32, 3: 36, 4: 33, 5: 31}
"""Of a status, by its first digit: green, cyan, yellow, red (ECMA-48, SGR)."""

_NO_RESPONSE: Final = 35  # magenta
_FAINT: Final = 2


def lines_of(is_terminal: bool) -> Lines:
    """Return what makes such lines: in colour on a terminal, unless NO_COLOR is set."""
    stamp = Stamp("%H:%M:%S")
    colours = is_terminal and not os.environ.get("NO_COLOR")

    def paint(text: str, colour: int) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if colours else text

    def line(entry: Entry) -> str:
        request, _, response, size, began, _, _, returned, finished, outcome = entry
        get = request.environ.get
        status = response.status if response is not None else 0
        how = "" if outcome == COMPLETE else f"  {paint(OUTCOMES[outcome], _COLOURS[5])}"
        return (
            f"{paint(stamp.exact(began)[:-3], _FAINT)} {quoted(get('REQUEST_METHOD', '-')):6} "
            f"{quoted(get('RAW_URI', '-'))} "
            f"{paint(str(status or '-'), _COLOURS.get(status // 100, _NO_RESPONSE))} "
            f"{paint(f'{_size(size)} {_duration((finished or returned) - began)}', _FAINT)}{how}\n"
        )

    return lambda entries, _: [line(entry) for entry in entries]


def _size(size: int) -> str:
    """Write bytes as people do."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 999.5:  # else it would be 1e+03
            return f"{amount:.3g} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
