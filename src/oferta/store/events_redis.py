"""Events on their way, in Redis: streams of shards, claims and records in customers' slots.

A write is never repeated here: whoever asked and was not told sends again, and the claim tells.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from oferta.events.event import START, Position
from oferta.store import event_scripts
from oferta.store.event_charge import ArchiveCharge
from oferta.store.event_claims import Claim, State, letter_of, read_claim
from oferta.store.event_intake import Keeping, RedisIntake
from oferta.store.event_streams import GROUP, Streams, entry_of, letter_in, position_of
from oferta.store.events import (
    Arrival,
    Aside,
    Charge,
    Entry,
    Fate,
    Held,
    Letter,
    RecentChange,
    Settled,
    TakenOver,
)
from oferta.store.keys import SHARDS, KeySpace
from oferta.store.node import Command
from oferta.store.wire import CONNECTIONS, DEADLINE_S, Call, Script, Wire, number

TURN: Final = 128
"""Events sent at once: about 100 KB."""


__all__ = ["Keeping", "RedisEvents"]


class RedisEvents:
    """All of `events.EventStore`, for one asyncio loop. Any number of calls may run at once.

    Args:
        url: of Redis.
        space: the keys.
        keeping: how long and how much is kept.
        connections, deadline_s: bounds of what a call of few records may take.
        monotonic: seconds that only grow.
    """

    def __init__(
        self,
        url: str,
        space: KeySpace,
        *,
        keeping: Keeping | None = None,
        connections: int = CONNECTIONS,
        deadline_s: float = DEADLINE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._space = space
        self._keeping = keeping or Keeping()
        self._wire = Wire(url, connections=connections, deadline_s=deadline_s)
        self._streams = Streams(self._wire, space)
        self._charge = ArchiveCharge(self._wire, space)
        self._intake = RedisIntake(
            self._wire,
            space,
            self._keeping,
            depths=self.depths,
            aside=self._all_aside,
            monotonic=monotonic,
        )

    async def accept(self, arrivals: Sequence[Arrival]) -> list[Fate]:
        """See `events.Intake`."""
        return await self._intake.accept(arrivals)

    async def read(self, shard: int, consumer: str, *, count: int, wait_s: float) -> list[Entry]:
        """See `events.Shards`. Makes the group where there is none yet, or none any more."""
        key = self._space.events(shard)
        command = (
            *(b"XREADGROUP", b"GROUP", GROUP, consumer.encode(), b"COUNT", number(count)),
            *(b"BLOCK", number(max(1, round(wait_s * 1000))), b"STREAMS", key, b">"),
        )
        (reply,) = await self._streams.grouped(shard, [command], wait_s=wait_s)
        if not reply:
            return []
        ((_, found),) = reply.items() if isinstance(reply, dict) else reply
        return [entry for each in found if (entry := entry_of(each)) is not None]

    async def take_over(
        self, shard: int, consumer: str, *, idle_s: float | None, count: int
    ) -> TakenOver:
        """See `events.Shards`.

        XPENDING and XCLAIM instead of XAUTOCLAIM, which does not say how often an entry was
        delivered, and before Redis 7 not which ones were removed meanwhile.
        """
        waiting = await self._streams.waiting(
            shard,
            consumer=consumer if idle_s is None else None,
            idle_s=idle_s or 0.0,
            count=count,
        )
        if not waiting:
            return TakenOver([])
        replies = await self._claimed(shard, consumer, waiting, idle_s=idle_s or 0.0)
        found = {
            each[0]: each
            for each in chain.from_iterable(replies)
            if each is not None and each[1] is not None
        }
        missing = [name for name in waiting if name not in found]
        lost = await self._gone(shard, missing)
        entries = [entry_of(found[name], waiting[name]) for name in waiting if name in found]
        return TakenOver([entry for entry in entries if entry is not None], lost)

    async def begin(self, shard: int, consumer: str, entries: Sequence[Entry]) -> list[Entry]:
        """See `events.Shards`."""
        begun = [entry._replace(deliveries=entry.deliveries + 1) for entry in entries]
        counts = {str(entry.position).encode(): entry.deliveries for entry in begun}
        await self._claimed(shard, consumer, counts, idle_s=0.0)
        return begun

    async def restore(self, shard: int, entries: Sequence[Entry]) -> Held:
        """See `events.Shards`."""
        by_name = {str(entry.position).encode(): entry for entry in entries}
        missing = set(await self._missing(shard, list(by_name)))
        gone = [each for name, each in by_name.items() if name in missing and each.claim]
        claims = map(read_claim, await self._wire.fetch([entry.claim for entry in gone]))
        # Whatever else a claim says, the entry was settled, and may have been archived and removed.
        lost = [
            entry
            for entry, claim in zip(gone, claims, strict=True)
            if claim is None or claim.state == "pending"
        ]
        if lost:
            key = self._space.events(shard)
            await self._wire.ask(
                [(b"XADD", key, b"*", b"e", entry.data, b"k", entry.claim) for entry in lost],
                records=len(lost),
            )
        return Held([each for name, each in by_name.items() if name not in missing], len(lost))

    async def acknowledge(self, shard: int, positions: Sequence[Position]) -> None:
        """See `events.Shards`."""
        if positions:
            names = [str(position).encode() for position in positions]
            await self._wire.ask([(b"XACK", self._space.events(shard), GROUP, *names)])

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `events.Effects`."""
        return await self._wire.fetch(keys)

    async def apply(self, changes: Sequence[RecentChange]) -> list[bool]:
        """See `events.Effects`."""
        done: list[bool] = []
        lives = [_ms(self._keeping.recent_s), _ms(self._keeping.claim_s)]
        for start in range(0, len(changes), TURN):
            calls: list[Call] = []
            for change in changes[start : start + TURN]:
                keys = [self._space.recent(change.owner), *(key for key, _ in change.claims)]
                positions = [str(position).encode() for _, position in change.claims]
                calls.append((keys, [change.mark, change.record or b"", *lives, *positions]))
            done += [reply == b"done" for reply in await self._wire.run(_APPLY, calls)]
        return done

    async def settle(
        self, claims: Sequence[tuple[bytes, Position | None]], state: State
    ) -> list[bool]:
        """See `events.Effects`. An entry without a claim has none that could say otherwise."""
        life = _ms(self._keeping.claim_s)
        calls: list[Call] = [
            ([key], [letter_of(state), b"" if position is None else str(position).encode(), life])
            for key, position in claims
            if key
        ]
        replies = iter(await self._wire.run(_SETTLE, calls) if calls else ())
        return [bool(next(replies)) if key else True for key, _ in claims]

    async def set_aside(
        self, shard: int, to: Aside, letters: Sequence[tuple[Entry, str]], *, at: float
    ) -> int:
        """See `events.Letters`. In turns of 128: the script's arguments are bounded."""
        moved = 0
        keys = [self._space.events(shard), self._aside(shard, to)]
        for start in range(0, len(letters), TURN):
            values = [GROUP, _ms(at)]
            for entry, reason in letters[start : start + TURN]:
                values += [str(entry.position).encode(), entry.data, entry.claim]
                values += [reason.encode(), number(entry.deliveries)]
            (turn,) = await self._wire.run(_SET_ASIDE, [(keys, values)])
            moved += turn
        return moved

    async def letters(
        self, shard: int, where: Aside, *, after: Position, count: int
    ) -> list[Letter]:
        """See `events.Letters`."""
        found = await self._streams.range(self._aside(shard, where), after, count)
        return [letter for each in found if (letter := letter_in(each)) is not None]

    async def put_back(self, shard: int, where: Aside, positions: Sequence[Position]) -> int:
        """See `events.Letters`."""
        return await self._put(shard, where, self._space.events(shard), positions, [b"", b"0"])

    async def bury(
        self, shard: int, positions: Sequence[Position], reason: str, *, at: float
    ) -> int:
        """See `events.Letters`."""
        why = [reason.encode(), _ms(at)]
        return await self._put(shard, "parked", self._space.dead(shard), positions, why)

    async def forget(self, shard: int, where: Aside, *, before: float) -> int:
        """See `events.Letters`. By Redis's clock, which numbers them."""
        key = self._aside(shard, where)
        (gone,) = await self._wire.ask([(b"XTRIM", key, b"MINID", _ms(max(0.0, before)))])
        return int(gone)

    async def entries(self, shard: int, *, after: Position, count: int) -> list[Entry]:
        """See `events.Passed`."""
        found = await self._streams.range(self._space.events(shard), after, count)
        return [entry for each in found if (entry := entry_of(each)) is not None]

    async def claims(self, shard: int, entries: Sequence[Entry]) -> list[Settled]:
        """See `events.Passed`."""
        if not entries:
            return []
        first, last = (str(entries[at].position).encode() for at in (0, -1))
        delivered = await self._streams.delivered(shard)
        open_: dict[bytes, int] = {}
        if delivered > START:  # asked after `delivered`: what was delivered meanwhile is above it
            open_ = await self._streams.waiting(shard, count=len(entries), first=first, last=last)
        named = list({entry.claim: None for entry in entries if entry.claim})
        known = dict(zip(named, map(read_claim, await self._wire.fetch(named)), strict=True))
        return [
            Settled.PENDING
            if entry.position > delivered or str(entry.position).encode() in open_
            else _settled(entry, known.get(entry.claim))
            for entry in entries
        ]

    async def trim(self, shard: int, upto: Position | None = None) -> int:
        """See `events.Passed`."""
        key = self._space.events(shard)
        delivered = await self._streams.delivered(shard)
        if delivered == START:
            return 0
        first = min(map(position_of, await self._streams.waiting(shard, count=1)), default=None)
        below = _next(delivered) if first is None else min(first, _next(delivered))
        if upto is not None:
            below = min(below, _next(upto))
        (gone,) = await self._wire.ask([(b"XTRIM", key, b"MINID", str(below).encode())])
        return int(gone)

    async def in_charge(self) -> Charge | None:
        """See `events.Passed`."""
        return await self._charge.held()

    async def claim_charge(self, charge: Charge) -> Charge:
        """See `events.Passed`."""
        return await self._charge.claim(charge)

    async def hand_charge(self, charge: Charge | None) -> None:
        """See `events.Passed`."""
        await self._charge.hand_to(charge)

    async def pass_by(self, positions: Sequence[Position]) -> None:
        """See `events.Passed`."""
        await self._charge.pass_by(positions)

    async def depths(self, which: Aside | None = None) -> list[int]:
        """See `events.Passed`."""
        keys = [
            self._space.events(shard) if which is None else self._aside(shard, which)
            for shard in range(SHARDS)
        ]
        return [int(reply) for reply in await self._wire.ask([(b"XLEN", key) for key in keys])]

    async def close(self) -> None:
        """See `events.EventStore`."""
        await self._wire.close()

    async def _all_aside(self) -> list[int]:
        parked, dead = await self.depths("parked"), await self.depths("dead")
        return [sum(both) for both in zip(parked, dead, strict=True)]

    def _aside(self, shard: int, which: Aside) -> bytes:
        return self._space.parked(shard) if which == "parked" else self._space.dead(shard)

    async def _claimed(
        self, shard: int, consumer: str, counts: Mapping[bytes, int], *, idle_s: float
    ) -> list[Any]:
        """Make entries this consumer's, each with how often it was begun."""
        key, name = self._space.events(shard), consumer.encode()
        by_count: dict[int, list[bytes]] = {}
        for position, times in counts.items():
            by_count.setdefault(times, []).append(position)
        commands: list[Command] = [
            (
                *(b"XCLAIM", key, GROUP, name, _ms(idle_s), *positions),
                *(b"RETRYCOUNT", number(times)),
            )
            for times, positions in by_count.items()
        ]
        return await self._wire.ask(commands, records=len(counts))

    async def _gone(self, shard: int, positions: Sequence[bytes]) -> int:
        """How many of these are in the stream no more, and are waited for no more from now on."""
        if not positions:
            return 0  # else somebody was faster, or it was removed
        gone = await self._missing(shard, positions)
        if gone:
            await self._wire.ask([(b"XACK", self._space.events(shard), GROUP, *gone)])
        return len(gone)

    async def _missing(self, shard: int, positions: Sequence[bytes]) -> list[bytes]:
        """Those of these that the shard's stream does not hold."""
        key = self._space.events(shard)
        replies = await self._wire.ask(
            [(b"XRANGE", key, each, each) for each in positions], records=len(positions)
        )
        return [each for each, reply in zip(positions, replies, strict=True) if not reply]

    async def _put(
        self,
        shard: int,
        where: Aside,
        to: bytes,
        positions: Sequence[Position],
        why: Sequence[bytes],
    ) -> int:
        moved = 0
        for start in range(0, len(positions), TURN):
            names = [str(position).encode() for position in positions[start : start + TURN]]
            call = [self._aside(shard, where), to], [*why, *names]
            (turn,) = await self._wire.run(_PUT_ON, [call])
            moved += turn
        return moved


_APPLY: Final = Script(event_scripts.APPLY_EVENTS)
_SETTLE: Final = Script(event_scripts.SETTLE)
_SET_ASIDE: Final = Script(event_scripts.SET_ASIDE)
_PUT_ON: Final = Script(event_scripts.PUT_ON)


def _ms(seconds: float) -> bytes:
    return number(round(seconds * 1000))


def _next(position: Position) -> Position:
    return Position(position.ms, position.seq + 1)


def _settled(entry: Entry, claim: Claim | None) -> Settled:
    if claim is None:
        return Settled.FORGOTTEN if entry.claim else Settled.ELSEWHERE
    if claim.state == "applied":
        return Settled.APPLIED if claim.position == entry.position else Settled.ELSEWHERE
    return Settled.ELSEWHERE
