"""Holding requests to a rate: what each algorithm promises, whatever comes when."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breezeway.semantics.rates import LIMITERS, Rate, parse_rate

SECOND = 1_000
"""Units of time in a second, here."""

RATES = st.builds(
    Rate, st.integers(1, 12), st.integers(1, 5), st.one_of(st.none(), st.integers(1, 20))
)
STEPS = st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 3)), max_size=60)
"""How much time passes, and how many units are asked for then."""

QUICK = settings(max_examples=50, deadline=None)

ALGORITHMS = pytest.mark.parametrize("name", LIMITERS)


def run(name: str, rate: Rate, steps: Any) -> list[tuple[int, int, bool, int, int]]:
    """Ask in turn; return for each: when, how much, whether it was allowed, what is left, the time."""
    limiter = LIMITERS[name](rate, SECOND)
    state: Any = None
    now, done = 10_000_000, []
    for passed, cost in steps:
        now += passed
        allowed, state, left, wait = limiter.take(state, now, cost)
        done.append((now, cost, allowed, left, wait))
    return done


@pytest.mark.parametrize(
    ("text", "rate", "name"),
    [
        ("100/minute", Rate(100, 60), "100/minute"),
        ("1/second", Rate(1, 1), "1/second"),
        (" 5 / 10 seconds ", Rate(5, 10), "5/10s"),
        ("5/60 seconds", Rate(5, 60), "5/minute"),
        ("1000/hours", Rate(1000, 3600), "1000/hour"),
        ("7/2 days", Rate(7, 172800), "7/172800s"),
        ("10/second; burst 20", Rate(10, 1, 20), "10/second;burst=20"),
        ("10/second;burst 1", Rate(10, 1, 1), "10/second;burst=1"),
    ],
)
def test_rates_are_read(text: str, rate: Rate, name: str) -> None:
    """A rate is a number, a slash, and a time."""
    assert parse_rate(text) == rate
    assert rate.name == name


@pytest.mark.parametrize(
    "text",
    [
        *("", "100", "100/", "/minute", "x/minute", "100/fortnight", "-1/minute", "1.5/minute"),
        *("100 per minute", "0/minute", "1/0 seconds", "1/second; burst 0", "1/second; burst"),
        *("1/second burst 5", "10000000000/second", "1/minute\nx", None, 5),
    ],
)
def test_what_is_no_rate(text: Any) -> None:
    """What cannot be meant is refused in plain words."""
    with pytest.raises(ValueError, match=r"is not a rate|lets nothing through"):
        parse_rate(text)


@ALGORITHMS
@QUICK
@given(rate=RATES, steps=STEPS)
def test_never_more_than_promised(name: str, rate: Rate, steps: Any) -> None:
    """In no stretch of time does more come through than the algorithm promises."""
    done = [(now, cost) for now, cost, allowed, _, _ in run(name, rate, steps) if allowed]
    window = rate.window * SECOND
    most = {"fixed_window": 2 * rate.quota, "sliding_window": 2 * rate.quota}
    for first, (began, _) in enumerate(done):
        taken = 0
        for now, cost in done[first:]:
            taken += cost
            passed = now - began
            if name in most:
                assert passed >= window or taken <= most[name]
            else:
                assert taken <= (rate.burst or rate.quota) + Fraction(passed * rate.quota, window)


@QUICK
@given(rate=RATES, steps=STEPS)
def test_fixed_window_is_exact(rate: Rate, steps: Any) -> None:
    """A window begins with the first request after the last one, and has its quota."""
    began, used = None, 0
    for now, cost, allowed, left, wait in run("fixed_window", rate, steps):
        if began is None or now - began >= rate.window * SECOND:
            began, used = now, 0
        assert allowed is (used + cost <= rate.quota)
        used += cost if allowed else 0
        assert (left, wait) == (rate.quota - used, began + rate.window * SECOND - now)


@QUICK
@given(rate=RATES, steps=STEPS)
def test_sliding_window_is_exact(rate: Rate, steps: Any) -> None:
    """The window before counts by as much of it as is within a window from now."""
    window = rate.window * SECOND
    began, used, before = None, 0, 0
    for now, cost, allowed, left, _ in run("sliding_window", rate, steps):
        if began is None or now - began >= 2 * window:
            began, used, before = now, 0, 0
        elif now - began >= window:
            began, used, before = began + window, 0, used
        level = used + before * Fraction(began + window - now, window)
        assert allowed is (level + cost <= rate.quota)
        used += cost if allowed else 0
        level += cost if allowed else 0
        assert left == max(0, (rate.quota - level) // 1)


@QUICK
@given(rate=RATES, steps=STEPS)
def test_token_bucket_is_exact(rate: Rate, steps: Any) -> None:
    """A bucket with fractions of a token says the same."""
    full = tokens = Fraction(rate.burst or rate.quota)
    last = None
    for now, cost, allowed, left, _ in run("token_bucket", rate, steps):
        if last is not None:
            tokens = min(full, tokens + Fraction((now - last) * rate.quota, rate.window * SECOND))
        last = now
        assert allowed is (cost <= tokens)
        tokens -= cost if allowed else 0
        assert left == tokens // 1


@QUICK
@given(steps=STEPS, quota=st.sampled_from([1, 2, 4, 5, 10]), burst=st.integers(1, 20))
def test_gcra_is_a_token_bucket(steps: Any, quota: int, burst: int) -> None:
    """Where the time of a unit is a whole number, the two algorithms say the same."""
    rate = Rate(quota, 1, burst)
    assert [each[:4] for each in run("gcra", rate, steps)] == [
        each[:4] for each in run("token_bucket", rate, steps)
    ]


@ALGORITHMS
@QUICK
@given(rate=RATES, steps=STEPS, cost=st.integers(1, 3))
def test_wait_is_right(name: str, rate: Rate, steps: Any, cost: int) -> None:
    """Who comes when he was told is let through, and a moment before he is not."""
    limiter = LIMITERS[name](rate, SECOND)
    most = rate.quota if "window" in name else rate.burst or rate.quota
    state: Any = None
    now = 10_000_000
    for passed, units in [*steps, (0, cost)]:
        now += passed
        allowed, state, left, wait = limiter.take(state, now, units)
        assert wait > 0 or not units
        assert 0 <= left <= most
        if not allowed and units <= most:
            assert limiter.take(state, now + wait, units)[0]
            assert not limiter.take(state, now + wait - 1, units)[0]
        if allowed and left == 0 and "window" not in name:
            assert limiter.take(state, now + wait + 1, 1)[0]


@ALGORITHMS
@QUICK
@given(rate=RATES, steps=STEPS)
def test_what_is_left_can_be_had(name: str, rate: Rate, steps: Any) -> None:
    """As much as is told is left; a unit more is not."""
    limiter = LIMITERS[name](rate, SECOND)
    state: Any = None
    now = 10_000_000
    for passed, units in steps:
        now += passed
        _, state, left, _ = limiter.take(state, now, units)
        assert limiter.take(state, now, left)[0]
        assert not limiter.take(state, now, left + 1)[0]


@ALGORITHMS
@QUICK
@given(rate=RATES, steps=STEPS, asked=st.integers(1, 30))
def test_refusal_takes_nothing(name: str, rate: Rate, steps: Any, asked: int) -> None:
    """A state after a refusal is worth as much as before it, at every time."""
    limiter = LIMITERS[name](rate, SECOND)
    state: Any = None
    now = 10_000_000
    for passed, units in steps:
        now += passed
        allowed, after, _, _ = limiter.take(state, now, units)
        if not allowed:
            for later in (0, 1, 700, 4_000):
                for cost in (0, asked):
                    one = limiter.take(state, now + later, cost)
                    other = limiter.take(after, now + later, cost)
                    assert (one[0], one[2]) == (other[0], other[2])
        state = after


@ALGORITHMS
@QUICK
@given(rate=RATES, steps=STEPS, back=st.integers(1, 10**7))
def test_clock_that_goes_back(name: str, rate: Rate, steps: Any, back: int) -> None:
    """It gives nothing away, and nobody waits longer than for a whole window, or two that slide."""
    limiter = LIMITERS[name](rate, SECOND)
    state: Any = None
    now = 10_000_000
    for passed, units in steps:
        now += passed
        _, state, left, _ = limiter.take(state, now, units)
    if state is None:
        return
    now -= back
    allowed, state, more, wait = limiter.take(state, now, 1)
    assert 0 <= more <= left
    full = rate.window * SECOND
    if "window" not in name:
        full = -(-full // rate.quota) * (rate.burst or rate.quota)
    assert wait <= full * (2 if name == "sliding_window" else 1)
    most = rate.quota if "window" in name else rate.burst or rate.quota
    if not allowed:
        assert limiter.take(state, now + wait, 1)[0]
    assert limiter.take(state, now + 2 * full, most)[0]


@ALGORITHMS
@QUICK
@given(rate=RATES, steps=STEPS, later=st.integers(0, 30_000), asked=STEPS)
def test_what_is_over_may_be_forgotten(
    name: str, rate: Rate, steps: Any, later: int, asked: Any
) -> None:
    """A state that is over answers as none does."""
    limiter = LIMITERS[name](rate, SECOND)
    state: Any = None
    now = 10_000_000
    for passed, units in steps:
        now += passed
        state = limiter.take(state, now, units)[1]
    now += later
    if state is None or not limiter.is_over(state, now):
        return
    none: Any = None
    for passed, units in asked:
        now += passed
        one, other = limiter.take(state, now, units), limiter.take(none, now, units)
        assert (one[0], *one[2:]) == (other[0], *other[2:])
        state, none = one[1], other[1]


@ALGORITHMS
def test_not_a_moment_too_soon(name: str) -> None:
    """The time that is told is when the next request is let through, to the unit."""
    now = 10_000_000
    limiter = LIMITERS[name](Rate(1, 1), SECOND)
    state = limiter.take(None, now, 1)[1]
    allowed, state, _, wait = limiter.take(state, now + 1, 1)
    assert not allowed
    assert not limiter.take(state, now + wait, 1)[0]
    assert limiter.take(state, now + 1 + wait, 1)[0]


@ALGORITHMS
def test_everything_is_over_in_the_end(name: str) -> None:
    """What nobody asks for any more can be forgotten: after two windows, and not at once."""
    now, window = 10_000_000, 10
    limiter = LIMITERS[name](Rate(5, window), SECOND)
    state = limiter.take(None, now, 5)[1]
    assert not limiter.is_over(state, now + 1)
    assert limiter.is_over(state, now + 2 * window * SECOND)


@ALGORITHMS
def test_more_than_there_ever_is(name: str) -> None:
    """A request that asks for more than all is refused, with a time that is no nonsense."""
    limiter = LIMITERS[name](Rate(5, 1), SECOND)
    allowed, _, left, wait = limiter.take(None, 0, 100)  # type: ignore[arg-type]
    assert (allowed, left) == (False, 5)
    assert wait > 0
