"""Five times as much as a worker can do, asked in two ways: how much of it is done, and how soon.

    PYTHONPATH=tests python -m chaos.overload_chaos --seconds 8

Closed: five times as many callers as at the peak, who ask again as soon as they were answered, and
as soon as they were turned away. Open: five times the peak's rate over as many connections as
`MOST`, however long answers take; what finds no connection free is counted as unsent. Both are held
against the peak of the same run, which is measured before and after.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import psutil
from chaos.fault_matrix import NAMES, publish, server
from raw_http import Ask, Client, percentile
from redis_servers import RedisServer, newest
from serving.decision_worlds import write_rules

CALLERS = 16
TIMES = 5
WARM_S = 0.5
MOST = 256
UNSENT = -1


@dataclass
class Phase:
    """What one load met: seconds of every answer by its status, and over how long."""

    took: dict[int, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    callers: int = 0

    def add(self, status: int, seconds: float) -> None:
        self.took.setdefault(status, []).append(seconds)

    @property
    def good(self) -> float:
        """Answers with 200 a second."""
        return len(self.took.get(200, ())) / self.seconds

    def share(self, status: int, share: float) -> float:
        """That share of the answers with `status` took no more milliseconds than this."""
        return percentile(self.took.get(status, []), share) * 1000

    def row(self) -> str:
        """For people."""
        counts = ", ".join(f"{len(took)} x {status}" for status, took in sorted(self.took.items()))
        return (
            f"{self.good:.0f}/s; accepted p50 {self.share(200, 0.5):.1f} ms, "
            f"p99 {self.share(200, 0.99):.1f} ms; refused p50 {self.share(503, 0.5):.1f} ms, "
            f"p99 {self.share(503, 0.99):.1f} ms; {counts}"
        )


@dataclass
class Outcome:
    """Of one kind of question."""

    peak: Phase
    closed: Phase
    open: Phase
    again: Phase
    megabytes: tuple[float, float] = (0.0, 0.0)

    @property
    def slower_peak(self) -> float:
        """Of the two before and after: others share this machine."""
        return min(self.peak.good, self.again.good)


def lists(number: int) -> Ask:
    return Ask(f"/v1/customers/{NAMES[number % len(NAMES)]}/recommendations?n=10")


def decisions(number: int) -> Ask:
    name = NAMES[number % len(NAMES)]
    fields = {"customer_id": name, "channel": "app", "placements": ["home"], "dry_run": True}
    return Ask("/v1/decisions", orjson.dumps(fields))


async def closed(port: int, asks: Callable[[int], Ask], *, callers: int, seconds: float) -> Phase:
    """So many callers, each asking as soon as it was answered."""
    phase, client = Phase(seconds=seconds, callers=callers), Client(port)
    began = time.perf_counter()

    async def caller(at: int) -> None:
        number = at * 7919
        while (now := time.perf_counter() - began) < WARM_S + seconds:
            number += 1
            reply = await client.send(asks(number))
            if now >= WARM_S:
                phase.add(reply.status, reply.seconds)

    await asyncio.gather(*map(caller, range(callers)))
    await client.close()
    return phase


async def opened(port: int, asks: Callable[[int], Ask], *, rate: float, seconds: float) -> Phase:
    """So many a second, in even steps; latency counts from when a request was sent."""
    phase, client = Phase(seconds=seconds), Client(port)
    began = time.perf_counter()
    under_way: set[asyncio.Task[None]] = set()

    async def one(number: int, due: float) -> None:
        reply = await client.send(asks(number))
        if due >= WARM_S:
            phase.add(reply.status, reply.seconds)

    for number in range(round(rate * (WARM_S + seconds))):
        due = number / rate
        ahead = due - (time.perf_counter() - began)
        if ahead > 0.001:
            await asyncio.sleep(ahead)
        elif number % 16 == 0:
            await asyncio.sleep(0)
        if len(under_way) >= MOST:
            phase.add(UNSENT, 0.0)
            continue
        task = asyncio.create_task(one(number, due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        phase.callers = max(phase.callers, len(under_way))
    await asyncio.gather(*under_way)
    phase.seconds = max(seconds, time.perf_counter() - began - WARM_S)
    await client.close()
    return phase


async def measure(port: int, asks: Callable[[int], Ask], *, seconds: float) -> Outcome:
    """Peak, both overloads, peak again."""
    worker = _worker(port)
    before = worker.memory_info().rss / 2**20
    peak = await closed(port, asks, callers=CALLERS, seconds=seconds)
    many = await closed(port, asks, callers=TIMES * CALLERS, seconds=seconds)
    fast = await opened(port, asks, rate=TIMES * peak.good, seconds=seconds)
    again = await closed(port, asks, callers=CALLERS, seconds=seconds)
    return Outcome(peak, many, fast, again, (before, worker.memory_info().rss / 2**20))


def run(folder: Path, *, seconds: float) -> dict[str, Outcome]:
    """By kind of question. One worker, decisions dry."""
    rules = write_rules(folder / "rules")
    with RedisServer(newest(), folder) as redis:
        publish(redis.url)
        with server(redis.url, folder, rules) as port:
            return {
                "decisions": asyncio.run(measure(port, decisions, seconds=seconds)),
                "lists": asyncio.run(measure(port, lists, seconds=seconds)),
            }


def rows(outcomes: dict[str, Outcome]) -> dict[str, str | int | float]:
    """For the table."""
    found: dict[str, str | int | float] = {}
    for kind, one in outcomes.items():
        found[f"{kind}: peak, {CALLERS} callers"] = one.peak.row()
        found[f"{kind}: closed, {one.closed.callers} callers"] = one.closed.row()
        found[f"{kind}: open, {TIMES} times the peak's rate"] = one.open.row()
        found[f"{kind}: peak again"] = one.again.row()
        found[f"{kind}: memory before and after, MB"] = "{:.0f}, {:.0f}".format(*one.megabytes)
    return found


def _worker(port: int) -> psutil.Process:
    for child in psutil.Process().children(recursive=True):
        if any(line.laddr.port == port for line in child.net_connections() if line.laddr):
            return child
    raise AssertionError("nobody listens")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    with tempfile.TemporaryDirectory() as place:
        for what, said in rows(run(Path(place), seconds=parser.parse_args().seconds)).items():
            print(f"{what}: {said}")  # noqa: T201 - what was counted is the result
