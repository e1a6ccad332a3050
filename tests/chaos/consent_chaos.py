"""Opt-outs under faults: two serving processes, readers on both, one Redis that suffers.

A writer opts customers out at either process. From the instant of its 200 on, every answer to that
customer that begins afterwards, of either process, alone or in a batch, must not be personal.
Others' answers may be: those are counted too, so that a zero means something.
"""

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import httpx
from redis import Redis
from redis_servers import RedisServer, newest
from serving.worlds import SECRET, World, entry, listed, publish

from oferta.store.keys import KeySpace
from oferta.store.redis import RedisWriter
from oferta.store.release import CustomerRow

CUSTOMERS: Final = 120
READERS: Final = 3  # of each process
FAULT_S: Final = 0.5
CALM_S: Final = 0.7
VIOLATIONS: Final = ("personal after the 200", "refused or failed answers")

_SPACE: Final = KeySpace(SECRET)
_TESTS: Final = Path(__file__).parents[1]


def world(model: str) -> World:
    """Customers each of whom has a list of their own, and everybody's list of other products."""
    catalogue = tuple(entry(f"p{number}") for number in range(12))
    return World(
        catalogue=catalogue,
        popular=listed(range(6)),
        segments={},
        customers={
            _name(number): CustomerRow(None, listed([6 + number % 6, 6], "similar_taste"))
            for number in range(CUSTOMERS)
        },
        model=model,
        created_at=time.time(),
    )


def _name(number: int) -> str:
    return f"c-{number:03}"


@dataclass
class Place:
    """Redis, two serving processes and what was counted.

    Attributes:
        out: who opted out, and was told so.
        asked: how often an answer was personal, or not, and so on.
    """

    folder: Path
    plant: str | None
    random: Random
    redis: RedisServer = field(init=False)
    servers: list[subprocess.Popen[str]] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    out: dict[str, None] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    over: bool = False
    releases: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def dump(self) -> Path:
        return self.folder / "dump.rdb"

    def publish(self) -> None:
        writer = RedisWriter(self.redis.url, _SPACE)
        try:
            publish(writer, _SPACE, world(f"ease/{next(self.releases)}"), swapped_at=time.time())
        finally:
            writer.close()

    def save(self) -> Path:
        """A backup of Redis as it is now."""
        with Redis.from_url(self.redis.url) as client:
            client.save()
        return Path(shutil.copy(self.dump, self.folder / f"backup-{time.monotonic_ns()}.rdb"))

    def serve(self) -> None:
        program = ["-c", "from oferta.cli import main; main()"]
        if self.plant is not None:
            program = ["-m", "chaos.planted_consent", self.plant]
        process = subprocess.Popen(
            [
                *(sys.executable, *program, "serve", "--port", "0"),
                *("--home", str(self.folder / "home")),
            ],
            env={
                **os.environ,
                "PYTHONPATH": str(_TESTS),
                "OFERTA_REDIS_URL": self.redis.url,
                "OFERTA_KEY_SECRET": SECRET.decode(),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.servers.append(process)

    def started(self) -> None:
        for process in self.servers:
            assert process.stdout is not None
            self.addresses.append(process.stdout.readline().split()[3])


@asynccontextmanager
async def place(folder: Path, *, plant: str | None, seed: int) -> AsyncIterator[Place]:
    """Everything running, and ended afterwards."""
    made = Place(folder, plant, Random(seed))  # noqa: S311 - which customers, not which secrets
    made.redis = RedisServer(newest(), folder)
    made.redis.start()
    try:
        made.publish()
        made.serve()
        made.serve()
        made.started()
        yield made
    finally:
        for process in made.servers:
            process.kill()
            process.communicate()
        with suppress(ProcessLookupError):
            made.redis.process.send_signal(signal.SIGCONT)
        made.redis.kill()


async def calm(_: Place) -> None:
    """Nothing happens: caches, if there were any, would fill."""


async def hangs(made: Place) -> None:
    made.redis.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(FAULT_S)
    made.redis.process.send_signal(signal.SIGCONT)


async def comes_back_empty(made: Place) -> None:
    made.redis.kill()
    made.dump.unlink(missing_ok=True)
    await asyncio.sleep(FAULT_S)
    made.redis.start()
    made.publish()


async def comes_back_older(made: Place) -> None:
    """Restored from a backup of before some of the opt-outs; the rows are all there."""
    backup = await asyncio.to_thread(made.save)
    await asyncio.sleep(FAULT_S)
    made.redis.kill()
    shutil.copy(backup, made.dump)
    await asyncio.to_thread(made.redis.start)


async def publishes(made: Place) -> None:
    await asyncio.to_thread(made.publish)
    await asyncio.to_thread(made.publish)


Fault = Callable[[Place], Awaitable[None]]
FAULTS: Final[tuple[Fault, ...]] = (calm, hangs, publishes, comes_back_older, comes_back_empty)


async def _write(made: Place) -> None:
    """Opt customers out one by one; when all are, let them in again."""
    numbers = itertools.cycle(range(CUSTOMERS))
    async with httpx.AsyncClient(timeout=10) as client:
        for turn, number in enumerate(numbers):
            if made.over:
                return
            name, at = _name(number), made.addresses[turn % 2]
            if len(made.out) > CUSTOMERS * 2 // 3:
                gone = made.random.sample(list(made.out), CUSTOMERS // 3)
                for one in gone:
                    del made.out[one]  # before they say so: from now on either answer is right
                    await _say(client, at, one, "in")
            if await _say(client, at, name, "out"):
                made.out[name] = None
                made.counts["opt-outs"] += 1
            await asyncio.sleep(0.01)


async def _say(client: httpx.AsyncClient, at: str, name: str, state: str) -> bool:
    word = {"purpose": "personalisation", "state": state, "source": "chaos"}
    answer = await client.put(f"{at}/v1/customers/{name}/consent", json=word)
    return answer.status_code == 200


async def _read(made: Place, at: str, random: Random) -> None:
    """Ask for those who opted out last, and for anybody."""
    async with httpx.AsyncClient(timeout=10, base_url=at) as client:
        while not made.over:
            latest = list(made.out)[-3:]
            names = [*latest, _name(random.randrange(CUSTOMERS))]
            asked = names if random.random() < 0.3 else [random.choice(names)]
            were_out = [name in made.out for name in asked]
            answers = await _asked(client, asked)
            if answers is None:
                made.counts["refused or failed answers"] += 1
                continue
            for name, was_out, personal in zip(asked, were_out, answers, strict=True):
                made.counts["answers"] += 1
                still = was_out and name in made.out
                made.counts["personal after the 200"] += still and personal
                made.counts["to who had opted out"] += still
                made.counts["personal, to others"] += personal and not was_out


async def _asked(client: httpx.AsyncClient, names: Sequence[str]) -> list[bool] | None:
    if len(names) == 1:
        answer = await client.get(f"/v1/customers/{names[0]}/recommendations?n=3")
        return [answer.json()["personalised"]] if answer.status_code == 200 else None
    unique = list(dict.fromkeys(names))
    body = {"customer_ids": unique, "n": 3}
    answer = await client.post("/v1/recommendations/batch", json=body)
    if answer.status_code != 200:
        return None
    found = {
        one["answer"]["customer_id"]: one["answer"]["personalised"]
        for one in answer.json()["results"]
    }
    return [found[name] for name in names]


async def _run(
    folder: Path, *, rounds: int, seed: int, plant: str | None, faults: Sequence[Fault]
) -> Counter[str]:
    async with place(folder, plant=plant, seed=seed) as made:
        working = [
            asyncio.create_task(_write(made)),
            *(
                asyncio.create_task(_read(made, at, Random(seed * 1000 + number)))  # noqa: S311
                for number, at in enumerate([*made.addresses] * READERS)
            ),
        ]
        for _ in range(rounds):
            for fault in faults:
                await asyncio.sleep(CALM_S)
                await fault(made)
                made.counts["faults"] += 1
        await asyncio.sleep(CALM_S)
        made.over = True
        await asyncio.gather(*working)
        return made.counts


def run(
    folder: Path,
    *,
    rounds: int,
    seed: int,
    plant: str | None = None,
    faults: Sequence[Fault] = FAULTS,
) -> Counter[str]:
    """What was counted over so many rounds of all faults."""
    return asyncio.run(_run(folder, rounds=rounds, seed=seed, plant=plant, faults=faults))
