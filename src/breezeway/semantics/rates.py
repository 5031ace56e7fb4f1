"""Rates, and four ways of holding requests to one, as pure functions of a state and a time.

A limiter has `take(state, now, cost)`. The state is what was returned for the same client before, None
if there is none. Times are integers in a unit of the caller's choice, such as nanoseconds; no way of
rounding lets more through than the rate. `take` returns

- whether the request is allowed,
- the state to keep: after it, or brought to this moment and nothing taken, if it is refused,
- how many units are left,
- a time: if it is refused, until it may come again; otherwise that in which what is left should be
  used: to the end of the window, or as long as it takes to earn it anew.

A clock that goes back costs a client no more than one window of waiting, and gives nothing for free.

What each promises, for a rate of `quota` units in a `window`:

- `FixedWindow`: the window begins with a client's first request; at most `quota` in it. Two windows that
  touch may have twice as many on their border.
- `SlidingWindow`: two counters. Those of the window before are taken to have come evenly, and count less
  and less. What comes at once is at most `quota`, also on the border of windows. It is an approximation,
  which needs three numbers for a client and not one for each request: who fills a window in its last
  moment may have `quota` more, as they fade, within the next.
- `TokenBucket`: holds `burst` tokens at most, is full at first, and is refilled evenly. In any time at
  most `burst` and what the rate gives.
- `Gcra`: the generic cell rate algorithm (ITU-T I.371) says the same by a single number, the time at which
  everything that was taken is paid. The time of one unit is rounded up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}

# At most nine digits, so that all products are exact in the doubles of other languages, or nearly.
_FORM: Final = re.compile(
    r"(\d{1,9}) */ *(?:(\d{1,6}) *)?(second|minute|hour|day)s?(?: *; *burst +(\d{1,9}))?"
)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many units in so many seconds; `burst` is how many may come at once, None if nobody said."""

    quota: int
    window: int
    burst: int | None = None

    @property
    def name(self) -> str:
        """Write it short: `100/minute`, `10/30s`, `10/second;burst=20`."""
        units = {seconds: unit for unit, seconds in SECONDS.items()}
        unit = units.get(self.window, f"{self.window}s")
        return f"{self.quota}/{unit}" + (f";burst={self.burst}" if self.burst is not None else "")


def parse_rate(text: str) -> Rate:
    """Read a rate such as `100/minute`, `5/10 seconds` or `10/second; burst 20`.

    Raises:
        ValueError: it is none.
    """
    match = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f"{text!r} is not a rate, such as '100/minute', '5/10 seconds' or '10/second; burst 20'"
        )
    quota, times, unit, burst = match.groups()
    rate = Rate(int(quota), int(times or 1) * SECONDS[unit], int(burst) if burst else None)
    if rate.quota == 0 or rate.window == 0 or rate.burst == 0:
        raise ValueError(f"the rate {text!r} lets nothing through: its numbers must be 1 or more")
    return rate


class Taken(NamedTuple):
    """What became of a request; see the head of this file."""

    allowed: bool
    state: Any
    left: int
    wait: int


class Limiter(Protocol):
    """One way of holding requests to a rate."""

    def take(self, state: Any, now: int, cost: int) -> tuple[bool, Any, int, int]:
        """Take `cost` units, or nothing; return the fields of `Taken`."""

    def is_over(self, state: Any, now: int) -> bool:
        """Tell whether a state is as good as none."""


class FixedWindow:
    """The state is when the window began, and what was taken in it."""

    __slots__ = ("_quota", "_window")

    def __init__(self, rate: Rate, second: int) -> None:
        """`second` is how many units of time a second has."""
        self._quota = rate.quota
        self._window = rate.window * second

    def take(
        self, state: tuple[int, int] | None, now: int, cost: int
    ) -> tuple[bool, tuple[int, int], int, int]:
        """Take `cost` units, or nothing."""
        begin, used = (now, 0) if state is None else state
        wait = begin + self._window - now
        if wait <= 0:
            begin, used, wait = now, 0, self._window
        elif begin > now:
            begin, wait = now, self._window
        left = self._quota - used - cost
        if left < 0:
            return False, (begin, used), left + cost, wait
        return True, (begin, used + cost), left, wait

    def is_over(self, state: tuple[int, int], now: int) -> bool:
        """Tell whether a state is as good as none."""
        return now - state[0] >= self._window


class SlidingWindow:
    """The state is when the window began, what was taken in it, and what in the one before."""

    __slots__ = ("_quota", "_window")

    def __init__(self, rate: Rate, second: int) -> None:
        """`second` is how many units of time a second has."""
        self._quota = rate.quota
        self._window = rate.window * second

    def take(
        self, state: tuple[int, int, int] | None, now: int, cost: int
    ) -> tuple[bool, tuple[int, int, int], int, int]:
        """Take `cost` units, or nothing."""
        window = self._window
        begin, used, before = (now, 0, 0) if state is None else state
        rest = begin + window - now
        """Of this window; by as much of a window the one before counts."""
        if rest <= 0:
            if rest <= -window:
                begin, used, before, rest = now, 0, 0, window
            else:
                begin, used, before, rest = begin + window, 0, used, rest + window
        elif begin > now:
            begin, rest = now, window
        level = (self._quota - used - cost) * window - before * rest
        """What is left, times the window, so that it is exact."""
        if level < 0:
            left = max(0, level // window + cost)
            return False, (begin, used, before), left, self._wait(used, before, rest, cost)
        left = level // window
        used += cost
        wait = left * window // self._quota if left else self._wait(used, before, rest, 1)
        return True, (begin, used, before), left, wait

    def _wait(self, used: int, before: int, rest: int, cost: int) -> int:
        """Return the time until `cost` units can be had."""
        window = self._window
        if cost > self._quota:
            return rest + window
        lacking = self._quota - used - cost
        if lacking >= 0:
            return rest - lacking * window // before
        # In the next window, in which what was taken in this one fades.
        return rest + max(0, window - (self._quota - cost) * window // used)

    def is_over(self, state: tuple[int, int, int], now: int) -> bool:
        """Tell whether a state is as good as none."""
        return now - state[0] >= 2 * self._window


class TokenBucket:
    """The state is how full the bucket was, in tokens times the window, and when."""

    __slots__ = ("_full", "_quota", "_window")

    def __init__(self, rate: Rate, second: int) -> None:
        """`second` is how many units of time a second has."""
        self._quota = rate.quota
        self._window = rate.window * second
        self._full = (rate.burst or rate.quota) * self._window

    def take(
        self, state: tuple[int, int] | None, now: int, cost: int
    ) -> tuple[bool, tuple[int, int], int, int]:
        """Take `cost` units, or nothing."""
        window, quota = self._window, self._quota
        if state is None:
            level = self._full
        else:
            level, at = state
            if now > at:
                level += (now - at) * quota
                if level > self._full:
                    level = self._full
        rest = level - cost * window
        if rest < 0:
            return False, (level, now), level // window, -(rest // quota)
        left = rest // window
        return True, (rest, now), left, -(-(left * window or window - rest) // quota)

    def is_over(self, state: tuple[int, int], now: int) -> bool:
        """Tell whether a state is as good as none."""
        level, at = state
        return level + (now - at) * self._quota >= self._full


class Gcra:
    """The state is the theoretical arrival time: when all that was taken is paid."""

    __slots__ = ("_each", "_tolerance")

    def __init__(self, rate: Rate, second: int) -> None:
        """`second` is how many units of time a second has."""
        self._each = -(-rate.window * second // rate.quota)
        self._tolerance = (rate.burst or rate.quota) * self._each

    def take(self, state: int | None, now: int, cost: int) -> tuple[bool, int, int, int]:
        """Take `cost` units, or nothing."""
        each, tolerance = self._each, self._tolerance
        if state is None or state < now:
            state = now
        elif state - now > tolerance:
            state = now + tolerance
        rest = tolerance - (state - now) - cost * each
        if rest < 0:
            return False, state, (rest + cost * each) // each, -rest
        left = rest // each
        return True, state + cost * each, left, left * each or each - rest

    def is_over(self, state: int, now: int) -> bool:
        """Tell whether a state is as good as none."""
        return state <= now


LIMITERS: Final[dict[str, type[FixedWindow | SlidingWindow | TokenBucket | Gcra]]] = {
    "fixed_window": FixedWindow,
    "sliding_window": SlidingWindow,
    "token_bucket": TokenBucket,
    "gcra": Gcra,
}
"""By the name that operators use."""

WITH_BURST: Final = ("token_bucket", "gcra")
"""The others let through a whole window's worth at once by their nature."""
