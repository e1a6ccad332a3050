"""Too much at once: who is let in, who waits, who is told to come again."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config, Server

from oferta_serving.metrics import Metrics
from oferta_serving.overload import LONGER, RESERVE, STALL_S, Turn, Turnstile
from oferta_serving.problems import RequestRefused
from oferta_serving.protocol import HUSH_S, GuardedHttp, guarded
from oferta_serving.settings import LimitSettings, OverloadSettings
from oferta_serving.turns import turn_of

QUEUE_MS = 30


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def turnstile(
    clock: Callable[[], float],
    *,
    concurrent: int = 1,
    batches: int = 1,
    processor: Callable[[], float] = float,
) -> Turnstile:
    """One that measures no work, unless a `processor` tells of it."""
    settings = OverloadSettings(concurrent=concurrent, queue_ms=QUEUE_MS, batches=batches)
    return Turnstile(settings, Metrics(), clock=clock, processor=processor)


async def entering(gate: Turnstile, turn: Turn) -> "asyncio.Task[None]":
    task = asyncio.create_task(gate.enter(turn))
    await asyncio.sleep(0)
    return task


def test_so_many_are_let_in_and_the_next_when_one_leaves():
    async def scene() -> None:
        gate = turnstile(Hand(), concurrent=2)
        await gate.enter(Turn.SERVE)
        await gate.enter(Turn.SERVE)
        third = await entering(gate, Turn.SERVE)
        assert not third.done()
        gate.leave(Turn.SERVE)
        await third
        assert gate.inside == 2

    asyncio.run(scene())


def test_the_most_urgent_goes_first_whoever_came_first():
    async def scene() -> None:
        gate = turnstile(Hand())
        await gate.enter(Turn.SERVE)
        for _ in range(RESERVE):
            await gate.enter(Turn.CONSENT)  # has a reserve of its own
        order: list[Turn] = []

        async def one(turn: Turn) -> None:
            await gate.enter(turn)
            order.append(turn)
            gate.leave(turn)

        turns = (Turn.STAFF, Turn.BATCH, Turn.EVENTS, Turn.DECIDE, Turn.SERVE, Turn.CONSENT)
        waiting = [asyncio.create_task(one(turn)) for turn in turns]
        await asyncio.sleep(0)
        for _ in range(RESERVE):
            gate.leave(Turn.CONSENT)
        gate.leave(Turn.SERVE)
        await asyncio.gather(*waiting)
        assert order == sorted(turns)
        assert gate.inside == 0

    asyncio.run(scene())


def test_who_waited_too_long_is_told_to_come_again():
    """A burst is waited out longer than a queue that stands."""

    async def scene() -> None:
        clock = Hand()
        gate = turnstile(clock)
        await gate.enter(Turn.SERVE)
        started = asyncio.get_running_loop().time()
        with pytest.raises(RequestRefused) as refused:
            await gate.enter(Turn.SERVE)
        assert refused.value.code == "overloaded"
        assert dict(refused.value.headers)[b"retry-after"] == b"1"
        burst_s = asyncio.get_running_loop().time() - started
        assert burst_s >= STALL_S
        await entering(gate, Turn.STAFF)
        clock.at += 2 * STALL_S  # by now the queue stands
        started = asyncio.get_running_loop().time()
        with pytest.raises(RequestRefused):
            await gate.enter(Turn.SERVE)
        stood_s = asyncio.get_running_loop().time() - started
        assert QUEUE_MS / 1000 <= stood_s < burst_s
        gate.leave(Turn.SERVE)

    asyncio.run(scene())


def test_a_decision_is_waited_for_longer_than_a_list_and_comes_after_it():
    """Eight callers at once who each take the processor 5 ms are no reason to turn one away."""

    async def scene() -> None:
        clock = Hand()
        gate = turnstile(clock)
        await gate.enter(Turn.DECIDE)
        waiting = [await entering(gate, Turn.DECIDE) for _ in range(8)]
        for _ in range(40):  # one is answered every 5 ms, and asks again
            clock.at += 0.005
            gate.leave(Turn.DECIDE)
            waiting.append(await entering(gate, Turn.DECIDE))
        assert clock.at - 100 > STALL_S
        assert not gate.sheds(Turn.DECIDE)
        assert not gate.sheds(Turn.SERVE)  # nobody is before it
        started = asyncio.get_running_loop().time()
        with pytest.raises(RequestRefused):
            await gate.enter(Turn.SERVE)
        assert asyncio.get_running_loop().time() - started < LONGER * QUEUE_MS / 1000
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(scene())


def test_a_flood_of_lists_does_not_shut_decisions_out():
    async def scene() -> None:
        gate = turnstile(Hand())
        await gate.enter(Turn.STAFF)
        order: list[Turn] = []

        async def one(turn: Turn) -> None:
            await gate.enter(turn)
            order.append(turn)
            gate.leave(turn)

        asked = [Turn.SERVE] * 40 + [Turn.DECIDE] * 3
        waiting = [asyncio.create_task(one(turn)) for turn in asked]
        await asyncio.sleep(0)
        gate.leave(Turn.STAFF)
        await asyncio.gather(*waiting)
        assert [at for at, turn in enumerate(order) if turn is Turn.DECIDE] == [8, 17, 26]

    asyncio.run(scene())


def test_a_caller_in_a_hurry_is_told_sooner():
    async def scene() -> None:
        gate = turnstile(Hand())
        await gate.enter(Turn.STAFF)
        with pytest.raises(RequestRefused):
            await asyncio.wait_for(gate.enter(Turn.STAFF, wait_s=0.005), timeout=1)

    asyncio.run(scene())


def test_batches_have_a_share_of_their_own():
    async def scene() -> None:
        gate = turnstile(Hand(), concurrent=3)
        await gate.enter(Turn.BATCH)
        second = await entering(gate, Turn.STAFF)
        assert not second.done()
        await gate.enter(Turn.SERVE)  # there is room for others
        gate.leave(Turn.BATCH)
        await second

    asyncio.run(scene())


def test_once_the_queue_stands_newcomers_are_told_at_once():
    """Waiting cannot help them: a queue of several times 20 ms is before them."""

    async def scene() -> None:
        clock = Hand()
        gate = turnstile(clock)
        waiting = await standing(gate, clock)
        assert clock.at - 100 > STALL_S
        assert gate.sheds(Turn.SERVE)
        with pytest.raises(RequestRefused):
            gate.enter(Turn.SERVE).send(None)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(scene())


def test_who_was_refused_unparsed_and_comes_again_at_once_is_not_heard_for_a_moment():
    async def scene() -> None:
        clock = Hand()
        gate = turnstile(clock)
        waiting = await standing(gate, clock)
        async with served(guarded(LimitSettings(), gate)) as (reader, writer):
            asked = b"GET /v1/popular HTTP/1.1\r\nhost: here\r\n\r\n"
            for at_least_s in (0.0, HUSH_S):
                started = time.monotonic()
                writer.write(asked)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 503 ")
                assert b"retry-after: 1" in head
                assert time.monotonic() - started >= at_least_s * 0.9
                await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            gate.leave(Turn.SERVE)
            writer.write(asked)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204 ")

    asyncio.run(scene())


async def standing(gate: Turnstile, clock: Hand) -> "list[asyncio.Task[None]]":
    """Make an overload: one is under way, others wait, and it takes 50 ms until one more leaves."""
    await gate.enter(Turn.SERVE)
    waiting = [await entering(gate, Turn.STAFF) for _ in range(3)]
    for _ in range(20):
        clock.at += 0.05
        waiting.append(await entering(gate, Turn.STAFF))
        gate.leave(Turn.SERVE if clock.at < 100.06 else Turn.STAFF)
        await asyncio.sleep(0)
    return waiting


@asynccontextmanager
async def served(
    http: type[GuardedHttp],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to an application that says nothing, behind the protocol."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(Config(app, http=http, lifespan="off", log_config=None, log_level="critical"))
    serving = asyncio.create_task(server.serve([listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await serving


def test_a_stall_of_the_machine_is_no_overload():
    async def scene() -> None:
        clock = Hand()
        gate = turnstile(clock)
        await gate.enter(Turn.SERVE)
        queue = [await entering(gate, Turn.SERVE) for _ in range(50)]
        clock.at += STALL_S / 2
        assert not gate.sheds(Turn.SERVE)
        late = await entering(gate, Turn.SERVE)
        assert not late.done()
        for one in [*queue, late]:
            one.cancel()
        await asyncio.gather(*queue, late, return_exceptions=True)

    asyncio.run(scene())


def test_a_burst_is_worked_off_however_long_that_takes():
    """It takes twice as long as until a queue is looked at, and gets shorter all along."""

    async def scene() -> None:
        gate = turnstile(time.monotonic)

        async def one() -> None:
            await gate.enter(Turn.SERVE)
            await asyncio.sleep(0.005)
            gate.leave(Turn.SERVE)

        await asyncio.gather(*(one() for _ in range(40)))  # nobody is refused

    asyncio.run(scene())


def test_a_queue_that_gets_no_shorter_is_an_overload():
    async def scene() -> None:
        gate = turnstile(time.monotonic)
        refused: list[float] = []
        began = time.monotonic()

        async def caller() -> None:
            while time.monotonic() - began < 4 * STALL_S:
                try:
                    await gate.enter(Turn.SERVE)
                except RequestRefused:
                    refused.append(time.monotonic() - began)
                    return
                await asyncio.sleep(0.01)
                gate.leave(Turn.SERVE)

        await asyncio.gather(*(caller() for _ in range(60)))
        assert len(refused) > 40
        assert min(refused) < 2.5 * STALL_S

    asyncio.run(scene())


def test_no_queue_grows_older_while_the_whole_process_stands_still():
    """What came meanwhile is there at once, and is not refused because two waited before."""

    async def scene() -> None:
        clock = Hand()
        gate = turnstile(clock)
        watching = asyncio.create_task(gate.watch())
        await asyncio.sleep(0.02)
        await gate.enter(Turn.SERVE)
        waiting = [await entering(gate, Turn.SERVE) for _ in range(2)]
        clock.at += 3 * STALL_S
        waiting += [await entering(gate, Turn.SERVE) for _ in range(20)]
        await asyncio.sleep(1.5 * QUEUE_MS / 1000)
        assert not gate.sheds(Turn.SERVE)
        for one in waiting:
            assert not one.done()
            gate.leave(Turn.SERVE)
            await one
        gate.leave(Turn.SERVE)
        watching.cancel()

    asyncio.run(scene())


@pytest.mark.parametrize(("works", "sheds"), [(1.0, True), (0.1, False)])
def test_a_late_loop_is_an_overload_only_where_its_own_work_makes_it_late(
    works: float, sheds: bool
):
    """Not where others have the processor."""

    began = time.monotonic()

    def fast() -> float:
        """Six times as fast as the loop's: each look finds itself late by 50 ms."""
        return 6 * (time.monotonic() - began)

    async def scene() -> None:
        gate = turnstile(fast, processor=lambda: works * fast())
        watching = asyncio.create_task(gate.watch())
        await gate.enter(Turn.SERVE)
        await asyncio.sleep(0.2)
        assert gate.sheds(Turn.SERVE) is sheds
        watching.cancel()

    asyncio.run(scene())


def test_no_more_are_under_way_than_the_processor_gets_through_in_time():
    async def scene() -> None:
        work = Hand()
        gate = turnstile(Hand(), concurrent=40, processor=work)
        for _ in range(64):
            await gate.enter(Turn.SERVE)
            work.at += 0.0015  # 1.5 ms each: ten fit into half of 30 ms
            gate.leave(Turn.SERVE)
        for _ in range(10):
            await gate.enter(Turn.SERVE)
        waiting = await entering(gate, Turn.SERVE)
        assert not waiting.done()
        gate.widen_while(lambda: True)  # a store keeps them waiting, that is no work
        await gate.enter(Turn.CONSENT)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(scene())


def test_whoever_goes_while_waiting_or_being_let_in_leaves_no_place_taken():
    async def scene() -> None:
        gate = turnstile(Hand())
        await gate.enter(Turn.SERVE)
        waiting = await entering(gate, Turn.SERVE)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        let_in = await entering(gate, Turn.SERVE)
        gate.leave(Turn.SERVE)  # lets it in, and in the same moment
        let_in.cancel()
        await asyncio.gather(let_in, return_exceptions=True)
        assert gate.inside == 0
        await gate.enter(Turn.SERVE)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("method", "path", "turn"),
    [
        ("GET", "/v1/customers/anna/recommendations", Turn.SERVE),
        ("GET", "/v1/popular", Turn.SERVE),
        ("POST", "/v1/decisions", Turn.DECIDE),
        ("POST", "/v1/feedback", Turn.DECIDE),
        ("POST", "/v1/events", Turn.EVENTS),
        ("POST", "/v1/recommendations/batch", Turn.BATCH),
        ("POST", "/v1/decisions/batch", Turn.BATCH),
        ("PUT", "/v1/customers/anna/consent", Turn.CONSENT),
        ("DELETE", "/v1/customers/anna", Turn.CONSENT),
        ("GET", "/v1/customers/anna/consent", Turn.SERVE),
        ("POST", "/v1/customers/anna/consent", Turn.STAFF),
        ("PUT", "/v1/customers/anna/consents", Turn.STAFF),
        ("PUT", "/v1/customers/anna/b/consent", Turn.STAFF),
        ("PUT", "/v1/nothing/consent", Turn.STAFF),
        ("GET", "/v1/nothing/consent-me", Turn.STAFF),
        ("DELETE", "/v1/nothing/anna", Turn.STAFF),
        ("DELETE", "/v1/customers/anna/consent", Turn.STAFF),
        ("GET", "/v1/customers/consent/recommendations", Turn.SERVE),
        ("GET", "/v1/customers/anna/profile", Turn.STAFF),
        ("GET", "/v1/triggers", Turn.STAFF),
        ("GET", "/health/ready", None),
        ("GET", "/metrics", None),
    ],
)
def test_what_is_asked_says_how_urgent_it_is(method: str, path: str, turn: Turn | None):
    assert turn_of(method, path) is turn
