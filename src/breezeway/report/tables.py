"""Counts with bounds: whatever a log says, they take no more than so much memory.

A table that has grown to twice its limit is cut to the rows with the most requests; the others are added
to one row, `other`. Whoever is frequent stays; of whoever is not, only a part may be counted on its own.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Final, Generic, Self, TypeVar

from breezeway.observe import histogram

MICROSECONDS: Final = 1e6
"""Of a second."""

WIDTHS: Final = tuple(
    width
    for seconds, multiples in (
        (1, (1, 5, 15)),
        (60, (1, 5, 15)),
        (3600, (1, 3, 6, 12)),
        (86_400, (1, 7, 28, 364, 3640, 36_400, 3_640_000)),
    )
    for width in (seconds * multiple for multiple in multiples)
)
"""Seconds that a part of the time may have; each divides the next."""

MOST_PARTS: Final = 1440
"""Parts of the time that are counted; when there are more, they become wider."""

SLOWEST: Final = 50
"""Requests that are shown one by one."""


class Durations:
    """Durations in microseconds, kept as a histogram; negative ones are not known."""

    __slots__ = ("buckets", "most", "pending", "total")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.pending: list[int] = []
        """Those not yet in the buckets: many at a time take a tenth of the time."""
        self.total = 0
        self.most = 0

    def settle(self) -> None:
        """Sort those that are pending into buckets."""
        if known := [each for each in self.pending if each >= 0]:
            self.total += sum(known)
            self.most = max(self.most, max(known))
            _add(self.buckets, histogram.buckets_of([each / MICROSECONDS for each in known]))
        self.pending.clear()

    def merge(self, other: Durations) -> None:
        """Add those of another one; both are settled."""
        _add(self.buckets, other.buckets)
        self.total += other.total
        self.most = max(self.most, other.most)


class Row:
    """What is counted for each client, program or failure."""

    __slots__ = ("bytes_out", "client_errors", "requests", "server_errors")

    def __init__(self) -> None:
        self.requests = self.bytes_out = self.client_errors = self.server_errors = 0

    def merge(self, other: Self) -> None:
        """Add what another row has counted."""
        self.requests += other.requests
        self.bytes_out += other.bytes_out
        self.client_errors += other.client_errors
        self.server_errors += other.server_errors


class Route(Row):
    """What is counted for each route."""

    __slots__ = ("durations",)

    def __init__(self) -> None:
        super().__init__()
        self.durations = Durations()

    def merge(self, other: Self) -> None:
        """Add what another row has counted."""
        super().merge(other)
        self.durations.settle()
        other.durations.settle()
        self.durations.merge(other.durations)


K = TypeVar("K", bound=Hashable)
R = TypeVar("R", bound=Row)


class Table(Generic[K, R]):
    """Rows by their names, at most twice `limit` of them, and what is not among them.

    `rows` stays the same dictionary.
    """

    def __init__(self, limit: int, make: Callable[[], R]) -> None:
        self._limit = limit
        self._make = make
        self.rows: dict[K, R] = {}
        self.other = make()
        self.cuts = 0
        """How often rows were added to `other`; a row from before may not be in the table since."""

    def row(self, name: K) -> R:
        """Return the row of that name; make it if it is not there."""
        found = self.rows.get(name)
        if found is None:
            if len(self.rows) >= 2 * self._limit:
                self.cut()
            found = self.rows[name] = self._make()
        return found

    def cut(self) -> None:
        """Keep the rows with the most requests, up to the limit."""
        if len(self.rows) <= self._limit:
            return
        self.cuts += 1
        names = heapq.nlargest(self._limit, self.rows, key=lambda name: self.rows[name].requests)
        kept = {name: self.rows.pop(name) for name in names}
        for row in self.rows.values():
            self.other.merge(row)
        self.rows.clear()
        self.rows.update(kept)

    def merge(self, other: Table[K, R]) -> None:
        """Add the rows of another table."""
        for name, row in other.rows.items():
            self.row(name).merge(row)
        self.other.merge(other.other)


class Part:
    """What is counted for each part of the time."""

    __slots__ = ("bytes_out", "client_errors", "heat", "pending", "requests", "server_errors")

    def __init__(self) -> None:
        self.requests = self.bytes_out = self.client_errors = self.server_errors = 0
        self.pending: list[int] = []
        self.heat: dict[int, int] = {}
        """How many durations are below so many bits of microseconds, and not below one less."""

    def settle(self) -> None:
        """Sort the durations that are pending."""
        known = (each for each in self.pending if each >= 0)
        _add(self.heat, Counter(map(int.bit_length, known)))
        self.pending.clear()

    def merge(self, other: Part) -> None:
        """Add what another part has counted; both are settled."""
        self.requests += other.requests
        self.bytes_out += other.bytes_out
        self.client_errors += other.client_errors
        self.server_errors += other.server_errors
        _add(self.heat, other.heat)


class Timeline:
    """Counts over time, in parts that become wider when there are too many."""

    def __init__(self) -> None:
        self.width = WIDTHS[0]
        self.parts: dict[int, Part] = {}

    def part(self, second: int) -> Part:
        """Return the part of the time with that second, since 1970."""
        found = self.parts.get(second // self.width)
        if found is None:
            if len(self.parts) >= MOST_PARTS:
                self.widen(WIDTHS[WIDTHS.index(self.width) + 1])
                return self.part(second)
            found = self.parts[second // self.width] = Part()
        return found

    def widen(self, width: int) -> None:
        """Join parts, so that each has so many seconds, one of `WIDTHS`."""
        if width <= self.width:
            return
        before, ratio = self.parts, width // self.width
        self.width, self.parts = width, {}
        for number in sorted(before):
            before[number].settle()
            self.parts.setdefault(number // ratio, Part()).merge(before[number])

    def merge(self, other: Timeline) -> None:
        """Add the counts of another one, which may become wider, too; both are settled."""
        width = max(self.width, other.width)
        self.widen(width)
        other.widen(width)
        for number, part in other.parts.items():
            self.part(number * width).merge(part)

    def settle(self) -> None:
        """Sort the durations that are pending."""
        for part in self.parts.values():
            part.settle()


Slow = tuple[int, int, str, str, int, str, int, str]
"""Microseconds, second, method, target, status, client, microseconds in the queue, outcome."""


class Slowest:
    """The requests that took longest."""

    def __init__(self) -> None:
        self.requests: list[Slow] = []
        self.floor = 0
        """What is not above it need not be added."""

    def add(self, request: Slow) -> None:
        """Add a request, if it is among the slowest."""
        if len(self.requests) < SLOWEST:
            heapq.heappush(self.requests, request)
        else:
            heapq.heappushpop(self.requests, request)
            self.floor = self.requests[0][0]

    def merge(self, requests: Iterable[Slow]) -> None:
        """Add those of another one."""
        for request in requests:
            self.add(request)


def _add(counts: dict[int, int], more: dict[int, int]) -> None:
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count
