"""Archivers that are killed at every step and at any moment, while events come in.

    python -m chaos.archive_chaos URL ARCHIVE STEP FAULT

archives until it is killed; STEP `none` never kills itself, FAULT is a planted one or `none`.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from live_events import SPACE, accept, archived_ids, live_event, settle_all
from redis_servers import RedisServer, newest

from oferta.events.archive import NOWHERE
from oferta.store.events_redis import RedisEvents
from oferta_serving.archiving import archiver as archiving
from oferta_serving.archiving.archiver import Archiver, _Batch

STEPS = ("gathered", "written", "trimmed")
BATCH = 100
AT_ONCE = 2  # archivers of which one has the lock


class Hurried:
    """A clock whose day is a second: so files of earlier days are put together all the time."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=time.monotonic() % 3000)


class Hasty(Archiver):
    """A planted fault: events leave the stream before they are in a file."""

    async def _gather(self) -> _Batch:
        batch = await super()._gather()
        for shard, position in enumerate(batch.positions):
            if position != NOWHERE[shard]:
                await self._source.trim(shard, position)
        return batch


def main(url: str, archive: str, step: str, fault: str) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))

    def at(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    async def work() -> None:
        store = RedisEvents(url, SPACE, deadline_s=5)
        kind = Hasty if fault == "hasty" else Archiver
        if fault == "forgetful":  # how far it went is not read where the events are
            archiving.last_positions = lambda _: NOWHERE
        archiver = kind(
            store,
            Path(archive),
            clock=Hurried(),
            flush_s=0.005,
            file_events=200,
            on_step=at,
        )
        await archiver.run(asyncio.Event())

    asyncio.run(work())


@dataclass
class Storm:
    """Archivers that are started and killed while events come in.

    Attributes:
        steps: where they kill themselves; `none`: killed from outside, at any moment.
    """

    url: str
    archive: Path
    kills: int
    events: int
    rng: random.Random
    fault: str
    steps: Sequence[str]
    counts: Counter[str]
    running: list[tuple[subprocess.Popen[bytes], str, float]] = field(default_factory=list)

    async def rage(self) -> None:
        """Until all kills were done, and all events have left the streams."""
        store = RedisEvents(self.url, SPACE, deadline_s=5)
        sent, deadline = 0, time.monotonic() + 60 + 5 * self.kills
        while time.monotonic() < deadline:
            self._keep_running()
            # Some for every life: one that nothing happens in is no test.
            due = self.events * (self.counts["kills"] + 1) // (self.kills + 1)
            if sent < min(due, self.events):
                some = range(sent, min(sent + BATCH, self.events))
                batch = [live_event(number) for number in some]
                await accept(store, batch)
                await accept(store, [one for one in batch if self.rng.random() < 0.05])
                sent = some.stop
                await settle_all(store)
            elif sent == self.events and self._calm() and not sum(await store.depths()):
                break
            await asyncio.sleep(0.02)
        self.counts["left in the streams"] = sum(await store.depths())
        await store.close()

    def _calm(self) -> bool:
        return self.counts["kills"] >= self.kills

    def _keep_running(self) -> None:
        """Archivers that have died are replaced; those whose moment has come are killed."""
        for one in list(self.running):
            process, step, ends = one
            if process.poll() is None and not self._calm() and time.monotonic() > ends:
                process.kill()
                process.wait()
                step = "any moment"
            if process.poll() is not None:
                assert process.returncode == -signal.SIGKILL, "an archiver ended by itself"
                self.running.remove(one)
                self.counts["kills"] += 1
                self.counts[f"killed: {step}"] += 1
        while len(self.running) < AT_ONCE:
            step = "none" if self._calm() else self.rng.choice(self.steps)
            command = [sys.executable, "-m", "chaos.archive_chaos", self.url, str(self.archive)]
            environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
            process = subprocess.Popen(
                [*command, step, self.fault], env=environment, stderr=subprocess.DEVNULL
            )
            lives_s = self.rng.uniform(0.8, 2.5) if step == "none" else 30.0
            self.running.append((process, step, time.monotonic() + lives_s))


def run(
    folder: Path,
    *,
    kills: int,
    events: int,
    seed: int,
    fault: str = "none",
    steps: Sequence[str] = (*STEPS, "none"),
) -> Counter[str]:
    """What became of the events: lost, double, and how often who was killed where."""
    rng = random.Random(seed)  # noqa: S311 - which moments, not which secrets
    counts: Counter[str] = Counter(events=events)
    archive = folder / "archive"
    (folder / "redis").mkdir()
    with RedisServer(newest(), folder / "redis") as server:
        storm = Storm(server.url, archive, kills, events, rng, fault, steps, counts)
        try:
            asyncio.run(storm.rage())
        finally:
            for process, _, _ in storm.running:
                process.kill()
                process.wait()
    found = Counter(archived_ids(archive))
    sent = {f"event-{number:07d}" for number in range(events)}
    counts["lost"] = len(sent - set(found))
    counts["double"] = sum(times - 1 for times in found.values())
    counts["foreign"] = len(set(found) - sent)
    counts["files"] = len(list(archive.glob("day=*/*.parquet")))
    return counts


def summary(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
