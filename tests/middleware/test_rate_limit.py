"""RateLimit: whom it counts, what it answers, and that never more than the limit gets through."""

from __future__ import annotations

import logging
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from breezeway.middleware import RateLimit, redis_link
from breezeway.middleware.rate_limit import refusals as rate_limit_refusals
from breezeway.middleware.rate_limit.memory import TABLES, MemoryStore
from breezeway.middleware.rate_limit.redis import SCRIPTS, RedisStore
from breezeway.semantics.rates import LIMITERS, Gcra, Rate, parse_rate

from ..redis_server import RedisServer
from .calling import Counted, call, make_environ

ALGORITHMS = pytest.mark.parametrize("algorithm", LIMITERS)
DEADLINE_SECONDS = 20.0


class Clock:
    """A clock that goes when it is told to; nanoseconds."""

    def __init__(self) -> None:
        self.now = 1_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * 1e9)


def limited(clock: Clock | None = None, **options: Any) -> RateLimit:
    """Make a limit around an application that yields a block."""
    piece = RateLimit(Counted(b"hello"), **options)
    if clock is not None:
        piece._memory._clock = clock
    return piece


def codes(piece: RateLimit, times: int, **request: Any) -> list[int]:
    """Ask so often; return the status codes."""
    return [call(piece, **request).code for _ in range(times)]


# --- the answers ---------------------------------------------------------------------------------


@ALGORITHMS
def test_the_rest_is_refused(algorithm: str) -> None:
    """Of a limit of three the fourth has to wait, as long as it is told."""
    clock = Clock()
    piece = limited(clock, limits="3/minute", algorithm=algorithm)
    assert codes(piece, 3) == [200] * 3
    refused = call(piece)
    assert (refused.status, refused["content-type"]) == (
        "429 Too Many Requests",
        "text/plain; charset=utf-8",
    )
    assert piece.application.calls == 3  # type: ignore[attr-defined]
    wait = int(refused["retry-after"] or 0)
    assert refused.body == f"429 Too Many Requests: come again in {wait} s\n".encode()
    assert refused["ratelimit"] == f'"3/minute";r=0;t={wait}'
    clock.go(wait - 1)
    assert codes(piece, 1) == [429]
    clock.go(1)
    assert codes(piece, 1) == [200]


def test_fields_of_a_response() -> None:
    """Each response tells what is left, in the order of the limits, with the policies."""
    piece = limited(Clock(), limits=["10/second", "100/minute"], algorithm="fixed_window")
    result = call(piece)
    assert result["ratelimit-policy"] == '"10/second";q=10;w=1, "100/minute";q=100;w=60'
    assert result["ratelimit"] == '"10/second";r=9;t=1, "100/minute";r=99;t=60'
    assert result["retry-after"] is None


@pytest.mark.parametrize(
    ("algorithm", "limit", "times", "field"),
    [
        ("fixed_window", "10/minute", 1, "r=9;t=60"),
        ("sliding_window", "10/minute", 1, "r=9;t=54"),
        ("sliding_window", "10/minute", 10, "r=0;t=66"),
        ("token_bucket", "10/minute", 1, "r=9;t=54"),
        ("token_bucket", "10/minute", 10, "r=0;t=6"),
        ("token_bucket", "10/minute; burst 30", 1, "r=29;t=174"),
        ("gcra", "10/minute", 4, "r=6;t=36"),
        ("gcra", "10/minute", 10, "r=0;t=6"),
        ("gcra", "7/minute; burst 1", 1, "r=0;t=9"),
    ],
)
def test_effective_window(algorithm: str, limit: str, times: int, field: str) -> None:
    """Who uses what is left within that time keeps to the rate."""
    piece = limited(Clock(), limits=limit, algorithm=algorithm)
    results = [call(piece) for _ in range(times)]
    name = limit.partition(";")[0]
    assert results[-1]["ratelimit"] == f'"{name}";{field}'


def test_burst_is_a_comment_of_the_policy() -> None:
    """A parameter of our own says what may come at once."""
    result = call(limited(limits="10/second; burst 20", algorithm="gcra"))
    assert result["ratelimit-policy"] == '"10/second";q=10;w=1;breezeway-burst=20'


def test_fields_only_on_refusals() -> None:
    """They can be left off what is allowed."""
    piece = limited(limits="1/minute", fields=False)
    assert call(piece)["ratelimit"] is None
    assert call(piece)["ratelimit"] is not None


def test_head_has_no_content() -> None:
    """A refusal of HEAD has the length of the content, and none."""
    piece = limited(limits="1/minute")
    call(piece)
    result = call(piece, method="HEAD")
    assert (result.code, result.body) == (429, b"")
    assert int(result["content-length"] or 0) > 0


def test_fields_go_with_a_second_start() -> None:
    """A response that is replaced with exc_info has the fields, too; the application's stay."""

    def application(environ: Any, start_response: Any) -> Any:
        mine = [("Content-Type", "text/plain"), ("RateLimit", '"mine";r=1')]
        start_response("200 OK", mine)
        try:
            raise LookupError
        except LookupError:
            start_response("500 Oh", mine, sys.exc_info())
        return [b"x"]

    result = call(RateLimit(application, limits="5/minute", algorithm="fixed_window"))
    assert result.code == 500
    assert result.all("ratelimit") == ['"mine";r=1', '"5/minute";r=4;t=60']


def test_response_is_untouched() -> None:
    """What the application returns is what the server gets, and write() is the server's."""
    returned = [b"a"]
    writes: list[bytes] = []

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])(b"first")
        return returned

    piece = RateLimit(application, limits="5/minute")
    assert piece(make_environ(), lambda *_: writes.append) is returned  # type: ignore[arg-type, return-value]
    assert writes == [b"first"]


def test_own_answer() -> None:
    """An application answers in place of 429; it is told the time, and gets the fields."""

    def sorry(environ: Any, start_response: Any) -> Any:
        start_response("403 No", [("Content-Type", "text/html")])
        return [str(environ["breezeway.retry_after"]).encode()]

    piece = limited(Clock(), limits="1/minute", algorithm="fixed_window", on_refused=sorry)
    call(piece)
    result = call(piece)
    assert (result.code, result.body, result["retry-after"]) == (403, b"60", "60")
    assert result["ratelimit"] == '"1/minute";r=0;t=60'


# --- several limits ------------------------------------------------------------------------------


@ALGORITHMS
def test_all_limits_have_to_allow(algorithm: str) -> None:
    """What one refuses is taken from none; the refusal names those that refuse."""
    clock = Clock()
    piece = limited(clock, limits=["2/second", "5/hour"], algorithm=algorithm)
    assert codes(piece, 10) == [200, 200, *[429] * 8]
    clock.go(2)
    assert codes(piece, 10) == [200, 200, *[429] * 8]
    clock.go(2)
    assert codes(piece, 1) == [200]
    result = call(piece)
    assert result.code == 429
    assert re.fullmatch(r'"5/hour";r=0;t=\d+', result["ratelimit"] or "")
    assert int(result["retry-after"] or 0) > 100
    clock.go(7200)
    assert codes(piece, 1) == [200]


def test_retry_after_is_that_of_all() -> None:
    """Of several limits that refuse the longest time counts."""
    piece = limited(Clock(), limits=["1/second", "1/minute"], algorithm="fixed_window")
    call(piece)
    result = call(piece)
    assert result["retry-after"] == "60"
    assert result["ratelimit"] == '"1/second";r=0;t=1, "1/minute";r=0;t=60'


def test_clock_that_goes_back() -> None:
    """Nobody is locked out until the clock is where it was, also with several limits."""
    clock = Clock()
    piece = limited(clock, limits=["2/second", "3/minute"])
    assert codes(piece, 3) == [200, 200, 429]
    clock.go(-900)
    assert codes(piece, 3) == [429] * 3
    clock.go(2)
    assert codes(piece, 3) == [200, 429, 429]
    clock.go(121)
    assert codes(piece, 2) == [200, 200]


# --- cost ----------------------------------------------------------------------------------------


def test_cost_of_a_request() -> None:
    """A search may count for more, and what costs nothing is not refused for want of units."""
    costs = {"/search": 5, "/": 1, "/free": 0}
    piece = limited(limits="6/hour", cost=lambda environ: costs[environ["PATH_INFO"]])
    assert codes(piece, 2, path="/search") == [200, 429]
    assert codes(piece, 2) == [200, 429]
    assert codes(piece, 3, path="/free") == [200] * 3


@pytest.mark.parametrize("cost", [-1, 1.5, True, None])
def test_cost_that_is_none(cost: Any) -> None:
    """A function that tells nonsense is told so; a negative cost would be a gift."""
    with pytest.raises(ValueError, match="cost must return a number from 0"):
        call(limited(limits="6/hour", cost=lambda environ: cost))


# --- keys ----------------------------------------------------------------------------------------


def keys_differ(piece: RateLimit, one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two requests have counts of their own, with a limit of one."""
    assert codes(piece, 2, **one) == [200, 429]
    return call(piece, **other).code == 200


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("192.0.2.1", "192.0.2.2", True),
        ("192.0.2.1", "::ffff:192.0.2.1", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", False),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", True),
        ("2001:DB8:1:2::1", "2001:db8:1:2:0::2", False),
        ("fe80::1%eth0", "fe80::2%eth0", False),
        ("", "192.0.2.1", True),
        ("", "", False),
        ("nonsense:x", "nonsense:y", True),
    ],
)
def test_address(one: str, other: str, differ: bool) -> None:
    """A client is an IPv4 address, or an IPv6 network of 64 bits."""
    piece = limited(limits="1/hour")
    assert keys_differ(piece, {"REMOTE_ADDR": one}, {"REMOTE_ADDR": other}) is differ


def test_prefix_of_ipv6() -> None:
    """It can be made longer or shorter."""
    one, other = {"REMOTE_ADDR": "2001:db8:1:2::1"}, {"REMOTE_ADDR": "2001:db8:1:3::1"}
    assert not keys_differ(limited(limits="1/hour", ipv6_prefix=56), one, other)
    one, other = {"REMOTE_ADDR": "2001:db8::1"}, {"REMOTE_ADDR": "2001:db8::2"}
    assert keys_differ(limited(limits="1/hour", ipv6_prefix=128), one, other)


def test_forwarded_for_is_not_believed() -> None:
    """A field that the client writes does not make another client of it."""
    piece = limited(limits="1/hour")
    fields = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    assert not keys_differ(piece, {}, {"fields": fields})


def test_header() -> None:
    """A field's value has a count of its own; who has none counts by address."""
    piece = limited(limits="1/hour", key="header:X-Api-Key")
    assert keys_differ(piece, {"fields": {"X-Api-Key": "a"}}, {"fields": {"x-api-key": "b"}})
    assert codes(piece, 1, fields={"X-Api-Key": "b"}, REMOTE_ADDR="198.51.100.1") == [429]
    assert keys_differ(piece, {}, {"REMOTE_ADDR": "198.51.100.1"})
    assert codes(piece, 1, fields={"X-Api-Key": ""}) == [429]


def test_header_is_not_kept_as_it_is() -> None:
    """Neither a huge value nor a secret is in the memory as a key."""
    piece = limited(limits="1/hour", key="header:Authorization")
    for value in ("Bearer secret", "x" * 100_000, "\xff\xfe"):
        call(piece, fields={"Authorization": value})
    found = [key for _, table in piece._memory._tables for key in table]
    assert len(found) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in found)


def test_all_together() -> None:
    """One count for everybody."""
    assert not keys_differ(limited(limits="1/hour", key="all"), {}, {"REMOTE_ADDR": "192.0.2.9"})


def test_several_keys() -> None:
    """A count for each client and path."""
    piece = limited(limits="1/hour", key=["address", "path"], paths=["/a", "/b", "/a/long"])
    assert keys_differ(piece, {"path": "/a/1"}, {"path": "/b"})
    assert codes(piece, 1, path="/a/2") == [429]
    assert codes(piece, 1, path="/a", REMOTE_ADDR="192.0.2.9") == [200]
    assert codes(piece, 2, path="/a/long/way") == [200, 429]


def test_function() -> None:
    """Anything of the environ can be a key; None is not limited."""
    piece = limited(limits="1/hour", key=lambda environ: environ["QUERY_STRING"] or None)
    assert keys_differ(piece, {"path": "/?a"}, {"path": "/?b"})
    assert codes(piece, 3, path="/") == [200] * 3
    assert call(piece, path="/")["ratelimit"] is None


def test_function_that_returns_much(redis: RedisServer) -> None:
    """A key that a client can make long is kept short, in memory and in Redis."""
    for more in ({}, {"redis": redis.url}):
        piece = limited(limits="1/hour", key=lambda environ: environ["PATH_INFO"], **more)
        assert keys_differ(piece, {"path": "/" + "x" * 9_999}, {"path": "/" + "x" * 9_998})
        assert all(len(key) <= 80 for _, table in piece._memory._tables for key in table)


def test_function_that_returns_something_else() -> None:
    """A number is a mistake that is told, before a store has trouble with it."""
    with pytest.raises(ValueError, match="key must return a text or None, not 5"):
        call(limited(limits="1/hour", key=lambda environ: 5))


@pytest.mark.parametrize(
    ("path", "is_limited"),
    [
        ("/login", True),
        ("/login/", True),
        ("/login/x", True),
        ("/loginx", False),
        ("/", False),
        ("", False),
        ("//login", True),
        ("/login;x", True),
        ("/x/..;/login", True),
        ("/x/../login", True),
        ("/./login", True),
        ("/login/../x", True),
        ("/x/login", False),
    ],
)
def test_paths(path: str, is_limited: bool) -> None:
    """A limit of some paths holds for what is below, and however they are spelled."""
    piece = limited(limits="1/hour", paths=["/login"])
    assert (codes(piece, 2, path=path) == [200, 429]) is is_limited


@pytest.mark.parametrize(
    ("path", "is_exempt"),
    [
        ("/static", True),
        ("/static/a.css", True),
        ("/statics", False),
        ("/static/../login", False),
        ("/static/..;/login", False),
        ("/static//login", False),
        ("/x/../static", False),
        ("/static/.hidden", True),
        ("/static/a..b", True),
    ],
)
def test_exempt_paths(path: str, is_exempt: bool) -> None:
    """A path that can be read in two ways is not exempt."""
    piece = limited(limits="1/hour", exempt_paths=["/static/"])
    assert (codes(piece, 2, path=path) == [200, 200]) is is_exempt


def test_exempt_networks() -> None:
    """Some clients are not counted."""
    piece = limited(limits="1/hour", exempt_networks=["192.0.2.0/24", "unix"])
    assert codes(piece, 2) == [200, 200]
    assert codes(piece, 2, REMOTE_ADDR="") == [200, 200]
    assert codes(piece, 2, REMOTE_ADDR="198.51.100.1") == [200, 429]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limits": "5"}, "limits: '5' is not a rate"),
        ({"limits": []}, "limits must be one rate or up to 8, not 0"),
        ({"limits": 5}, "limits: "),
        ({"limits": [f"{n}/minute" for n in range(1, 10)]}, "up to 8"),
        ({"limits": ["60/minute", "60/60 seconds"]}, "the same rate twice"),
        ({"limits": "5/minute; burst 9"}, "only token_bucket and gcra take a burst"),
        ({"algorithm": "leaky"}, "algorithm must be one of fixed_window, "),
        ({"algorithm": ["gcra"]}, "algorithm must be one of fixed_window, "),
        ({"key": "cookie"}, "key must be 'all'"),
        ({"key": []}, "key must name"),
        ({"key": 5}, "key must be a text or a list"),
        ({"key": "header:"}, "key must be 'all'"),
        ({"key": "header:X Y"}, "key must be 'all'"),
        ({"key": "path"}, "give some"),
        ({"ipv6_prefix": 129}, "ipv6_prefix must be a number of bits"),
        ({"ipv6_prefix": True}, "ipv6_prefix must be a number of bits"),
        ({"paths": ["login"]}, "paths must be paths that begin with a slash"),
        ({"paths": ["/a/../b"]}, "paths must be paths"),
        ({"exempt_paths": 7}, "exempt_paths must be a text or a list"),
        (
            {"exempt_networks": ["10.0.0.1/8"]},
            "exempt_networks: '10.0.0.1/8' has bits beyond its prefix",
        ),
        ({"cost": -1}, "cost must be a number from 0"),
        ({"cost": 1.5}, "cost must be a number from 0"),
        ({"max_keys": 0}, "max_keys must be a number from 1"),
        ({"when_away": "ajar"}, "when_away must be 'memory', 'open' or 'closed'"),
        ({"fields": "yes"}, "fields must be true or false"),
        ({"on_refused": "page"}, "on_refused must be a WSGI application"),
        ({"redis": "localhost"}, "redis://"),
        ({"redis": "redis://127.0.0.1", "prefix": ""}, "prefix must be a text"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    """Each option is checked when the piece is made."""
    with pytest.raises(ValueError, match=re.escape(message)):
        RateLimit(**{"limits": "5/minute", **options})


# --- memory --------------------------------------------------------------------------------------


def test_memory_is_bounded() -> None:
    """As many clients as are allowed are kept; who came last the longest ago goes first."""
    store = MemoryStore([Gcra(Rate(1, 3600), MemoryStore.second)], 10)
    for number in range(10):
        assert store.take(str(number), 1)[0]
    assert not store.take("0", 1)[0]  # tries on, and is kept for it
    assert store.take("new", 1)[0]
    assert len(store) == 10
    assert not store.take("0", 1)[0]
    assert store.take("1", 1)[0], "1 has come last the longest ago"


def test_many_keys_in_many_tables() -> None:
    """The bound holds for the tables together, within what chance makes of it."""
    store = MemoryStore([Gcra(Rate(1, 3600), MemoryStore.second)], 2_000)
    for number in range(10_000):
        store.take(str(number), 1)
    assert 1_900 <= len(store) <= 2_000 + TABLES


@ALGORITHMS
@pytest.mark.parametrize("limits", [["2/minute"], ["2/minute", "3/second"]])
def test_what_is_over_goes_first(
    algorithm: str, limits: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """States that say nothing are swept as new ones come, so that none is lost early."""
    clock = Clock()
    piece = limited(clock, limits=limits, algorithm=algorithm, max_keys=50)
    for number in range(500):
        call(piece, REMOTE_ADDR=f"192.0.2.{number}")
        clock.go(5)
    assert len(piece._memory) <= 30
    assert not caplog.messages


def test_full_table_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Who has not got back all gets it when the table is too small; the operator knows."""
    store = MemoryStore([Gcra(Rate(1, 3600), MemoryStore.second)], 2)
    for number in range(9):
        store.take(str(number), 1)
    assert [message for message in caplog.messages if "max_keys" in message] == caplog.messages
    assert len(caplog.messages) == 1


@ALGORITHMS
@pytest.mark.parametrize("limits", [["100/hour"], ["100/hour", "5000/day"]])
def test_threads_share_a_limit(algorithm: str, limits: list[str]) -> None:
    """Sixteen threads of one client get as much as one."""
    piece = limited(limits=limits, algorithm=algorithm)
    piece.application = lambda environ, start_response: [b"200"]  # type: ignore[assignment]
    allowed = []
    start = threading.Barrier(16)

    def run() -> None:
        environ = make_environ()
        start.wait()
        answers = [piece(dict(environ), lambda *_: print) for _ in range(50)]  # type: ignore[arg-type, return-value]
        allowed.extend(answer for answer in answers if answer == [b"200"])

    _together([run] * 16)
    assert len(allowed) == 100


def _together(runs: Any) -> None:
    threads = [threading.Thread(target=run) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()


def test_refusals_are_told(caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    """The first at once, then how many there were; an attack does not fill the log."""
    piece = limited(limits="1/hour")
    codes(piece, 500)
    assert caplog.messages == [
        "RateLimit has refused a request, the last of '192.0.2.1': \"1/hour\""
    ]
    piece._refusals._next = 0.0
    codes(piece, 500)
    assert caplog.messages[1].startswith("RateLimit has refused 499 requests, ")
    assert rate_limit_refusals.INTERVAL_SECONDS >= 1


# --- Redis ---------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_link, "RETRY_SECONDS", 0.05)


@ALGORITHMS
def test_redis_counts_like_the_memory(redis: RedisServer, algorithm: str) -> None:
    """The scripts say the same as the functions, for any sequence, also when the clock goes back."""
    chance = random.Random(algorithm)
    now = 1_764_000_000_123_456
    source = SCRIPTS[algorithm].replace("redis.call('TIME')", "{0, ARGV[#ARGV]}")
    # Keys would expire by the time of the wall: how long they live is returned instead.
    source, count = re.subn(r", 'PX', .*\)\n", ")\n reply[#reply + 1] = lives\n", source)
    assert count == 1
    for text in ("7/second; burst 4", "5/3 seconds", "1000/day", "999999/hour; burst 3"):
        rate = parse_rate(text)
        limiter = LIMITERS[algorithm](rate, RedisStore.second)
        store = RedisStore([rate], algorithm, redis.url, f"t{text}")
        script = store._link.client.register_script(source)
        numbers = [rate.quota, rate.window * 1_000_000, rate.burst or rate.quota]
        state: Any = None
        for _ in range(150):
            step = chance.choice([0, 1, 1_000, rate.window * 400_000, rate.window * 1_100_000])
            now += step * chance.choice([1, 1, 1, 1, -1])
            cost = chance.choice([0, 1, 1, 2, 5, rate.quota // 3])
            found = script(keys=["n"], args=[cost, *numbers, now])
            allowed, state, left, wait = limiter.take(state, now, cost)
            assert found[:4] == [int(allowed), int(allowed), left, wait]
            assert limiter.is_over(state, now + found[4])
            kept = store._link.client.get("n").decode()
            assert kept == " ".join(map(str, state if isinstance(state, tuple) else (state,)))
        store._link.client.flushall()


@ALGORITHMS
def test_redis_refuses_the_rest(redis: RedisServer, algorithm: str) -> None:
    """Two pieces that share a Redis share the count; keys are readable, and expire."""
    one, other = (
        limited(limits=["3/minute", "9/hour"], algorithm=algorithm, redis=redis.url)
        for _ in range(2)
    )
    assert codes(one, 2) + codes(other, 3) == [200, 200, 200, 429, 429]
    result = call(one)
    assert re.fullmatch(r'"3/minute";r=0;t=\d+', result["ratelimit"] or "")
    client = one._store._link.client  # type: ignore[union-attr]
    names = {f"breezeway:rate:{algorithm}:{{192.0.2.1}}:{n}" for n in ("3/minute", "9/hour")}
    assert {name.decode() for name in client.scan_iter()} == names
    for name in names:
        longest = (120 if "minute" in name else 7200) + 1
        assert 0 < client.pttl(name) <= longest * 1000


def test_redis_key_of_a_stranger(redis: RedisServer) -> None:
    """A key that a client may choose cannot reach other keys, nor break the braces."""
    piece = limited(limits="1/hour", redis=redis.url, key=lambda environ: environ["PATH_INFO"])
    for path in ("/}", "/{", "/\n", "/" + "x" * 5000, "/\xff"):
        assert codes(piece, 2, path=path) == [200, 429]
    client = piece._store._link.client  # type: ignore[union-attr]
    pattern = rb"breezeway:rate:sliding_window:\{[0-9a-f]{32}\}:1/hour"
    assert all(re.fullmatch(pattern, name) for name in client.scan_iter())


def test_redis_pieces_of_different_paths(redis: RedisServer) -> None:
    """The same limit on two paths is two counts, without another prefix."""
    one, other = (limited(limits="1/hour", redis=redis.url, paths=[p]) for p in ("/a", "/b"))
    assert codes(one, 2, path="/a") == [200, 429]
    assert codes(other, 2, path="/b") == [200, 429]


def test_redis_cost_and_time(redis: RedisServer) -> None:
    """The time is that of Redis: what is taken comes back by itself."""
    piece = limited(limits="20/second; burst 5", algorithm="gcra", redis=redis.url, cost=5)
    assert codes(piece, 2) == [200, 429]
    ends = time.monotonic() + DEADLINE_SECONDS
    while call(piece).code == 429:
        assert time.monotonic() < ends
        time.sleep(0.01)
    client = piece._store._link.client  # type: ignore[union-attr]
    while client.keys():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("when_away", "meanwhile"),
    [
        ("open", [200] * 5),
        ("closed", [503] * 5),
        ("memory", [200, 200, 200, 429, 429]),
    ],
)
def test_redis_away(
    redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
    when_away: str,
    meanwhile: list[int],
) -> None:
    """What happens while it is away is a choice; it is told once, and ends by itself."""
    piece = limited(limits="3/hour", redis=redis.url, when_away=when_away)
    assert codes(piece, 4) == [200, 200, 200, 429]
    redis.stop()
    assert codes(piece, 5) == meanwhile
    if when_away == "closed":
        assert call(piece)["retry-after"] == "1"
    redis.start()
    ends = time.monotonic() + DEADLINE_SECONDS
    while not any("is back" in message for message in caplog.messages):
        call(piece, REMOTE_ADDR="198.51.100.1")
        assert time.monotonic() < ends
    # What was counted is lost, and the limit holds again.
    assert codes(piece, 4) == [200, 200, 200, 429]
    away = [record for record in caplog.records if "away" in record.message]
    assert [record.levelno for record in away] == [logging.ERROR]


@pytest.mark.parametrize(
    ("when_away", "meanwhile"), [("open", [200] * 4), ("closed", [503] * 4), ("memory", [200] * 4)]
)
@pytest.mark.parametrize("what", ["other kind", "no number", "no scripts"])
def test_redis_refuses(
    redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
    what: str,
    when_away: str,
    meanwhile: list[int],
) -> None:
    """What Redis refuses, for it may not or cannot, is as if it were away; it costs no response."""
    piece = limited(limits="9/hour", redis=redis.url, when_away=when_away)
    client = piece._store._link.client  # type: ignore[union-attr]
    assert codes(piece, 1) == [200]
    (name,) = client.keys()
    if what == "other kind":
        client.delete(name)
        client.lpush(name, "x")
    elif what == "no number":
        client.set(name, "nan inf x")
    else:
        client.execute_command("ACL", "SETUSER", "default", "-@scripting")
    assert codes(piece, 4) == meanwhile
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    if what == "no scripts":
        client.execute_command("ACL", "SETUSER", "default", "+@all")
    client.delete(name)
    assert codes(piece, 1) == [200]
    assert client.keys() == [name]


HAMMER = """
import sys, threading
from breezeway.middleware import RateLimit, redis_link
from redis import Redis

redis_link.RETRY_SECONDS = 0.05
url, mode = sys.argv[1:]
environ = {"REQUEST_METHOD": "GET", "REMOTE_ADDR": "192.0.2.1", "PATH_INFO": "/"}


def ask(piece):
    codes = []
    piece(dict(environ), lambda status, headers, exc_info=None: codes.append(int(status[:3])))
    return codes[0]


def application(environ, start_response):
    start_response("200 OK", [])
    return []


def meet(name):
    client = Redis.from_url(url)
    client.incr(name)
    while int(client.get(name)) < 2:
        pass


told, lock = set(), threading.Lock()


def tell(word):
    with lock:
        if word not in told:
            told.add(word)
            print(word, flush=True)


def hammer(piece, algorithm):
    if mode == "times":
        return sum(ask(piece) == 200 for _ in range(60))
    allowed = 0
    for state, end in (("full", 429), ("away", 503), ("again", 429)):
        word = f"{algorithm} {state}"
        while word not in told and (code := ask(piece)) != end:
            allowed += code == 200
        tell(word)
    return allowed + sum(ask(piece) == 200 for _ in range(20))


for algorithm in ["fixed_window", "sliding_window", "token_bucket", "gcra"]:
    piece = RateLimit(
        application, limits=["40/hour", "1000/day"], algorithm=algorithm, redis=url,
        when_away="closed",
    )
    counts = []
    threads = [
        threading.Thread(target=lambda: counts.append(hammer(piece, algorithm))) for _ in range(4)
    ]
    meet(algorithm)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(algorithm, sum(counts), flush=True)
"""


@pytest.fixture
def hammer(redis: RedisServer, tmp_path: Path) -> Iterator[Any]:
    """Start two processes, of four threads each, which send as much as they can."""
    file = tmp_path / "hammer.py"
    file.write_text(HAMMER)
    processes: list[subprocess.Popen[str]] = []

    def start(mode: str) -> list[subprocess.Popen[str]]:
        command = [sys.executable, str(file), redis.url, mode]
        processes.extend(
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)
        )
        return processes

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_two_processes_share_a_limit(hammer: Any) -> None:
    """Of eight threads in two processes exactly as many requests get through as the limit says."""
    outputs = [process.communicate(timeout=DEADLINE_SECONDS)[0] for process in hammer("times")]
    counts = [dict(line.split() for line in output.splitlines()) for output in outputs]
    for algorithm in LIMITERS:
        assert sum(int(count[algorithm]) for count in counts) == 40


def test_restart_in_the_middle(hammer: Any, redis: RedisServer) -> None:
    """What Redis forgets may be had once more, and no more than that, by each algorithm."""
    processes = hammer("until_back")

    def read() -> list[str]:
        return [process.stdout.readline().rstrip() for process in processes]

    for algorithm in LIMITERS:
        assert read() == [f"{algorithm} full"] * 2
        redis.stop()
        assert read() == [f"{algorithm} away"] * 2
        redis.start()
        assert read() == [f"{algorithm} again"] * 2
        counts = [line.split() for line in read()]
        assert [name for name, _ in counts] == [algorithm] * 2
        assert 40 < sum(int(count) for _, count in counts) <= 80
