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
from pathlib import Path

import structlog
from live_events import SPACE, accept, archived_ids, live_event, settle_all
from redis_servers import RedisServer, newest

from oferta.clock import SystemClock
from oferta.events.archive import NOWHERE
from oferta.store.events_redis import RedisEvents
from oferta_serving.archiving import archiver as archiving
from oferta_serving.archiving.archiver import Archiver, _Batch

STEPS = ("gathered", "written", "trimmed")
BATCH = 100
AT_ONCE = 2  # archivers of which one has the lock


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
            clock=SystemClock(),
            flush_s=0.005,
            file_events=200,
            on_step=at,
        )
        await archiver.run(asyncio.Event())

    asyncio.run(work())


def run(folder: Path, *, kills: int, events: int, seed: int, fault: str = "none") -> Counter[str]:
    """What became of the events: lost, double, and how often who was killed where."""
    rng = random.Random(seed)  # noqa: S311 - which moments, not which secrets
    counts: Counter[str] = Counter(events=events)
    archive = folder / "archive"
    (folder / "redis").mkdir()
    with RedisServer(newest(), folder / "redis") as server:
        running: list[tuple[subprocess.Popen[bytes], str, float]] = []
        try:
            asyncio.run(_drive(server.url, archive, running, counts, kills, events, rng, fault))
        finally:
            for process, _, _ in running:
                process.kill()
                process.wait()
    found = Counter(archived_ids(archive))
    sent = {f"event-{number:07d}" for number in range(events)}
    counts["lost"] = len(sent - set(found))
    counts["double"] = sum(times - 1 for times in found.values())
    counts["foreign"] = len(set(found) - sent)
    counts["files"] = len(list(archive.glob("day=*/*.parquet")))
    return counts


async def _drive(  # noqa: PLR0917
    url: str,
    archive: Path,
    running: list[tuple[subprocess.Popen[bytes], str, float]],
    counts: Counter[str],
    kills: int,
    events: int,
    rng: random.Random,
    fault: str,
) -> None:
    store = RedisEvents(url, SPACE, deadline_s=5)
    sent, deadline = 0, time.monotonic() + 60 + 3 * kills
    while time.monotonic() < deadline:
        _keep_running(url, archive, running, counts, kills, rng, fault)
        if sent < events and (sent < 0.9 * events or counts["kills"] >= kills):
            some = range(sent, min(sent + BATCH, events))
            batch = [live_event(number) for number in some]
            await accept(store, batch)
            await accept(store, [one for one in batch if rng.random() < 0.05])
            sent = some.stop
            await settle_all(store)
        elif sent == events and counts["kills"] >= kills and not sum(await store.depths()):
            break
        await asyncio.sleep(0.02)
    counts["left in the streams"] = sum(await store.depths())
    await store.close()


def _keep_running(  # noqa: PLR0917
    url: str,
    archive: Path,
    running: list[tuple[subprocess.Popen[bytes], str, float]],
    counts: Counter[str],
    kills: int,
    rng: random.Random,
    fault: str,
) -> None:
    """Archivers that have died are replaced; those whose moment has come are killed."""
    for one in list(running):
        process, step, ends = one
        if process.poll() is None and counts["kills"] < kills and time.monotonic() > ends:
            process.kill()
            process.wait()
            step = "any moment"
        if process.poll() is not None:
            assert process.returncode == -signal.SIGKILL, "an archiver ended by itself"
            running.remove(one)
            counts["kills"] += 1
            counts[f"killed: {step}"] += 1
    while len(running) < AT_ONCE:
        step = rng.choice([*STEPS, "none"]) if counts["kills"] < kills else "none"
        command = [sys.executable, "-m", "chaos.archive_chaos", url, str(archive), step, fault]
        tests = str(Path(__file__).parents[1])
        environment = {**os.environ, "PYTHONPATH": tests}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        running.append((process, step, time.monotonic() + rng.uniform(0.6, 2.0)))


def summary(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
