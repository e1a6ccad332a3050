"""How much an API key has used, counted in Redis for all processes together.

A key has a bucket of tokens that fills at a rate, by the server's own clock, so that no process's
clock matters; processes take tokens out in portions. And each day has a sketch (HyperLogLog, wrong
by 0.8 % on average) of which customers were asked for: it holds no customer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from oferta.store.keys import KeySpace
from oferta.store.wire import Script, Wire, number

_DAY_MS: Final = 2 * 86_400_000  # a day's sketch outlives its day, whatever the clocks

TOKENS: Final = """
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local want, least = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(held[1]) or burst, tonumber(held[2]) or now
tokens = math.min(burst, tokens + math.max(0, now - at) * rate / 1000)
local granted, wait = math.min(want, math.floor(tokens)), 0
if granted < least then
  granted, wait = 0, math.ceil((least - tokens) * 1000 / rate)
else
  tokens = tokens - granted
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.3f', tokens),
  'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(burst * 1000 / rate) + 1000))
return {granted, wait}
"""
"""KEYS: bucket. ARGV: tokens a second, the most it holds, how many are wanted, and at least.
Returns how many are granted, and else the milliseconds until there may be enough."""

CUSTOMERS: Final = """
for at = 2, #ARGV, 1000 do
  redis.call('PFADD', KEYS[1], unpack(ARGV, at, math.min(at + 999, #ARGV)))
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('PFCOUNT', KEYS[1])
"""
"""KEYS: sketch. ARGV: its milliseconds, then hashes. Returns how many different ones it has had."""

_TOKENS = Script(TOKENS)
_CUSTOMERS = Script(CUSTOMERS)


@dataclass(frozen=True, slots=True)
class Grant:
    """Tokens taken out of a bucket; none: for `wait_s` seconds there are not enough."""

    tokens: int
    wait_s: float


class RedisRates:
    """For one asyncio loop. `caller` is a tenant and the name of a key."""

    def __init__(self, wire: Wire, space: KeySpace) -> None:
        self._wire = wire
        self._space = space

    async def take(self, caller: str, *, per_s: float, burst: int, want: int, least: int) -> Grant:
        """Take up to `want` tokens, or none where there are fewer than `least` (at most `burst`).

        Raises:
            StoreUnavailable: no answer in time; tokens may have been taken.
        """
        values = [b"%.6f" % per_s, number(burst), number(want), number(min(least, burst))]
        (reply,) = await self._wire.run(_TOKENS, [([self._space.tokens(caller)], values)])
        return Grant(int(reply[0]), int(reply[1]) / 1000)

    async def customers(self, caller: str, day: int, customer_ids: Sequence[str]) -> int:
        """Count customers as asked for on a day (days since 1970, UTC); how many it now is.

        Raises:
            StoreUnavailable: no answer in time; they may have been counted. Twice does no harm.
        """
        hashes = [self._space.digest(one) for one in customer_ids]
        call = ([self._space.asked_for(caller, day)], [number(_DAY_MS), *hashes])
        (reply,) = await self._wire.run(_CUSTOMERS, [call])
        return int(reply)

    async def close(self) -> None:
        """Close all connections."""
        await self._wire.close()
