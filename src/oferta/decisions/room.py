"""What the caps leave during one decision: counted once, then raised with every offer picked."""

from collections.abc import Mapping, Sequence

from oferta.catalogue.offers import Offer
from oferta.policy.caps import EVERYTHING, counter, key_for, used, used_in_total
from oferta.policy.contact import Contact
from oferta.policy.file import Cap


class CapRoom:
    """Counts under every cap. Belongs to one decision and is changed by it."""

    __slots__ = ("_caps", "_full_under", "_mine", "_taken", "full")

    def __init__(
        self,
        caps: Sequence[Cap],
        total_caps: Sequence[Cap],
        *,
        contacts: Sequence[Contact],
        totals: Mapping[str, int],
        at: float,
    ) -> None:
        self._caps = (*caps, *total_caps)
        self._taken = [
            *(used(cap, contacts, at=at) if contacts else {} for cap in caps),
            *(used_in_total(cap, totals) if totals else {} for cap in total_caps),
        ]
        self._mine: set[tuple[str, str]] = set()
        self._full_under: set[str] = set()
        self.full: list[tuple[Cap, str]] = []
        """Caps without a place left, with what they count under."""
        for cap, taken in zip(self._caps, self._taken, strict=True):
            for key, count in taken.items():
                if count >= cap.limit:
                    self._fill(cap, key)

    def stops(self, offer: Offer, channel: str, placement: str) -> tuple[Cap, str] | None:
        """The first full cap that the offer would need a place of; None: it has room."""
        likes = EVERYTHING, offer.id, offer.products[0], offer.family, channel, placement
        if self._full_under.isdisjoint(likes):
            return None  # no cap counts it under what is full, whatever the caps' scopes are
        for cap, key in self.full:
            if _key(cap, offer, channel, placement) == key:
                return cap, key
        return None

    def take(self, offer: Offer, channel: str, placement: str) -> None:
        """Takes a place under every cap that the offer counts under.

        Under a cap on decisions, further offers of this decision share the first one's place.
        """
        for cap, taken in zip(self._caps, self._taken, strict=True):
            key = _key(cap, offer, channel, placement)
            if key is None:
                continue
            if cap.event == "decision":
                if (cap.name, key) in self._mine:
                    continue
                self._mine.add((cap.name, key))
            count = taken.get(key, 0) + 1
            taken[key] = count
            if count == cap.limit and cap.event != "decision":
                self._fill(cap, key)

    def looked_at(self, offer: Offer, channel: str, placement: str) -> dict[str, tuple[int, int]]:
        """Per cap that the offer counts under: places used by now, and its limit."""
        seen: dict[str, tuple[int, int]] = {}
        for cap, taken in zip(self._caps, self._taken, strict=True):
            key = _key(cap, offer, channel, placement)
            if key is not None:
                seen[counter(cap, key)] = (taken.get(key, 0), cap.limit)
        return seen

    def _fill(self, cap: Cap, key: str) -> None:
        self.full.append((cap, key))
        self._full_under.add(key)


def _key(cap: Cap, offer: Offer, channel: str, placement: str) -> str | None:
    return key_for(
        cap,
        offer=offer.id,
        product=offer.products[0],
        family=offer.family,
        channel=channel,
        placement=placement,
    )
