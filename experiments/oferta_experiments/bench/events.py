"""How long after its 202 an event is in the customer's list, while others send events too.

    python -m oferta_experiments.bench.events --rate 1000 --seconds 20

One API worker, one consumer, the embedded Redis. Probes are customers of their own: each sends one
event and asks for its list until the list has it. The load is paced: it keeps its rate, however
long answers take.
"""

import argparse
import asyncio
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
from numpy.random import default_rng

from oferta.store.connecting import StoreSettings, connect
from oferta_experiments.bench.http import serving
from oferta_experiments.bench.published import publish_scores
from oferta_experiments.bench.releases import write_scores

_CUSTOMERS = 20_000
_CALL = 20
"""Events of one call of the load."""

_PROBE_S = 0.05
_ASK_S = 0.002
_GIVE_UP_S = 10.0
_BAR_MS = 250.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds from a 202 to the list that has the event, and what else happened."""

    visible: Sequence[float]
    answered: Sequence[float]
    accepted: int
    refused: int

    def lines(self) -> list[str]:
        """The figures, a line each."""
        return [
            f"events accepted {self.accepted:,}, refused {self.refused:,}",
            f"202 to visible: {_said(self.visible)} (bar: p99 <= {_BAR_MS:.0f} ms)",
            f"the 202 itself: {_said(self.answered)}",
        ]


def measure(work: Path, *, rate: int, seconds: float) -> Measured:
    """Start everything in `work`, load it and probe."""
    scores = write_scores(work / "scores", customers=_CUSTOMERS, rng=default_rng(1))
    with connect(StoreSettings(work)) as store, ExitStack() as stack:
        publish_scores(scores, store, work)
        cores = sorted(os.sched_getaffinity(0))
        address = stack.enter_context(serving(work, cores=cores[:1]))
        command = [sys.executable, "-m", "oferta", "consume", "--home", str(work)]
        environment = {
            name: said for name, said in os.environ.items() if name != "OFERTA_REDIS_URL"
        }
        log = stack.enter_context((work / "consume.log").open("wb"))
        consumer = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603 - our own
        stack.callback(consumer.wait)
        stack.callback(consumer.terminate)
        return asyncio.run(_measured(address, rate=rate, seconds=seconds))


async def _measured(address: str, *, rate: int, seconds: float) -> Measured:
    run = _Run(httpx.AsyncClient(base_url=address, timeout=10.0))
    async with run.client:
        await run.probe(0)  # until the consumer is there
        run.visible.clear()
        await asyncio.gather(run.load(rate, seconds), run.probes(seconds))
    return Measured(run.visible, run.answered, run.accepted, run.refused)


class _Run:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.visible: list[float] = []
        self.answered: list[float] = []
        self.accepted = 0
        self.refused = 0

    async def load(self, rate: int, seconds: float) -> None:
        """So many events a second, in calls of 20, each at its own instant."""
        if not rate:
            return
        began = time.monotonic()
        calls: set[asyncio.Task[None]] = set()
        for number in range(math.ceil(rate * seconds / _CALL)):
            await asyncio.sleep(max(0.0, began + number * _CALL / rate - time.monotonic()))
            calls.add(asyncio.create_task(self._call(number)))
        await asyncio.gather(*calls)

    async def probes(self, seconds: float) -> None:
        """A probe after another."""
        ends = time.monotonic() + seconds
        number = 1
        while time.monotonic() < ends:
            await self.probe(number)
            await asyncio.sleep(_PROBE_S)
            number += 1

    async def probe(self, number: int) -> None:
        """Send an event as a customer of one's own, and ask until the list has it."""
        who = f"probe-{number}"
        event = {"event_id": f"probe-{number:08d}", "customer_id": who, "type": "view"}
        while True:
            asked = time.monotonic()
            answer = await self.client.post("/v1/events", json=event)
            told = time.monotonic()
            if answer.is_success:
                break
            self.refused += 1  # too much is going on: that is an answer, and none of these
            await asyncio.sleep(_PROBE_S)
        self.answered.append((told - asked) * 1000)
        while time.monotonic() - told < _GIVE_UP_S:
            found = await self.client.get(f"/v1/customers/{who}/recommendations", params={"n": 1})
            if found.is_success and found.json()["events"]:
                self.visible.append((time.monotonic() - told) * 1000)
                return
            await asyncio.sleep(_ASK_S)
        raise RuntimeError(f"an event had no effect within {_GIVE_UP_S:.0f} s")

    async def _call(self, number: int) -> None:
        events = [
            {
                "event_id": f"load-{number:08d}-{each:03d}",
                "customer_id": f"c{(number * _CALL + each) * 7 % _CUSTOMERS:08d}",
                "type": "view",
            }
            for each in range(_CALL)
        ]
        try:
            answer = await self.client.post("/v1/events", json={"events": events})
        except httpx.TransportError:
            self.refused += _CALL
            return
        if answer.is_success:
            self.accepted += answer.json()["accepted"]
        else:
            self.refused += _CALL


def _said(milliseconds: Sequence[float]) -> str:
    ordered = sorted(milliseconds)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * at))] for at in (0.5, 0.99))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms of {len(ordered):,}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1000, help="events a second beside the probes")
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        measured = measure(Path(work), rate=options.rate, seconds=options.seconds)
    print("\n".join(measured.lines()))  # noqa: T201 - a program's output


if __name__ == "__main__":
    main()
