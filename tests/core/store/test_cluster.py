"""What happens in a cluster: slots that move, nodes that hang, replicas that must not be asked."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
from redis.crc import key_slot
from redis_servers import RedisCluster, binary
from release_worlds import SECRET

from oferta.errors import SlotsUnavailable, StoreUnavailable
from oferta.store.decision_records import NO_MARK, seal_state
from oferta.store.decisions import Change, Done
from oferta.store.decisions_redis import RedisDecisions
from oferta.store.keys import KeySpace
from oferta.store.redis import RedisReader, RedisWriter
from oferta.store.wire import Script, Wire
from oferta.store.wire_cluster import AWAY_AFTER

pytestmark = pytest.mark.needs_tool("redis-server")

SPACE = KeySpace(SECRET)
DIGESTS = [SPACE.digest(f"c{number}") for number in range(200)]
KEYS = [SPACE.state(digest) for digest in DIGESTS]
WHO = (b"CONFIG", b"GET", b"port")
ADD = Script("return redis.call('INCR', KEYS[1]) + redis.call('EXISTS', KEYS[2])")


@asynccontextmanager
async def wire_to(url: str, *, deadline_s: float = 5.0) -> AsyncIterator[Wire]:
    wire = Wire(url, deadline_s=deadline_s, record_s=0.0)
    try:
        yield wire
    finally:
        await wire.close()


def test_commands_go_to_their_nodes_and_answers_come_back_in_order(cluster: RedisCluster):
    async def work() -> None:
        async with wire_to(cluster.url) as wire:
            await wire.ask([(b"SET", key, b"v" + key) for key in KEYS])
            assert await wire.fetch([*KEYS, *KEYS[:3], b"none"]) == [
                *[b"v" + key for key in [*KEYS, *KEYS[:3]]],
                None,
            ]
            assert await wire.ask([(b"STRLEN", key) for key in KEYS]) == [
                len(key) + 1 for key in KEYS
            ]
            counters = [[b"{%d}:n" % at, b"{%d}:m" % at] for at in range(60)]
            for expected in (1, 2):  # the first time no node knows the script
                assert await wire.run(ADD, [(keys, []) for keys in counters]) == [expected] * 60

    cluster.empty()
    asyncio.run(work())


def test_what_has_no_key_goes_where_the_command_before_it_went(cluster: RedisCluster):
    """WAIT, after a write: on another connection it would wait for nothing."""

    async def work() -> list[object]:
        async with wire_to(cluster.url) as wire:
            pairs = [((b"SET", key, b"v"), (b"WAIT", b"0", b"9"), WHO) for key in KEYS[:9]]
            return await wire.ask([command for pair in pairs for command in pair])

    replies = asyncio.run(work())
    assert replies[::3] == [b"OK"] * 9
    assert replies[1::3] == [0] * 9
    assert replies[2::3] == [{b"port": b"%d" % cluster.owner(key)} for key in KEYS[:9]]


def test_a_slot_that_moves_is_followed_and_nothing_is_lost_or_done_twice(cluster: RedisCluster):
    """MOVED, ASK and TRYAGAIN: keys of one customer lie in two nodes for a while."""
    cluster.empty()
    customer = DIGESTS[0]
    state, recent, count = SPACE.state(customer), SPACE.recent(customer), SPACE.consent(customer)
    slot = key_slot(state)
    source = cluster.owner(state)
    target = next(port for port in cluster.ports if port != source)
    ids = {port: cluster.node_id(port) for port in (source, target)}

    async def work() -> None:
        async with wire_to(cluster.url) as wire, wire_to(cluster.url) as old:
            await old.fetch([state])  # it will learn of the move by MOVED
            await wire.ask([(b"SET", state, b"s"), (b"SET", count, b"0")])
            with cluster.client(target) as to, cluster.client(source) as at:
                to.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
                at.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
                # One key here, one there, one nowhere: all together are TRYAGAIN, one by one not.
                at.execute_command("MIGRATE", "127.0.0.1", target, state, 0, 1000)
                assert await wire.fetch([state, count, recent]) == [b"s", b"0", None]
                assert await wire.fetch([recent]) == [None]
                assert await wire.ask([(b"SET", recent, b"r")]) == [b"OK"]
                assert await wire.fetch([recent, count]) == [b"r", b"0"]
                # A script over both waits until they are together again.
                adding = asyncio.create_task(wire.run(ADD, [([count, state], [])]))
                await asyncio.sleep(0.1)
                assert not adding.done()
                at.execute_command("MIGRATE", "127.0.0.1", target, count, 0, 1000)
                for port in (target, source, *cluster.ports):
                    with cluster.client(port) as each:
                        each.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[target])
            assert await adding == [2]
            assert await old.fetch([state, count, recent]) == [b"s", b"1", b"r"]
            assert await old.run(ADD, [([count, state], [])]) == [3]
        assert cluster.owner(state) == target

    asyncio.run(work())


def test_decisions_and_a_publisher_go_on_while_a_slot_moves(cluster: RedisCluster):
    cluster.empty()
    customer = DIGESTS[1]
    key = SPACE.state(customer)
    slot, source = key_slot(key), cluster.owner(key)
    target = next(port for port in cluster.ports if port != source)
    ids = {port: cluster.node_id(port) for port in (source, target)}
    writer = RedisWriter(cluster.url, SPACE, timeout_s=5.0)
    rows = [(SPACE.bucket_at(1, SPACE.tag(customer), each), b"row") for each in range(600)]
    assert writer.put(rows[:300], ttl_s=60) == 300

    async def decide(on: bytes | None) -> None:
        store = RedisDecisions(cluster.url, SPACE, deadline_s=5.0)
        mark = NO_MARK if on is None else on[:32]
        new = seal_state(b"", version=1 if on is None else 2, at=0.0)
        try:
            assert await store.apply([Change(customer, mark, new, 60)]) == [Done()]
        finally:
            await store.close()

    asyncio.run(decide(None))
    with (
        cluster.client(target) as to,
        cluster.client(source) as at,
        ThreadPoolExecutor(1) as pool,
    ):
        to.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
        at.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
        # Its state is still here, its log would be there: it waits until they are together.
        deciding = pool.submit(asyncio.run, decide(seal_state(b"", version=1, at=0.0)))
        assert writer.put(rows[300:], ttl_s=60) == 300  # new keys, which belong to the target
        while keys := at.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
            at.execute_command(
                "MIGRATE", "127.0.0.1", target, "", 0, 1000, "REPLACE", "KEYS", *keys
            )
        for port in (target, source, *cluster.ports):
            with cluster.client(port) as each:
                each.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[target])
        deciding.result()
    names = [name for name, _ in rows]
    assert writer.records(names) == [b"row"] * 600  # which it learns of by MOVED
    assert writer.put(rows, ttl_s=60) == 600
    assert writer.remove(names) == 600
    writer.close()


def test_a_node_that_hangs_costs_its_own_keys_only_and_soon_no_time(cluster: RedisCluster):
    hung = cluster.owner(KEYS[0])
    theirs = [key for key in KEYS if cluster.owner(key) == hung][:20]
    others = [key for key in KEYS[:60] if key not in theirs and cluster.owner(key) != hung]

    async def work() -> None:
        reader = RedisReader(cluster.url, SPACE, deadline_s=0.5)
        await settled(lambda: reader.fetch([*theirs, *others]))
        process = cluster.processes[hung]
        process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(AWAY_AFTER):
                with pytest.raises(SlotsUnavailable) as lost:
                    await reader.fetch([theirs[0], *others])
                assert set(lost.value.found) == set(others)
                assert len(await reader.fetch(others)) == len(others)
            started = time.perf_counter()
            for key in theirs:
                with pytest.raises(SlotsUnavailable):
                    await reader.fetch([key])
            assert time.perf_counter() - started < 0.5, "nobody waits for what is known to be away"
        finally:
            process.send_signal(signal.SIGCONT)
        await settled(lambda: reader.fetch(theirs))
        await reader.close()

    asyncio.run(work())


def test_a_cluster_of_which_nothing_answers_is_unavailable_and_heals(cluster: RedisCluster):
    async def work() -> None:
        async with wire_to(cluster.url, deadline_s=0.5) as wire:
            await settled(lambda: wire.fetch(KEYS[:1]))
            for process in cluster.processes.values():
                process.send_signal(signal.SIGSTOP)
            try:
                for _ in range(AWAY_AFTER + 1):
                    with pytest.raises(StoreUnavailable) as away:
                        await wire.fetch(KEYS[:50])
                assert not isinstance(away.value, SlotsUnavailable)
            finally:
                for process in cluster.processes.values():
                    process.send_signal(signal.SIGCONT)
            await settled(lambda: wire.fetch(KEYS))

    asyncio.run(work())


def test_one_node_that_can_be_reached_tells_of_all(cluster: RedisCluster):
    first, *_ = cluster.ports
    url = f"redis://127.0.0.1:1,127.0.0.1:{first}/?cluster=true"

    async def work() -> None:
        async with wire_to(url) as wire:
            assert len(await wire.fetch(KEYS)) == len(KEYS)

    asyncio.run(work())
    writer = RedisWriter(url, SPACE)
    assert writer.records(KEYS) == asyncio.run(all_of(cluster.url))
    writer.close()


async def all_of(url: str) -> list[bytes | None]:
    async with wire_to(url) as wire:
        return await wire.fetch(KEYS)


def test_a_cluster_that_is_not_there_is_said_within_the_deadline():
    async def work() -> None:
        async with wire_to("redis://127.0.0.1:1,127.0.0.1:2/?cluster=true", deadline_s=0.2) as wire:
            started = time.perf_counter()
            with pytest.raises(StoreUnavailable):
                await wire.fetch([b"a"])
            assert time.perf_counter() - started < 0.5

    asyncio.run(work())
    writer = RedisWriter("redis://127.0.0.1:1,127.0.0.1:2/?cluster=true", SPACE)
    for call in (writer.live, writer.capacity, writer.reserve_fence, writer.announced):
        with pytest.raises(StoreUnavailable):
            call()
    writer.close()


def test_cancelled_reads_never_leave_their_answer_to_another(cluster: RedisCluster):
    """A reply given to the wrong customer is the worst bug a store can have."""

    async def work() -> int:
        reader = RedisReader(cluster.url, SPACE, connections=2, deadline_s=2.0)
        answered = 0

        async def one(number: int) -> None:
            nonlocal answered
            keys = [b"k%d" % number, b"k%d" % (number + 1), b"k%d" % (number + 2)]
            try:
                async with asyncio.timeout(0.0005 * (number % 30) if number % 5 else 1.0):
                    found = await reader.fetch(keys)
            except (TimeoutError, StoreUnavailable):
                return
            assert found == [b"value " + key for key in keys]
            answered += 1

        await settled(lambda: reader.fetch([b"k0"]))
        for start in range(0, 900, 30):
            await asyncio.gather(*(one(number) for number in range(start, start + 30)))
        await reader.close()
        return answered

    cluster.empty()
    writer = RedisWriter(cluster.url, SPACE)
    writer.put([(b"k%d" % number, b"value k%d" % number) for number in range(902)], ttl_s=60)
    writer.close()
    assert 0 < asyncio.run(work()) < 900, "the test must have both cancelled and answered reads"


def test_the_room_of_a_cluster_is_that_of_its_fullest_node(cluster: RedisCluster):
    writer = RedisWriter(cluster.url, SPACE)
    assert writer.capacity().limit_bytes is None
    try:
        for port, limit in zip(cluster.ports, (90_000_000, 30_000_000, 60_000_000), strict=True):
            with cluster.client(port) as client:
                client.config_set("maxmemory", limit)
        told = writer.capacity()
        assert told.limit_bytes is not None
        assert 60_000_000 < told.limit_bytes - told.used_bytes < 90_000_000  # thrice what is left
    finally:
        for port in cluster.ports:
            with cluster.client(port) as client:
                client.config_set("maxmemory", 0)
        writer.close()


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with RedisCluster(binary("path"), tmp_path_factory.mktemp("six")) as running:
        yield running


def test_replicas_are_never_asked(replicated: RedisCluster):
    """What a replica knows of consent may be old."""

    async def work() -> None:
        async with wire_to(replicated.url) as wire:
            await wire.ask([(b"SET", key, b"v") for key in KEYS])
            await wire.fetch(KEYS)
            await wire.run(ADD, [([key + b":n", key], []) for key in KEYS])

    asyncio.run(work())
    writer = RedisWriter(replicated.url, SPACE)
    writer.records(KEYS)
    assert writer.replicated(1, timeout_s=5.0) == 1
    assert writer.capacity().replicas == 1
    writer.close()
    for port in replicated.ports:
        if replicated.role(port) == "slave":
            with replicated.client(port) as client:
                asked = client.info("commandstats")
            assert not {"cmdstat_mget", "cmdstat_get", "cmdstat_evalsha", "cmdstat_readonly"} & set(
                asked
            )


async def settled(call: Callable[[], Awaitable[object]]) -> None:
    """It answers within three seconds, if not at once."""
    for _ in range(300):
        try:
            await call()
        except StoreUnavailable:
            await asyncio.sleep(0.01)
        else:
            return
    pytest.fail("did not heal within three seconds")
