"""Every single fault: connections that are right but for one choice, one for each way to be wrong.

Chance finds a fault that is one of a thousand options late. So the choices that lead to a right
connection are made again, each of them once in every other way.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from .nearly import ODD_OF_1000, OF_1000, Writer

SEEDS = range(24)
"""Connections to begin with: few requests and several, counted and chunked bodies, none."""

MOST_OPTIONS = 60
"""No list of odd parts is longer."""


class Recorded:
    """Makes choices by chance, none of them odd, and keeps them."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.made: list[tuple[int, int]] = []
        """What was chosen, and below what bound."""

    def below(self, bound: int) -> int:
        """Choose a number from 0 to `bound` - 1."""
        chosen = 0 if bound == OF_1000 else self._chance.randrange(bound)
        if not self.made:
            chosen = len(ODD_OF_1000) - 1  # as odd as can be, where a choice is changed to odd
        self.made.append((chosen, bound))
        return chosen


class Replayed:
    """Makes the choices of a list, and the plainest when it has come to its end."""

    def __init__(self, choices: list[int]) -> None:
        self._choices = iter(choices)

    def below(self, bound: int) -> int:
        """Choose a number from 0 to `bound` - 1."""
        return min(next(self._choices, 0), bound - 1)


def single_faults(write: Callable[[Writer], bytes], seed: int) -> list[bytes]:
    """Write something right, and all that comes of one other choice."""
    recorded = Recorded(seed)
    written = {write(Writer(recorded)): None}  # a set that keeps its order
    chosen = [choice for choice, _ in recorded.made]
    for place, (_, bound) in enumerate(recorded.made[1:], start=1):
        for other in _others(bound):
            choices = [*chosen[:place], *other, *chosen[place + 1 :]]
            written[write(Writer(Replayed(choices)))] = None
    return list(written)


def _others(bound: int) -> Iterator[list[int]]:
    """Change one choice; the one for an odd part brings another one: which."""
    if bound == OF_1000:
        yield from ([OF_1000 - 1, which] for which in range(MOST_OPTIONS))
    else:
        yield from ([choice] for choice in range(bound))
