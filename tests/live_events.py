"""Events on their way, without the API and the consumer: accepted and settled by hand."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from oferta.events.archive import archive_files
from oferta.events.event import Event, encode_event
from oferta.store.events import Arrival, Entry, RecentChange
from oferta.store.events_redis import RedisEvents
from oferta.store.keys import KeySpace

SPACE = KeySpace(b"sixteen bytes and more")
CONSUMER = "by hand"


def live_event(number: int, *, customer: str | None = None, **said: object) -> Event:
    at = 1_790_000_000.0 + number
    fields = {"type": "click", "product_id": "loan", **said}
    customer = customer or f"customer-{number % 97}"
    return Event(f"event-{number:07d}", at=at, received_at=at, customer_id=customer, **fields)  # type: ignore[arg-type]


def arrival(event: Event) -> Arrival:
    assert event.customer_id is not None
    owner = SPACE.digest(event.customer_id)
    return Arrival(owner, event.id, f"{hash(event.id) % 16**24:024x}".encode(), encode_event(event))


async def accept(store: RedisEvents, events: Sequence[Event]) -> None:
    await store.accept([arrival(event) for event in events])


async def settle_all(store: RedisEvents) -> int:
    """Apply and acknowledge whatever was accepted, as a consumer does, but for the effect."""
    done = 0
    for shard in [shard for shard, depth in enumerate(await store.depths()) if depth]:
        full = True
        while full:
            entries = await store.read(shard, CONSUMER, count=200, wait_s=0.001)
            full = len(entries) == 200
            for entry in entries:
                await store.apply([_change(entry)])
            await store.acknowledge(shard, [entry.position for entry in entries])
            done += len(entries)
    return done


def _change(entry: Entry) -> RecentChange:
    """Any record of the claim's slot will do: nothing is written to it."""
    tag = int(entry.claim[entry.claim.index(b":") + 1 : entry.claim.index(b"}")], 16)
    owner = (tag << 4).to_bytes(2, "big") + bytes(14)
    return RecentChange(owner, b"", None, [(entry.claim, entry.position)])


def archived_ids(archive: Path) -> list[str]:
    """The ids of all archived events, as often as they are there."""
    found: list[str] = []
    for file in archive_files(archive):
        found += pq.read_table(file.path, columns=["event_id"])["event_id"].to_pylist()
    return found
