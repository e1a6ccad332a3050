"""One archive has a tenant's events, whatever machines, processes and emptied stores there are."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from archiving import archiver, run, until, waiting
from live_events import SPACE, accept, archived_ids, live_event, settle_all
from redis import Redis
from redis_servers import RedisServer, newest

from oferta.clock import SystemClock
from oferta.errors import ArchiveElsewhere
from oferta.events.archive import (
    NOWHERE,
    SHARDS,
    Archived,
    append,
    last_epoch,
    rows_of,
)
from oferta.events.archive_rewrite import join_days, take_out
from oferta.events.event import START, Position
from oferta.store.events_redis import RedisEvents
from oferta.store.redis import RedisReader
from oferta_serving.consuming.aside import Caretaker
from oferta_serving.consuming.metrics import ConsumerMetrics
from oferta_serving.consuming.products import LiveProducts
from oferta_serving.event_settings import EventSettings


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(newest(), tmp_path_factory.mktemp("redis")) as started:
        yield started


@asynccontextmanager
async def caretaker(server: RedisServer, store: RedisEvents) -> AsyncIterator[Caretaker]:
    """Of a process on another machine, that is told not to archive."""
    reader = RedisReader(server.url, SPACE)
    products = LiveProducts(reader, SPACE)
    settings = EventSettings(archive=False)
    metrics = ConsumerMetrics()
    yield Caretaker(store, settings, products=products, clock=SystemClock(), metrics=metrics)
    await reader.close()


def test_a_process_that_does_not_archive_leaves_entries_to_the_machine_that_does(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        stop = asyncio.Event()
        first = archiver(store, tmp_path, flush_s=3600)
        tasks = [asyncio.create_task(first.run(stop))]
        await until(lambda: first.status.state == "archiving")
        await accept(store, [live_event(n) for n in range(100)])
        await settle_all(store)
        async with caretaker(server, store) as other:
            await other._tick()
        assert await waiting(store) == 100
        stop.set()
        await asyncio.gather(*tasks)
        assert len(set(archived_ids(tmp_path))) == 100

    run(server, work)


def test_after_a_redis_that_was_emptied_it_leaves_them_until_the_archiver_is_back(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        await archiver(store, tmp_path).flush()
        async with caretaker(server, store) as other:
            await other._tick()
            with Redis(unix_socket_path=str(server.socket)) as client:
                client.flushall()
            await accept(store, [live_event(1)])
            await settle_all(store)
            await other._tick()
        assert await waiting(store) == 1

    run(server, work)


def test_where_nobody_archives_applied_events_leave(server: RedisServer):
    async def work(store: RedisEvents) -> None:
        await accept(store, [live_event(1)])
        await settle_all(store)
        async with caretaker(server, store) as alone:
            await alone._tick()
        assert await waiting(store) == 0

    run(server, work)


def test_a_second_archive_refuses_loudly_and_leaves_everything_to_the_first(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        await archiver(store, tmp_path / "first").flush()
        stop = asyncio.Event()
        second = archiver(store, tmp_path / "second")
        task = asyncio.create_task(second.run(stop))
        await accept(store, [live_event(n) for n in range(50)])
        await settle_all(store)
        await until(lambda: second.status.problem is not None)
        await asyncio.sleep(0.1)
        assert second.status.state == "stopped"
        assert "--take-archive" in (second.status.problem or "")
        assert await waiting(store) == 50
        stop.set()
        await task
        await archiver(store, tmp_path / "first").flush()
        assert archived_ids(tmp_path / "second") == []
        assert len(set(archived_ids(tmp_path / "first"))) == 50

    run(server, work)


def test_an_archive_that_is_told_to_take_over_does_and_the_other_stops(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        first = archiver(store, tmp_path / "first")
        await first.flush()
        await accept(store, [live_event(1)])
        await settle_all(store)
        second = archiver(store, tmp_path / "second", take=True)
        await second.flush()
        assert archived_ids(tmp_path / "second") == ["event-0000001"]
        with pytest.raises(ArchiveElsewhere):
            await first.flush()
        await archiver(store, tmp_path / "second").flush()  # taken once, it needs no telling

    run(server, work)


AHEAD = Position(10**13, 7)
"""Where the last file ends: the clock of the Redis of then was ahead of this one's."""


def test_what_an_emptied_redis_takes_in_is_archived_whatever_its_clock_says(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        append(tmp_path, rows_of([]), positions=(AHEAD,) * SHARDS, day="2026-11-22", epoch="old")
        await accept(store, [live_event(n) for n in range(60)])
        await settle_all(store)
        archives = archiver(store, tmp_path)
        await archives.flush()
        assert len(set(archived_ids(tmp_path))) == 60
        assert await waiting(store) == 0
        await accept(store, [live_event(n) for n in range(60, 90)])
        await settle_all(store)
        await archiver(store, tmp_path).flush()
        assert sorted(archived_ids(tmp_path)) == [f"event-{n:07d}" for n in range(90)]

    run(server, work)


def test_what_comes_after_it_stands_after_all_that_a_release_knows(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        append(tmp_path, rows_of([]), positions=(AHEAD,) * SHARDS, day="2026-11-22", epoch="old")
        await archiver(store, tmp_path).flush()
        await accept(store, [live_event(n) for n in range(90)])
        for shard in range(SHARDS):
            entries = await store.entries(shard, after=START, count=100)
            assert entries
            assert min(entry.position for entry in entries) > AHEAD
        assert await settle_all(store) == 90
        await archiver(store, tmp_path).flush()
        assert len(set(archived_ids(tmp_path))) == 90

    run(server, work)


def test_a_redis_that_is_emptied_under_an_archiver_at_work_is_noticed_within_a_second(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        append(tmp_path, rows_of([]), positions=(AHEAD,) * SHARDS, day="2026-11-22", epoch="old")
        stop = asyncio.Event()
        archives = archiver(store, tmp_path, flush_s=3600)
        task = asyncio.create_task(archives.run(stop))
        await until(lambda: archives.status.state == "archiving")
        with Redis(unix_socket_path=str(server.socket)) as client:
            client.flushall()
        await accept(store, [live_event(n) for n in range(40)])
        await settle_all(store)
        await until(lambda: archives.status.archived == 40)
        stop.set()
        await task
        assert await waiting(store) == 0

    run(server, work)


def test_the_epoch_survives_a_join_and_an_erasure(server: RedisServer, tmp_path: Path):
    del server
    for number in (1, 2):
        rows = rows_of([Archived(0, Position(number, 0), live_event(number, customer="ann"))])
        append(tmp_path, rows, positions=NOWHERE, day="2026-11-22", epoch=f"epoch{number}")
    join_days(tmp_path, before="2026-11-23")
    assert last_epoch(tmp_path) == "epoch2"
    assert take_out(tmp_path, lambda table: pa.array([True] * table.num_rows)) == 2
    assert last_epoch(tmp_path) == "epoch2"
