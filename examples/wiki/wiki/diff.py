"""Two texts beside each other: what has gone and what has come."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

CONTEXT = 3
"""Lines around a change that are shown."""

ALIKE = 0.5
"""Two lines that have less in common are shown as they are, without what changed within them."""

LONGEST_LINE = 2_000
"""In characters; longer ones are not compared within: that takes the square of it."""


class Piece(NamedTuple):
    """A part of a line."""

    text: str
    is_changed: bool


class Line(NamedTuple):
    """A line of one of the texts; `gap` stands for lines that are the same and not shown."""

    kind: Literal["same", "gone", "come", "gap"]
    pieces: tuple[Piece, ...] = ()
    old: int | None = None
    new: int | None = None


def compared(old: str, new: str) -> list[Line]:
    """Return the lines of a difference; none if there is none."""
    before, after = old.splitlines(), new.splitlines()
    matcher = SequenceMatcher(None, before, after)
    found: list[Line] = []
    for group in matcher.get_grouped_opcodes(CONTEXT):
        if group[0][1] > 0 or group[0][3] > 0:
            found.append(Line("gap"))
        for tag, i, i_end, j, j_end in group:
            if tag == "equal":
                for number in range(i_end - i):
                    pieces = (Piece(before[i + number], False),)
                    found.append(Line("same", pieces, i + number + 1, j + number + 1))
            else:
                found += _changed(before[i:i_end], after[j:j_end], i + 1, j + 1)
    return found


def _changed(gone: list[str], come: list[str], old: int, new: int) -> Iterator[Line]:
    marked = [
        _within(left, right) if len(gone) == len(come) else (_whole(left), _whole(right))
        for left, right in zip(gone, come, strict=False)
    ]
    for number, text in enumerate(gone):
        pieces = marked[number][0] if number < len(marked) else _whole(text)
        yield Line("gone", pieces, old=old + number)
    for number, text in enumerate(come):
        pieces = marked[number][1] if number < len(marked) else _whole(text)
        yield Line("come", pieces, new=new + number)


def _whole(text: str) -> tuple[Piece, ...]:
    return (Piece(text, False),)


def _within(left: str, right: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Mark what differs within two lines that are much alike."""
    if max(len(left), len(right)) > LONGEST_LINE:
        return _whole(left), _whole(right)
    matcher = SequenceMatcher(None, left, right)
    if matcher.ratio() < ALIKE:
        return _whole(left), _whole(right)
    gone, come = [], []
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if i < i_end:
            gone.append(Piece(left[i:i_end], tag != "equal"))
        if j < j_end:
            come.append(Piece(right[j:j_end], tag != "equal"))
    return tuple(gone), tuple(come)
