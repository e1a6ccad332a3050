"""A request to be forgotten holds up nobody else, whatever the disk or Redis is busy with."""

import asyncio
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from serving.conftest import RealRedis

from oferta.clock import SystemClock
from oferta.privacy.ledger import Ledger
from oferta.store.redis import RedisReader
from oferta.store.wire import Wire
from oferta_serving.erasing.places import Ground
from oferta_serving.erasing.requests import Erasing

Work = Callable[[Erasing], Awaitable[None]]


@pytest.fixture
def run(redis_process: RealRedis, tmp_path: Path) -> Callable[[Work], float]:
    """Runs work beside a heart that beats; for how long that stood still at most, in seconds."""

    async def whole(work: Work) -> float:
        wire = Wire(redis_process.url, deadline_s=5.0)
        reader = RedisReader(redis_process.url, redis_process.space, deadline_s=5.0)
        ground = Ground(tmp_path, redis_process.space, wire, reader, SystemClock())
        Ledger(ground.ledger).close()
        erasing, stalled = Erasing(ground), 0.0

        async def beat() -> None:
            nonlocal stalled
            while True:
                began = time.perf_counter()
                await asyncio.sleep(0.005)
                stalled = max(stalled, time.perf_counter() - began)

        beating = asyncio.create_task(beat())
        try:
            await asyncio.sleep(0.05)
            await work(erasing)
        finally:
            beating.cancel()
            await erasing.close()
            await wire.close()
            await reader.close()
        return stalled

    return lambda work: asyncio.run(whole(work))


def test_another_writer_of_the_ledger_does_not_stop_other_requests(run: Callable[[Work], float]):
    async def work(erasing: Erasing) -> None:
        other = sqlite3.connect(erasing.ground.ledger, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        asked = asyncio.create_task(erasing.request("ann", "letter"))
        await asyncio.sleep(0.8)
        other.execute("ROLLBACK")
        other.close()
        assert (await asked).state == "requested"

    assert run(work) < 0.4


def test_a_reader_of_the_ledger_does_not_hold_up_the_request(run: Callable[[Work], float]):
    async def work(erasing: Erasing) -> None:
        reader = sqlite3.connect(erasing.ground.ledger, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchall()
        began = time.perf_counter()
        await erasing.request("ann", "letter")
        assert time.perf_counter() - began < 1.0
        reader.close()

    run(work)


def test_a_redis_that_hangs_does_not_hold_up_the_request(
    run: Callable[[Work], float], redis_process: RealRedis
):
    async def work(erasing: Erasing) -> None:
        redis_process.signal(signal.SIGSTOP)
        try:
            began = time.perf_counter()
            await erasing.request("ann", "letter")
            assert time.perf_counter() - began < 1.5
        finally:
            redis_process.signal(signal.SIGCONT)

    run(work)
