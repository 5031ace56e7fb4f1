"""When to look at which connection again: a wheel of short slots.

A connection stands in exactly one slot, the one in which its earliest deadline may fall. Activity
does not move it: when its slot comes, the connection says what its deadline is by now, and goes to
that slot. So a request costs nothing here, and a connection is looked at once in a time limit.
"""

from __future__ import annotations

import math
import threading
from typing import Final, Protocol

SLOT_SECONDS: Final = 0.25
"""Width of a slot: a time limit ends at most two of them late. A worker with connections wakes as
often, which is a 50,000th of a core."""

BEHIND_SECONDS: Final = 1.0
"""Without a turn for so long, as when the process was stopped or an application has held the GIL, the
event loop takes in what has come before it calls anybody late."""

LOOKS: Final = 100
"""At one go. A refusal takes some 20 us, and thousands of connections may have begun together: the
others have their turn in between."""


class Timed(Protocol):
    """What stands on the wheel."""

    slot: int

    def on_deadline(self, now: float) -> float:
        """Act if a deadline has passed; return the next one, 0 if there is none any more."""


class Deadlines:
    """The wheel. Times are seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[int, Timed]] = {}
        self._lock = threading.Lock()
        self._last = 0
        self._turn = math.inf

    def __bool__(self) -> bool:
        """Whether anything stands on the wheel."""
        return bool(self._slots)

    def schedule(self, timed: Timed, due: float) -> None:
        """See to it that `timed` is looked at when `due` has come; an earlier look stays."""
        slot = int(due / SLOT_SECONDS) + 1
        if timed.slot and timed.slot <= slot:
            return
        with self._lock:
            if timed.slot:
                self._take_out(timed)
            timed.slot = slot = max(slot, self._last + 1)  # nobody comes by an earlier one again
            self._slots.setdefault(slot, {})[id(timed)] = timed

    def remove(self, timed: Timed) -> None:
        """Forget `timed`."""
        with self._lock:
            self._take_out(timed)

    def _take_out(self, timed: Timed) -> None:
        slot = self._slots.get(timed.slot)
        if slot is not None and slot.pop(id(timed), None) is not None and not slot:
            del self._slots[timed.slot]
        timed.slot = 0

    def is_behind(self, now: float) -> bool:
        """Whether nothing is to be looked at in this turn, the first after a while without one."""
        behind = now - self._turn > BEHIND_SECONDS
        self._turn = math.inf if behind else now
        return behind

    def advance(self, now: float) -> bool:
        """Look at what is due; return whether some of it is left for the next call."""
        with self._lock:
            first, self._last = self._last + 1, int(now / SLOT_SECONDS)
            if self._last - first > len(self._slots):
                due = sorted(slot for slot in self._slots if slot <= self._last)
            else:
                due = [slot for slot in range(first, self._last + 1) if slot in self._slots]
        looks = 0
        for slot in due:
            while (timed := self._next_of(slot)) is not None:
                following = timed.on_deadline(now)
                if following:
                    self.schedule(timed, max(following, now))
                looks += 1
                if looks == LOOKS:
                    self._last = slot - 1
                    return True
        return False

    def _next_of(self, slot: int) -> Timed | None:
        with self._lock:
            there = self._slots.get(slot)
            if there is None:
                return None
            _, timed = there.popitem()
            if not there:
                del self._slots[slot]
            timed.slot = 0
        return timed
