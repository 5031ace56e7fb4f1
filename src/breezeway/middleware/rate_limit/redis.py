"""What clients have taken, in Redis, for all processes and machines that share it.

One script decides and writes for all rates of a request, so that nothing comes in between; the time is
that of Redis, so that no two machines differ about it. The algorithms are those of `semantics.rates`, in
microseconds. The keys of one client have its name in braces, which puts them on the same node of a
cluster. A key expires when it says as much as none. Redis 5 is the oldest that lets a script write
after it has asked for the time.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from breezeway.middleware.rate_limit.key import hashed
from breezeway.middleware.rate_limit.memory import Outcome
from breezeway.middleware.redis_link import TIMEOUT_SECONDS, RedisAwayError, RedisLink
from breezeway.semantics.rates import Rate

if TYPE_CHECKING:
    from breezeway.middleware.redis_link import Redis

_READABLE: Final = re.compile(r"[\w.:/ \-]{1,80}", re.ASCII)
"""A key that an operator can look up as it is; others are hashed."""

QUIET_SECONDS: Final = 60.0
"""Between two lines of the log about what Redis refuses."""

log = logging.getLogger("breezeway.middleware")

# Each defines take(state, quota, window, burst, cost, now), which returns: whether the request is allowed,
# the state to keep, in how many microseconds that is over, what is left, and a time. A state is a table of
# numbers, empty if there is none.

_FIXED_WINDOW: Final = """
local function take(state, quota, window, burst, cost, now)
  local begin, used = state[1] or now, state[2] or 0
  local wait = begin + window - now
  if wait <= 0 then
    begin, used, wait = now, 0, window
  elseif begin > now then
    begin, wait = now, window
  end
  local left = quota - used - cost
  if left < 0 then return false, {begin, used}, wait, left + cost, wait end
  return true, {begin, used + cost}, wait, left, wait
end
"""

_SLIDING_WINDOW: Final = """
local function wait_for(used, before, rest, cost, quota, window)
  if cost > quota then return rest + window end
  local lacking = quota - used - cost
  if lacking >= 0 then return rest - math.floor(lacking * window / before) end
  return rest + math.max(0, window - math.floor((quota - cost) * window / used))
end
local function take(state, quota, window, burst, cost, now)
  local begin, used, before = state[1] or now, state[2] or 0, state[3] or 0
  local rest = begin + window - now
  if rest <= -window then
    begin, used, before, rest = now, 0, 0, window
  elseif rest <= 0 then
    begin, used, before, rest = begin + window, 0, used, rest + window
  elseif begin > now then
    begin, rest = now, window
  end
  local level = (quota - used - cost) * window - before * rest
  if level < 0 then
    local left = math.max(0, math.floor(level / window) + cost)
    local wait = wait_for(used, before, rest, cost, quota, window)
    return false, {begin, used, before}, rest + window, left, wait
  end
  local left = math.floor(level / window)
  used = used + cost
  local wait
  if left > 0 then
    wait = math.floor(left * window / quota)
  else
    wait = wait_for(used, before, rest, 1, quota, window)
  end
  return true, {begin, used, before}, rest + window, left, wait
end
"""

_BUCKET: Final = """
local function take(state, quota, window, burst, cost, now)
  local full = burst * window
  local level, at = state[1] or full, state[2] or now
  if now > at then level = math.min(full, level + (now - at) * quota) end
  local rest = level - cost * window
  if rest < 0 then
    local lives = math.ceil((full - level) / quota)
    return false, {level, now}, lives, math.floor(level / window), math.ceil(-rest / quota)
  end
  local left = math.floor(rest / window)
  local earned = left * window
  if left == 0 then earned = window - rest end
  return true, {rest, now}, math.ceil((full - rest) / quota), left, math.ceil(earned / quota)
end
"""

_GCRA: Final = """
local function take(state, quota, window, burst, cost, now)
  local each = math.ceil(window / quota)
  local tolerance = burst * each
  local paid = math.min(math.max(state[1] or now, now), now + tolerance)
  local rest = tolerance - (paid - now) - cost * each
  if rest < 0 then
    return false, {paid}, paid - now, math.floor((rest + cost * each) / each), -rest
  end
  local left = math.floor(rest / each)
  local wait = left * each
  if left == 0 then wait = each - rest end
  paid = paid + cost * each
  return true, {paid}, paid - now, left, wait
end
"""

# Numbers are written whole: the text that Lua makes of them by itself has fourteen digits.
_ALL: Final = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local cost = tonumber(ARGV[1])
local reply, writes, all = {1}, {}, true
for i, key in ipairs(KEYS) do
  local state = {}
  for number in string.gmatch(redis.call('GET', key) or '', '%S+') do
    state[#state + 1] = tonumber(number)
  end
  local quota, window = tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3])
  local allowed, after, lives, left, wait =
    take(state, quota, window, tonumber(ARGV[i * 3 + 1]), cost, now)
  all = all and allowed
  writes[i] = {allowed, after, lives}
  reply[#reply + 1] = allowed and 1 or 0
  reply[#reply + 1] = left
  reply[#reply + 1] = wait
end
if not all then reply[1] = 0 end
for i, key in ipairs(KEYS) do
  local allowed, after, lives = writes[i][1], writes[i][2], writes[i][3]
  if all or not allowed then
    for j, number in ipairs(after) do after[j] = string.format('%.0f', number) end
    redis.call('SET', key, table.concat(after, ' '), 'PX', math.ceil(lives / 1000) + 1)
  end
end
return reply
"""

SCRIPTS: Final[dict[str, str]] = {
    "fixed_window": _FIXED_WINDOW + _ALL,
    "sliding_window": _SLIDING_WINDOW + _ALL,
    "token_bucket": _BUCKET + _ALL,
    "gcra": _GCRA + _ALL,
}
"""The script of each algorithm."""


class RedisStore:
    """The states of all clients; times are in microseconds."""

    second: Final = 1_000_000

    def __init__(
        self,
        rates: Sequence[Rate],
        algorithm: str,
        redis: str | Redis,
        prefix: str,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        """Hold requests to all of `rates`; raise ValueError for a URL that is none."""
        self._link = RedisLink(redis, timeout)
        self._script = self._link.script(SCRIPTS[algorithm])
        self._quiet_until = 0.0
        self._before = f"{prefix}:{algorithm}:{{"
        self._after = [f"}}:{rate.name}" for rate in rates]
        self._numbers = [
            number
            for rate in rates
            for number in (rate.quota, rate.window * self.second, rate.burst or rate.quota)
        ]

    def take(self, key: str, cost: int) -> tuple[bool, Sequence[Outcome]]:
        """Take `cost` units of each rate, or nothing of any; return whether they were there.

        Raises:
            RedisAwayError: Redis does not answer, or refuses: it may not run scripts, or somebody
                else has put something under the key.
        """
        name = self._before + (key if _READABLE.fullmatch(key) else hashed(key))
        keys = [name + after for after in self._after]
        args = [cost, *self._numbers]
        try:
            found: list[Any] = self._link.call(lambda: self._script(keys=keys, args=args))
        except RedisAwayError:
            raise
        except Exception as error:
            now = time.monotonic()
            if now >= self._quiet_until:
                self._quiet_until = now + QUIET_SECONDS
                log.error("Redis refuses what RateLimit asks of it: %s", error)
            raise RedisAwayError(f"Redis refuses: {error}") from error
        outcomes = [
            (found[at] == 1, None, found[at + 1], found[at + 2]) for at in range(1, len(found), 3)
        ]
        return found[0] == 1, outcomes
