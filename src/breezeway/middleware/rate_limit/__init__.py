"""`RateLimit`: so many requests of a client in a time, and 429 for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.rate_limit.key import IPV6_PREFIX, KeyOf, hashed, make_key_of, texts_of
from breezeway.middleware.rate_limit.memory import MemoryStore, Outcome
from breezeway.middleware.rate_limit.redis import RedisStore
from breezeway.middleware.rate_limit.refusals import Refusals
from breezeway.middleware.redis_link import RedisAwayError
from breezeway.middleware.stack import unset
from breezeway.semantics.rates import LIMITERS, WITH_BURST, Rate, parse_rate

if TYPE_CHECKING:
    from breezeway.middleware.redis_link import Redis

MAX_KEYS: Final = 100_000
"""Clients that are counted at once; some 25 MiB for one rate."""

MOST_RATES: Final = 8
"""Of one piece; each costs time for each request."""

AWAY_SECONDS: Final = 1
"""Retry-After while Redis is away: it is asked again that often."""

RETRY_AFTER: Final = "breezeway.retry_after"
"""The key of the environ that tells `on_refused` in how many seconds the client may come again."""


class RateLimit:
    """Lets through so many requests of a client in a time, and answers the others with 429.

    Against clients that try passwords, scrape, or take more than their share. All processes and machines
    share the counts if there is a Redis; otherwise each process has its own, in bounded memory.

    A request has to be within all `limits`; one that is refused counts in none. Every response says what
    is left in `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11), and a refusal
    has `Retry-After` (RFC 6585 section 4, RFC 9110 section 10.2.3). `semantics.rates` says what each
    algorithm promises.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        limits: str | Iterable[str],
        algorithm: str = "sliding_window",
        key: str | Iterable[str] | KeyOf = "address",
        ipv6_prefix: int = IPV6_PREFIX,
        paths: Iterable[str] = (),
        exempt_paths: Iterable[str] = (),
        exempt_networks: Iterable[str] = (),
        cost: int | Callable[[WSGIEnvironment], int] = 1,
        redis: str | Redis | None = None,
        prefix: str = "breezeway:rate",
        when_away: str = "memory",
        max_keys: int = MAX_KEYS,
        fields: bool = True,
        on_refused: WSGIApplication | None = None,
    ) -> None:
        """Limit the requests to an application.

        `limits` is one rate or several, such as `100/minute`, `5/10 seconds`, `10/second; burst 20`.
        `algorithm` is `sliding_window`, `fixed_window`, `token_bucket` or `gcra`; the last two take a
        burst, which is a whole window's worth if it is not given.
        `key` says what has a count of its own: `address` (the client), `header:NAME` (without that field:
        the address), `path` (the prefix of `paths`), `all`, several of them in a list, or a function of
        the environ that returns a text, or None for a request that is not limited.
        `ipv6_prefix` is how many bits of an IPv6 address make a client, 64.
        `paths` are prefixes of PATH_INFO to which the limits apply, all if there are none.
        `exempt_paths` and `exempt_networks` (`10.0.0.0/8`, `unix`) are not limited.
        `cost` is how many units a request takes, or a function of the environ that tells.
        `redis` is a URL or a client; None counts in memory. `prefix` begins its keys: pieces share a
        count if they share it, the limit and the paths.
        `when_away` is what happens while Redis is away: `memory` counts in the process, `open` lets all
        through, `closed` refuses all with 503.
        `max_keys` is how many clients are counted in memory, 100,000.
        `fields` puts the RateLimit fields on responses that are allowed, too; refusals have them always.
        `on_refused` is an application that answers in place of the plain 429; the seconds until the
        client may come again are in its environ as `breezeway.retry_after`.

        Raises:
            ValueError: an option is malformed, or redis is not installed.
        """
        self.application = application
        rates = _read_rates(limits, algorithm)
        paths = texts_of("paths", paths)
        self._key_of = make_key_of(key, ipv6_prefix, paths, exempt_paths, exempt_networks)
        if not callable(cost) and (type(cost) is not int or cost < 0):
            raise ValueError(f"cost must be a number from 0, or a function, not {cost!r}")
        self._cost: int | None = None if callable(cost) else cost
        self._cost_of = cost if callable(cost) else None
        if type(max_keys) is not int or max_keys < 1:
            raise ValueError(f"max_keys must be a number from 1, not {max_keys!r}")
        if when_away not in ("memory", "open", "closed"):
            raise ValueError(f"when_away must be 'memory', 'open' or 'closed', not {when_away!r}")
        if not isinstance(fields, bool):
            raise ValueError(f"fields must be true or false, not {fields!r}")
        if on_refused is not None and not callable(on_refused):
            raise ValueError(f"on_refused must be a WSGI application, not {on_refused!r}")
        self._when_away = when_away
        self._tells = fields
        self._on_refused = on_refused
        kind = LIMITERS[algorithm]
        self._memory = MemoryStore([kind(rate, MemoryStore.second) for rate in rates], max_keys)
        self._store: MemoryStore | RedisStore = self._memory
        if redis is not None:
            if not isinstance(prefix, str) or not prefix:
                raise ValueError(f"prefix must be a text, not {prefix!r}")
            scope = f":{hashed(' '.join(sorted(paths)))[:8]}" if paths else ""
            self._store = RedisStore(rates, algorithm, redis, prefix + scope)
        self._names = [_quoted(rate) for rate in rates]
        self._only = self._names[0] + ";r=" if len(rates) == 1 else ""
        self._policy = ("RateLimit-Policy", ", ".join(map(_policy, rates)))
        self._refusals = Refusals("RateLimit")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Count a request; pass it on or refuse it."""
        key = self._key_of(environ)
        if key is None:
            return self.application(environ, start_response)
        cost = self._cost
        if cost is None:
            cost = self._read_cost(environ)
        store = self._store
        try:
            allowed, outcomes = store.take(key, cost)
        except RedisAwayError:
            if self._when_away == "open":
                return self.application(environ, start_response)
            if self._when_away == "closed":
                retry = [("Retry-After", str(AWAY_SECONDS))]
                return answer(environ, start_response, "503 Service Unavailable", headers=retry)
            store = self._memory
            allowed, outcomes = store.take(key, cost)
        if not allowed:
            return self._refuse(environ, start_response, key, outcomes, store.second)
        if not self._tells:
            return self.application(environ, start_response)
        if self._only:
            _, _, left, wait = outcomes[0]
            limit = f"{self._only}{left};t={-(-wait // store.second)}"
        else:
            limit = self._written(outcomes, store.second)
        policy = self._policy

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            told = [*headers, policy, ("RateLimit", limit)]
            if exc_info is None:
                return start_response(status, told)
            return start_response(status, told, exc_info)

        return self.application(environ, start)

    def _read_cost(self, environ: WSGIEnvironment) -> int:
        assert self._cost_of is not None
        cost = self._cost_of(environ)
        if type(cost) is not int or cost < 0:
            raise ValueError(f"the function cost must return a number from 0, not {cost!r}")
        return cost

    def _written(self, outcomes: Iterable[Outcome], second: int) -> str:
        return ", ".join(
            f"{name};r={left};t={-(-wait // second)}"
            for name, (_, _, left, wait) in zip(self._names, outcomes, strict=True)
        )

    def _refuse(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        key: str,
        outcomes: Sequence[Outcome],
        second: int,
    ) -> Iterable[bytes]:
        """Answer with 429, and tell of the limits that were reached."""
        reached = [
            (name, each) for name, each in zip(self._names, outcomes, strict=True) if not each[0]
        ]
        # Not sooner than any of them says: the client would be refused again.
        retry = max(1, max(-(-wait // second) for _, (_, _, _, wait) in reached))
        limit = ", ".join(
            f"{name};r={left};t={-(-wait // second)}" for name, (_, _, left, wait) in reached
        )
        self._refusals.tell(key, ", ".join(name for name, _ in reached))
        more = [self._policy, ("RateLimit", limit), ("Retry-After", str(retry))]
        if self._on_refused is None:
            text = f"429 Too Many Requests: come again in {retry} s"
            return answer(environ, start_response, "429 Too Many Requests", text, more)
        environ[RETRY_AFTER] = retry

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, *more], exc_info)

        return self._on_refused(environ, start)


def _read_rates(limits: str | Iterable[str], algorithm: str) -> Sequence[Rate]:
    if not isinstance(algorithm, str) or algorithm not in LIMITERS:
        raise ValueError(f"algorithm must be one of {', '.join(LIMITERS)}, not {algorithm!r}")
    try:
        rates = [parse_rate(text) for text in ([limits] if isinstance(limits, str) else limits)]
    except (TypeError, ValueError) as error:
        raise ValueError(f"limits: {error}") from None
    if not 1 <= len(rates) <= MOST_RATES:
        raise ValueError(f"limits must be one rate or up to {MOST_RATES}, not {len(rates)}")
    if len({_quoted(rate) for rate in rates}) < len(rates):
        raise ValueError("limits must not have the same rate twice")
    for rate in rates:
        if rate.burst is not None and algorithm not in WITH_BURST:
            raise ValueError(
                f"limits: only {' and '.join(WITH_BURST)} take a burst, not {algorithm}"
            )
    return rates


def _quoted(rate: Rate) -> str:
    """Name a rate as a String (RFC 9651 section 3.3.3)."""
    return f'"{rate.name.partition(";")[0]}"'


def _policy(rate: Rate) -> str:
    """Write a rate as a quota policy item; a burst is a comment to clients."""
    burst = f";breezeway-burst={rate.burst}" if rate.burst is not None else ""
    return f"{_quoted(rate)};q={rate.quota};w={rate.window}{burst}"
