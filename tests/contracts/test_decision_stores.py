"""What every store of decisions promises: the memory one, and Redis on every server here."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_bytes
from typing import TypeVar

import pytest
from redis import Redis
from redis_servers import SERVERS, STORES, RedisServer, binary
from release_worlds import NOON, SECRET

from oferta.errors import InvalidId, RecordCorrupt, StoreUnavailable
from oferta.store.decision_records import (
    StoredDecision,
    mark_of,
    open_bundle,
    open_decision,
    open_state,
    seal_bundle,
    seal_decision,
    seal_state,
)
from oferta.store.decisions import (
    NO_MARK,
    Change,
    Conflict,
    DecisionStore,
    Done,
    NewDecision,
    Place,
    Repeated,
)
from oferta.store.decisions_memory import MemoryDecisions
from oferta.store.decisions_redis import RedisDecisions
from oferta.store.keys import TAGS, KeySpace
from oferta.store.memory import MemoryStore

SPACE = KeySpace(SECRET)
ANNA, BELA = SPACE.digest("anna"), SPACE.digest("bela")
AT = 1_800_000_000.0
HOUR = 3600.0

_T = TypeVar("_T")


class Hourglass:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.instant = NOON

    def now(self) -> datetime:
        return self.instant

    def wait(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Bench:
    """A store under test: `ask` runs work on fresh connections; `wait` lets time pass."""

    store: Callable[[], DecisionStore]
    wait: Callable[[float], None]

    def ask(self, work: Callable[[DecisionStore], Awaitable[_T]]) -> _T:
        async def run() -> _T:
            store = self.store()
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(run())


@pytest.fixture(params=["memory", *STORES])
def bench(request: pytest.FixtureRequest, redis_at: Callable[[str], str]) -> Iterator[Bench]:
    if request.param == "memory":
        clock = Hourglass()
        memory = MemoryStore(SPACE, clock)
        decisions = MemoryDecisions(SPACE, memory, log_lines=TAGS * 200)
        yield Bench(lambda: decisions, clock.wait)
        return
    url = redis_at(request.param)
    yield Bench(
        lambda: RedisDecisions(url, SPACE, log_lines=TAGS * 200, deadline_s=10.0),
        time.sleep,
    )


def state(version: int, body: bytes = b"state") -> bytes:
    return seal_state(body, version=version, at=AT)


def change(
    customer: bytes = ANNA, *, on: bytes | None = None, to: bytes | None = None, ttl_s: int = 60
) -> Change:
    return Change(customer, mark_of(on), to, ttl_s)


def decided(
    customer: bytes = ANNA, *, request: str | None = None, ttl_s: int = 60
) -> tuple[NewDecision, StoredDecision]:
    stored = StoredDecision(AT, "bundle-1", {"degraded_reason": "record_missing"}, b"\x00record")
    new = NewDecision(
        SPACE.decision_id(customer, token_bytes(11)),
        seal_decision(stored, release=7),
        ttl_s,
        None if request is None else SPACE.request(customer, request),
    )
    return new, stored


def test_a_state_is_replaced_only_where_it_is_still_the_one_that_was_read(bench: Bench):
    async def work(store: DecisionStore) -> None:
        key = SPACE.state(ANNA)
        assert await store.apply([change(to=state(1))]) == [Done()]
        assert await store.apply([change(to=state(1, b"late"))]) == [Conflict(state(1))]
        assert await store.apply([change(on=state(1), to=state(2))]) == [Done()]
        other = state(2, b"other")  # the same version, written by somebody else
        assert await store.apply([change(on=other, to=state(3))]) == [Conflict(state(2))]
        assert await store.fetch([key]) == [state(2)]
        assert open_state(state(2)) == b"state"

    bench.ask(work)


def test_a_state_that_expired_is_a_conflict_without_a_state(bench: Bench):
    async def work(store: DecisionStore) -> None:
        await store.apply([change(to=state(1), ttl_s=1)])
        bench.wait(1.05)
        assert await store.apply([change(on=state(1), to=state(2))]) == [Conflict(None)]
        assert await store.fetch([SPACE.state(ANNA)]) == [None]

    bench.ask(work)


def test_a_change_may_leave_the_state_alone_and_still_needs_it_to_be_the_same(bench: Bench):
    async def work(store: DecisionStore) -> None:
        new, _ = decided()
        assert await store.apply([replace(change(), decision=new)]) == [Done()]
        await store.apply([change(to=state(1))])
        again, _ = decided()
        assert await store.apply([replace(change(), decision=again)]) == [Conflict(state(1))]
        assert await store.fetch([SPACE.decision(new.id), SPACE.decision(again.id)]) == [
            new.record,
            None,
        ]

    bench.ask(work)


def test_a_decision_is_stored_with_the_state_or_not_at_all(bench: Bench):
    async def work(store: DecisionStore) -> None:
        new, stored = decided()
        late, _ = decided()
        await store.apply([replace(change(to=state(1)), decision=new)])
        await store.apply([replace(change(to=state(1)), decision=late)])
        found, lost = await store.fetch([SPACE.decision(new.id), SPACE.decision(late.id)])
        assert found is not None
        assert open_decision(found) == stored
        assert lost is None

    bench.ask(work)


def test_decisions_expire(bench: Bench):
    async def work(store: DecisionStore) -> None:
        new, _ = decided(ttl_s=1)
        await store.apply([replace(change(), decision=new)])
        bench.wait(1.05)
        assert await store.fetch([SPACE.decision(new.id)]) == [None]

    bench.ask(work)


def test_a_request_id_gives_its_decision_back_and_nothing_else_is_written(bench: Bench):
    async def work(store: DecisionStore) -> None:
        first, _ = decided(request="r-1")
        second, _ = decided(request="r-1")
        other, _ = decided(request="r-2")
        same_for_another, _ = decided(BELA, request="r-1")
        assert await store.apply([replace(change(to=state(1)), decision=first)]) == [Done()]
        for on in (None, state(1)):  # whether or not the caller saw the first one's state
            again = replace(change(on=on, to=state(2)), decision=second)
            assert await store.apply([again]) == [Repeated(first.id)]
        assert await store.fetch([SPACE.state(ANNA), SPACE.decision(second.id)]) == [
            state(1),
            None,
        ]
        assert await store.fetch([SPACE.request(ANNA, "r-1")]) == [first.id.encode()]
        assert await store.apply([replace(change(on=state(1)), decision=other)]) == [Done()]
        bela = replace(change(BELA), decision=same_for_another)
        assert await store.apply([bela]) == [Done()]

    bench.ask(work)


def test_many_changes_at_once_are_each_for_themselves(bench: Bench):
    customers = [SPACE.digest(f"c{number}") for number in range(150)]

    async def work(store: DecisionStore) -> None:
        await store.apply([change(each, to=state(1)) for each in customers[::3]])
        outcomes = await store.apply([change(each, to=state(1, b"x")) for each in customers])
        assert outcomes[::3] == [Conflict(state(1))] * 50
        assert [each for at, each in enumerate(outcomes) if at % 3] == [Done()] * 100
        assert await store.apply([]) == []

    bench.ask(work)


def test_the_log_tells_what_was_written_in_order_and_its_oldest_lines_give_way(bench: Bench):
    tag = SPACE.tag(ANNA)

    async def work(store: DecisionStore) -> None:
        await store.apply([replace(change(to=state(1)), log=[b'{"n":0}', b'{"n":1}'])])
        await store.apply([replace(change(to=state(1)), log=[b'{"n":"refused"}'])])
        await store.apply([replace(change(BELA, to=state(1)), log=[b'{"n":"bela"}'])])
        lines = await store.log(tag)
        assert [line for _, line in lines] == [b'{"n":0}', b'{"n":1}']
        assert await store.log(tag, after=lines[0][0]) == lines[1:]
        assert await store.log(tag, count=1) == lines[:1]
        for start in range(0, 2000, 100):
            many = [b'{"n":%d}' % number for number in range(start, start + 100)]
            await store.apply([replace(change(on=state(1)), log=many)])
        kept = [line for _, line in await store.log(tag, count=5000)]
        assert 200 <= len(kept) < 600  # a stream gives way in whole nodes
        assert kept[-1] == b'{"n":1999}'

    bench.ask(work)


def test_places_are_taken_up_to_the_limit_all_or_none(bench: Bench):
    def places(who: str, *counters: str, limit: int = 2) -> list[Place]:
        return [Place(counter, who, AT + HOUR, limit) for counter in counters]

    async def work(store: DecisionStore) -> None:
        assert await store.taken(["a", "b"], at=AT) == [0, 0]
        assert await store.take(places("d1", "a", "b"), at=AT) == []
        assert await store.take(places("d2", "a"), at=AT) == []
        assert await store.take(places("d3", "b", "a"), at=AT) == ["a"]
        assert await store.taken(["a", "b", "c"], at=AT) == [2, 1, 0]
        twice = [Place("c", f"d4/{number}", AT + HOUR, 2) for number in range(3)]
        assert await store.take(twice, at=AT) == ["c"]
        assert await store.take(twice[:2], at=AT) == []
        assert await store.taken(["c"], at=AT) == [2]
        assert await store.take([], at=AT) == []
        assert await store.taken([], at=AT) == []

    bench.ask(work)


def test_places_are_free_again_when_their_time_ends_or_they_are_given_back(bench: Bench):
    async def work(store: DecisionStore) -> None:
        short, long = Place("a", "d1", AT + 60, 2), Place("a", "d2", AT + HOUR, 2)
        await store.take([short, long], at=AT)
        assert await store.taken(["a"], at=AT + 59.9) == [2]
        assert await store.taken(["a"], at=AT + 60) == [1]
        await store.give_back([long, Place("a", "nobody", 0.0)])
        await store.give_back([])
        assert await store.taken(["a"], at=AT) == [1]
        assert await store.take([Place("a", "d3", AT + HOUR, 1)], at=AT + 60) == []

    bench.ask(work)


def test_places_are_kept_longer_never_shorter(bench: Bench):
    async def work(store: DecisionStore) -> None:
        place = Place("a", "d1", AT + 60, 1)
        await store.take([place], at=AT)
        await store.keep([place._replace(until=AT + 2 * HOUR)], at=AT + 30)
        await store.keep([place._replace(until=AT + 30)], at=AT + 30)
        await store.keep([], at=AT)
        assert await store.taken(["a"], at=AT + HOUR) == [1]
        assert await store.taken(["a"], at=AT + 2 * HOUR) == [0]
        # An impression that comes late is counted, beyond the limit too: it has happened.
        await store.keep([Place("a", "late", AT + 3 * HOUR)], at=AT + 90)
        assert await store.taken(["a"], at=AT + HOUR) == [2]

    bench.ask(work)


def test_a_clock_that_is_ahead_takes_nobody_s_place(bench: Bench):
    async def work(store: DecisionStore) -> None:
        held = [Place("a", f"d{number}", AT + 600, 3) for number in range(3)]
        assert await store.take(held, at=AT) == []
        assert await store.take([Place("a", "ahead", AT + 5000, 3)], at=AT + 1800) == []
        assert await store.take([Place("a", "right", AT + 600, 3)], at=AT) == ["a"]

    bench.ask(work)


def test_a_bundle_is_written_once_and_its_life_is_renewed(bench: Bench):
    bundle = seal_bundle({"policy.toml": "currency = 'EUR'", "loans.toml": "贷款"}, at=AT)

    async def work(store: DecisionStore) -> None:
        await store.keep_bundle("v1", bundle, ttl_s=1)
        await store.keep_bundle("v1", b"other bytes under the same version", ttl_s=60)
        bench.wait(1.05)
        (found,) = await store.fetch([SPACE.bundle("v1")])
        assert found == bundle
        assert open_bundle(bundle) == {"policy.toml": "currency = 'EUR'", "loans.toml": "贷款"}

    bench.ask(work)


def in_threads(bench: Bench, jobs: int, work: Callable[..., Awaitable[_T]]) -> list[_T]:
    """`work(store, job)` for each job at once: threads of several tasks each."""

    async def several(store: DecisionStore, chosen: range) -> list[_T]:
        return list(await asyncio.gather(*(work(store, job) for job in chosen)))

    def thread(number: int) -> list[_T]:
        chosen = range(number, jobs, 4)
        return bench.ask(lambda store: several(store, chosen))

    with ThreadPoolExecutor(4) as pool:
        return [result for results in pool.map(thread, range(4)) for result in results]


def test_of_many_who_decide_on_one_state_exactly_one_commits(bench: Bench):
    """Each adds one to what it read; nothing is lost if every addition is there at the end."""

    async def add(store: DecisionStore, job: int) -> int:
        (read,) = await store.fetch([SPACE.state(ANNA)])
        for tries in range(1, 1000):
            count = 0 if read is None else int(open_state(read))
            new, _ = decided()
            written = state(count + 1, b"%d" % (count + 1))
            (outcome,) = await store.apply(
                [Change(ANNA, mark_of(read), written, 60, new, [b'{"job":%d}' % job])]
            )
            if isinstance(outcome, Done):
                return tries
            assert isinstance(outcome, Conflict)
            read = outcome.state
        raise AssertionError("never came through")

    tries = in_threads(bench, 40, add)

    async def look(store: DecisionStore) -> tuple[bytes | None, int]:
        (read,) = await store.fetch([SPACE.state(ANNA)])
        return read, len(await store.log(SPACE.tag(ANNA)))

    read, lines = bench.ask(look)
    assert read == state(40, b"40")
    assert lines == 40
    assert len(tries) == 40


def test_of_many_with_one_request_id_all_get_one_decision(bench: Bench):
    async def ask(store: DecisionStore, job: int) -> str:
        del job
        mark = NO_MARK
        while True:
            new, _ = decided(request="once")
            (outcome,) = await store.apply([Change(ANNA, mark, state(1), 60, new)])
            match outcome:
                case Done():
                    return new.id
                case Repeated(first):
                    return first
                case Conflict(stored):
                    mark = mark_of(stored)

    assert len(set(in_threads(bench, 60, ask))) == 1


def test_places_never_pass_the_limit_whoever_hurries(bench: Bench):
    """Each takes one of the places, and every third gives it back: what is left is what is kept."""

    async def take(store: DecisionStore, job: int) -> bool:
        places = [Place("hot", f"d{job}", AT + HOUR, 25), Place("wide", f"d{job}", AT + HOUR, 999)]
        if await store.take(places, at=AT):
            return False
        (taken,) = await store.taken(["hot"], at=AT)
        assert taken <= 25
        if job % 3 == 0:
            await store.give_back(places)
            return False
        return True

    kept = Counter(in_threads(bench, 200, take))[True]

    async def look(store: DecisionStore) -> list[int]:
        return await store.taken(["hot", "wide"], at=AT)

    assert bench.ask(look) == [kept, kept]
    assert kept <= 25


@pytest.mark.parametrize("damage", ["cut", "flip", "kind", "nothing"])
def test_a_damaged_record_is_refused(damage: str):
    new, _ = decided()
    sealed = {
        open_state: state(1, b"x" * 50),
        open_decision: new.record,
        open_bundle: seal_bundle({"a": "b"}, at=AT),
    }
    for opened, record in sealed.items():
        broken = {
            "cut": record[:-1],
            "flip": record[:-3] + bytes([record[-3] ^ 1]) + record[-2:],
            "kind": sealed[open_bundle if opened is open_state else open_state],
            "nothing": b"",
        }[damage]
        with pytest.raises(RecordCorrupt):
            opened(broken)


def test_the_id_of_a_decision_tells_its_slot_and_nothing_of_the_customer():
    new, _ = decided()
    assert new.id.startswith(f"d_{SPACE.tag(ANNA):03x}")
    assert SPACE.decision(new.id).startswith(SPACE.state(ANNA).partition(b":c:")[0])
    assert ANNA.hex()[4:8] not in new.id
    for bad in ("", "d_", new.id.upper(), new.id + "0", new.id[:-1] + "}", "d_{x}" + "0" * 20):
        with pytest.raises(InvalidId):
            SPACE.decision(bad)


@pytest.mark.parametrize("server", SERVERS)
def test_a_redis_that_is_gone_or_full_is_unavailable(server: str, tmp_path: Path):
    async def work(url: str) -> None:
        store = RedisDecisions(url, SPACE, deadline_s=5.0)
        place = Place("a", "d1", AT + HOUR, 1)
        for call in (
            lambda: store.apply([change(to=state(1))]),
            lambda: store.take([place], at=AT),
            lambda: store.keep_bundle("v", b"x", ttl_s=1),
        ):
            with pytest.raises(StoreUnavailable):
                await call()
        await store.close()

    with RedisServer(binary(server), tmp_path) as redis:
        with Redis.from_url(redis.url) as raw:
            raw.config_set("maxmemory", 1)
        asyncio.run(work(redis.url))
    asyncio.run(work(redis.url))
