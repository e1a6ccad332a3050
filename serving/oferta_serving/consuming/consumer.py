"""`oferta consume`: a task for each shard, one that looks after the streams, one that archives."""

import asyncio
import contextlib
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import start_http_server

from oferta.clock import Clock
from oferta.store.events_redis import RedisEvents
from oferta.store.keys import SHARDS, KeySpace
from oferta.store.redis import RedisReader
from oferta_serving.consuming.applying import Applier
from oferta_serving.consuming.aside import Caretaker
from oferta_serving.consuming.forgotten import Forgetting
from oferta_serving.consuming.metrics import ConsumerMetrics
from oferta_serving.consuming.names import consumer_name
from oferta_serving.consuming.products import LiveProducts
from oferta_serving.consuming.shard import Outage, ShardConsumer
from oferta_serving.event_settings import EventSettings

if TYPE_CHECKING:
    from oferta_serving.archiving.archiver import Archiver

DEADLINE_S: Final = 2.0
"""For an answer of Redis: nobody waits for this process."""

PROGRESS_S: Final = 10.0

_TOLD: Final = {
    "applied": "events_applied",
    "duplicates": "event_duplicates",
    "parked": "events_parked",
    "taken_over": "events_taken_over",
    "lost": "events_lost",
}
"""Fields of the progress line, and the counters that they are."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Consuming:
    """What a consumer works with.

    Attributes:
        url: of Redis.
        home: the state folder, where consumers number themselves and the archive lies.
        metrics_port: where Prometheus asks, on this machine; None: nowhere; 0: a free one.
        take_archive: archive here even if the events go to another archive by now; where
            `[events] archive` is false, nobody archives them any more.
    """

    settings: EventSettings
    url: str
    space: KeySpace
    home: Path
    clock: Clock
    metrics_port: int | None = None
    take_archive: bool = False


def consume(consuming: Consuming) -> None:
    """Apply events until told to stop (SIGTERM, or Ctrl-C): the batches under way are finished.

    A second signal stops at once; what was not finished is done by whoever comes next.
    """
    metrics = ConsumerMetrics()
    with consumer_name(consuming.home) as name, contextlib.ExitStack() as stack:
        served = ""
        if consuming.metrics_port is not None:
            server, thread = start_http_server(
                consuming.metrics_port, addr="127.0.0.1", registry=metrics.registry
            )
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            served = f"   metrics http://127.0.0.1:{server.server_port}/metrics"
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_until_told(consuming, name, metrics, served))


async def _until_told(
    consuming: Consuming, name: str, metrics: ConsumerMetrics, served: str
) -> None:
    stop = asyncio.Event()
    _on_signals(stop)
    sys.stdout.write(f"oferta consumes as {name}{served}   Ctrl-C stops\n")
    sys.stdout.flush()
    await run(consuming, name, metrics=metrics, stop=stop)


async def run(
    consuming: Consuming, name: str, *, metrics: ConsumerMetrics, stop: asyncio.Event
) -> None:
    """Apply events as the consumer `name` until `stop` is set."""
    settings, space, clock = consuming.settings, consuming.space, consuming.clock
    store = RedisEvents(
        consuming.url,
        space,
        keeping=settings.keeping,
        connections=2 * SHARDS + 8,  # a read of each shard waits for events
        deadline_s=DEADLINE_S,
    )
    reader = RedisReader(consuming.url, space, connections=4, deadline_s=DEADLINE_S)
    products = LiveProducts(reader, space)
    applier = Applier(store, space, types=settings.known_types(), clock=clock, metrics=metrics)
    forgetting = Forgetting(store, space, home=consuming.home, metrics=metrics)
    archiver = _archiver(consuming, store) if settings.archive else None
    outage = Outage()
    try:
        if archiver is None and consuming.take_archive:
            await store.hand_charge(None)
        async with asyncio.TaskGroup() as tasks:
            for shard in range(SHARDS):
                consumer = ShardConsumer(
                    shard,
                    name,
                    store,
                    space=space,
                    applier=applier,
                    forgetting=forgetting,
                    products=products,
                    outage=outage,
                    take_over_s=settings.take_over_s,
                    clock=clock,
                    metrics=metrics,
                )
                tasks.create_task(consumer.run(stop))
            caretaker = Caretaker(store, settings, products=products, clock=clock, metrics=metrics)
            tasks.create_task(caretaker.run(stop))
            tasks.create_task(_tell(metrics, archiver, stop))
            if archiver is not None:
                tasks.create_task(archiver.run(stop))
    finally:
        await store.close()
        await reader.close()
        forgetting.close()


def _archiver(consuming: Consuming, store: RedisEvents) -> "Archiver":
    # It takes a while to import: only where there is an archive.
    from oferta.events.archive import archive_folder  # noqa: PLC0415
    from oferta_serving.archiving.archiver import Archiver  # noqa: PLC0415

    return Archiver(
        store,
        archive_folder(consuming.home),
        clock=consuming.clock,
        flush_s=consuming.settings.archive_s,
        claim_s=consuming.settings.keeping.claim_s,
        take=consuming.take_archive,
    )


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    whole = asyncio.current_task()

    def told() -> None:
        if stop.is_set() and whole is not None:
            whole.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)


async def _tell(metrics: ConsumerMetrics, archiver: "Archiver | None", stop: asyncio.Event) -> None:
    """Log how far it is, every ten seconds in which something happened."""
    before: dict[str, int] = {}
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PROGRESS_S)
        counts = {
            name: int(metrics.registry.get_sample_value(f"oferta_{sample}_total") or 0)
            for name, sample in _TOLD.items()
        }
        if archiver is not None:
            counts["archived"] = archiver.status.archived
            metrics.archived.set(archiver.status.archived)
            metrics.archive_stopped.set(int(archiver.status.state == "stopped"))
        if counts != before:
            log.info("events.applied", **counts)
            before = counts
        if stop.is_set():
            return
