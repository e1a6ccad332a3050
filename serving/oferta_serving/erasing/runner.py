"""Running erasures to their end: by a person who waits, or every few minutes by a timer.

One process at a time works on the files; the API does what makes a customer a stranger by itself.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, cast

from oferta.clock import Clock
from oferta.durable import locked
from oferta.errors import OfertaError
from oferta.privacy.erasure import Saga, look_again
from oferta.privacy.erasures import Erasure, Erasures
from oferta.privacy.places import Place
from oferta.store.connecting import StoreSettings, connect
from oferta.store.forgotten import forgotten_among
from oferta.store.redis import RedisReader
from oferta.store.wire import Wire
from oferta_serving.erasing.places import (
    PATIENT_S,
    REMOTE_MODELS,
    Ground,
    all_places,
    file_places,
    own_places,
    saga,
)

AGAIN_S: Final = 30 * 86_400.0
"""How long who was forgotten is looked for again: no record that may come back lives longer."""

TRACKING: Final = "MLFLOW_TRACKING_URI"
_LOCK: Final = "erasing.lock"


class Searchable(Protocol):
    """A place that can say whom it holds."""

    def customers(self) -> set[str]:
        """All ids."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to.

    Attributes:
        came_back: how many things were found of who was forgotten before.
        unseen: places that could not be searched for such things; the next run does.
    """

    erasures: Sequence[Erasure]
    came_back: int
    unseen: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Runner:
    """Erasures of one state folder, with all that they need."""

    ground: Ground
    erasures: Erasures
    saga: Saga

    async def run(self) -> Run:
        """Go on with all that are open, then look for what came back; waits for other runs.

        Raises:
            LedgerUnavailable: how far they came could not be written down.
            StoreUnavailable: who was forgotten could not be looked for.
        """
        with locked(self.ground.ledger.with_name(_LOCK)):
            self.erasures.clear()
            done = [await self.saga.run(one) for one in self.erasures.open()]
            return await self._searched(done)

    async def _searched(self, done: Sequence[Erasure]) -> Run:
        now = self.ground.clock.now().timestamp()
        lately = self.erasures.finished_since(now - AGAIN_S)
        gone = self.erasures.tombstones()
        found = await look_again(own_places(self.ground), [one for one in lately if one in gone])
        unseen: list[str] = []
        for place in file_places(self.ground.home) if gone else ():
            try:
                found += await self._scrubbed(place, gone)
            except (OfertaError, OSError):
                unseen.append(place.name)
        return Run(done, found, unseen)

    async def _scrubbed(self, place: Place, gone: frozenset[str]) -> int:
        """Take out of a place of files whoever was forgotten, by the hashes of all who are in it.

        A scoring or a training that began before an erasure may have written them again.
        """
        held = await asyncio.to_thread(cast("Searchable", place).customers)
        found = 0
        for customer_id in forgotten_among(held, gone, self.ground.space):
            found += await place.erase(self.ground.subject(customer_id))
        return found


@asynccontextmanager
async def grounded(home: Path, redis_url: str | None, *, clock: Clock) -> AsyncIterator[Ground]:
    """What places stand on, over connections of its own."""
    store = connect(StoreSettings(home, redis_url))
    reader = RedisReader(store.url, store.space, deadline_s=PATIENT_S)
    wire = Wire(store.url, deadline_s=PATIENT_S)
    try:
        yield Ground(home, store.space, wire, reader, clock)
    finally:
        await wire.close()
        await reader.close()
        await store.aclose()


@contextmanager
def running(ground: Ground, *, on_step: Callable[[str], None] | None = None) -> Iterator[Runner]:
    """A runner over this ground.

    Raises:
        LedgerUnavailable: the ledger cannot be opened.
    """
    erasures = Erasures(ground.ledger)
    try:
        duties = [REMOTE_MODELS] if os.environ.get(TRACKING) else []
        places = all_places(ground)
        made = saga(ground, erasures, places, duties=duties, on_step=on_step)
        yield Runner(ground, erasures, made)
    finally:
        erasures.close()
