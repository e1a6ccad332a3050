"""Filling slots: the best first, one exploration, variety, caps as they fill up, no offer twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from oferta.catalogue.offers import Channel, Offer, Placement
from oferta.decisions.decision import Rejection, Selection
from oferta.decisions.offered import Pick, Valued
from oferta.decisions.room import CapRoom
from oferta.decisions.variety import shown_by, too_alike
from oferta.policy.caps import counter
from oferta.policy.file import Cap

_SEED_RANGE: Final = 2.0**63


@dataclass(frozen=True, slots=True)
class Slots:
    """What is to be filled, and how.

    Attributes:
        explore: share of decisions that draw their first offer at random.
        selection: how an offer is selected that is not explored.
    """

    channel: Channel
    placements: tuple[Placement, ...]
    room: int | None
    per_family: int | None
    explore: float
    selection: Selection
    seed: int


def fill(slots: Slots, ranked: Sequence[Valued], caps: CapRoom) -> list[Pick]:
    """The offers for the slots, in the order of placements; `ranked` has the best first.

    With chance `explore`, drawn from the seed, the first slot gets any of the offers that could
    have it, each as likely. `caps` is raised by what is picked.
    """
    picks: list[Pick] = []
    left = list(ranked)
    for placement in slots.placements:
        for _ in range(placement.size):
            if slots.room is not None and len(picks) >= slots.room:
                return picks
            if not picks and slots.explore > 0.0:
                pick = _first(slots, placement, left, caps)
            else:
                pick = _best(slots, placement, left, caps, picks)
            if pick is None:
                break
            picks.append(pick)
            left.remove(pick.valued)
            caps.take(pick.valued.compiled.offer, slots.channel, placement.id)
    return picks


def takes(placement: Placement, offer: Offer) -> bool:
    """Whether the placement takes the offer: its family, and the offer's own list of placements."""
    return (not placement.families or offer.family in placement.families) and (
        not offer.placements or placement.id in offer.placements
    )


def _best(
    slots: Slots,
    placement: Placement,
    left: Sequence[Valued],
    caps: CapRoom,
    picks: Sequence[Pick],
) -> Pick | None:
    shown = shown_by(picks, per_family=slots.per_family)
    for one in left:
        offer = one.compiled.offer
        if too_alike(offer, shown) is None and not _shut(slots, placement, offer, caps):
            return Pick(placement, one, slots.selection, 1.0)
    return None


def _first(
    slots: Slots, placement: Placement, left: Sequence[Valued], caps: CapRoom
) -> Pick | None:
    """The offer of the first slot, with the true probability of its selection."""
    able = [one for one in left if not _shut(slots, placement, one.compiled.offer, caps)]
    if not able:
        return None
    share, among = slots.explore, len(able)
    chance = share / among
    if slots.seed / _SEED_RANGE >= share:
        return Pick(placement, able[0], slots.selection, min(1.0, 1.0 - share + chance))
    digest = blake2b(slots.seed.to_bytes(8, "big"), digest_size=8, person=b"explore").digest()
    drawn = int.from_bytes(digest, "big") % among
    probability = chance if drawn else min(1.0, 1.0 - share + chance)
    return Pick(placement, able[drawn], "explored", probability)


def _shut(slots: Slots, placement: Placement, offer: Offer, caps: CapRoom) -> bool:
    """Whether the placement does not take the offer, or a cap has no place left for it."""
    if len(slots.placements) > 1 and not takes(placement, offer):
        return True  # the only placement takes whatever came so far
    return bool(caps.full) and caps.stops(offer, slots.channel, placement.id) is not None


def not_picked(
    slots: Slots, ranked: Sequence[Valued], picks: Sequence[Pick], caps: CapRoom
) -> list[Rejection]:
    """Why each of the others has no slot: a cap filled up, too much alike, or no room."""
    picked = {pick.valued.compiled.index for pick in picks}
    shown = shown_by(picks, per_family=slots.per_family)
    rejected: list[Rejection] = []
    for one in ranked:
        compiled = one.compiled
        if compiled.index in picked:
            continue
        offer = compiled.offer
        if caps.full:
            stops = [
                caps.stops(offer, slots.channel, place.id)
                for place in slots.placements
                if takes(place, offer)
            ]
            if stops[0] is not None and all(stops):
                rejected.append(capped(offer, *stops[0]))
                continue
        alike = too_alike(offer, shown)
        rejected.append(compiled.dropped["room" if alike is None else alike])
    return rejected


def capped(offer: Offer, cap: Cap, key: str) -> Rejection:
    """The rejection of an offer that a cap has no place for."""
    code = "cap.reached" if cap.per == "customer" else "cap.total"
    return Rejection(offer.id, "contact", code, counter(cap, key))
