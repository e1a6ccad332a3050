"""What events on their way must hold to, on every redis-server of this machine and a cluster."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from redis import Redis
from redis.cluster import RedisCluster as ClusterClient
from redis_servers import CLUSTER, STORES, RedisCluster, RedisServer, binary

from oferta.errors import StoreRefused
from oferta.events.event import START, Event, Position, encode_event
from oferta.store.event_claims import Claim, read_claim, write_claim
from oferta.store.events import Arrival, Entry, Fate, RecentChange, Settled
from oferta.store.events_redis import Keeping, RedisEvents
from oferta.store.keys import KeySpace

SPACE = KeySpace(b"0123456789abcdef0123456789abcdef")
ANNA = SPACE.digest("anna")
SHARD = SPACE.shard(ANNA)
SAID, OTHER = b"1" * 24, b"2" * 24
LATER = Position(10**15, 0)

Step = Callable[[RedisEvents], Awaitable[None]]
Run = Callable[[Step], None]


@pytest.fixture(params=STORES, scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer | RedisCluster]:
    if request.param == CLUSTER:
        shared: RedisCluster = request.getfixturevalue("cluster")
        yield shared
        return
    with RedisServer(binary(request.param), tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(server: RedisServer | RedisCluster) -> Iterator[Redis | ClusterClient]:
    if isinstance(server, RedisCluster):
        client = ClusterClient(port=server.ports[0], host="127.0.0.1")
    else:
        client = Redis(unix_socket_path=str(server.socket))
    with client:
        client.flushall()
        yield client


@pytest.fixture
def run(server: RedisServer | RedisCluster, redis: Redis) -> Run:
    """Runs a test's steps on a store of its own."""
    del redis

    def ran(step: Step, keeping: Keeping | None = None) -> None:
        async def whole() -> None:
            store = RedisEvents(server.url, SPACE, keeping=keeping, deadline_s=5.0)
            try:
                await step(store)
            finally:
                await store.close()

        asyncio.run(whole())

    return ran  # type: ignore[return-value]  # with one option more


def arrival(number: int, said: bytes = SAID) -> Arrival:
    event = Event(f"event-{number:04d}", "view", 1.0, 2.0, "anna", value=float(number))
    return Arrival(ANNA, event.id, said, encode_event(event))


async def taken(store: RedisEvents, count: int) -> list[Entry]:
    """So many events, accepted and read by one consumer."""
    assert await store.accept([arrival(n) for n in range(count)]) == [Fate.ACCEPTED] * count
    return await store.read(SHARD, "one", count=1000, wait_s=0.1)


def change(entries: list[Entry], record: bytes | None = None, mark: bytes = b"") -> RecentChange:
    return RecentChange(ANNA, mark, record, [(each.claim, each.position) for each in entries])


async def claim_of(store: RedisEvents, number: int) -> Claim | None:
    (record,) = await store.fetch([SPACE.event(ANNA, f"event-{number:04d}")])
    return read_claim(record)


@pytest.mark.parametrize(
    "claim", [Claim("pending", SAID), Claim("applied", SAID, Position(5, 3)), Claim("dead", OTHER)]
)
def test_a_claim_is_read_as_it_was_written(claim: Claim):
    assert read_claim(write_claim(claim)) == claim


@pytest.mark.parametrize("record", [None, b"", b"p", b"z" + SAID, b"a" + SAID + b"7-x"])
def test_what_is_no_claim_is_none(record: bytes | None):
    assert read_claim(record) is None


def test_so_many_are_set_aside_and_no_more_and_others_do_not_suffer_from_them(run: Run):
    async def steps(store: RedisEvents) -> None:
        for where in ("parked", "dead"):
            for number in range(40):
                at = number + (100 if where == "dead" else 0)
                await store.accept([arrival(at)])
                entries = await store.read(SHARD, "one", count=1, wait_s=0.1)
                letters = [(entry, "product") for entry in entries]
                await store.set_aside(SHARD, where, letters, at=1.0)  # type: ignore[arg-type]
        await store.trim(SHARD)
        await asyncio.sleep(0.15)  # how long a depth is believed
        waits = arrival(200)._replace(waits=True)
        assert await store.accept([waits, arrival(201)]) == [Fate.FULL, Fate.ACCEPTED]

    run(steps, Keeping(cap=100))  # type: ignore[call-arg]


def test_entries_are_read_once_in_the_order_of_their_arrival(run: Run):
    async def steps(store: RedisEvents) -> None:
        entries = await taken(store, 300)
        assert [one.data for one in entries] == [arrival(n).data for n in range(300)]
        assert [one.position for one in entries] == sorted(one.position for one in entries)
        assert await store.read(SHARD, "two", count=1000, wait_s=0.02) == []

    run(steps)


def test_a_replay_is_told_by_its_claim_whatever_became_of_the_event(run: Run):
    async def steps(store: RedisEvents) -> None:
        entries = await taken(store, 3)
        again = [arrival(0), arrival(0, OTHER)]
        assert await store.accept(again) == [Fate.DUPLICATE, Fate.CONFLICT]
        assert len(await store.read(SHARD, "one", count=9, wait_s=0.1)) == 1  # it was pending
        assert await store.apply([change(entries)]) == [True]
        assert await store.accept(again) == [Fate.DUPLICATE, Fate.CONFLICT]
        await store.settle([(entries[0].claim, None)], "dead")
        claim = await claim_of(store, 0)
        assert claim == Claim("applied", SAID, entries[0].position)  # applied it stays
        assert await store.read(SHARD, "one", count=9, wait_s=0.02) == []

    run(steps)


def test_what_expired_before_it_was_applied_takes_any_replay_as_one(run: Run, redis: Redis):
    async def steps(store: RedisEvents) -> None:
        entries = await taken(store, 1)
        redis.delete(entries[0].claim)
        assert await store.apply([change(entries)]) == [True]
        assert await store.accept([arrival(0, OTHER)]) == [Fate.DUPLICATE]

    run(steps)


def test_a_change_is_written_with_its_claims_or_not_at_all(run: Run):
    async def steps(store: RedisEvents) -> None:
        entries = await taken(store, 2)
        first, second = b"first" * 10, b"second" * 10
        assert await store.apply([change(entries[:1], first)]) == [True]
        late = [
            change(entries[1:], second),  # computed on no record
            change(entries[:1], second, first[:32]),  # its event was applied meanwhile
        ]
        assert await store.apply(late) == [False, False]
        (record,) = await store.fetch([SPACE.recent(ANNA)])
        claim = await claim_of(store, 1)
        assert record == first
        assert claim is not None
        assert claim.state == "pending"
        assert await store.apply([change(entries[1:], second, first[:32])]) == [True]

    run(steps)


def test_what_a_dead_consumer_left_is_anothers_after_a_while(run: Run):
    async def steps(store: RedisEvents) -> None:
        await taken(store, 3)
        early = await store.take_over(SHARD, "two", idle_s=60, count=9)
        assert early.entries == []
        await asyncio.sleep(0.005)
        left = await store.take_over(SHARD, "two", idle_s=0.001, count=2)
        assert [one.deliveries for one in left.entries] == [1, 1]
        begun = await store.begin(SHARD, "two", left.entries)
        assert [one.deliveries for one in begun] == [2, 2]
        own = await store.take_over(SHARD, "two", idle_s=None, count=9)
        assert own.entries == begun
        await store.acknowledge(SHARD, [one.position for one in begun])
        assert (await store.take_over(SHARD, "two", idle_s=None, count=9)).entries == []

    run(steps)


def test_what_was_removed_while_it_waited_is_lost_once(run: Run, redis: Redis):
    async def steps(store: RedisEvents) -> None:
        entries = await taken(store, 3)
        redis.xdel(SPACE.events(SHARD), str(entries[1].position))
        found = await store.take_over(SHARD, "two", idle_s=0.0, count=9)
        assert ([one.position for one in found.entries], found.lost) == (
            [entries[0].position, entries[2].position],
            1,
        )
        assert (await store.take_over(SHARD, "two", idle_s=None, count=9)).lost == 0

    run(steps)


def test_what_redis_lost_of_what_a_consumer_holds_is_appended_again(run: Run, redis: Redis):
    """But not what was settled and then removed: in whatever way."""

    async def step(store: RedisEvents) -> None:
        await store.accept([arrival(n) for n in range(1, 301)])
        held = await store.read(SHARD, "c", count=400, wait_s=0.01)
        assert await store.restore(SHARD, held) == (held, 0)
        lost, unclaimed, applied, parked, dead, bare = held[:6]
        gone = [*held[:6], *held[100:280]]
        await store.apply([RecentChange(ANNA, b"", b"x" * 32, [(applied.claim, applied.position)])])
        await store.settle([(parked.claim, None)], "parked")
        await store.settle([(dead.claim, None)], "dead")
        redis.delete(unclaimed.claim)
        redis.xdel(SPACE.events(SHARD), *(str(one.position) for one in gone))
        held[5] = bare._replace(claim=b"")
        kept, restored = await store.restore(SHARD, held)
        assert kept == [*held[6:100], *held[280:]]
        assert restored == 182
        again = await store.read(SHARD, "c", count=400, wait_s=0.01)
        assert [one.data for one in again] == [
            one.data for one in [lost, unclaimed, *held[100:280]]
        ]
        assert again[0].claim == lost.claim
        assert again[0].position > held[-1].position

    run(step)


def test_the_archive_is_told_what_became_of_every_entry(run: Run, redis: Redis):
    async def steps(store: RedisEvents) -> None:
        entries = await taken(store, 5)
        await store.accept([arrival(0)])  # a second entry of an event that waits
        (second,) = await store.read(SHARD, "one", count=9, wait_s=0.1)
        await store.accept([arrival(9)])  # that nobody was given
        assert await store.apply([change(entries[:3])]) == [True]
        await store.acknowledge(SHARD, [one.position for one in (*entries[:2], second)])
        assert await store.set_aside(SHARD, "dead", [(entries[3], "failed")], at=5.0) == 1
        assert await store.set_aside(SHARD, "dead", [(entries[3], "failed")], at=5.0) == 0
        redis.delete(entries[1].claim)
        listed = await store.entries(SHARD, after=START, count=99)
        pending, applied = Settled.PENDING, Settled.APPLIED
        forgotten, elsewhere = Settled.FORGOTTEN, Settled.ELSEWHERE
        assert await store.claims(SHARD, listed) == [
            *(applied, forgotten, pending, elsewhere, pending),
            *(elsewhere, pending),
        ]
        assert await store.claims(SHARD, listed[2:4]) == [pending, elsewhere]
        after = await store.entries(SHARD, after=entries[1].position, count=2)
        assert [one.position for one in after] == [entries[2].position, entries[3].position]

    run(steps)


@pytest.mark.parametrize("upto", [None, LATER])
def test_what_is_not_settled_is_never_trimmed(run: Run, upto: Position | None):
    async def steps(store: RedisEvents) -> None:
        assert await store.trim(SHARD, upto) == 0
        entries = await taken(store, 4)
        assert await store.trim(SHARD, upto) == 0
        await store.acknowledge(SHARD, [entries[n].position for n in (0, 1, 3)])
        assert await store.trim(SHARD, upto) == 2
        await store.accept([arrival(9)])
        await store.acknowledge(SHARD, [entries[2].position])
        assert await store.trim(SHARD, upto) == 2
        left = await store.entries(SHARD, after=START, count=9)
        assert [one.data for one in left] == [arrival(9).data]

    run(steps)


def test_trimming_ends_where_it_is_told(run: Run):
    async def steps(store: RedisEvents) -> None:
        entries = await taken(store, 4)
        await store.acknowledge(SHARD, [one.position for one in entries])
        assert await store.trim(SHARD, entries[1].position) == 2
        assert (await store.depths())[SHARD] == 2

    run(steps)


def test_what_is_set_aside_comes_back_as_a_new_entry_once(run: Run):
    async def steps(store: RedisEvents) -> None:
        entries = await taken(store, 2)
        await store.set_aside(SHARD, "parked", [(one, "product") for one in entries], at=7.5)
        letters = await store.letters(SHARD, "parked", after=START, count=9)
        assert [(one.reason, one.deliveries, one.at) for one in letters] == [
            ("product", 1, 7.5)
        ] * 2
        places = [one.position for one in letters]
        assert await store.bury(SHARD, places[:1], "too late", at=9.0) == 1
        assert await store.put_back(SHARD, "parked", places) == 1
        assert await store.put_back(SHARD, "parked", places) == 0
        (dead,) = await store.letters(SHARD, "dead", after=START, count=9)
        assert (dead.reason, dead.data, dead.claim) == (
            "too late",
            entries[0].data,
            entries[0].claim,
        )
        (back,) = await store.read(SHARD, "one", count=9, wait_s=0.1)
        assert (back.data, back.claim) == (entries[1].data, entries[1].claim)
        assert back.position > entries[1].position
        assert (sum(await store.depths("dead")), sum(await store.depths("parked"))) == (1, 0)
        assert await store.forget(SHARD, "dead", before=1.0) == 0
        assert await store.forget(SHARD, "dead", before=10**11) == 1

    run(steps)


def test_a_group_that_went_away_is_made_again(run: Run, redis: Redis):
    async def steps(store: RedisEvents) -> None:
        entries = await taken(store, 2)
        redis.xgroup_destroy(SPACE.events(SHARD), "oferta")
        again = await store.read(SHARD, "one", count=9, wait_s=0.1)
        assert [one.position for one in again] == [one.position for one in entries]
        redis.flushall()
        assert await store.read(SHARD, "one", count=9, wait_s=0.01) == []

    run(steps)


def test_keys_of_another_type_give_way(run: Run, redis: Redis):
    async def steps(store: RedisEvents) -> None:
        redis.rpush(SPACE.event(ANNA, "event-0000"), "of another type")
        redis.rpush(SPACE.recent(ANNA), "of another type")
        entries = await taken(store, 1)
        assert await store.apply([change(entries, b"a record")]) == [True]

    run(steps)


def test_events_wait_for_the_replicas_that_are_asked_for(run: Run):
    async def steps(store: RedisEvents) -> None:
        with pytest.raises(StoreRefused, match="replicas"):
            await store.accept([arrival(0)])

    run(steps, Keeping(replicas=1))  # type: ignore[call-arg]  # its option


def test_events_are_refused_where_redis_writes_to_its_disk_later(run: Run, redis: Redis):
    async def steps(store: RedisEvents) -> None:
        with pytest.raises(StoreRefused, match="appendfsync"):
            await store.accept([arrival(0)])
        redis.config_set("appendonly", "yes")
        redis.config_set("appendfsync", "always")
        try:
            assert await store.accept([arrival(0)]) == [Fate.ACCEPTED]
        finally:
            redis.config_set("appendonly", "no")

    run(steps, Keeping(always=True))  # type: ignore[call-arg]  # its option
