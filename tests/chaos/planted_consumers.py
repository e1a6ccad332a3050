"""Consumers as one would write them without thinking: the chaos test must notice each.

They kill themselves where it hurts, as often as told, so that nobody has to hit the moment.

As a program: python -m chaos.planted_consumers URL KIND FOLDER DEATHS
"""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from chaos.ingest_chaos import SPACE, arrival_of

from oferta.errors import StoreUnavailable
from oferta.events.event import decode_event
from oferta.profile.recent import NOTHING_RECENT, RecentEvent
from oferta.store.customer_records import open_recent, seal_recent
from oferta.store.decision_records import mark_of
from oferta.store.events import Entry, RecentChange
from oferta.store.events_redis import RedisEvents
from oferta.store.keys import SHARDS

BATCH = 32
FULL = 3
"""Events of a batch that is worth dying over."""


class Fate:
    """When to die: between the two halves of a full batch."""

    def __init__(self, folder: Path, deaths: int) -> None:
        self.file = folder / "deaths"
        self.deaths = deaths

    def strike(self, batch: int) -> None:
        died = self.file.stat().st_size if self.file.exists() else 0
        if batch >= FULL and died < self.deaths:
            with self.file.open("ab") as file:
                file.write(b"x")
            os.kill(os.getpid(), signal.SIGKILL)


async def consume(store: RedisEvents, kind: str, shard: int, fate: Fate) -> None:
    """One shard, for ever."""
    name = f"planted-{os.getpid()}"
    while True:
        try:
            taken = await store.take_over(shard, name, idle_s=1.0, count=BATCH)
            entries = taken.entries or await store.read(shard, name, count=BATCH, wait_s=0.3)
            positions = [entry.position for entry in entries]
            if kind == "acknowledges first":
                await store.acknowledge(shard, positions)
                fate.strike(len(entries))
            for entry in entries:
                await apply(store, entry)
            if kind == "forgets what it applied":
                fate.strike(len(entries))
                await store.acknowledge(shard, positions)
        except StoreUnavailable:
            await asyncio.sleep(0.1)


async def apply(store: RedisEvents, entry: Entry) -> None:
    """Append the event to its owner's record, whether it was there before or not."""
    event = decode_event(entry.data)
    owner = arrival_of(event).owner
    while True:
        (record,) = await store.fetch([SPACE.recent(owner)])
        was = NOTHING_RECENT if record is None else open_recent(record)
        done = RecentEvent(entry.position, event.type, None, event.at, None, event.value, {})
        new = replace(was, version=was.version + 1, events=(*was.events, done))
        change = RecentChange(owner, mark_of(record), seal_recent(new, at=event.at), ())
        if (await store.apply([change]))[0]:
            return


async def main(url: str, kind: str, folder: str, deaths: str) -> None:
    """All shards."""
    fate = Fate(Path(folder), int(deaths))
    store = RedisEvents(url, SPACE, connections=40, deadline_s=2.0)
    await asyncio.gather(*(consume(store, kind, shard, fate) for shard in range(SHARDS)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
