"""What is done now and then: parked events whose product came, letters too old, full streams."""

import asyncio
import contextlib
from typing import Final

import structlog

from oferta.clock import Clock
from oferta.errors import RecordCorrupt, StoreUnavailable
from oferta.events.event import START, decode_event
from oferta.store.events import EventStore, Letter
from oferta_serving.consuming.metrics import ConsumerMetrics
from oferta_serving.consuming.products import LiveProducts
from oferta_serving.consuming.shard import PRODUCT
from oferta_serving.event_settings import DAY_S, EventSettings

TICK_S: Final = 0.5
GRACE_S: Final = 60.0
"""Where an archive was seen, and its name is gone: that its archiver has to come back. An emptied
Redis has forgotten whose the events are, and they would be gone before it is told."""

SWEEP_S: Final = 60.0
"""How often the parked are looked through where no new release asks for it."""

PAGE: Final = 200

log = structlog.get_logger()


class Caretaker:
    """Looks after a tenant's streams. Any number of processes may do it at once."""

    def __init__(
        self,
        store: EventStore,
        settings: EventSettings,
        *,
        products: LiveProducts,
        clock: Clock,
        metrics: ConsumerMetrics,
    ) -> None:
        self._store = store
        self._settings = settings
        self._products = products
        self._clock = clock
        self._metrics = metrics
        self._sweep_at = 0.0
        self._keep_until = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Look after them until `stop` is set."""
        while not stop.is_set():
            try:
                await self._tick()
            except StoreUnavailable:
                self._metrics.store_failures.inc()
            except Exception:
                log.exception("events.care_failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TICK_S)

    async def _tick(self) -> None:
        changed = await self._products.look()
        depths = await self._store.depths()
        self._metrics.backlog.set(max(depths) / self._settings.stream_cap)
        if not self._settings.archive and await self._nobody_archives():
            for shard, depth in enumerate(depths):
                if depth:
                    await self._store.trim(shard)
        now = asyncio.get_running_loop().time()
        if changed or now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S
            await self.sweep()
        for where in ("parked", "dead"):
            self._metrics.aside.labels(where).set(sum(await self._store.depths(where)))

    async def _nobody_archives(self) -> bool:
        """Whether applied events may go: no process, on whatever machine, is to archive them."""
        now = asyncio.get_running_loop().time()
        if await self._store.in_charge() is not None:
            self._keep_until = now + GRACE_S
        return now >= self._keep_until

    async def sweep(self) -> None:
        """Put back the parked whose product is there, bury those that waited too long."""
        now = self._clock.now().timestamp()
        oldest = now - self._settings.dead_d * DAY_S
        for shard, depth in enumerate(await self._store.depths("parked")):
            if depth:
                await self._sweep(shard, now)
        for shard, depth in enumerate(await self._store.depths("dead")):
            if depth:
                gone = await self._store.forget(shard, "dead", before=oldest)
                self._metrics.dead.labels("forgotten").inc(gone)

    async def _sweep(self, shard: int, now: float) -> None:
        after = START
        while letters := await self._store.letters(shard, "parked", after=after, count=PAGE):
            after = letters[-1].position
            ready = [each.position for each in letters if self._is_ready(each)]
            if ready:
                moved = await self._store.put_back(shard, "parked", ready)
                self._metrics.unparked.inc(moved)
            late = now - self._settings.park_d * DAY_S
            expired = [one for one in letters if one.at < late and not self._is_ready(one)]
            if expired:
                claims = [(one.claim, None) for one in expired]
                await self._store.settle(claims, "dead")
                positions = [one.position for one in expired]
                moved = await self._store.bury(shard, positions, PRODUCT, at=now)
                self._metrics.dead.labels(PRODUCT).inc(moved)
                log.error("events.died", shard=shard, reason=PRODUCT, events=moved)

    def _is_ready(self, letter: Letter) -> bool:
        try:
            product = decode_event(letter.data).product_id
        except RecordCorrupt:
            return True  # it becomes a dead letter there
        return product is None or self._products.has(product)
