"""`oferta consume` on a real Redis: what customers did has its effect, once."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from live_events import archived_ids
from serving.conftest import RealRedis, make_app, serving
from serving.consumers import (
    EVENTS,
    claim_of,
    consumer,
    consuming_process,
    counted,
    environment,
    forget_events,
    recent_of,
    until,
)
from serving.worlds import entry, shop

from oferta.clock import SystemClock
from oferta.events.event import Event, encode_event
from oferta.store.events_redis import RedisEvents
from oferta_serving.archiving.archiver import Archiver
from oferta_serving.commands.replay_dead import replay_dead

DEAD, EFFECT = "oferta_events_dead_total", "oferta_event_effect_seconds"


@pytest.fixture
def api(redis_process: RealRedis, tmp_path: Path) -> Iterator[httpx.Client]:
    forget_events(redis_process)
    redis_process.publish(shop())
    with serving(make_app(redis_process, tmp_path / "api")) as client:
        yield client


def tell(api: httpx.Client, *numbers: int, **fields: object) -> None:
    events = [
        {"event_id": f"event-{n:04d}", "customer_id": "anna", "type": "view", **fields}
        for n in numbers
    ]
    answer = api.post(EVENTS, json={"events": events})
    assert answer.status_code in {200, 202}, answer.text


def values(redis: RealRedis, who: str, *, session: bool = False) -> list[float | None]:
    return [one.value for one in recent_of(redis, who, session=session).events]


def poison(redis: RealRedis, data: bytes, *, shard: int) -> None:
    with redis.client() as client:
        client.xadd(redis.space.events(shard), {"e": data, "k": b""})


@pytest.fixture
def replay(
    redis_process: RealRedis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    """`oferta replay-dead`: what it says."""
    for name, value in environment(redis_process).items():
        monkeypatch.setenv(name, value)

    def called(**options: object) -> str:
        capsys.readouterr()
        replay_dead(home=tmp_path / "home", **options)  # type: ignore[arg-type]  # its options
        return capsys.readouterr().out

    return called


def test_what_a_customer_did_is_in_the_record_that_answers_are_made_of(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path
):
    with consumer(redis_process, tmp_path) as metrics:
        tell(api, 1, value=7, product_id="tyres", attributes={"wished_amount": 9000, "x": 1})
        until(lambda: recent_of(redis_process, "anna").events)
        (done,) = recent_of(redis_process, "anna").events
        assert (done.type, done.product, done.value) == ("view", "tyres", 7.0)
        assert done.wishes == {"wished_amount": 9000}
        claim = claim_of(redis_process, "anna", "event-0001")
        assert claim is not None
        assert (claim.state, claim.position) == ("applied", done.position)
        until(lambda: counted(metrics, f"{EFFECT}_count") == 1)
        assert counted(metrics, "oferta_events_lost_total") == 0


def test_replays_and_second_entries_change_nothing(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path
):
    tell(api, 1, 2, value=1)
    tell(api, 1, 2, value=1)  # still pending: in the stream twice
    with consumer(redis_process, tmp_path) as metrics:
        until(lambda: counted(metrics, "oferta_event_duplicates_total") == 2)
        tell(api, 1, 2, value=1)  # applied
        tell(api, 3, value=3)
        until(lambda: len(values(redis_process, "anna")) == 3)
        assert values(redis_process, "anna") == [1.0, 1.0, 3.0]
        assert counted(metrics, "oferta_events_applied_total") == 3


def test_what_was_applied_leaves_the_stream(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path
):
    with consumer(redis_process, tmp_path):
        tell(api, *range(20))
        with redis_process.client() as redis:
            keys = [redis_process.space.events(shard) for shard in range(16)]
            until(lambda: len(values(redis_process, "anna")) == 20)
            until(lambda: not sum(redis.xlen(key) for key in keys))


def test_an_event_waits_for_its_product(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path
):
    with consumer(redis_process, tmp_path) as metrics:
        tell(api, 1, product_id="new-car", value=1)
        tell(api, 2, value=2)
        until(lambda: counted(metrics, "oferta_events_parked_total") == 1)
        until(lambda: values(redis_process, "anna") == [2.0])
        claim = claim_of(redis_process, "anna", "event-0001")
        assert claim is not None
        assert claim.state == "parked"
        tell(api, 1, product_id="new-car", value=1)  # a duplicate, and not stored again

        world = shop()
        redis_process.publish(
            type(world)(**{**_fields(world), "catalogue": (*world.catalogue, entry("new-car"))})
        )
        until(lambda: len(values(redis_process, "anna")) == 2)
        assert sorted(v or 0 for v in values(redis_process, "anna")) == [1.0, 2.0]


def _fields(world: object) -> dict[str, object]:
    return {name: getattr(world, name) for name in world.__dataclass_fields__}  # type: ignore[attr-defined]  # a dataclass


def test_a_product_that_never_comes_makes_a_dead_letter(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path, replay: Callable[..., str]
):
    tell(api, 1, product_id="never", value=1)
    with consumer(redis_process, tmp_path) as metrics:
        until(lambda: counted(metrics, "oferta_events_parked_total") == 1)
    with consumer(redis_process, tmp_path, park_d=0.000001):  # the first look is at the start
        until(lambda: "product" in replay(dry_run=True))
    claim = claim_of(redis_process, "anna", "event-0001")
    assert claim is not None
    assert claim.state == "dead"


def test_poison_is_set_aside_and_keeps_nobody_waiting(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path, replay: Callable[..., str]
):
    """One in a hundred: bytes that are no event, and events that are nobody's."""
    nobody = encode_event(Event("event-9999", "view", 1.0, 2.0))
    wrong = b'{"id":"event-9998","type":5,"at":"noon","received_at":2.0,"customer_id":"anna"}'
    with consumer(redis_process, tmp_path) as metrics:
        for block in range(5):
            poison(redis_process, (b"\xff\x00", nobody, wrong)[block % 3], shard=block)
            tell(api, *range(block * 100, block * 100 + 100), customer_id=f"c{block}", value=1)
        until(lambda: counted(metrics, "oferta_events_applied_total") == 500)
        until(lambda: counted(metrics, DEAD) == 5)
        assert all(len(values(redis_process, f"c{block}")) == 100 for block in range(5))
        said = replay(dry_run=True)
        assert ("unreadable" in said, "5 would be put back" in said) == (True, True)
        assert "No dead letters" in replay(reason="product")
        assert "5 put back" in replay()
        until(lambda: counted(metrics, DEAD) == 10)  # poison it stays


def test_an_event_that_many_consumers_died_of_is_set_aside(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path, replay: Callable[..., str]
):
    """Its neighbours are applied, however often they were near a death."""
    tell(api, *range(8), value=1)
    space = redis_process.space
    shard = space.shard(space.digest("anna"))
    stream = space.events(shard)
    with redis_process.client() as redis:
        redis.xgroup_create(stream, "oferta", id="0")
        taken = redis.xreadgroup("oferta", "the dead", {stream: ">"}, count=8)
        ids = [entry for entry, _ in taken[0][1]]
        redis.xclaim(stream, "oferta", "the dead", 0, [ids[3]], retrycount=5)
        redis.xclaim(stream, "oferta", "the dead", 0, ids[:3] + ids[4:], retrycount=4)
    with consumer(redis_process, tmp_path) as metrics:
        until(lambda: counted(metrics, "oferta_events_applied_total") == 7)
        until(lambda: counted(metrics, DEAD) == 1)
        assert counted(metrics, "oferta_events_taken_over_total") == 8
        claim = claim_of(redis_process, "anna", "event-0003")
        assert claim is not None
        assert claim.state == "dead"
        assert "failed" in replay()
        until(lambda: len(values(redis_process, "anna")) == 8)


def test_an_event_that_was_applied_is_no_dead_letter_however_many_died_before_they_said_so(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path
):
    with consumer(redis_process, tmp_path) as metrics:
        tell(api, 1, value=1)
        until(lambda: counted(metrics, "oferta_events_applied_total") == 1)
    space, anna = redis_process.space, redis_process.space.digest("anna")
    stream = space.events(space.shard(anna))
    with redis_process.client() as redis:
        again = {"e": b"of no matter", "k": space.event(anna, "event-0001")}
        entry = redis.xadd(stream, again)
        redis.xreadgroup("oferta", "the dead", {stream: ">"}, count=8)
        redis.xclaim(stream, "oferta", "the dead", 0, [entry], retrycount=5)
        with consumer(redis_process, tmp_path) as metrics:
            until(lambda: redis.xpending(stream, "oferta")["pending"] == 0)
        assert counted(metrics, DEAD) == 0
        assert redis.xlen(space.dead(space.shard(anna))) == 0
    assert values(redis_process, "anna") == [1.0]


def test_an_entry_that_was_removed_while_it_waited_is_counted_as_lost(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path
):
    tell(api, 1, 2)
    space = redis_process.space
    stream = space.events(space.shard(space.digest("anna")))
    with redis_process.client() as redis:
        redis.xgroup_create(stream, "oferta", id="0")
        taken = redis.xreadgroup("oferta", "the dead", {stream: ">"}, count=8)
        redis.xdel(stream, taken[0][1][0][0])
        with consumer(redis_process, tmp_path) as metrics:
            until(lambda: counted(metrics, "oferta_events_lost_total") == 1)
            until(lambda: counted(metrics, "oferta_events_applied_total") == 1)
            until(lambda: redis.xpending(stream, "oferta")["pending"] == 0)


def test_a_session_becomes_its_customer_once(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path
):
    who: dict[str, object] = {"customer_id": None, "session_id": "s-1"}
    with consumer(redis_process, tmp_path) as metrics:
        tell(api, 1, 2, value=1, **who)
        until(lambda: values(redis_process, "s-1", session=True) == [1.0, 1.0])
        tell(api, 3, value=3, session_id="s-1")
        until(lambda: len(values(redis_process, "anna")) == 3)
        tell(api, 4, value=4, **who)  # of the session alone, afterwards
        until(lambda: len(values(redis_process, "anna")) == 4)
        tell(api, 5, value=5, session_id="s-1")
        tell(api, 6, value=6, session_id="s-1", customer_id="bela")  # it is anna's already
        until(lambda: values(redis_process, "bela") == [6.0])
        until(lambda: len(values(redis_process, "anna")) == 5)
        assert sorted(v or 0 for v in values(redis_process, "anna")) == [1.0, 1.0, 3.0, 4.0, 5.0]
        assert values(redis_process, "s-1", session=True) == []
        assert counted(metrics, "oferta_sessions_merged_total") == 1


def test_a_damaged_record_is_begun_anew(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path
):
    space = redis_process.space
    with redis_process.client() as redis, consumer(redis_process, tmp_path) as metrics:
        tell(api, 1, value=1)
        until(lambda: values(redis_process, "anna") == [1.0])
        key = space.recent(space.digest("anna"))
        record = redis.get(key)
        redis.set(key, record[:-3] + b"xxx")
        tell(api, 2, value=2)
        until(lambda: counted(metrics, "oferta_events_applied_total") == 2)
        assert values(redis_process, "anna") == [2.0]
        redis.delete(key)
        redis.rpush(key, "of another type")
        tell(api, 3, value=3)
        until(lambda: counted(metrics, "oferta_events_applied_total") == 3)
        assert values(redis_process, "anna") == [3.0]


def test_it_goes_on_by_itself_when_redis_comes_back_empty(redis_process: RealRedis, tmp_path: Path):
    forget_events(redis_process)
    redis_process.publish(shop())
    with consumer(redis_process, tmp_path) as metrics:
        redis_process.kill()
        redis_process.start()  # without a file: as empty as one can be
        redis_process.publish(shop())
        with serving(make_app(redis_process, tmp_path / "api")) as api:
            tell(api, 1, value=1)
        until(lambda: values(redis_process, "anna") == [1.0])
        assert counted(metrics, "oferta_consumer_store_failures_total") > 0


async def archive_the_rest(redis: RealRedis, folder: Path) -> None:
    """What a consumer left that ended while its archiver waited, since Redis had been full."""
    store = RedisEvents(redis.url, redis.space, deadline_s=5.0)
    try:
        await Archiver(store, folder, clock=SystemClock()).flush()
    finally:
        await store.close()


@pytest.mark.parametrize("left", [False, True], ids=["one batch", "two that were left"])
def test_what_redis_forgot_of_entries_that_a_consumer_has_is_put_back(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path, left: bool
):
    """As when it died before its file was written: entries are gone, and their claims."""
    tell(api, 1, 2, value=1)
    space, anna = redis_process.space, redis_process.space.digest("anna")
    stream = space.events(space.shard(anna))
    claims = [space.event(anna, f"event-000{number}") for number in (1, 2)]
    with redis_process.client() as redis:
        redis.xgroup_create(stream, "oferta", id="0")
        ids = [name for name, _ in redis.xrange(stream)]
        if left:  # begun so often before that each is handled alone
            redis.xreadgroup("oferta", "a-consumer", {stream: ">"})
            redis.xclaim(stream, "oferta", "a-consumer", 0, ids, retrycount=3)
        redis.config_set("maxmemory", 1)  # entries are given out, and cannot be applied
        try:
            with consumer(redis_process, tmp_path, archive=True) as metrics:
                until(lambda: counted(metrics, "oferta_consumer_store_failures_total") > 2)
                until(lambda: redis.xpending(stream, "oferta")["pending"] == 2)
                redis.xdel(stream, *ids)
                redis.delete(*claims)
                # A Redis that loses them breaks what is under way: until an attempt has begun anew.
                failures = counted(metrics, "oferta_consumer_store_failures_total") + 2
                until(lambda: counted(metrics, "oferta_consumer_store_failures_total") > failures)
                redis.config_set("maxmemory", 0)
                until(lambda: values(redis_process, "anna") == [1.0, 1.0])
                tell(api, 1, value=1)  # again: its sender was never told
                until(lambda: not redis.xpending(stream, "oferta")["pending"])
        finally:
            redis.config_set("maxmemory", 0)
    asyncio.run(archive_the_rest(redis_process, tmp_path / "home" / "archive"))
    assert sorted(archived_ids(tmp_path / "home" / "archive")) == ["event-0001", "event-0002"]
    assert values(redis_process, "anna") == [1.0, 1.0]
    assert counted(metrics, "oferta_events_restored_total") == 2


def test_a_stop_waits_for_one_batch_however_many_were_left(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path
):
    """A Redis that hangs costs the deadline once, not for each of them."""
    tell(api, *range(1, 31), value=1)
    space = redis_process.space
    stream = space.events(space.shard(space.digest("anna")))
    with redis_process.client() as redis:
        redis.xgroup_create(stream, "oferta", id="0")
        redis.xreadgroup("oferta", "a-consumer", {stream: ">"})
        ids = [name for name, _ in redis.xrange(stream)]
        redis.xclaim(stream, "oferta", "a-consumer", 0, ids, retrycount=3)  # each alone
        redis.config_set("maxmemory", 1)
        try:
            with consumer(redis_process, tmp_path) as metrics:
                until(lambda: counted(metrics, "oferta_consumer_store_failures_total") > 2)
                redis_process.signal(signal.SIGSTOP)
                started = time.monotonic()
            assert time.monotonic() - started < 8
        finally:
            redis_process.signal(signal.SIGCONT)
            redis.config_set("maxmemory", 0)
    with consumer(redis_process, tmp_path):
        until(lambda: len(values(redis_process, "anna")) == 30)


def test_the_command_stops_when_told_and_comes_back_under_its_name(
    api: httpx.Client, redis_process: RealRedis, tmp_path: Path
):
    """So it finds at once what it left unfinished."""
    for number in (1, 2):
        with consuming_process(redis_process, tmp_path) as metrics:
            tell(api, number, value=number)
            until(lambda: len(values(redis_process, "anna")) == number)  # noqa: B023 - ends first
            text = httpx.get(metrics).text
            assert "oferta_events_applied_total 1.0" in text
            assert "anna" not in text
    names = sorted(path.name for path in (tmp_path / "home/serving/consumers").iterdir())
    assert names == ["0.lock"]
    archive = tmp_path / "home" / "archive"
    assert list(archive.glob("day=*/*.parquet"))  # what was applied, before it stopped
