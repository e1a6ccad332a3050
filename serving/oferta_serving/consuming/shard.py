"""One shard's events in their order: decoded, parked or applied, then acknowledged.

A batch is held until all of it is settled: while Redis is away it is tried again, not read again.
An entry that nobody can read is set aside at once, one that cannot be applied after five
deliveries; neither keeps others waiting.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog

from oferta.clock import Clock
from oferta.errors import RecordCorrupt, StoreUnavailable
from oferta.events.event import Position
from oferta.store.events import Entry, EventStore
from oferta.store.keys import KeySpace
from oferta_serving.consuming.applying import Applier
from oferta_serving.consuming.deeds import Deed, deed_of
from oferta_serving.consuming.metrics import ConsumerMetrics
from oferta_serving.consuming.products import LiveProducts

DELIVERIES: Final = 5
"""After so many an entry is a dead letter."""

SUSPECT: Final = 3
"""From so many on it is handled alone: who handled it died."""

BATCH: Final = 256
OWN: Final = 1000
"""More than one consumer ever has of a shard: a batch, and what failed in it."""

WAIT_S: Final = 0.5
"""How long a read waits for an event; and a stop for the read, at most."""

PAUSE_S: Final = 0.1
"""Until Redis is tried again."""

UNREADABLE: Final = "unreadable"
FAILED: Final = "failed"
PRODUCT: Final = "product"

log = structlog.get_logger()


class ShardConsumer:
    """Applies the events of one shard. `run` it once."""

    def __init__(
        self,
        shard: int,
        name: str,
        store: EventStore,
        *,
        space: KeySpace,
        applier: Applier,
        products: LiveProducts,
        take_over_s: float,
        clock: Clock,
        metrics: ConsumerMetrics,
    ) -> None:
        self._shard = shard
        self._name = name
        self._store = store
        self._space = space
        self._applier = applier
        self._products = products
        self._take_over_s = take_over_s
        self._clock = clock
        self._metrics = metrics
        self._look_at = 0.0
        self._told = False

    async def run(self, stop: asyncio.Event) -> None:
        """Apply events until `stop` is set, and finish the batch then under way."""
        await _either(self._products.known, stop)
        began = unsure = False
        while not stop.is_set():
            try:
                if not began:
                    taken = await self._store.take_over(
                        self._shard, self._name, idle_s=None, count=OWN
                    )
                    self._metrics.lost.inc(taken.lost)
                    entries = taken.entries
                    began = True
                elif unsure:
                    entries = await self._store.again(self._shard, self._name, count=OWN)
                    unsure = False
                else:
                    entries = await self._next()
                self._well()
            except StoreUnavailable as error:
                unsure = True  # a reply may have been lost, with entries that are ours now
                await self._trouble(error, stop)
                continue
            await self._settle(entries, stop)

    async def _next(self) -> list[Entry]:
        """What a dead consumer left, now and then; else what nobody was given."""
        now = asyncio.get_running_loop().time()
        if now >= self._look_at:
            taken = await self._store.take_over(
                self._shard, self._name, idle_s=self._take_over_s, count=BATCH
            )
            self._metrics.taken_over.inc(len(taken.entries))
            self._metrics.lost.inc(taken.lost)
            if taken.entries:
                return taken.entries
            self._look_at = now + self._take_over_s / 2
        return await self._store.read(self._shard, self._name, count=BATCH, wait_s=WAIT_S)

    async def _settle(self, entries: Sequence[Entry], stop: asyncio.Event) -> None:
        for batch in _batches(entries):
            while True:
                try:
                    await self._handle(batch)
                    break
                except StoreUnavailable as error:
                    if stop.is_set():
                        return  # they stay this consumer's, or another's
                    await self._trouble(error, stop)
                except Exception:
                    # A fault of ours: the entries stay as they are, to be delivered again.
                    log.exception("events.batch_failed", shard=self._shard)
                    await _pause(stop)
                    return
            self._well()

    async def _handle(self, entries: Sequence[Entry]) -> None:
        deeds: list[Deed] = []
        dead: list[tuple[Entry, str]] = []
        parked: list[Deed] = []
        for entry in entries:
            if entry.deliveries > DELIVERIES:
                dead.append((entry, FAILED))
                continue
            try:
                deed = deed_of(entry, self._space)
            except RecordCorrupt:
                dead.append((entry, UNREADABLE))
                continue
            product = deed.event.product_id
            if product is None or self._products.has(product):
                deeds.append(deed)
            else:
                parked.append(deed)
        failed = await self._applier.apply(deeds)
        still = {each.deed.entry.position for each in failed}
        for deed, error in failed:
            self._metrics.failed.labels(type(error).__name__).inc()
            log.warning(
                "event.failed",
                shard=self._shard,
                position=str(deed.entry.position),
                error=type(error).__name__,
                deliveries=deed.entry.deliveries,
            )
        await self._acknowledge(
            [deed.entry.position for deed in deeds if deed.entry.position not in still]
        )
        await self._park(parked)
        await self._bury(dead)

    async def _acknowledge(self, positions: Sequence[Position]) -> None:
        await self._store.acknowledge(self._shard, positions)

    async def _park(self, deeds: Sequence[Deed]) -> None:
        if not deeds:
            return
        known = {(each.session, each.owner) for each in deeds if each.session is not None}
        if known:
            await self._applier.sessions.adopt(sorted(known))  # who they are does not wait
        await self._store.settle([(deed.claim, None) for deed in deeds], "parked")
        letters = [(deed.entry._replace(claim=deed.claim), PRODUCT) for deed in deeds]
        at = self._clock.now().timestamp()
        moved = await self._store.set_aside(self._shard, "parked", letters, at=at)
        self._metrics.parked.inc(moved)

    async def _bury(self, dead: Sequence[tuple[Entry, str]]) -> None:
        if not dead:
            return
        await self._store.settle([(entry.claim, None) for entry, _ in dead], "dead")
        at = self._clock.now().timestamp()
        await self._store.set_aside(self._shard, "dead", dead, at=at)
        for entry, reason in dead:
            self._metrics.dead.labels(reason).inc()
            log.error(
                "event.died",
                shard=self._shard,
                position=str(entry.position),
                reason=reason,
                deliveries=entry.deliveries,
            )

    async def _trouble(self, error: StoreUnavailable, stop: asyncio.Event) -> None:
        self._metrics.store_failures.inc()
        if not self._told:
            log.warning("shard.waits", shard=self._shard, problem=str(error))
            self._told = True
        await _pause(stop)

    def _well(self) -> None:
        if self._told:
            log.info("shard.goes_on", shard=self._shard)
            self._told = False


def _batches(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries together, but for suspects: alone, and last.

    Whoever handles them may die of one. Each time they are tried from the other end, so that the
    others are through before they have been delivered too often.
    """
    calm = [entry for entry in entries if entry.deliveries < SUSPECT]
    suspects = [entry for entry in entries if entry.deliveries >= SUSPECT]
    if suspects and suspects[0].deliveries % 2 == 0:
        suspects.reverse()
    return [*([calm] if calm else []), *([entry] for entry in suspects)]


async def _pause(stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), PAUSE_S)


async def _either(first: asyncio.Event, second: asyncio.Event) -> None:
    """Wait until either is set."""
    tasks = [asyncio.create_task(each.wait()) for each in (first, second)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
