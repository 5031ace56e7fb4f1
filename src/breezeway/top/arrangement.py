"""Which panel gets how many lines of a terminal; what matters least goes first when there are few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NARROW: Final = 72
"""Below so many columns the two panels at the top stand one above the other."""

HEAD: Final = 2
FOOT: Final = 1
GAUGES: Final = 1
"""Without the connections by state, which have a line of their own."""

LATENCY: Final = 6
TRAFFIC: Final = 3
"""Without its graph; beside the latency it is as high as that."""

LEAST_TABLE: Final = 2
"""The head and one row."""

LEAST_EVENTS: Final = 1
MOST_EVENTS: Final = 8

SOME_REQUESTS: Final = LEAST_TABLE + 5
SOME_EVENTS: Final = 4
"""What they get before another table gets everything that it could use."""

LOW: Final = 30
"""Below so many lines a panel has a line with its title above it, and no border around it."""

TALL: Final = 34
"""From so many lines on, the panels at the top get some of the room."""

MOST_EXTRA: Final = 6


ENOUGH: Final = 24
ENOUGH_NARROW: Final = 30
"""From so many lines on there is room for the second line of the gauges."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Lines of each panel, with its borders; 0 if it is not shown."""

    narrow: bool
    low: bool
    traffic: int
    latency: int
    workers: int
    running: int
    events: int
    word: int
    """What is said about an operation."""
    gauges: int


def arrange(width: int, height: int, workers: int, running: int, word: bool) -> Arrangement:
    """Divide a terminal among the panels.

    There are so many workers and running requests; `word` is whether something is to be said about
    an operation.
    """
    narrow, low = width < NARROW, height < LOW
    borders = 1 if low else 2
    lowest = 2 * LEAST_TABLE + LEAST_EVENTS + 3 * borders
    gauges = GAUGES + (height - word >= (ENOUGH_NARROW if narrow else ENOUGH))
    room = height - HEAD - FOOT - gauges - word
    extra = min(max(0, height - TALL) // 2, MOST_EXTRA)
    latency = LATENCY + borders
    traffic = extra + (TRAFFIC + borders if narrow else latency)
    if narrow and room < traffic + latency + lowest:
        traffic = 0  # the gauges and the table of workers tell the most of it
    if room < latency + lowest:
        traffic = latency = 0
    if not narrow and latency:
        latency = traffic
    room -= traffic + latency if narrow else traffic
    lower = _lower(room, borders, workers, running)
    return Arrangement(narrow, low, traffic, latency, *lower, int(word), gauges)


def _lower(room: int, borders: int, workers: int, running: int) -> tuple[int, int, int]:
    """Divide the rest: a little for each table, if there is room, and then what they need."""
    given = [0, 0, 0]

    def give(at: int, lines: int) -> None:
        nonlocal room
        more = min(room, max(0, lines + borders - given[at]))
        given[at] += more
        room -= more

    for at, least in enumerate((LEAST_TABLE, LEAST_TABLE, LEAST_EVENTS)):
        if room >= least + borders:
            give(at, least)
    wanted = LEAST_TABLE - 1 + max(workers, 1), LEAST_TABLE - 1 + max(running, 1), MOST_EVENTS
    some = room - room // 3 + LEAST_TABLE, SOME_REQUESTS, SOME_EVENTS
    for sizes in (map(min, wanted, some), wanted, (0, room + given[1], room + given[2])):
        for at, lines in enumerate(sizes):
            if given[at]:
                give(at, lines)
    given[0] += room if given[0] else 0
    return given[0], given[1], given[2]
