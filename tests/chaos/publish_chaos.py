"""Publishers that are killed, paused and doubled, a Redis that is killed, and readers who watch.

As a program it runs for as many rounds as asked, and prints what was counted as its last line:

    PYTHONPATH=tests python -m chaos.publish_chaos --rounds 300

The readers do what serving does: refresh the pointer now and then, read rows with the head of the
release they know, and look at the pointer again when a row is missing.
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Self

from redis_servers import RedisServer, newest
from release_worlds import SECRET, expected_facts, expected_products, write_scores

from oferta.clock import SystemClock
from oferta.errors import FencedOut, OfertaError, RecordCorrupt, ReleaseMissing, StoreUnavailable
from oferta.progress import Silent
from oferta.store import head, reading
from oferta.store.codec import stamp
from oferta.store.contract import Pointer
from oferta.store.keys import KeySpace
from oferta.store.profiles import ProfileRow
from oferta.store.reading import Damage
from oferta.store.redis import RedisReader, RedisWriter
from oferta.store.release import Head
from oferta_training.publications import PublicationLog
from oferta_training.publish import STEPS, Options, Step, publish
from oferta_training.release_build import build
from oferta_training.releases import list_releases, rollback
from oferta_training.scores import ScoresFolder

CUSTOMERS, PRODUCTS, TOP_N, VERSIONS = 400, 9, 4, 3
BATCH = 40
REFRESH_S = 0.05
PAUSE_S = 0.001  # between reads: publishers need the processor too
SPACE = KeySpace(SECRET)
IDS = [f"c{index:07d}" for index in range(CUSTOMERS)]
EXPECTED = {
    version: [
        expected_products(index, products=PRODUCTS, top_n=TOP_N, version=version)
        for index in range(CUSTOMERS)
    ]
    for version in range(1, VERSIONS + 1)
}
VIOLATIONS = ("mixed", "missing", "torn", "regressed")

_CONTEXT = multiprocessing.get_context("forkserver")


def _warm_up() -> None:
    """Start the server that children are forked from, with everything imported: half a second each.

    It does not take over our import path by itself, so it is told by its environment.
    """
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    _CONTEXT.set_forkserver_preload(["chaos.publish_chaos"])
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


@dataclass(frozen=True, slots=True)
class Place:
    """Where it all happens."""

    url: str
    folder: Path

    def scores(self, version: int) -> Path:
        return self.folder / f"scores{version}"

    def publications(self) -> PublicationLog:
        return PublicationLog(self.folder / "ledger.jsonl", SystemClock())


def run_publisher(place: Place, version: int, fatal: tuple[Step, int] | None) -> None:
    """A child that publishes; at the step in `fatal` it sends itself that signal.

    Ends with 0, 1 or 3 as the command does.
    """

    def on_step(step: Step) -> None:
        if fatal is not None and step == fatal[0]:
            os.kill(os.getpid(), fatal[1])

    writer = RedisWriter(place.url, SPACE, timeout_s=5.0)
    try:
        publish(
            ScoresFolder.open(place.scores(version)),
            writer,
            SPACE,
            clock=SystemClock(),
            publications=place.publications(),
            options=Options(on_step=on_step),
        )
    except FencedOut:
        sys.exit(3)
    except OfertaError:
        sys.exit(1)


def run_planted(place: Place, version: int) -> None:
    """A child that publishes the way one would without thinking: over the live rows."""
    writer = RedisWriter(place.url, SPACE, timeout_s=5.0)
    live = writer.live()
    assert live is not None
    (record,) = writer.records([SPACE.manifest(live.release)])
    assert record is not None
    manifest = head.read_manifest(record).manifest
    built = build(ScoresFolder.open(place.scores(version)), SPACE, progress=Silent())
    assert built.profiles is not None
    names = list(SPACE.buckets(live.release, built.per_tag))
    names += SPACE.profiles(live.release, built.profiles.per_tag)
    rows = [row for _, row in built.buckets(stamp(manifest))]
    rows += built.profiles.buckets(stamp(manifest))
    built.close()
    for start in range(0, len(names), 256):
        chosen = slice(start, start + 256)
        writer.remove(names[chosen])
        writer.put(zip(names[chosen], rows[chosen], strict=True), ttl_s=600)


def run_reader(place: Place, stop: Event, seed: int) -> None:
    """A child that reads until `stop`, then leaves what it counted in a file."""
    tally = asyncio.run(_Watcher(place, stop, seed).watch())
    (place.folder / f"tally{seed}").write_text(repr(dict(tally)))


class _Watcher:
    def __init__(self, place: Place, stop: Event, seed: int) -> None:
        self.stop = stop
        self.random = random.Random(seed)  # noqa: S311 - which customers to ask for
        self.reader = RedisReader(place.url, SPACE)
        self.tally: Counter[str] = Counter()
        self.pointer: Pointer | None = None
        self.head: Head | None = None
        self.refreshed = 0.0

    async def watch(self) -> Counter[str]:
        while not self.stop.is_set():
            chosen = self.random.sample(range(CUSTOMERS), BATCH)
            try:
                await self.answer(chosen)
                await asyncio.sleep(PAUSE_S)
            except StoreUnavailable:
                self.tally["unavailable"] += 1
                await asyncio.sleep(0.005)
            except RecordCorrupt:
                self.tally["torn"] += 1
        await self.reader.close()
        return self.tally

    async def answer(self, chosen: list[int]) -> None:
        if time.monotonic() - self.refreshed > REFRESH_S:
            await self.refresh()
        while self.pointer is not None and self.head is not None:
            manifest, asked = self.head.manifest, [IDS[index] for index in chosen]
            rows = await reading.load_rows(self.reader, SPACE, manifest, asked)
            profiles = await reading.load_profiles(self.reader, SPACE, manifest, asked)
            found = [*rows, *profiles]
            if Damage.MISSING in found and await self.refresh():
                self.tally["late"] += 1  # the release was replaced since the last look
                continue
            self.tally["reads"] += 1
            self.tally["customers read"] += len(rows)
            self.tally["missing"] += any(row is None or row is Damage.MISSING for row in found)
            self.tally["torn"] += Damage.CORRUPT in found
            versions = {
                version
                for index, row in zip(chosen, rows, strict=True)
                if not isinstance(row, Damage) and row is not None
                for version, lists in EXPECTED.items()
                if [item.product for item in row.suggestions] == lists[index]
            }
            meant = int(manifest.model.rpartition("/")[2])
            self.tally["mixed"] += (bool(versions) and versions != {meant}) or any(
                row.facts != expected_facts(index, version=meant)
                for index, row in zip(chosen, profiles, strict=True)
                if isinstance(row, ProfileRow)
            )
            return

    async def refresh(self) -> bool:
        """Look at the pointer; whether it has changed."""
        found = await self.reader.pointer()
        self.refreshed = time.monotonic()
        before = self.pointer
        if found == before:
            return False
        if found is None:
            self.tally["regressed"] += 1
            return False
        try:
            loaded = await reading.load_head(
                self.reader, SPACE, found.release, digest=found.manifest
            )
        except ReleaseMissing:
            if await self.reader.pointer() == found:
                self.tally["missing"] += 1
            return False
        rolled_back = found.fence != found.release
        if before is not None and (
            found.fence <= before.fence or (found.release < before.release and not rolled_back)
        ):
            self.tally["regressed"] += 1
        self.pointer, self.head = found, loaded
        self.tally["versions seen"] += 1
        return True


class Chaos:
    """One server, two readers, and rounds of trouble."""

    def __init__(self, folder: Path, seed: int) -> None:
        _warm_up()
        self.random = random.Random(seed)  # noqa: S311 - which trouble comes next
        self.server = RedisServer(newest(), folder, "--appendonly", "yes")
        self.place = Place(self.server.url, folder)
        self.stop = _CONTEXT.Event()
        self.counts: Counter[str] = Counter()
        self.children: list[BaseProcess] = []
        for version in EXPECTED:
            write_scores(
                self.place.scores(version),
                customers=CUSTOMERS,
                products=PRODUCTS,
                top_n=TOP_N,
                version=version,
                per_part=150,
                profiles=True,
            )

    def __enter__(self) -> Self:
        self.server.__enter__()
        self.expect(self.publisher(), 0)
        readers = [self.child(run_reader, self.place, self.stop, seed) for seed in (1, 2)]
        self.readers = readers
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for child in self.children:
            child.join(5)
            if child.is_alive():
                child.kill()
                child.join()
        self.server.__exit__(None, None, None)

    def child(self, what: object, *values: object) -> BaseProcess:
        process = _CONTEXT.Process(target=what, args=values)  # type: ignore[arg-type]  # any function
        process.start()
        self.children.append(process)
        return process

    def publisher(self, fatal: tuple[Step, int] | None = None) -> BaseProcess:
        self.counts["publishers"] += 1
        return self.child(run_publisher, self.place, self.random.randint(1, VERSIONS), fatal)

    def expect(self, process: BaseProcess, *codes: int) -> int:
        process.join(60)
        assert process.exitcode in codes, f"ended with {process.exitcode}, not one of {codes}"
        self.counts[f"ended {process.exitcode}"] += 1
        return int(process.exitcode)

    def killed_at(self, step: Step) -> None:
        self.expect(self.publisher((step, signal.SIGKILL)), -signal.SIGKILL)
        self.counts["killed at a step"] += 1

    def killed_at_random(self) -> None:
        process = self.publisher()
        time.sleep(self.random.uniform(0.0, 0.3))
        process.kill()
        self.counts["killed at random"] += self.expect(process, 0, -signal.SIGKILL) != 0

    def two_at_once(self) -> None:
        codes = [self.expect(each, 0, 3) for each in [self.publisher(), self.publisher()]]
        assert 0 in codes, "neither of two publishers went live"

    def paused_before_its_swap(self) -> None:
        paused = self.publisher(("swap", signal.SIGSTOP))
        while _state(paused) != "T":
            time.sleep(0.005)
        self.expect(self.publisher(), 0)
        assert paused.pid is not None
        os.kill(paused.pid, signal.SIGCONT)
        self.expect(paused, 3)
        self.counts["paused"] += 1

    def server_killed(self) -> None:
        process = self.publisher()
        time.sleep(self.random.uniform(0.0, 0.3))
        self.server.kill()
        time.sleep(0.05)
        self.server.start()
        self.expect(process, 0, 1, 3)
        self.counts["server kills"] += 1

    def rolled_back(self) -> None:
        writer = RedisWriter(self.place.url, SPACE)
        rollback(
            writer,
            SPACE,
            reason="chaos",
            clock=SystemClock(),
            publications=self.place.publications(),
        )
        writer.close()
        self.counts["rollbacks"] += 1

    def round(self, number: int) -> None:
        """Every kind of trouble in turn; the steps to be killed at one after another."""
        self.killed_at(STEPS[number % len(STEPS)])
        match number % 6:
            case 0:
                self.two_at_once()
            case 1:
                self.killed_at_random()
            case 2:
                self.paused_before_its_swap()
            case 3:
                self.server_killed()
            case 4:
                self.rolled_back()
            case _:
                self.expect(self.publisher(), 0)

    def finish(self) -> Counter[str]:
        """Stop the readers, look at what is left, and add everything up."""
        self.expect(self.publisher(), 0)
        self.stop.set()
        for reader in self.readers:
            self.expect(reader, 0)
        tallies = [
            eval((self.place.folder / f"tally{seed}").read_text(), {})  # noqa: S307 - our own repr
            for seed in (1, 2)
        ]
        writer = RedisWriter(self.place.url, SPACE)
        left = list_releases(writer, SPACE, now=SystemClock().now())
        writer.close()
        assert [each.state for each in left] == ["live", "previous"], "orphans are left"
        entries = self.place.publications().entries()
        fences = [entry.fence for _, entry in entries if entry.action == "published"]
        assert fences == sorted(set(fences)), "the publication log's fences do not grow"
        return self.counts + sum((Counter(tally) for tally in tallies), Counter())


def _state(process: BaseProcess) -> str:
    """One letter of the kernel: T is stopped."""
    stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii")
    return stat.rpartition(")")[2].split()[0]


def run(folder: Path, *, rounds: int, seed: int) -> Counter[str]:
    """So many rounds; what was counted. Each of VIOLATIONS must be 0."""
    with Chaos(folder, seed) as chaos:
        for number in range(rounds):
            chaos.round(number)
        return chaos.finish()


def run_with_planted_fault(folder: Path, *, publishes: int, seed: int) -> Counter[str]:
    """The same readers over a publisher that writes in place: they must notice."""
    with Chaos(folder, seed) as chaos:
        for number in range(publishes):
            chaos.expect(chaos.child(run_planted, chaos.place, 1 + number % VERSIONS), 0)
        return chaos.finish()


def summary(counts: Counter[str]) -> str:
    """One line: what must be zero first."""
    faults = " ".join(f"{name}={counts[name]}" for name in VIOLATIONS)
    rest = " ".join(f"{name}={counts[name]}" for name in sorted(counts) if name not in VIOLATIONS)
    return f"{faults} | {rest}"


def main() -> None:
    """Run and print; ends with 1 where a reader saw what it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"seed={options.seed}", flush=True)  # noqa: T201 - a program's output
        counts = run(Path(folder), rounds=options.rounds, seed=options.seed)
    print(summary(counts))  # noqa: T201 - a program's output
    sys.exit(any(counts[name] for name in VIOLATIONS))


if __name__ == "__main__":
    main()
