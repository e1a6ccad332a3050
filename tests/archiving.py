"""An archiver over a store of accepted events, and waiting for what it does."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from live_events import SPACE
from redis import Redis
from redis_servers import RedisServer

from oferta.clock import FixedClock
from oferta.store.events_redis import RedisEvents
from oferta_serving.archiving.archiver import Archiver

Work = Callable[[RedisEvents], Awaitable[None]]
DAY = FixedClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
NEXT_DAY = FixedClock(datetime(2026, 11, 24, 12, tzinfo=UTC))


def run(server: RedisServer, work: Work) -> None:
    with Redis(unix_socket_path=str(server.socket)) as client:
        client.flushall()

    async def opened() -> None:
        store = RedisEvents(server.url, SPACE, deadline_s=5)
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(opened())


def archiver(store: RedisEvents, archive: Path, **options: object) -> Archiver:
    archive.mkdir(exist_ok=True)
    return Archiver(store, archive, **{"clock": DAY, "flush_s": 0.02, **options})  # type: ignore[arg-type]


async def waiting(store: RedisEvents) -> int:
    return sum(await store.depths())


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - a status is looked at, as a health page does
            await asyncio.sleep(0.005)
