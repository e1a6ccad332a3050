"""Senders who repeat themselves, consumers and a Redis that are killed, and a count at the end.

As a program it runs for as many events and kills as asked, and prints what was counted:

    PYTHONPATH=tests python -m chaos.ingest_chaos --events 100000 --kills 100

Every event carries its number. Afterwards each number must stand once in what is kept of customers,
and once in the archive: events of sessions that were merged, replays and redeliveries included.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import pyarrow.parquet as pq
from redis_servers import RedisServer, newest

from oferta.errors import StoreUnavailable
from oferta.events.archive import archive_files, archive_folder
from oferta.events.event import Event, encode_event
from oferta.store.customer_records import open_recent
from oferta.store.events import Arrival, Fate
from oferta.store.events_redis import Keeping, RedisEvents
from oferta.store.keys import KeySpace

SECRET = "chaos-of-ingest-0123456789"  # noqa: S105 - of a store that ends with the test
SPACE = KeySpace(SECRET.encode())
PER_CUSTOMER = 60
"""Fewer than are kept of one customer, so that every number can be looked for."""

CONSUMERS = 2
SENDERS = 4
REPLAYS = 0.05
KILL_EVERY_S = 0.35
REDIS_KILLS = 0.2
"""Of the kills, those that Redis gets."""

PLANTED_DEATHS = 4

VIOLATIONS = ("lost", "double", "dead", "lost in archive", "double in archive")

Kind = Literal["real", "acknowledges first", "forgets what it applied"]


@dataclass
class Place:
    """Where it all happens, and who takes part."""

    folder: Path
    server: RedisServer
    kind: Kind
    consumers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def start_consumer(self) -> "subprocess.Popen[bytes]":
        environment = {
            **os.environ,
            "OFERTA_REDIS_URL": self.server.url,
            "OFERTA_KEY_SECRET": SECRET,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        if self.kind == "real":
            what = ["-c", "from oferta.cli import main; main()", "consume"]
            what += ["--home", str(self.home), "--config", str(self.folder / "serving.toml")]
        else:
            what = ["-m", "chaos.planted_consumers", self.server.url, self.kind]
            what += [str(self.folder), str(PLANTED_DEATHS)]
        with (self.folder / "consumers.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *what], env=environment, stdout=subprocess.DEVNULL, stderr=log
            )

    def __enter__(self) -> Self:
        (self.folder / "serving.toml").write_text(
            "[events]\ntake_over_s = 2\narchive_s = 0.5\n", encoding="utf-8"
        )
        self.server.__enter__()
        self.consumers = [self.start_consumer() for _ in range(CONSUMERS)]
        return self

    def __exit__(self, *_: object) -> None:
        for consumer in self.consumers:
            consumer.kill()
            consumer.wait()
        self.server.__exit__(None, None, None)


def event_of(number: int, events: int) -> Event:
    """Every eighth by an unknown session, every ninth by one that turns out to be a customer."""
    customers = max(1, events // PER_CUSTOMER)
    who = number % customers
    now = time.time()
    customer: str | None = f"c{who:06d}"
    session = f"s{who:06d}" if number % 9 == 0 else None
    if number % 8 == 0:
        customer, session = None, f"s{who:06d}"
    return Event(
        id=f"event-{number:08d}",
        type="view",
        at=now,
        received_at=now,
        customer_id=customer,
        session_id=session,
        value=float(number),
    )


def arrival_of(event: Event) -> Arrival:
    if event.customer_id is not None:
        owner = SPACE.digest(event.customer_id)
    else:
        owner = SPACE.session(event.session_id or "")
    return Arrival(owner, event.id, b"%024d" % int(event.value or 0), encode_event(event))


class Chaos:
    """One run: senders and the one who kills, in one loop."""

    def __init__(self, place: Place, *, events: int, kills: int, seed: int) -> None:
        self.place = place
        self.events = events
        self.kills = kills
        self.random = random.Random(seed)  # noqa: S311 - what is killed next, what is repeated
        self.counts: Counter[str] = Counter()
        self.store = RedisEvents(place.server.url, SPACE, keeping=Keeping(), deadline_s=2.0)

    async def run(self) -> Counter[str]:
        try:
            await self._run()
        finally:
            await self.store.close()
        return self.counts

    async def _run(self) -> None:
        senders = [self.send(range(each, self.events, SENDERS)) for each in range(SENDERS)]
        killing = self.kill() if self.place.kind == "real" else self.revive()
        await asyncio.gather(killing, *senders)
        await self.drained()
        if self.place.kind == "real":
            await self.archived()
        await self.stop_consumers()
        await self.count()

    async def send(self, numbers: Sequence[int]) -> None:
        """Send until told that it is stored; now and then once more, though it was told."""
        seconds = self.kills * KILL_EVERY_S
        turns = max(1, len(numbers) // 20)
        for start in range(0, len(numbers), 20):
            waiting = [arrival_of(event_of(n, self.events)) for n in numbers[start : start + 20]]
            while waiting:
                fates = await self.accept(waiting)
                again = [each for each in waiting if self.random.random() < REPLAYS]
                if again and fates:
                    self.counts["replays"] += len(again)
                    await self.accept(again)
                waiting = (
                    [one for one, fate in zip(waiting, fates, strict=False) if fate is Fate.FULL]
                    if fates
                    else waiting
                )
            await asyncio.sleep(seconds / turns * self.random.uniform(0.5, 1.5))

    async def accept(self, arrivals: Sequence[Arrival]) -> list[Fate]:
        """What was told; nothing where nobody answered."""
        try:
            fates = await self.store.accept(arrivals)
        except StoreUnavailable:
            self.counts["unanswered"] += 1
            await asyncio.sleep(0.05)
            return []
        self.counts["conflicts"] += fates.count(Fate.CONFLICT)
        return fates

    async def kill(self) -> None:
        """Kill a consumer or Redis, and start another, as often as asked."""
        await asyncio.sleep(0.8)  # until the first consumers are there
        for _ in range(self.kills):
            await asyncio.sleep(KILL_EVERY_S * self.random.uniform(0.5, 1.5))
            if self.random.random() < REDIS_KILLS:
                self.place.server.kill()
                await asyncio.sleep(self.random.uniform(0.0, 0.2))
                await asyncio.to_thread(self.place.server.start)
                self.counts["kills of Redis"] += 1
            else:
                which = self.random.randrange(CONSUMERS)
                consumer = self.place.consumers[which]
                assert consumer.poll() is None, "a consumer ended by itself"
                consumer.kill()
                consumer.wait()
                self.place.consumers[which] = self.place.start_consumer()
                self.counts["kills of consumers"] += 1

    async def revive(self) -> None:
        """Start another consumer for each that died by itself."""
        while self.counts["kills of consumers"] < PLANTED_DEATHS:
            await asyncio.sleep(0.05)
            for which, consumer in enumerate(self.place.consumers):
                if consumer.poll() is not None:
                    self.place.consumers[which] = self.place.start_consumer()
                    self.counts["kills of consumers"] += 1

    async def drained(self) -> None:
        """Wait until all is there, or nothing changes any more."""
        quiet_s = 10.0 if self.place.kind == "real" else 3.0
        before, changed_at = -1, time.monotonic()
        while time.monotonic() - changed_at < quiet_s:
            there = sum((await self.numbers()).values())
            if there != before:
                before, changed_at = there, time.monotonic()
            elif there >= self.events:
                return
            await asyncio.sleep(0.3)

    async def archived(self) -> None:
        """Wait until all that was applied went from the streams to files."""
        for _ in range(150):
            if not sum(await self.store.depths()):
                return
            await asyncio.sleep(0.2)

    async def stop_consumers(self) -> None:
        """As an operator does."""
        for consumer in self.place.consumers:
            consumer.send_signal(signal.SIGTERM)
        for consumer in self.place.consumers:
            code = await asyncio.to_thread(consumer.wait, 30)
            # 143: told before it had begun, as one may be that was started a moment ago.
            assert code in {0, 143} or self.place.kind != "real", f"a consumer ended with {code}"

    async def numbers(self) -> Counter[int]:
        """How often each number stands in what is kept of customers and sessions."""
        customers = max(1, self.events // PER_CUSTOMER)
        owners = [SPACE.digest(f"c{who:06d}") for who in range(customers)]
        owners += [SPACE.session(f"s{who:06d}") for who in range(customers)]
        records = await self.store.fetch([SPACE.recent(owner) for owner in owners])
        return Counter(
            int(event.value or 0)
            for record in records
            if record is not None
            for event in open_recent(record).events
        )

    async def count(self) -> None:
        numbers = await self.numbers()
        self.counts["events"] = self.events
        self.counts["lost"] = self.events - len(numbers)
        self.counts["double"] = sum(times - 1 for times in numbers.values())
        self.counts["dead"] = sum(await self.store.depths("dead"))
        if self.place.kind == "real":
            archived = _archived(self.place.home)
            self.counts["lost in archive"] = self.events - len(archived)
            self.counts["double in archive"] = sum(times - 1 for times in archived.values())
            self.counts["left in streams"] = sum(await self.store.depths())


def _archived(home: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for file in archive_files(archive_folder(home)):
        counts.update(pq.read_table(file.path, columns=["event_id"])["event_id"].to_pylist())
    return counts


def run(folder: Path, *, events: int, kills: int, seed: int, kind: Kind = "real") -> Counter[str]:
    """One run; what was counted. Each of VIOLATIONS must be 0."""
    server = RedisServer(newest(), folder, "--appendonly", "yes")
    with Place(folder, server, kind) as place:
        return asyncio.run(_run(place, events, kills, seed))


async def _run(place: Place, events: int, kills: int, seed: int) -> Counter[str]:
    return await Chaos(place, events=events, kills=kills, seed=seed).run()


def summary(counts: Counter[str]) -> str:
    """One line: what must be zero first."""
    faults = " ".join(f"{name}={counts[name]}" for name in VIOLATIONS)
    rest = " ".join(f"{name}={counts[name]}" for name in sorted(counts) if name not in VIOLATIONS)
    return f"{faults} | {rest}"


def main() -> None:
    """Run and print; ends with 1 where something was lost or counted twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--kind", default="real")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"seed={options.seed}", flush=True)  # noqa: T201 - a program's output
        counts = run(
            Path(folder),
            events=options.events,
            kills=options.kills,
            seed=options.seed,
            kind=options.kind,
        )
    print(summary(counts))  # noqa: T201 - a program's output
    sys.exit(any(counts[name] for name in VIOLATIONS))


if __name__ == "__main__":
    main()
