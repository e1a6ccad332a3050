"""Erasures under real kills, while releases are scored and published with everybody in them.

Each round a customer asks to be forgotten, `oferta erase --resume` is killed at random instants,
and a release is published whose scores were made before they asked. In the end nothing of who
was forgotten may be anywhere, and everybody else must have lost nothing.
"""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from erasing_worlds import Seller, fill_customer, seller
from redis_servers import newest
from release_worlds import write_scores

from oferta.clock import SystemClock
from oferta.privacy.erasures import Erasures
from oferta.privacy.ledger import ledger_path
from oferta.privacy.places import Subject
from oferta.store.connecting import StoreSettings
from oferta.store.customer_records import open_consents
from oferta.store.redis import RedisWriter
from oferta_serving.erasing.places import Ground, own_places
from oferta_serving.erasing.requests import new_id
from oferta_training.commands.publish import publish_scores
from oferta_training.publications import PublicationLog
from oferta_training.publish import publish
from oferta_training.scores import ScoresFolder

KILLED_WITHIN_S: Final = 3.0
"""From its start: half of that are imports, the rest is work."""

FIRST: Final = 20  # number of the first customer who asks


def run(folder: Path, *, rounds: int, kills: int, seed: int, planted: bool = False) -> Counter[str]:
    """What was counted; `planted`: releases are published without asking who was forgotten."""
    draws = random.Random(seed)  # noqa: S311 - instants of kills
    counts: Counter[str] = Counter()
    with seller(folder, newest()) as world:
        everybody = [f"c{at:07d}" for at in range(60)]
        asked: list[str] = []
        for number in range(rounds):
            customer = everybody[FIRST + number]
            fill_customer(world, customer)
            late = write_scores(
                world.home / f"scores/late-{number}", version=number + 3, profiles=True
            )
            _ask(world, customer)
            asked.append(customer)
            for _ in range(kills):
                counts["kills"] += _killed(world, draws.uniform(0.0, KILLED_WITHIN_S))
            _publish(world, late.path, planted=planted)
            counts["releases"] += 1
        if not planted:
            _resumed(world)
        counts["erasures"] = len(asked)
        counts["done"] = _done(world)
        counts["files with an id"] = len(world.traces(*(one.encode() for one in asked)))
        counts["keys with a hash"] = _keys(world, asked)
        counts["rows in releases"] = _rows(world, asked)
        counts["others without a row"] = 2 * (60 - len(asked)) - _rows(
            world, [one for one in everybody if one not in asked]
        )
    return counts


def _ask(world: Seller, customer: str) -> None:
    """As the API does, a minute ago: what was being answered then has ended."""
    erasures = Erasures(ledger_path(world.home))
    try:
        subject = Subject(customer, world.space.digest(customer))
        at = SystemClock().now().timestamp() - 60
        erasures.request(new_id(), subject, "chaos", at=at)
    finally:
        erasures.close()


def _resume(world: Seller) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "oferta", "erase", "--resume", "--home", str(world.home)]
    environment = {**os.environ, "OFERTA_REDIS_URL": world.server.url}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def _killed(world: Seller, after_s: float) -> bool:
    """Whether it was killed before its end."""
    process = _resume(world)
    time.sleep(after_s)
    alive = process.poll() is None
    process.kill()
    process.wait()
    return alive


def _resumed(world: Seller) -> None:
    assert _resume(world).wait(timeout=60) == 0


def _publish(world: Seller, scores: Path, *, planted: bool) -> None:
    if not planted:
        publish_scores(
            lambda: ScoresFolder.open(scores),
            settings=StoreSettings(world.home, world.server.url),
            override="fewer customers",
        )
        return
    clock, writer = SystemClock(), RedisWriter(world.server.url, world.space)
    try:
        publications = PublicationLog(world.home / "ledger.jsonl", clock)
        publish(
            ScoresFolder.open(scores), writer, world.space, clock=clock, publications=publications
        )
    finally:
        writer.close()


def _done(world: Seller) -> int:
    erasures = Erasures(ledger_path(world.home))
    try:
        now = SystemClock().now().timestamp()
        return len(erasures.finished_since(now - 3600))
    finally:
        erasures.close()


def _keys(world: Seller, customers: list[str]) -> int:
    """Keys with the hash of any of these customers, but for the copy that says `erased`."""
    hashes = {world.space.digest(one).hex().encode() for one in customers}
    with world.client() as client:
        found = [key for key in client.keys("*") if key.rpartition(b":")[2] in hashes]
        tombstones = {world.space.consent(world.space.digest(one)) for one in customers}
        return sum(
            key not in tombstones or not open_consents(client.get(key) or b"").erased
            for key in found
        )


def _rows(world: Seller, customers: list[str]) -> int:
    """How many lists the live and the previous release have of these customers."""

    async def count(ground: Ground) -> int:
        lists = own_places(ground)[0]
        return sum([len(await lists.export(ground.subject(one))) for one in customers])

    return world.ask(count)
