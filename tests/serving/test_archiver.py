"""Accepted events reach the archive, each exactly once, or wait where they are safe."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from archiving import NEXT_DAY, archiver, run, until, waiting
from live_events import SPACE, accept, archived_ids, arrival, live_event, settle_all
from redis import Redis
from redis_servers import RedisServer, newest

from oferta.clock import FixedClock, SystemClock
from oferta.errors import ArchiveUnreadable
from oferta.events.archive import (
    NOWHERE,
    append,
    archive_files,
    last_positions,
    reading,
    rows_of,
)
from oferta.events.event import START
from oferta.store.events import Entry
from oferta.store.events_redis import RedisEvents


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(newest(), tmp_path_factory.mktemp("redis")) as started:
        yield started


def test_what_was_applied_is_archived_as_it_was_said_and_leaves_the_stream(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        said = live_event(1, placement="home", release=7, attributes={"wished_amount": 9e3})
        await accept(store, [said, *(live_event(n) for n in range(2, 300))])
        await settle_all(store)
        assert await archiver(store, tmp_path).flush() is False
        assert sorted(archived_ids(tmp_path)) == [f"event-{n:07d}" for n in range(1, 300)]
        assert await waiting(store) == 0
        (file,) = archive_files(tmp_path)
        assert file.path.parent.name == "day=2026-11-23"
        rows = {row["event_id"]: row for row in pq.read_table(file.path).to_pylist()}
        row = rows["event-0000001"]
        assert (row["customer_id"], row["placement"], row["release"]) == ("customer-1", "home", 7)
        assert (row["wished_amount"], row["attributes"]) == (9000.0, None)
        assert row["timestamp"].timestamp() == said.at

    run(server, work)


def test_what_nobody_has_settled_waits_with_all_after_it(server: RedisServer, tmp_path: Path):
    async def work(store: RedisEvents) -> None:
        one = SPACE.shard(SPACE.digest("ann"))
        await accept(store, [live_event(1, customer="ann")])
        await settle_all(store)
        await accept(store, [live_event(2, customer="ann")])
        (open_,) = await store.read(one, "slow", count=1, wait_s=1)
        await accept(store, [live_event(3, customer="ann")])
        await settle_all(store)
        archives = archiver(store, tmp_path)
        await archives.flush()
        assert archived_ids(tmp_path) == ["event-0000001"]
        assert last_positions(tmp_path)[one] < open_.position
        assert await waiting(store) == 2
        for entry in (await store.take_over(one, "fast", idle_s=0, count=9)).entries:
            await settle_one(store, entry, one)
        await archives.flush()
        assert archived_ids(tmp_path) == [f"event-000000{n}" for n in (1, 2, 3)]

    run(server, work)


async def settle_one(store: RedisEvents, entry: Entry, shard: int) -> None:
    await store.settle([(entry.claim, entry.position)], "applied")
    await store.acknowledge(shard, [entry.position])


def test_what_says_it_again_or_was_set_aside_is_passed_over(server: RedisServer, tmp_path: Path):
    async def work(store: RedisEvents) -> None:
        shard = SPACE.shard(SPACE.digest("ann"))
        first = live_event(1, customer="ann")
        await accept(store, [first])
        await accept(store, [first])  # not applied yet: a second entry
        await settle_all(store)
        await accept(store, [live_event(2, customer="ann")])
        (parked,) = await store.read(shard, "me", count=1, wait_s=1)
        await store.settle([(parked.claim, None)], "parked")
        await store.set_aside(shard, "parked", [(parked, "product.unknown")], at=0.0)
        archives = archiver(store, tmp_path)
        await archives.flush()
        assert archived_ids(tmp_path) == ["event-0000001"]
        assert await waiting(store) == 0
        (letter,) = await store.letters(shard, "parked", after=START, count=9)
        assert await store.put_back(shard, "parked", [letter.position]) == 1
        await settle_all(store)
        await archives.flush()
        assert archived_ids(tmp_path) == ["event-0000001", "event-0000002"]

    run(server, work)


def test_an_event_whose_claim_was_erased_is_not_archived_and_one_that_expired_is(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        await accept(store, [live_event(1), live_event(2)])
        await settle_all(store)
        erased = arrival(live_event(1))
        with Redis(unix_socket_path=str(server.socket)) as client:
            client.delete(SPACE.event(erased.owner, erased.event_id))
        now = SystemClock().now()
        await archiver(store, tmp_path / "now", clock=FixedClock(now)).flush()
        assert archived_ids(tmp_path / "now") == ["event-0000002"]

    run(server, work)

    async def later(store: RedisEvents) -> None:
        await accept(store, [live_event(1)])
        await settle_all(store)
        gone = arrival(live_event(1))
        with Redis(unix_socket_path=str(server.socket)) as client:
            client.delete(SPACE.event(gone.owner, gone.event_id))
        clock = FixedClock(datetime(2036, 1, 1, tzinfo=UTC))
        await archiver(store, tmp_path / "later", clock=clock).flush()
        assert archived_ids(tmp_path / "later") == ["event-0000001"]

    run(server, later)


def test_a_file_holds_a_bounded_number_and_no_shard_waits_for_another(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        await accept(store, [live_event(n) for n in range(700)])
        await settle_all(store)
        archives = archiver(store, tmp_path, file_events=100)
        assert await archives.flush() is True
        while await archives.flush():
            pass
        sizes = [pq.read_metadata(file.path).num_rows for file in archive_files(tmp_path)]
        assert sizes == [100] * 7
        assert len(set(archived_ids(tmp_path))) == 700

    run(server, work)


def test_one_archives_and_another_takes_over_when_it_leaves(server: RedisServer, tmp_path: Path):
    async def work(store: RedisEvents) -> None:
        stops = [asyncio.Event(), asyncio.Event()]
        first, second = archiver(store, tmp_path), archiver(store, tmp_path)
        tasks = [asyncio.create_task(first.run(stops[0]))]
        await until(lambda: first.status.state == "archiving")
        tasks.append(asyncio.create_task(second.run(stops[1])))
        await accept(store, [live_event(n) for n in range(50)])
        await settle_all(store)
        await until(lambda: first.status.archived == 50)
        assert (second.status.state, second.status.archived) == ("waiting", 0)
        stops[0].set()
        await tasks[0]
        await accept(store, [live_event(n) for n in range(50, 90)])
        await settle_all(store)
        await until(lambda: second.status.archived == 40)
        stops[1].set()
        await tasks[1]
        assert sorted(archived_ids(tmp_path)) == [f"event-{n:07d}" for n in range(90)]

    run(server, work)


def test_what_was_applied_before_the_stop_is_archived_at_the_stop(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        stop = asyncio.Event()
        archives = archiver(store, tmp_path, flush_s=3600)
        task = asyncio.create_task(archives.run(stop))
        await until(lambda: archives.status.state == "archiving")
        await accept(store, [live_event(n) for n in range(20)])
        await settle_all(store)
        stop.set()
        await task
        assert len(archived_ids(tmp_path)) == 20

    run(server, work)


def test_a_task_that_is_cancelled_while_it_writes_ends_its_file_first(
    server: RedisServer, tmp_path: Path
):
    """Else the next archiver would have the lock and write the same events beside it."""

    async def work(store: RedisEvents) -> None:
        await accept(store, [live_event(n) for n in range(50)])
        await settle_all(store)
        task: asyncio.Task[None] | None = None

        def cancel(step: str) -> None:
            if step == "gathered" and task is not None:
                asyncio.get_running_loop().call_soon(task.cancel)

        stop = asyncio.Event()
        task = asyncio.create_task(archiver(store, tmp_path, on_step=cancel).run(stop))
        with suppress(asyncio.CancelledError):
            await task
        assert len(archived_ids(tmp_path)) == 50
        other = archiver(store, tmp_path)
        again = asyncio.create_task(other.run(stop))
        await until(lambda: other.status.state == "archiving")
        stop.set()
        await again
        assert len(archived_ids(tmp_path)) == 50

    run(server, work)


def test_a_disk_that_is_full_loses_nothing_and_the_archiver_says_so_and_goes_on(
    server: RedisServer, tmp_path: Path
):
    folder = tmp_path / "small"
    folder.mkdir()
    small = _mounted(folder)

    async def work(store: RedisEvents) -> None:
        archive = folder / "archive"
        archives = archiver(store, archive)
        stop = asyncio.Event()
        _fill(folder, archive, small)
        task = asyncio.create_task(archives.run(stop))
        await accept(store, [live_event(n) for n in range(2000)])
        await settle_all(store)
        await until(lambda: archives.status.problem is not None)
        assert archives.status.state == "stopped"
        assert await waiting(store) == 2000
        assert archived_ids(archive) == []
        assert not list(archive.glob(".draft-*"))
        _make_room(folder, archive, small)
        await until(lambda: archives.status.problem is None)
        assert archives.status.state == "archiving"
        stop.set()
        await task
        assert sorted(archived_ids(archive)) == [f"event-{n:07d}" for n in range(2000)]

    try:
        run(server, work)
    finally:
        if small:
            subprocess.run(["umount", str(folder)], check=True)


def _mounted(folder: Path) -> bool:
    """A disk of 256 KB, where this user may mount one."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        return False
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _fill(folder: Path, archive: Path, small: bool) -> None:
    if small:
        with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    else:
        (archive / "day=2026-11-23").touch()  # a file in the way: no file can be written either


def _make_room(folder: Path, archive: Path, small: bool) -> None:
    (folder / "filler" if small else archive / "day=2026-11-23").unlink()


def test_without_redis_it_waits_and_goes_on(tmp_path: Path):
    async def work(store: RedisEvents) -> None:
        archives = archiver(store, tmp_path / "archive")
        stop = asyncio.Event()
        task = asyncio.create_task(archives.run(stop))
        await until(lambda: archives.status.problem is not None)
        server.start()
        await accept(store, [live_event(n) for n in range(20)])
        await settle_all(store)
        await until(lambda: archives.status.archived == 20)
        stop.set()
        await task

    (tmp_path / "redis").mkdir()
    server = RedisServer(newest(), tmp_path / "redis")

    async def opened() -> None:
        store = RedisEvents(server.url, SPACE, deadline_s=1)
        await work(store)
        await store.close()

    try:
        asyncio.run(opened())
    finally:
        server.__exit__(None, None, None)


def test_the_small_files_of_yesterday_become_one(server: RedisServer, tmp_path: Path):
    async def work(store: RedisEvents) -> None:
        for number in range(3):
            await accept(store, [live_event(number)])
            await settle_all(store)
            await archiver(store, tmp_path).flush()
        assert len(archive_files(tmp_path)) == 3
        stop = asyncio.Event()
        archives = archiver(store, tmp_path, clock=NEXT_DAY)
        task = asyncio.create_task(archives.run(stop))
        await until(lambda: len(list(tmp_path.glob("day=*/*.parquet"))) == 1)
        await accept(store, [live_event(3)])
        await settle_all(store)
        await until(lambda: archives.status.archived == 1)
        stop.set()
        await task
        assert [path.parent.name for path, *_ in archive_files(tmp_path)] == [
            *("day=2026-11-23", "day=2026-11-24")
        ]
        assert archived_ids(tmp_path) == [f"event-000000{n}" for n in range(4)]

    run(server, work)


def test_a_damaged_archive_is_not_written_to_and_nothing_leaves_the_stream(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        await accept(store, [live_event(1)])
        await settle_all(store)
        await archiver(store, tmp_path).flush()
        (file,) = archive_files(tmp_path)
        file.path.write_bytes(b"not parquet")
        with pytest.raises(ArchiveUnreadable):
            last_positions(tmp_path)
        await accept(store, [live_event(2)])
        await settle_all(store)
        stop = asyncio.Event()
        archives = archiver(store, tmp_path)
        task = asyncio.create_task(archives.run(stop))
        await until(lambda: archives.status.problem is not None)
        assert await waiting(store) == 1
        stop.set()
        await task
        assert len(archive_files(tmp_path)) == 1

    run(server, work)


def test_who_reads_the_archive_keeps_neither_events_nor_a_stop_waiting(
    server: RedisServer, tmp_path: Path
):
    async def work(store: RedisEvents) -> None:
        append(tmp_path, rows_of([]), positions=NOWHERE, day="2026-11-21")
        append(tmp_path, rows_of([]), positions=NOWHERE, day="2026-11-21")
        stop = asyncio.Event()
        archives = archiver(store, tmp_path)
        with reading(tmp_path):
            task = asyncio.create_task(archives.run(stop))
            await accept(store, [live_event(n) for n in range(20)])
            await settle_all(store)
            await until(lambda: archives.status.archived == 20)
            assert len(archive_files(tmp_path)) >= 3, "nothing was put together"
            stop.set()
            await asyncio.wait_for(task, 2)
        stop.clear()
        task = asyncio.create_task(archives.run(stop))
        await until(lambda: len(list(tmp_path.glob("day=2026-11-21/*.parquet"))) == 1)
        stop.set()
        await task

    run(server, work)
