"""What is sent: the corpus, attempts at smuggling, and what the grammar of the fuzzers makes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from ..corpus import cases
from ..fuzz.nearly import Writer
from ..fuzz.single_faults import SEEDS, single_faults
from .attempts import attempts


class Input(NamedTuple):
    """Bytes of one connection, and where they come from."""

    name: str
    data: bytes


class _Chance:
    """Choices of a seeded generator: the same for the same seed, everywhere."""

    def __init__(self, seed: int) -> None:
        self.below = random.Random(seed).randrange


def corpus() -> Iterator[Input]:
    """Return all cases of the corpus."""
    for side, all_cases in (("valid", cases.valid()), ("invalid", cases.invalid())):
        for case in all_cases:
            yield Input(f"{side}/{case.name}", case.request)


def smuggling() -> Iterator[Input]:
    """Return attempts at request smuggling."""
    for number, data in enumerate(attempts()):
        yield Input(f"smuggling/{number}", data)


def generated(count: int, seed: int = 0) -> Iterator[Input]:
    """Return so many connections that are nearly right."""
    for number in range(seed, seed + count):
        yield Input(f"generated/{number}", Writer(_Chance(number)).connection())


def every_single_fault(count: int) -> Iterator[Input]:
    """Return connections that are right but for one part, from so many seeds."""
    for seed in SEEDS[:count]:
        for number, data in enumerate(single_faults(Writer.connection, seed)):
            yield Input(f"fault/{seed}.{number}", data)
