"""Caps over all customers: counts that are looked at, places that are taken.

Counts are read ahead of decisions and may be a fifth of a second old: they only decide what is
worth trying. Whether there is a place left is said by the store, when it is taken.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from oferta.decisions.engine import Engine
from oferta.policy.caps import EVERYTHING, counter, counters_of, ends_at
from oferta.policy.contact import Contact
from oferta.policy.file import Cap
from oferta.store.decisions import Place, Totals

MAX_AGE_S: Final = 0.2


class TotalCounts:
    """The counters' counts, as read lately. For one event loop."""

    def __init__(self, store: Totals) -> None:
        self._store = store
        self._engine: Engine | None = None
        self._counters: tuple[str, ...] = ()
        self._counts: dict[str, int] = {}
        self._read_at = float("-inf")

    async def of(self, engine: Engine, *, at: float, anew: bool = False) -> Mapping[str, int]:
        """By counter, how many places are taken; those with none are left out.

        Raises:
            StoreUnavailable: no answer in time.
        """
        if engine is not self._engine:
            self._engine, self._counters = engine, tuple(counters(engine))
            anew = True
        if not self._counters:
            return {}
        now = time.monotonic()
        if anew or now - self._read_at > MAX_AGE_S:
            taken = await self._store.taken(self._counters, at=at)
            self._counts = {
                name: count for name, count in zip(self._counters, taken, strict=True) if count
            }
            self._read_at = now
        return self._counts


def counters(engine: Engine) -> Iterator[str]:
    """Every counter that the policy's total caps can have."""
    for cap in engine.total_caps:
        for key in _keys(cap, engine):
            yield counter(cap, key)


def places(engine: Engine, contacts: Sequence[Contact], decision_id: str) -> list[Place]:
    """The places that contacts of one decision take in total caps.

    Each until what was heard of the contact ceases to count. Of a cap on decisions, all contacts
    of one decision share a place.
    """
    taken: dict[tuple[str, str], Place] = {}
    for contact in contacts:
        for cap, name in counters_of(engine.total_caps, contact):
            once = cap.event == "decision"
            member = decision_id if once else f"{decision_id}/{contact.offer}"
            place = Place(name, member, ends_at(cap, contact), cap.limit)
            was = taken.get((name, member))
            if was is None or was.until < place.until:
                taken[name, member] = place
    return list(taken.values())


def _keys(cap: Cap, engine: Engine) -> Sequence[str]:
    offers = engine.catalogue.offers
    match cap.scope:
        case "all":
            return [EVERYTHING]
        case "offer":
            keys: list[str] = [offer.id for offer in offers]
        case "product":
            keys = [offer.products[0] for offer in offers]
        case "family":
            keys = [offer.family for offer in offers]
        case "channel":
            keys = list(engine.policy.channels)
        case "placement":
            keys = [placement.id for placement in engine.catalogue.placements]
    return [key for key in dict.fromkeys(keys) if not cap.of or key in cap.of]
