"""Frequency caps: how much of each is used, by whom it is used, and when it is free again.

What counts at an instant `at`, within the last `period`, `(at - period, at]`:

- `decision`: made in the period, and shown or still held;
- `impression`, `click`, `accept`: heard of in the period, or not heard of yet while the reservation
  is held, since the decision may still become one.

An impression, a click and an acceptance are of one offer each; a decision is counted once under
what it counts under, however many offers are in it: one message with three offers is one message.

So a cap is never passed: the place is taken when the decision is made, and it is given back when
the hold ends without an impression. A click that arrives after the hold counts when it arrives.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from oferta.policy.contact import Contact
from oferta.policy.file import Cap

EVERYTHING: Final = "all"
"""What a cap over everything counts under."""


def counts(cap: Cap, contact: Contact, *, at: float) -> bool:
    """Whether a contact takes one of the cap's places at `at`; its scope is not asked."""
    since = at - cap.period.total_seconds()
    pending = contact.held_until > at
    match cap.event:
        case "decision":
            return contact.made_at > since and (pending or contact.shown_at is not None)
        case "impression":
            heard = contact.shown_at
        case "click":
            heard = contact.clicked_at
        case "accept":
            heard = contact.accepted_at
    return pending if heard is None else heard > since


def key_of(cap: Cap, contact: Contact) -> str | None:
    """What a contact counts under in this cap, as its family; None: the cap is not about it."""
    return key_for(
        cap,
        offer=contact.offer,
        product=contact.product,
        family=contact.family,
        channel=contact.channel,
        placement=contact.placement,
    )


def key_for(
    cap: Cap, *, offer: str, product: str, family: str, channel: str, placement: str
) -> str | None:
    """What an offer made so would count under; None: the cap is not about it."""
    match cap.scope:
        case "all":
            return EVERYTHING
        case "offer":
            key = offer
        case "product":
            key = product
        case "family":
            key = family
        case "channel":
            key = channel
        case "placement":
            key = placement
    return key if not cap.of or key in cap.of else None


def used(cap: Cap, contacts: Iterable[Contact], *, at: float) -> dict[str, int]:
    """How many places are taken at `at`, by what they count under. For caps per customer."""
    taken: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()
    for contact in contacts:
        if counts(cap, contact, at=at):
            key = key_of(cap, contact)
            if key is None or (cap.event == "decision" and (key, contact.decision) in seen):
                continue
            seen.add((key, contact.decision))
            taken[key] = taken.get(key, 0) + 1
    return taken


def counter(cap: Cap, key: str) -> str:
    """The name of a total cap's counter, as the store keeps it: `launch/balloon-36`."""
    return f"{cap.name}/{key}"


def used_in_total(cap: Cap, totals: Mapping[str, int]) -> dict[str, int]:
    """How many places of a total cap are taken, by what they count under."""
    start = len(cap.name) + 1
    prefix = f"{cap.name}/"
    return {name[start:]: taken for name, taken in totals.items() if name.startswith(prefix)}


def counters_of(caps: Sequence[Cap], contact: Contact) -> Iterator[tuple[Cap, str]]:
    """The total caps in which a contact takes a place, each with its counter's name.

    Of a cap on decisions, all contacts of one decision share one place.
    """
    for cap in caps:
        if cap.per == "total":
            key = key_of(cap, contact)
            if key is not None:
                yield cap, counter(cap, key)


def frees_at(cap: Cap, contacts: Iterable[Contact], key: str, *, at: float) -> float | None:
    """When the cap has a place again under `key` if nothing else happens; None: it has one.

    Epoch seconds. Of caps per customer: what is taken in total is not the customer's to see.
    """
    until: dict[str, float] = {}
    for contact in contacts:
        if key_of(cap, contact) == key and counts(cap, contact, at=at):
            place = contact.decision
            if cap.event != "decision":
                place += f"/{contact.offer}"
            until[place] = max(until.get(place, at), ends_at(cap, contact))
    ends = sorted(until.values())
    over = len(ends) - cap.limit
    return None if over < 0 else ends[over]


def ends_at(cap: Cap, contact: Contact) -> float:
    """When a contact that counts now ceases to."""
    period = cap.period.total_seconds()
    if cap.event == "decision":
        leaves = contact.made_at + period
        return leaves if contact.shown_at is not None else min(leaves, contact.held_until)
    heard = {
        "impression": contact.shown_at,
        "click": contact.clicked_at,
        "accept": contact.accepted_at,
    }[cap.event]
    return contact.held_until if heard is None else heard + period
