"""What is remembered of decisions, in Redis: constant scripts, each within one slot.

A write is never repeated: a reply that was lost may stand for a change that was made, so whoever
asked must find out by reading (a request id tells) or let a reservation run out.
"""

from collections.abc import Sequence
from typing import Final

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
from oferta.store.wire import CONNECTIONS, DEADLINE_S, Call, Script, Wire, number

LOG_LINES: Final = 1_000_000
TURN: Final = 64
"""Changes sent at once: about half a megabyte of records."""


class RedisDecisions:
    """All of `decisions.DecisionStore`, for one asyncio loop. Any number of calls may run at once.

    Args:
        url: of Redis.
        space: the keys.
        log_lines: how many lines the decision log holds, over all slot tags, at most.
        connections, deadline_s: bounds of what a call of few records may take.
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
        self._lines_per_tag = space.lines_per_tag(log_lines)
        self._wire = Wire(url, connections=connections, deadline_s=deadline_s)

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `decisions.Records`. In turns of 128 keys, each with the whole deadline."""
        return await self._wire.fetch(keys)

    async def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """See `decisions.Ledger`. Many are sent in turns of 64, each with the whole deadline."""
        outcomes: list[Outcome] = []
        for start in range(0, len(changes), TURN):
            calls = [self._applied(change) for change in changes[start : start + TURN]]
            outcomes += [_outcome(reply) for reply in await self._wire.run(_APPLY, calls)]
        return outcomes

    async def taken(self, counters: Sequence[str], *, at: float) -> list[int]:
        """See `decisions.Totals`."""
        if not counters:
            return []
        after = b"(%d" % _ms(at)
        return await self._wire.ask(
            [(b"ZCOUNT", self._space.total(counter), after, b"+inf") for counter in counters]
        )

    async def take(self, places: Sequence[Place], *, at: float) -> list[str]:
        """See `decisions.Totals`."""
        if not places:
            return []
        keys = [self._space.total(place.counter) for place in places]
        values = [number(_ms(at))]
        for place in places:
            values += [number(place.limit), number(_ms(place.until)), place.member.encode()]
        (full,) = await self._wire.run(_TAKE, [(keys, values)])
        return list(dict.fromkeys(places[number - 1].counter for number in full))

    async def give_back(self, places: Sequence[Place]) -> None:
        """See `decisions.Totals`."""
        if not places:
            return
        await self._wire.ask(
            [(b"ZREM", self._space.total(place.counter), place.member.encode()) for place in places]
        )

    async def keep(self, places: Sequence[Place], *, at: float) -> None:
        """See `decisions.Totals`."""
        if not places:
            return
        keys = [self._space.total(place.counter) for place in places]
        values = [number(_ms(at))]
        for place in places:
            values += [number(_ms(place.until)), place.member.encode()]
        await self._wire.run(_KEEP, [(keys, values)])

    async def keep_bundle(self, version: str, bundle: bytes, *, ttl_s: int) -> None:
        """See `decisions.Archive`. Written once; after that only its lifetime is renewed."""
        key, life = self._space.bundle(version), number(ttl_s)
        (there,) = await self._wire.ask([(b"EXPIRE", key, life)])
        if not there:
            await self._wire.ask([(b"SET", key, bundle, b"EX", life)])

    async def log(self, tag: int, *, after: str = "0", count: int = 1000) -> list[LogLine]:
        """See `decisions.Archive`."""
        key, start = self._space.log(tag), f"({after}".encode()
        (found,) = await self._wire.ask([(b"XRANGE", key, start, b"+", b"COUNT", number(count))])
        return [
            (place.decode(), dict(zip(*[iter(fields)] * 2, strict=True))[b"e"])
            for place, fields in found
        ]

    async def close(self) -> None:
        """See `decisions.DecisionStore`."""
        await self._wire.close()

    def _applied(self, change: Change) -> Call:
        space, decision = self._space, change.decision
        state = space.state(change.customer)
        keys = [state, space.log(space.tag(change.customer)), state, state, state]
        values = [change.mark, change.state or b"", number(change.state_ttl_s * 1000)]
        note = b""
        if decision is None:
            values += [b"", b"0", b"", b"0"]
        else:
            name, request = decision.id.encode(), decision.request
            keys[2:] = [space.decision(decision.id), request or state, space.made(change.customer)]
            values += [decision.record, number(decision.ttl_s * 1000)]
            values += [b"" if request is None else name, number(REQUEST_TTL_S * 1000)]
            note = name if request is None else name + b" " + request.rpartition(b":")[2]
        return keys, [*values, number(self._lines_per_tag), note, *change.log]


_APPLY: Final = Script(scripts.APPLY)
_TAKE: Final = Script(scripts.TAKE)
_KEEP: Final = Script(scripts.KEEP)


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
