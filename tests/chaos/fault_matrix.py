"""A server whose Redis is behind a proxy that misbehaves, under a steady rate of every question.

    PYTHONPATH=tests python -m chaos.fault_matrix --seconds 60 --rate 200

Every customer's list and wish differ from everybody else's, so that a reply that was meant for
another customer's question is seen in the answer.
"""

import argparse
import asyncio
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
from fault_proxy import FAULTS, Fault, FaultProxy
from raw_http import Ask, Client, Reply, percentile
from redis_servers import RedisServer, newest
from serving.decision_worlds import (
    CHANCES,
    RuleSet,
    consenting,
    publish_seller,
    seller,
    write_rules,
)
from serving.worlds import SECRET, entry, listed

from oferta.store.keys import KeySpace
from oferta.store.redis import RedisWriter
from oferta.store.release import CustomerRow

CUSTOMERS = 60
NAMES = [f"c{at:03d}" for at in range(CUSTOMERS)]
SPACE = KeySpace(SECRET)
BATCH = 12
KINDS = ("list", "batch", "popular", "similar", "decision", "event", "consent")
LISTS = frozenset({"list", "batch", "popular", "similar"})
SETTLED_S = 1.0
"""After this long the breaker is open, where it opens at all."""
CALM_S = 4.0
"""How long it is measured without a fault, between any two."""


@dataclass
class Tally:
    """What was met under one fault."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind of question: what came instead of an answer, in words."""
    seconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    settled: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    levels: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    reopened: int = 0
    repeated: int = 0
    healed_s: float = float("inf")
    calm_s: float = 0.0
    """The 99th percentile of lists just before and after, with no fault: what this machine does."""

    def lists(self, *, settled: bool = False) -> list[float]:
        times = self.settled if settled else self.seconds
        return [each for kind in LISTS for each in times[kind]]

    def tail(self, share: float, *, settled: bool = False) -> float:
        """In so much time that share of the lists was answered, in seconds."""
        return percentile(self.lists(settled=settled), share)

    @property
    def unrelated_s(self) -> float:
        """The same of the kind that asks nothing of Redis, in the same moments, in seconds."""
        return percentile(self.seconds["popular"], 0.99)

    def failures(self, kinds: frozenset[str]) -> int:
        """Answers of these kinds that are 5xx, or none at all."""
        return sum(
            count
            for (kind, status), count in self.statuses.items()
            if kind in kinds and (status >= 500 or status == 0)
        )

    def how(self, kinds: frozenset[str]) -> str:
        """What came instead of answers to these kinds."""
        named = sorted((what, kind, n) for (kind, what), n in self.failed.items() if kind in kinds)
        return ", ".join(f"{n} {kind}: {what}" for what, kind, n in named) or "none"

    def row(self) -> str:
        """For people."""
        levels = " ".join(f"{name} {count}" for name, count in sorted(self.levels.items()))
        return (
            f"{sum(self.statuses.values())} asked; lists: {self.failures(LISTS)} failed, p99 "
            f"{self.tail(0.99) * 1000:.0f} ms, then p99 "
            f"{self.tail(0.99, settled=True) * 1000:.1f} ms ({self.calm_s * 1000:.1f} without a "
            f"fault, {self.unrelated_s * 1000:.1f} meanwhile without Redis); "
            f"failed: {self.how(frozenset(KINDS))}; {levels}; wrong {self.wrong}; "
            f"kept connections found closed {self.reopened}, sent again {self.repeated}; healed in "
            f"{self.healed_s:.2f} s"
        )


def publish(url: str) -> int:
    """A release in which every customer's list begins with a product of their own."""
    plain = seller({})
    own = [entry(f"p{at:03d}") for at in range(CUSTOMERS)]
    first = len(plain.catalogue)
    world = replace(
        plain,
        catalogue=(*plain.catalogue, *own),
        customers={
            name: CustomerRow(None, listed([first + at, *range(4)]))
            for at, name in enumerate(NAMES)
        },
        similar={at: listed([at + 1]) for at in range(first)},
    )
    facts = {name: consenting(wished_amount=wish(at)) for at, name in enumerate(NAMES)}
    writer = RedisWriter(url, SPACE)
    try:
        return publish_seller(writer, SPACE, facts, created_at=time.time() - 3600, world=world)
    finally:
        writer.close()


def wish(at: int) -> float:
    """The amount that the customer at this place wishes: nobody else wishes it."""
    return 3000.0 + 50 * at


@contextmanager
def server(redis_url: str, home: Path, rules: RuleSet, *extra: str) -> Iterator[int]:
    """`oferta serve` with decisions, as a process of its own; its port."""
    config = home / "serving.toml"
    decisions = "\n".join(f'{name} = "{path}"' for name, path in rules.settings.items())
    config.write_text("\n".join([*extra, "[decisions]", decisions, ""]))
    with (home / "stderr").open("w") as errors:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from oferta.cli import main; main()", "serve"),
                *("--port", "0", "--home", str(home / "state"), "--config", str(config)),
            ],
            env={**os.environ, "OFERTA_REDIS_URL": redis_url, "OFERTA_KEY_SECRET": SECRET.decode()},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("oferta serves on"), (home / "stderr").read_text()
        try:
            yield int(line.split()[3].rpartition(":")[2])
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def questions() -> Iterator[tuple[str, int, Ask]]:
    """Every kind in turn, of every customer in turn: kind, customer's place, request."""
    for number in itertools.count():
        kind = KINDS[number % len(KINDS)]
        at = (number // len(KINDS)) % CUSTOMERS
        yield kind, at, _ask(kind, at, number)


def _ask(kind: str, at: int, number: int) -> Ask:  # noqa: PLR0911 - a case for each kind
    name = NAMES[at]
    match kind:
        case "list":
            return Ask(f"/v1/customers/{name}/recommendations?n=3")
        case "batch":
            some = [NAMES[(at + step) % CUSTOMERS] for step in range(BATCH)]
            return Ask("/v1/recommendations/batch", orjson.dumps({"customer_ids": some, "n": 3}))
        case "popular":
            return Ask("/v1/popular?n=3")
        case "similar":
            return Ask("/v1/products/car-loan/similar?n=3")
        case "decision":
            fields = {"customer_id": name, "channel": "app", "placements": ["home"]}
            fields |= {"offers": ["car-loan"], "dry_run": number % 2 == 0}
            return Ask("/v1/decisions", orjson.dumps(fields))
        case "event":
            fields = {"event_id": f"event-{os.getpid()}-{number:08d}", "customer_id": name}
            fields |= {"type": "view", "product_id": "roadside"}
            return Ask("/v1/events", orjson.dumps(fields))
        case _:
            fields = {"purpose": "sharing", "state": "out", "source": "test"}
            return Ask(f"/v1/customers/{name}/consent", orjson.dumps(fields), "PUT")


def is_wrong(kind: str, at: int, reply: Reply) -> bool:
    """Whether the answer was made of another customer's records."""
    if reply.status != 200:
        return False
    said = reply.json()
    if kind == "list":
        return _another(at, said)
    if kind == "batch":
        results = said["results"]
        return any(
            _another((at + step) % CUSTOMERS, one["answer"]) for step, one in enumerate(results)
        )
    if kind == "decision":
        return any(offer["terms"]["amount"] != wish(at) for offer in said["offers"])
    return False


def _another(at: int, answer: Mapping[str, object]) -> bool:
    items = answer["items"]
    assert isinstance(items, list)
    own = [item["product_id"] for item in items if item["product_id"] not in CHANCES]
    return answer["customer_id"] != NAMES[at] or own not in ([], [f"p{at:03d}"])


async def load(
    client: Client,
    asked: Iterator[tuple[str, int, Ask]],
    tally: Tally,
    *,
    rate: int,
    seconds: float,
) -> None:
    """Ask at an even pace, however long answers take; latency counts from when one was due."""
    began = time.perf_counter()
    under_way: set[asyncio.Task[None]] = set()

    async def one(kind: str, at: int, ask: Ask, due: float) -> None:
        reply = await client.send(ask)
        took = time.perf_counter() - began - due
        tally.statuses[kind, reply.status] += 1
        if reply.status == 0 or reply.status >= 500:
            tally.failed[kind, _said(reply)] += 1
        tally.seconds[kind].append(took)
        if due > SETTLED_S:
            tally.settled[kind].append(took)
        if reply.status == 200 and kind == "list":
            tally.levels[reply.json()["level"]] += 1
        tally.wrong += is_wrong(kind, at, reply)

    for number in range(round(rate * seconds)):
        due = number / rate
        ahead = due - (time.perf_counter() - began)
        if ahead > 0:
            await asyncio.sleep(ahead)
        task = asyncio.create_task(one(*next(asked), due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)


def _said(reply: Reply) -> str:
    """What came instead of an answer."""
    if reply.status == 0:
        return reply.failure
    try:
        return f"{reply.status} {reply.json()['type'].rpartition(':')[2]}"
    except (orjson.JSONDecodeError, KeyError):
        return f"{reply.status} of no form"


async def heal(client: Client) -> float:
    """How long until lists and decisions are as they should be."""
    started = time.perf_counter()
    while time.perf_counter() - started < 10:
        listed_ = await client.send(_ask("list", 0, 0))
        decided = await client.send(_ask("decision", 0, 0))
        if decided.status == 200 and listed_.json()["level"] == "L0":
            return time.perf_counter() - started
        await asyncio.sleep(0.02)
    return float("inf")


def run(
    folder: Path, *, faults: tuple[Fault, ...] = FAULTS, rate: int, seconds: float
) -> dict[str, Tally]:
    """Every fault for so long, and what was met under it; "none" comes first."""
    rules = write_rules(folder / "rules")
    with RedisServer(newest(), folder) as redis, FaultProxy(str(redis.socket)) as proxy:
        publish(redis.url)
        with server(proxy.url, folder, rules) as port:
            return asyncio.run(_through(proxy, port, ("none", *faults), rate, seconds))


async def _through(
    proxy: FaultProxy, port: int, faults: tuple[Fault, ...], rate: int, seconds: float
) -> dict[str, Tally]:
    """Before and after each fault it is measured how it is without: others share this machine."""
    client = Client(port)
    tallies: dict[str, Tally] = {}
    asked = questions()
    await heal(client)
    calm = [await _calm(client, asked, rate, seconds)]
    for fault in faults:
        tally = tallies[fault] = Tally()
        met = client.reopened, client.repeated
        await asyncio.to_thread(proxy.set, fault)
        await load(client, asked, tally, rate=rate, seconds=seconds)
        await asyncio.to_thread(proxy.set, "none")
        tally.healed_s = await heal(client)
        tally.reopened, tally.repeated = client.reopened - met[0], client.repeated - met[1]
        calm.append(await _calm(client, asked, rate, seconds))
        tally.calm_s = percentile([*calm[-2].lists(), *calm[-1].lists()], 0.99)
    await client.close()
    return tallies


async def _calm(
    client: Client, asked: Iterator[tuple[str, int, Ask]], rate: int, seconds: float
) -> Tally:
    tally = Tally()
    await load(client, asked, tally, rate=rate, seconds=min(CALM_S, seconds / 2))
    return tally


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=FAULTS)
    given = parser.parse_args()
    faults = tuple(given.faults)
    with tempfile.TemporaryDirectory() as place:
        for name, met in run(
            Path(place), faults=faults, rate=given.rate, seconds=given.seconds
        ).items():
            print(f"{name}: {met.row()}")  # noqa: T201 - what was counted is the result
