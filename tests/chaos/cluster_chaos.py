"""A cluster of six whose primaries are killed under load, and clients who watch every answer.

As a program it kills as many primaries as asked, one after the other, and prints what was counted:

    PYTHONPATH=tests python -m chaos.cluster_chaos --kills 6

Customers of the killed primary get everybody's list (L3) until its replica has taken over; those of
the other two must notice nothing. Each killed node comes back, as a replica, before the next dies.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from redis.crc import key_slot
from redis_servers import RedisCluster, newest, until
from serving.worlds import SECRET, listed, publish, shop

from oferta.errors import StoreUnavailable
from oferta.store import slots
from oferta.store.keys import KeySpace
from oferta.store.redis import RedisReader, RedisWriter
from oferta.store.release import CustomerRow

SPACE = KeySpace(SECRET)
CUSTOMERS = [f"c{number}" for number in range(300)]
CLIENTS = 3
PAUSE_S = 0.02
CALM_S = 0.7
"""How long it is watched that all is well, before a kill and after each step."""

STALL_S = 0.02
"""A call of a store on this machine takes a thousandth; a server's deadline is thrice this."""

GIVE_UP_S = 8.0

_SERVE = "from oferta.cli import main; main()"
_NEVER_REFRESHED = """
from oferta.store.wire_cluster import ClusterLine
first = ClusterLine._read_map
async def once(self):
    if self._known.is_set():
        return True
    return await first(self)
ClusterLine._read_map = once
"""
"""The planted fault: the map of slots is read once, as one would without thinking of failovers."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer: when, how long it took, how good it was, where its customer's keys lie."""

    at: float
    took_s: float
    status: int
    level: str
    slot: int


@dataclass(slots=True)
class Kill:
    """What came of one kill.

    Attributes:
        dead_s: how long customers of the killed primary were served from memory.
        held_pointer: whether the pointer lay there too.
        fallbacks: answers from memory, to customers of the killed primary.
        harmed: answers to others that were not personalised.
        stalled: likewise, but calls of the store by this process took long just then, too.
        errors: answers that were none.
        healthy_ms, calls_ms: how long answers, and calls of the store, took for the others.
    """

    dead_s: float
    held_pointer: bool
    fallbacks: int = 0
    harmed: int = 0
    stalled: int = 0
    errors: int = 0
    answers: int = 0
    healthy_ms: list[float] = field(default_factory=list)
    calls_ms: list[float] = field(default_factory=list)


def run(folder: Path, *, kills: int, careless: bool = False) -> list[Kill]:
    """Kill that many primaries, the one with the pointer first; see `Kill`."""
    with RedisCluster(newest(), folder) as cluster:
        writer = RedisWriter(cluster.url, SPACE)
        world = shop()
        rows = {name: CustomerRow(0, listed([1, 2, 8], "similar_taste")) for name in CUSTOMERS}
        publish(writer, SPACE, type(world)(**{**_fields(world), "customers": rows}))
        assert writer.replicated(1, timeout_s=5.0) == 1
        writer.close()
        with _server(cluster.url, folder, careless=careless) as address:
            return [
                asyncio.run(_kill(cluster, address, number=number, careless=careless))
                for number in range(kills)
            ]


def summary(kills: list[Kill]) -> dict[str, float | int]:
    """The table's row."""
    healthy = sorted(took for kill in kills for took in kill.healthy_ms)
    calls = sorted(took for kill in kills for took in kill.calls_ms)
    return {
        "primaries killed": len(kills),
        "answers": sum(kill.answers for kill in kills),
        "answers of 5xx or none": sum(kill.errors for kill in kills),
        "answers from memory to the killed primary's customers": sum(
            kill.fallbacks for kill in kills
        ),
        "answers to others that were not personalised": sum(kill.harmed for kill in kills),
        "likewise, while other processes kept this machine busy": sum(
            kill.stalled for kill in kills
        ),
        "dead slots, longest (s)": round(max(kill.dead_s for kill in kills), 2),
        "others: answers p99 (ms)": round(healthy[int(len(healthy) * 0.99)], 1),
        "others: store calls p99 (ms)": round(calls[int(len(calls) * 0.99)], 1),
        "others: store calls max (ms)": round(calls[-1], 1),
    }


async def _kill(cluster: RedisCluster, address: str, *, number: int, careless: bool) -> Kill:
    """Kill one primary, wait for its replica, bring it back; all is watched throughout."""
    ranges = cluster.ranges()
    pointer = key_slot(SPACE.pointer())
    primaries = list(dict.fromkeys(each.where.port for each in ranges))
    holder = next(each.where.port for each in ranges if each.first <= pointer <= each.last)
    order = [holder, *[port for port in primaries if port != holder]]
    victim = order[number % len(order)]
    dead = {slot for each in ranges if each.where.port == victim for slot in _all(each)}
    seen: list[Seen] = []
    calls: list[tuple[float, float]] = []
    over = asyncio.Event()
    watchers = [asyncio.create_task(_ask(address, each, seen, over)) for each in range(CLIENTS)]
    watchers.append(asyncio.create_task(_read(cluster.url, dead, calls, over)))
    try:
        await asyncio.sleep(CALM_S)
        killed_at = time.monotonic()
        cluster.kill(victim)
        dead_s = await _healed(seen, dead, since=killed_at)
        await asyncio.sleep(CALM_S)
        if not careless:
            await asyncio.to_thread(cluster.start_node, victim)
            await asyncio.to_thread(until, cluster.whole)
            await asyncio.sleep(CALM_S)
    finally:
        over.set()
        await asyncio.gather(*watchers)
    kill = Kill(dead_s, pointer in dead, answers=len(seen))
    for answer in seen:
        personal = answer.status == httpx.codes.OK and answer.level == "L0"
        answered_at = answer.at + answer.took_s  # one may have been under way when it was killed
        within = answered_at >= killed_at and answer.at <= killed_at + dead_s + 0.2
        kill.errors += answer.status != httpx.codes.OK
        if answer.slot in dead and within:
            kill.fallbacks += not personal
        else:
            kill.harmed += not personal and not _stalled(answer, calls)
            kill.stalled += not personal and _stalled(answer, calls)
            if within:
                kill.healthy_ms.append(1000 * answer.took_s)
    kill.calls_ms = [1000 * took for at, took in calls if at >= killed_at]
    return kill


def _stalled(answer: Seen, calls: list[tuple[float, float]]) -> bool:
    """Whether this machine stood still meanwhile, for whoever else asked the store."""
    end = answer.at + answer.took_s
    return any(
        took >= STALL_S and at <= end + STALL_S and at + took >= answer.at - STALL_S
        for at, took in calls
    )


async def _healed(seen: list[Seen], dead: set[int], *, since: float) -> float:
    """Seconds from the kill to the last answer from memory before a run of personal ones."""
    while time.monotonic() - since < GIVE_UP_S:
        await asyncio.sleep(0.05)
        theirs = [each for each in seen if each.slot in dead and each.at >= since]
        lost = [each for each in theirs if each.level != "L0"]
        if lost and sum(each.at > lost[-1].at for each in theirs) >= 10:
            return lost[-1].at + lost[-1].took_s - since
    return GIVE_UP_S


async def _ask(address: str, first: int, seen: list[Seen], over: asyncio.Event) -> None:
    """A client that asks for one customer after the other."""
    at = first * 17
    async with httpx.AsyncClient(base_url=address, timeout=5.0) as client:
        while not over.is_set():
            customer = CUSTOMERS[at % len(CUSTOMERS)]
            at += 1
            started = time.monotonic()
            status, level = 0, ""
            with suppress(httpx.HTTPError):
                answer = await client.get(f"/v1/customers/{customer}/recommendations?n=3")
                status = answer.status_code
                level = answer.json().get("level", "")
            slot = key_slot(SPACE.state(SPACE.digest(customer)))
            seen.append(Seen(started, time.monotonic() - started, status, level, slot))
            await asyncio.sleep(PAUSE_S)


async def _read(
    url: str, dead: set[int], calls: list[tuple[float, float]], over: asyncio.Event
) -> None:
    """Calls of the store for customers of nodes that live: all of them must be answered."""
    reader = RedisReader(url, SPACE, deadline_s=0.5)
    keys = [SPACE.state(SPACE.digest(customer)) for customer in CUSTOMERS]
    healthy = [key for key in keys if key_slot(key) not in dead]
    try:
        await reader.fetch(healthy[:1])
        at = 0
        while not over.is_set():
            started = time.monotonic()
            try:
                await reader.fetch([healthy[at % len(healthy)]])
                took = time.monotonic() - started
            except StoreUnavailable:
                took = float("inf")
            calls.append((started, took))
            at += 1
            await asyncio.sleep(PAUSE_S)
    finally:
        await reader.close()


def _all(each: slots.Range) -> Iterator[int]:
    return iter(range(each.first, each.last + 1))


def _fields(world: object) -> Mapping[str, object]:
    return {name: getattr(world, name) for name in world.__dataclass_fields__}  # type: ignore[attr-defined]  # it is a dataclass


@contextmanager
def _server(url: str, folder: Path, *, careless: bool) -> Iterator[str]:
    """`oferta serve` as a process of its own; its address."""
    log = (folder / "serve.log").open("w")
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", (_NEVER_REFRESHED if careless else "") + _SERVE, "serve"),
            *("--port", "0", "--home", str(folder / "home")),
        ],
        env={**os.environ, "OFERTA_REDIS_URL": url, "OFERTA_KEY_SECRET": SECRET.decode()},
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("oferta serves on http://"), (folder / "serve.log").read_text()
        address = line.split()[3]
        until(lambda: _loaded(address))
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        log.close()


def _loaded(address: str) -> bool:
    answer = httpx.get(f"{address}/v1/customers/{CUSTOMERS[0]}/recommendations").json()
    return answer.get("level") == "L0"


def main() -> None:
    """Run it and print what was counted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--careless", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kills = run(Path(folder), kills=given.kills, careless=given.careless)
    for name, value in summary(kills).items():
        print(f"{name}: {value}")  # noqa: T201 - what was counted is the result


if __name__ == "__main__":
    main()
