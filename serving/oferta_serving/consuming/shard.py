"""One shard's events in their order: decoded, parked or applied, then acknowledged.

A batch is held until all of it is settled: while Redis is away it is tried again, not read again.
An entry that nobody can read is set aside at once, one that cannot be applied after five attempts;
neither keeps others waiting. What a consumer left that died is handled in ever smaller batches, so
that the entry it may have died of is found, and none that was only near it is blamed.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final, Literal

import structlog

from oferta.clock import Clock
from oferta.errors import LedgerUnavailable, OfertaError, RecordCorrupt, StoreUnavailable
from oferta.events.event import Position
from oferta.store.events import Aside, Entry, EventStore
from oferta.store.keys import KeySpace
from oferta_serving.consuming.applying import Applier, Failed
from oferta_serving.consuming.deeds import Deed, deed_of
from oferta_serving.consuming.forgotten import Forgetting
from oferta_serving.consuming.metrics import ConsumerMetrics
from oferta_serving.consuming.products import LiveProducts
from oferta_serving.consuming.sessions import ties_of

ATTEMPTS: Final = 5
"""After so many an entry is a dead letter."""

TOGETHER: Final = {1: 64, 2: 16}
"""How many entries are handled together that were begun so often before; later each alone."""

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


class Outage:
    """Tells of a lost Redis once, and once that it is back, however many shards notice."""

    def __init__(self) -> None:
        self._without: set[int] = set()
        self.times = 0
        """How often any shard had no answer: whatever was given out before may be lost since."""

    def begun(self, shard: int, error: OfertaError) -> None:
        """A shard had no answer."""
        self.times += 1
        if not self._without:
            log.warning("store.lost", problem=str(error))
        self._without.add(shard)

    def ended(self, shard: int) -> None:
        """A shard had an answer."""
        if shard in self._without:
            self._without.remove(shard)
            if not self._without:
                log.info("store.recovered")


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
        forgetting: Forgetting,
        products: LiveProducts,
        outage: Outage,
        take_over_s: float,
        clock: Clock,
        metrics: ConsumerMetrics,
    ) -> None:
        self._shard = shard
        self._name = name
        self._store = store
        self._space = space
        self._applier = applier
        self._forgetting = forgetting
        self._products = products
        self._outage = outage
        self._take_over_s = take_over_s
        self._clock = clock
        self._metrics = metrics
        self._look_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Apply events until `stop` is set, and finish the batch then under way."""
        await _either(self._products.known, stop)
        own: Literal["of a life before", "of a lost reply"] | None = "of a life before"
        while not stop.is_set():
            since = self._outage.times
            try:
                if own is None:
                    entries, left = await self._next()
                else:
                    entries = await self._take_over(None, OWN)
                    left = own == "of a life before"
                own = None
                self._outage.ended(self._shard)
            except StoreUnavailable as error:
                # A reply may have been lost, with entries that are ours now.
                own = own or "of a lost reply"
                await self._trouble(error, stop)
                continue
            for batch in _batches(entries, left=left):
                if stop.is_set():
                    break  # they stay this consumer's, or another's
                await self._settle(batch, stop, left=left, since=since)

    async def _next(self) -> tuple[list[Entry], bool]:
        """What another consumer left, now and then; else what nobody was given. Which it is."""
        now = asyncio.get_running_loop().time()
        if now >= self._look_at:
            entries = await self._take_over(self._take_over_s, BATCH)
            if entries:
                self._metrics.taken_over.inc(len(entries))
                return entries, True
            self._look_at = now + self._take_over_s / 2
        entries = await self._store.read(self._shard, self._name, count=BATCH, wait_s=WAIT_S)
        return entries, False

    async def _take_over(self, idle_s: float | None, count: int) -> list[Entry]:
        taken = await self._store.take_over(self._shard, self._name, idle_s=idle_s, count=count)
        self._metrics.lost.inc(taken.lost)
        return taken.entries

    async def _settle(
        self, entries: list[Entry], stop: asyncio.Event, *, left: bool, since: int
    ) -> None:
        """Handle a batch until it is settled; one that was left is noted before.

        A Redis that was away may have come back without its last moments. What we hold and it does
        not must not be applied: the claim would name an entry that the archive never sees, and the
        sender's repeat would be a duplicate.

        Args:
            entries: of one shard, in their order.
            stop: set: what Redis does not take is left.
            left: another life, or consumer, began with them.
            since: `Outage.times` when they were given to us.
        """
        begun = not left
        while True:
            try:
                if self._outage.times != since:
                    since = self._outage.times
                    entries, restored = await self._store.restore(self._shard, entries)
                    self._metrics.restored.inc(restored)
                if not begun:
                    entries = await self._begin(entries)
                    begun = True
                await self._handle(entries)
            except (StoreUnavailable, LedgerUnavailable) as error:
                if stop.is_set():
                    return  # they stay this consumer's, or another's
                await self._trouble(error, stop)
            except Exception:
                # A fault of ours: the entries stay as they are, and are taken over in a while.
                log.exception("events.batch_failed", shard=self._shard)
                await _pause(stop)
                return
            else:
                self._outage.ended(self._shard)
                return

    async def _begin(self, entries: list[Entry]) -> list[Entry]:
        """Bury those that were begun often enough; note that the others are begun."""
        over = [(entry, FAILED) for entry in entries if entry.deliveries >= ATTEMPTS]
        await self._bury(over)
        able = [entry for entry in entries if entry.deliveries < ATTEMPTS]
        return await self._store.begin(self._shard, self._name, able) if able else []

    async def _handle(self, entries: Sequence[Entry]) -> None:
        read: list[Deed] = []
        dead: list[tuple[Entry, str]] = []
        for entry in entries:
            try:
                read.append(deed_of(entry, self._space))
            except RecordCorrupt:
                dead.append((entry, UNREADABLE))
        await self._bury(dead)
        able, forgotten = await self._forgetting.split(read)
        known: list[Deed] = []
        parked: list[Deed] = []
        for deed in able:
            (known if self._is_known(deed) else parked).append(deed)
        failed = await self._applier.apply(known)
        self._tell(failed)
        still = {each.deed.entry.position for each in failed}
        settled = [*known, *forgotten]
        await self._acknowledge(
            [deed.entry.position for deed in settled if deed.entry.position not in still]
        )
        await self._park(parked)

    def _is_known(self, deed: Deed) -> bool:
        product = deed.event.product_id
        return product is None or self._products.has(product)

    def _tell(self, failed: Sequence[Failed]) -> None:
        for deed, error in failed:
            self._metrics.failed.labels(type(error).__name__).inc()
            log.warning(
                "event.failed",
                shard=self._shard,
                position=str(deed.entry.position),
                error=type(error).__name__,
                attempts=deed.entry.deliveries,
            )

    async def _acknowledge(self, positions: Sequence[Position]) -> None:
        await self._store.acknowledge(self._shard, positions)

    async def _park(self, deeds: Sequence[Deed]) -> None:
        if not deeds:
            return
        ties = ties_of(deeds)
        if ties:
            await self._applier.sessions.adopt(ties)  # who they are does not wait
        letters = [(deed.entry._replace(claim=deed.claim), PRODUCT) for deed in deeds]
        self._metrics.parked.inc(len(await self._set_aside("parked", letters)))

    async def _bury(self, dead: Sequence[tuple[Entry, str]]) -> None:
        for entry, reason in await self._set_aside("dead", dead):
            self._metrics.dead.labels(reason).inc()
            log.error(
                "event.died",
                shard=self._shard,
                position=str(entry.position),
                reason=reason,
                attempts=entry.deliveries,
            )

    async def _set_aside(
        self, where: Aside, letters: Sequence[tuple[Entry, str]]
    ) -> list[tuple[Entry, str]]:
        """Those of the letters that are set aside.

        An event that was applied is only acknowledged, however often consumers died before that.
        """
        if not letters:
            return []
        claims = [(entry.claim, None) for entry, _ in letters]
        says_so = await self._store.settle(claims, where)
        aside = [letter for letter, says in zip(letters, says_so, strict=True) if says]
        applied = [entry for (entry, _), says in zip(letters, says_so, strict=True) if not says]
        await self._acknowledge([entry.position for entry in applied])
        self._metrics.duplicates.inc(len(applied))
        if aside:
            at = self._clock.now().timestamp()
            await self._store.set_aside(self._shard, where, aside, at=at)
        return aside

    async def _trouble(self, error: OfertaError, stop: asyncio.Event) -> None:
        self._metrics.store_failures.inc()
        self._outage.begun(self._shard, error)
        await _pause(stop)


def _batches(entries: list[Entry], *, left: bool) -> list[list[Entry]]:
    """The entries together; those that were left in batches of as many as `TOGETHER` says."""
    if not left:
        return [entries] if entries else []
    batches: list[list[Entry]] = []
    for entry in entries:
        last = batches[-1] if batches else []
        most = TOGETHER.get(entry.deliveries, 1)
        if last and last[0].deliveries == entry.deliveries and len(last) < most:
            last.append(entry)
        else:
            batches.append([entry])
    return batches


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
