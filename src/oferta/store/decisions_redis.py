"""What is remembered of decisions, in Redis: constant scripts, each within one slot.

A write is never repeated: a reply that was lost may stand for a change that was made, so whoever
asked must find out by reading (a request id tells) or let a reservation run out.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Sequence
from typing import Any, Final, TypeVar, cast

from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from oferta.errors import StoreUnavailable
from oferta.store import scripts
from oferta.store.decisions import (
    REQUEST_TTL_S,
    Change,
    Conflict,
    Done,
    LogLine,
    Outcome,
    Place,
    Repeated,
)
from oferta.store.keys import KeySpace
from oferta.store.redis import FETCH_KEYS

DEADLINE_S: Final = 0.25
"""Over one call. A write may wait for the append-only file, so it has longer than a read."""

CONNECTIONS: Final = 32
LOG_LINES: Final = 1_000_000
TURN: Final = 64
"""Changes sent at once: about half a megabyte of records."""

_T = TypeVar("_T")


class RedisDecisions:
    """All of `decisions.DecisionStore`, for one asyncio loop. Any number of calls may run at once.

    Args:
        url: of Redis.
        space: the keys.
        log_lines: how many lines the decision log holds, over all slot tags, at most.
        connections, deadline_s: bounds of what a call may take.
    """

    def __init__(
        self,
        url: str,
        space: KeySpace,
        *,
        log_lines: int = LOG_LINES,
        connections: int = CONNECTIONS,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._space = space
        self._deadline_s = deadline_s
        self._lines_per_tag = space.lines_per_tag(log_lines)
        pool = aioredis.BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=deadline_s,
            socket_timeout=deadline_s,
            socket_connect_timeout=deadline_s,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=15,
        )
        self._redis = aioredis.Redis.from_pool(pool)

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `decisions.Records`. In turns of 128 keys, each with the whole deadline."""
        found: list[bytes | None] = []
        for start in range(0, len(keys), FETCH_KEYS):
            turn = self._redis.mget(keys[start : start + FETCH_KEYS])
            found += cast("list[bytes | None]", await self._within(turn))
        return found

    async def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """See `decisions.Ledger`. Many are sent in turns of 64, each with the whole deadline."""
        outcomes: list[Outcome] = []
        for start in range(0, len(changes), TURN):
            calls = [self._applied(change) for change in changes[start : start + TURN]]
            outcomes += [_outcome(reply) for reply in await self._scripts(_APPLY, calls)]
        return outcomes

    async def taken(self, counters: Sequence[str], *, at: float) -> list[int]:
        """See `decisions.Totals`."""
        if not counters:
            return []
        after = f"({_ms(at)}"
        asked = self._redis.pipeline(transaction=False)
        for counter in counters:
            asked.zcount(self._space.total(counter), after, "+inf")
        return [int(reply) for reply in await self._within(asked.execute())]

    async def take(self, places: Sequence[Place], *, at: float) -> list[str]:
        """See `decisions.Totals`."""
        if not places:
            return []
        keys = [self._space.total(place.counter) for place in places]
        values: list[bytes | int] = [_ms(at)]
        for place in places:
            values += [place.limit, _ms(place.until), place.member.encode()]
        (full,) = await self._scripts(_TAKE, [(keys, values)])
        return list(dict.fromkeys(places[number - 1].counter for number in full))

    async def give_back(self, places: Sequence[Place]) -> None:
        """See `decisions.Totals`."""
        if not places:
            return
        freed = self._redis.pipeline(transaction=False)
        for place in places:
            freed.zrem(self._space.total(place.counter), place.member.encode())
        await self._within(freed.execute())

    async def keep(self, places: Sequence[Place], *, at: float) -> None:
        """See `decisions.Totals`."""
        if not places:
            return
        keys = [self._space.total(place.counter) for place in places]
        values: list[bytes | int] = [_ms(at)]
        for place in places:
            values += [_ms(place.until), place.member.encode()]
        await self._scripts(_KEEP, [(keys, values)])

    async def keep_bundle(self, version: str, bundle: bytes, *, ttl_s: int) -> None:
        """See `decisions.Archive`. Written once; after that only its lifetime is renewed."""
        key = self._space.bundle(version)
        if not await self._within(self._redis.expire(key, ttl_s)):
            await self._within(self._redis.set(key, bundle, ex=ttl_s))

    async def log(self, tag: int, *, after: str = "0", count: int = 1000) -> list[LogLine]:
        """See `decisions.Archive`."""
        asked = self._redis.xrange(self._space.log(tag), min=f"({after}", max="+", count=count)
        found = cast("list[tuple[bytes, dict[bytes, bytes]]]", await self._within(asked))
        return [(place.decode(), fields[b"e"]) for place, fields in found]

    async def close(self) -> None:
        """See `decisions.DecisionStore`."""
        await self._redis.aclose()

    def _applied(self, change: Change) -> "_Call":
        space, decision = self._space, change.decision
        values: list[bytes | int] = [change.mark, change.state or b"", change.state_ttl_s * 1000]
        name = b"" if decision is None else decision.id.encode()
        tag = space.tag(change.customer)
        keys = [space.state(change.customer), space.log(tag)]
        if decision is None:
            keys += [keys[0], keys[0]]
            values += [b"", 0, b"", 0]
        else:
            asked = decision.request is not None
            keys += [space.decision(decision.id), decision.request or keys[0]]
            values += [decision.record, decision.ttl_s * 1000]
            values += [name if asked else b"", REQUEST_TTL_S * 1000]
        return keys, [*values, self._lines_per_tag, *change.log]

    async def _scripts(self, script: "_Script", calls: Sequence["_Call"]) -> list[Any]:
        """The answers to many calls of one script, sent together."""
        asked = self._redis.pipeline(transaction=False)
        for keys, values in calls:
            asked.evalsha(script.sha, len(keys), *keys, *values)
        replies = await self._within(asked.execute(raise_on_error=False))
        unknown = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:  # nothing of these has run yet, so this is no repetition
            asked = self._redis.pipeline(transaction=False)
            for at in unknown:
                keys, values = calls[at]
                asked.eval(script.text, len(keys), *keys, *values)
            again = await self._within(asked.execute(raise_on_error=False))
            for at, reply in zip(unknown, again, strict=True):
                replies[at] = reply
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise StoreUnavailable(f"Redis refused to write: {reply}") from reply
        return replies

    async def _within(self, answer: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await answer
        except (RedisError, OSError, TimeoutError) as error:
            said = str(error) or type(error).__name__
            raise StoreUnavailable(f"Redis did not answer: {said}") from error


_Call = tuple[list[bytes], list[bytes | int]]


class _Script:
    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


_APPLY: Final = _Script(scripts.APPLY)
_TAKE: Final = _Script(scripts.TAKE)
_KEEP: Final = _Script(scripts.KEEP)


def _outcome(reply: list[bytes | None]) -> Outcome:
    kind, *rest = reply
    if kind == b"done":
        return Done()
    found = rest[0] if rest else None
    if kind == b"repeated":
        return Repeated((found or b"").decode("ascii", "replace"))
    return Conflict(found)


def _ms(instant: float) -> int:
    return round(instant * 1000)
