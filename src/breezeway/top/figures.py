"""Numbers as people read them: rates, sizes, durations, and curves out of block characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
"""A column of a curve by how many eighths of it are full."""

_EIGHTHS: Final = len(BLOCKS) - 1
_PREFIXES: Final = ("", "K", "M", "G", "T")
_BINARY: Final = 1024
_MILLI: Final = 1000


def number(value: float) -> str:
    """Write a count or a rate: `0.4`, `12`, `12,345`, `1.23M`."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:.2f}M"
    if 0 < value < 9.95:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:,.0f}"


def size(value: float) -> str:
    """Write bytes: `0`, `812`, `1.2K`, `34M`, with powers of 1024."""
    power = 0
    while value >= _BINARY and power < len(_PREFIXES) - 1:
        value /= _BINARY
        power += 1
    digits = 1 if power and value < 9.95 else 0
    return f"{value:.{digits}f}{_PREFIXES[power]}"


def seconds(value: float) -> str:
    """Write a short duration with three digits: `85µs`, `1.25ms`, `12.5ms`, `1.25s`; `-` for NaN."""
    if math.isnan(value):
        return "-"
    milliseconds = value * _MILLI
    if milliseconds < 0.9995:
        return f"{milliseconds * _MILLI:.0f}µs"
    if milliseconds < 999.5:
        return f"{_three_digits(milliseconds)}ms"
    return f"{_three_digits(value)}s"


def curve(values: Sequence[float], width: int) -> str:
    """Draw the last values, the newest on the right, as high as their largest; NaN is a gap."""
    return graph(values, width, 1)[0]


def graph(values: Sequence[float], width: int, height: int) -> list[str]:
    """Draw the same over several lines, from top to bottom.

    What is above zero can be seen, if it is an eighth of a line high.
    """
    shown = [0.0 if math.isnan(each) else each for each in values[-width:]] if width > 0 else []
    most = max(shown, default=0.0)
    levels = [_level(each, most, height) for each in shown]
    return [
        "".join(BLOCKS[min(max(level - below, 0), _EIGHTHS)] for level in levels).rjust(width)
        for below in range((height - 1) * _EIGHTHS, -1, -_EIGHTHS)
    ]


def bar(share: float, width: int) -> tuple[str, str]:
    """Draw a bar of this width: the part that is full and the rest."""
    full = round(min(max(share, 0.0), 1.0) * width)
    if share > 0 and not full:
        full = min(1, width)
    return "━" * full, "━" * (width - full)


def _three_digits(value: float) -> str:
    if value < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _level(value: float, most: float, height: int) -> int:
    if value <= 0 or not most:
        return 0
    return max(1, round(value / most * height * _EIGHTHS))
