"""How often a key may ask: a bucket of tokens for all workers, and customers a day.

A worker takes tokens out of the bucket in Redis in portions, so that most requests cost a
subtraction. Where Redis cannot be asked, each worker has a bucket of its own, with half of its
share of the rate: tighter, since nobody sees the whole.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from pydantic import Field

from oferta.clock import Clock
from oferta.errors import StoreUnavailable
from oferta.settings import Settings
from oferta.store.rates import RedisRates
from oferta_serving.principal import LOCAL, NOBODY, Principal
from oferta_serving.problems import RequestRefused

PORTION_S: Final = 0.1
"""A portion lasts a worker about so long at the full rate: what it may hold unused."""

BLIND_S: Final = 1.0
"""For so long Redis is not asked again after it did not answer."""

CLOSE: Final = 0.5
"""The part of its share that a worker grants by itself."""

_FLUSH = 64  # customers that are counted together
_DAY_S = 86_400

log = structlog.get_logger()


class RateSettings(Settings):
    """How much one API key may ask for. Without keys there is no limit."""

    per_s: float = Field(default=2000, gt=0, le=1e6)  # requests; a batch counts each of its rows
    burst: int = Field(default=20_000, ge=1, le=10_000_000)  # of them at once, after a pause
    customers_per_day: int = Field(default=0, ge=0, le=100_000_000)  # different ones; 0: any number


@dataclass(slots=True)
class _Caller:
    """What this worker knows of one key."""

    name: str
    tokens: float = 0.0
    own: float = 0.0
    own_at: float = 0.0
    shut_until: float = 0.0
    shut_to: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    day: int = -1
    seen: set[int] = field(default_factory=set)
    new: list[str] = field(default_factory=list)
    counted: int = 0
    counting: asyncio.Task[None] | None = None


class Rates:
    """The limits of one process. For one asyncio loop."""

    def __init__(
        self,
        store: RedisRates | None,
        settings: RateSettings,
        clock: Clock,
        *,
        workers: int,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._seconds = seconds
        self._workers = workers
        self._portion = max(1, min(int(settings.per_s * PORTION_S), settings.burst // 4))
        self._callers: dict[str, _Caller] = {}
        self._blind_until = -math.inf

    async def take(self, principal: Principal, cost: int = 1, *, apart: str = "") -> None:
        """Count `cost` requests; what is counted `apart` has a bucket of its own.

        Raises:
            RequestRefused: `rate.exceeded`: nothing was counted.
        """
        if principal is LOCAL or principal is NOBODY or cost < 1:
            return
        caller = self._caller(principal, apart)
        if caller.tokens >= cost:
            caller.tokens -= cost
            return
        await self._taken(caller, min(cost, self._settings.burst))

    async def asked_for(self, principal: Principal, customer_ids: Sequence[str]) -> None:
        """Count a request for these customers, beyond the one that `take` counted.

        Raises:
            RequestRefused: `rate.exceeded`, or `rate.customers`: one of them is a new one, and the
                key had its customers of the day.
        """
        if principal is LOCAL:
            return
        if len(customer_ids) > 1:
            await self.take(principal, len(customer_ids) - 1)
        most = self._settings.customers_per_day
        if not most:
            return
        caller = self._caller(principal)
        now = self._clock.now().timestamp()
        day = int(now // _DAY_S)
        if day != caller.day:
            caller.day, caller.counted = day, 0
            caller.seen, caller.new = set(), []
        new = {hash(one): one for one in customer_ids if hash(one) not in caller.seen}
        if not new:
            return
        if caller.counted + len(caller.new) + len(new) > most:
            left = b"%d" % (int((day + 1) * _DAY_S - now) + 1)
            raise RequestRefused("rate.customers", headers=[(b"retry-after", left)])
        caller.seen.update(new)
        caller.new += new.values()
        self._count(caller)

    async def close(self) -> None:
        """Forget what was not counted yet, and leave Redis."""
        tasks = [one.counting for one in self._callers.values() if one.counting is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._store is not None:
            await self._store.close()

    def _caller(self, principal: Principal, apart: str = "") -> _Caller:
        name = f"{principal.tenant}/{principal.name}{apart}"
        caller = self._callers.get(name)
        if caller is None:
            caller = self._callers[name] = _Caller(name, own_at=self._seconds(), own=math.inf)
        return caller

    async def _taken(self, caller: _Caller, cost: int) -> None:
        async with caller.lock:  # whoever comes meanwhile uses the same portion
            least = math.ceil(cost - caller.tokens)
            # What a large batch was refused, a single request may still get.
            shut = least >= caller.shut_to and self._seconds() < caller.shut_until
            if least > 0 and not shut:
                await self._fill(caller, least)
            if caller.tokens < cost:
                left = caller.shut_until - self._seconds()
                after = b"%d" % max(1, math.ceil(left))
                raise RequestRefused("rate.exceeded", headers=[(b"retry-after", after)])
            caller.tokens -= cost

    async def _fill(self, caller: _Caller, least: int) -> None:
        chosen = self._settings
        if self._store is not None and self._seconds() >= self._blind_until:
            try:
                grant = await self._store.take(
                    caller.name,
                    per_s=chosen.per_s,
                    burst=chosen.burst,
                    want=max(least, self._portion),
                    least=least,
                )
            except StoreUnavailable:
                self._blind_until = self._seconds() + BLIND_S
                log.warning("rates.unshared", seconds=BLIND_S)
            else:
                caller.tokens += grant.tokens
                if grant.tokens == 0:
                    caller.shut_until, caller.shut_to = self._seconds() + grant.wait_s, least
                return
        self._fill_by_itself(caller, least)

    def _fill_by_itself(self, caller: _Caller, least: int) -> None:
        share = CLOSE / self._workers
        per_s, burst = self._settings.per_s * share, max(1.0, self._settings.burst * share)
        now = self._seconds()
        caller.own = min(burst, caller.own + (now - caller.own_at) * per_s)
        caller.own_at = now
        if caller.own >= min(least, burst):
            given = min(least, caller.own)
            caller.own -= given
            caller.tokens += least  # a request that no bucket could hold costs the whole bucket
        else:
            caller.shut_until = now + (min(least, burst) - caller.own) / per_s
            caller.shut_to = least

    def _count(self, caller: _Caller) -> None:
        """Tell Redis about new customers soon, many at once; the request does not wait."""
        if self._store is None or caller.counting is not None:
            return
        caller.counting = asyncio.create_task(self._counted(caller, self._store))
        caller.counting.add_done_callback(lambda _task: setattr(caller, "counting", None))

    async def _counted(self, caller: _Caller, store: RedisRates) -> None:
        while caller.new and self._seconds() >= self._blind_until:
            day, sent = caller.day, caller.new[:1000]
            try:
                counted = await store.customers(caller.name, day, sent)
            except StoreUnavailable:
                self._blind_until = self._seconds() + BLIND_S
                return
            if day == caller.day:
                caller.counted = max(counted, caller.counted)
                del caller.new[: len(sent)]
            if len(caller.new) < _FLUSH:
                await asyncio.sleep(BLIND_S / 10)
