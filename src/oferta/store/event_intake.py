"""Accepting events in Redis: an id is claimed in its owner's slot, then the event is appended.

Whoever dies between the two has told nobody, and the sender comes again: a claim that is pending
lets its event be appended once more. Two entries of one event do no harm.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from oferta.errors import SlotsUnavailable, StoreRefused
from oferta.store import event_scripts
from oferta.store.event_claims import Claim, read_claim, write_claim
from oferta.store.event_streams import mapping
from oferta.store.events import Arrival, Fate
from oferta.store.keys import KeySpace
from oferta.store.node import Command
from oferta.store.wire import Call, Script, Wire, number

TURN: Final = 128
"""Events sent at once: about 100 KB."""

DEPTHS_S: Final = 0.1
"""For how long a shard's length is believed."""

SHED_AT: Final = 0.8
"""Of a shard's cap: from there on events are refused, never the oldest forgotten."""

DURABLE_S: Final = 30.0
"""How long it is believed that Redis writes to its disk before it answers."""

REPLICAS_MS: Final = 100
"""How long an accepted event waits for its replicas."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long and how much is kept.

    Attributes:
        claim_s: how long an event id is known.
        recent_s: how long what somebody did lately is kept after the last event.
        cap: entries of a shard's stream; and of those set aside there, parked and dead together.
        replicas: how many must have an event before it counts as accepted.
        always: refuse events where Redis does not write to its disk before it answers.
    """

    claim_s: float = 8 * 86_400
    recent_s: float = 90 * 86_400
    cap: int = 50_000
    replicas: int = 0
    always: bool = False


class RedisIntake:
    """See `events.Intake`. For one asyncio loop; any number of calls may run at once.

    `depths` tells how many entries each shard holds, `aside` how many were set aside there.
    """

    def __init__(
        self,
        wire: Wire,
        space: KeySpace,
        keeping: Keeping,
        *,
        depths: Callable[[], Awaitable[list[int]]],
        aside: Callable[[], Awaitable[list[int]]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wire = wire
        self._space = space
        self._keeping = keeping
        self._depths = _Depths(depths, cap=keeping.cap, monotonic=monotonic)
        self._aside = _Depths(aside, cap=keeping.cap, monotonic=monotonic)
        self._monotonic = monotonic
        self._durable_until = 0.0

    async def accept(self, arrivals: Sequence[Arrival]) -> list[Fate]:
        """In turns of 128, each with two round trips."""
        fates: list[Fate] = []
        for start in range(0, len(arrivals), TURN):
            fates += await self._turn(arrivals[start : start + TURN])
        return fates

    async def _turn(self, arrivals: Sequence[Arrival]) -> list[Fate]:
        space = self._space
        await self._check_durable()
        full = await self._depths.full()
        crowded = full
        if any(one.waits for one in arrivals):  # others do not suffer from what nobody sells
            crowded = full | await self._aside.full()
        shards = [space.shard(one.owner) for one in arrivals]
        fates = [
            Fate.FULL if shard in (crowded if one.waits else full) else Fate.ACCEPTED
            for shard, one in zip(shards, arrivals, strict=True)
        ]
        taken = [at for at, fate in enumerate(fates) if fate is Fate.ACCEPTED]
        life = _ms(self._keeping.claim_s)
        calls: list[Call] = []
        for at in taken:
            one = arrivals[at]
            claim = write_claim(Claim("pending", one.said))
            calls.append(([space.event(one.owner, one.event_id)], [claim, life]))
        if not calls:
            return fates
        sent: dict[bytes, tuple[int, Arrival]] = {}
        for at, (keys, _), reply in zip(
            taken, calls, await self._wire.run(_CLAIM, calls), strict=True
        ):
            was = read_claim(reply)
            if was is not None:
                same = was.same_as(arrivals[at].said)
                fates[at] = Fate.DUPLICATE if same else Fate.CONFLICT
            # Who claimed it may have died before it was in the stream; two entries do no harm.
            if was is None or (was.state == "pending" and fates[at] is Fate.DUPLICATE):
                sent.setdefault(keys[0], (shards[at], arrivals[at]))
        await self._append([(shard, key, one.data) for key, (shard, one) in sent.items()])
        return fates

    async def _append(self, entries: Sequence[tuple[int, bytes, bytes]]) -> None:
        if not entries:
            return
        commands: list[Command] = []
        waits: list[int] = []
        replicas = self._keeping.replicas
        for shard in dict.fromkeys(shard for shard, _, _ in entries):
            stream = self._space.events(shard)
            commands += [
                (b"XADD", stream, b"*", b"e", data, b"k", key)
                for of, key, data in entries
                if of == shard
            ]
            if replicas:  # of the node that has the shard
                waits.append(len(commands))
                commands.append((b"WAIT", number(replicas), number(REPLICAS_MS)))
        wait_s = len(waits) * REPLICAS_MS / 1000
        replies = await self._wire.ask(commands, records=len(entries), wait_s=wait_s)
        if any(replies[at] < replicas for at in waits):
            raise StoreRefused(f"fewer than {replicas} replicas have the events")

    async def _check_durable(self) -> None:
        now = self._monotonic()
        if not self._keeping.always or now < self._durable_until:
            return
        commands: list[Command] = [
            (b"CONFIG", b"GET", name) for name in (b"appendonly", b"appendfsync")
        ]
        said: dict[bytes, bytes] = {}
        for reply in await self._wire.ask(commands):
            said |= mapping(reply)
        if said.get(b"appendonly") != b"yes" or said.get(b"appendfsync") != b"always":
            raise StoreRefused(
                "[events] durable is 'always', and Redis has not appendonly yes, appendfsync always"
            )
        self._durable_until = now + DURABLE_S


class _Depths:
    """How many entries the shards hold, believed for a moment."""

    def __init__(
        self,
        read: Callable[[], Awaitable[list[int]]],
        *,
        cap: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._read = read
        self._most = SHED_AT * cap
        self._monotonic = monotonic
        self._known: tuple[float, list[int]] = (-DEPTHS_S, [])

    async def full(self) -> frozenset[int]:
        """The shards that take no more."""
        read_at, depths = self._known
        now = self._monotonic()
        if now - read_at > DEPTHS_S:
            # Shards on a node of a cluster that is away take nothing in any case; the others do.
            with suppress(SlotsUnavailable):
                depths = await self._read()
            self._known = (now, depths)
        return frozenset(shard for shard, depth in enumerate(depths) if depth >= self._most)


_CLAIM: Final = Script(event_scripts.CLAIM)


def _ms(seconds: float) -> bytes:
    return number(round(seconds * 1000))
