"""Erasing a customer everywhere: a saga of steps that may each be repeated, until nothing is left.

    request    written to the ledger's file, with the entry that takes effect at once    (the API)
    seek       which sessions and events are theirs, before those that know are erased
    erase      place by place; a place that fails is tried again by the next run
    look       every place is asked anew whether it holds anything
    finish     the receipt, then the id itself is overwritten

Killed between any two steps, the next run goes on: each step leaves in the ledger how far it came,
and does nothing where nothing is left to do.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from oferta.clock import Clock, instant
from oferta.errors import OfertaError
from oferta.privacy.erasures import Erasure, Erasures, PlaceProgress, PlaceState
from oferta.privacy.places import Place, Subject
from oferta.privacy.receipts import Receipts

SETTLE_S: Final = 5.0
"""From the request until it may be done: answers and consumers that had read before have ended."""

RETRAIN_S: Final = 30 * 86_400
"""By when models must have been trained again: what they learned of everybody holds a trace."""

DUTIES: Final = (
    "source files that hold the customer: no delivery of them is taken, but they stay as they are",
    "files that were written for others: exports, audiences, triggers",
    "backups, until they expire: restored ones are erased again by `oferta erase --resume`",
)
"""What a receipt says is left to whoever runs oferta."""

Step = str
"""`request`, `forget`, `seek`, `erase <place>`, `look <place>`, `receipt`, `finish`."""


def _unobserved(step: Step) -> None:
    del step


@dataclass(frozen=True, slots=True)
class Saga:
    """Runs erasures. Several processes may; files are for one at a time, which callers see to.

    Attributes:
        erasures, receipts: of one ledger.
        places: in the order in which they are erased.
        seek: finds what else is the subject's, in the archive and the streams.
        forget: makes the ledger forget whom, and tells the copies. Repeatable.
        clock: tells the time.
        duties: what the receipt leaves to others, besides `DUTIES`.
        on_step: told of every step as it begins.
    """

    erasures: Erasures
    receipts: Receipts
    places: Sequence[Place]
    seek: Callable[[Subject], Awaitable[Subject]]
    forget: Callable[[Subject], Awaitable[None]]
    clock: Clock
    duties: Sequence[str] = ()
    on_step: Callable[[Step], None] = _unobserved

    async def request(self, id_: str, subject: Subject, reason: str) -> Erasure:
        """Write the request down, and let it take effect: from here on they are a stranger.

        Raises:
            LedgerUnavailable: it was not written: nobody may be told that it was.
        """
        self.on_step("request")
        made = self.erasures.request(id_, subject, reason, at=self._now())
        self.on_step("forget")
        await self.forget(made.subject or subject)
        return self.erasures.of(made.id) or made

    async def run(self, erasure: Erasure) -> Erasure:
        """Go on with an erasure as far as it goes now; how far that is.

        Raises:
            LedgerUnavailable: how far it came could not be written down.
        """
        subject = erasure.subject
        if subject is None:
            return erasure
        self.on_step("forget")
        await self.forget(subject)
        if not erasure.sought:
            self.on_step("seek")
            try:
                subject = await self.seek(subject)
            except (OfertaError, OSError):
                return erasure  # what only the archive knows of is not to be lost
            self.erasures.sought(erasure.id, subject)
        for place in self.places:
            self.on_step(f"erase {place.name}")
            await self._tried(erasure.id, place, subject)
        clean = True
        for place in self.places:
            self.on_step(f"look {place.name}")
            clean &= await self._looked(erasure.id, place, subject)
        now = self._now()
        if clean and now - erasure.requested_at >= SETTLE_S:
            self.on_step("receipt")
            done = self.erasures.of(erasure.id) or erasure
            name = self.receipts.write(erasure.id, self._said(done, now))
            self.on_step("finish")
            self.erasures.finish(erasure.id, name, at=now)
        return self.erasures.of(erasure.id) or erasure

    async def _tried(self, id_: str, place: Place, subject: Subject) -> None:
        try:
            erased = await place.erase(subject)
        except (OfertaError, OSError) as error:
            self._came(id_, place, "waiting", trouble=type(error).__name__)
        else:
            self._came(id_, place, "erased", erased=erased)

    async def _looked(self, id_: str, place: Place, subject: Subject) -> bool:
        try:
            holds = await place.holds(subject)
        except (OfertaError, OSError) as error:
            self._came(id_, place, "waiting", trouble=type(error).__name__)
            return False
        if holds:
            self._came(id_, place, "waiting", trouble="still_there")
        else:
            self._came(id_, place, "clean")
        return not holds

    def _came(
        self,
        id_: str,
        place: Place,
        state: PlaceState,
        *,
        erased: int = 0,
        trouble: str | None = None,
    ) -> None:
        self.erasures.came(id_, PlaceProgress(place.name, erased, state, trouble, self._now()))

    def _said(self, erasure: Erasure, now: float) -> dict[str, object]:
        return {
            "tombstone": erasure.tombstone,
            "reason": erasure.reason,
            "requested_at": instant(erasure.requested_at),
            "finished_at": instant(now),
            "places": [
                {"place": one.place, "erased": one.erased, "seen_clean_at": instant(one.at)}
                for one in sorted(erasure.places, key=lambda one: one.place)
            ],
            "retrain_before": instant(erasure.requested_at + RETRAIN_S),
            "left_to_others": [*DUTIES, *self.duties],
        }

    def _now(self) -> float:
        return self.clock.now().timestamp()


async def look_again(places: Sequence[Place], tombstones: Sequence[str]) -> int:
    """Erase what came back of customers who were forgotten; how many things that were.

    A consumer or a worker that stood still since before their erasure may have written what it had
    read then. For places that find by tombstone alone: those of the store.

    Raises:
        OfertaError: a place cannot be reached.
    """
    found = 0
    for tombstone in tombstones:
        nameless = Subject("", bytes.fromhex(tombstone))
        for place in places:
            if await place.holds(nameless):
                found += await place.erase(nameless)
    return found
