"""What recent events settle about products, whatever any model makes of them.

Counted as `interactions.holdings` counts all events: in pieces, by what event types mean.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from oferta.events.types import EventType
from oferta.profile.recent import RecentEvent

NO_PIECES: Final = 1e-6
"""Pieces that only rounding keeps from none."""

_DAY_S: Final = 86_400.0


def pieces_of(events: Iterable[RecentEvent], types: Mapping[str, EventType]) -> dict[str, float]:
    """By product id, how many pieces `events` gave, less what they took back.

    One reversal takes one purchase back, also where a job says that a purchase is worth half. A
    type that is not in `types` is a conversion.
    """
    pieces: dict[str, float] = {}
    for event in events:
        if event.product is None:
            continue
        meaning = _meaning(event, types)
        quantity = 1.0 if event.quantity is None else event.quantity
        if meaning == "conversion":
            pieces[event.product] = pieces.get(event.product, 0.0) + quantity
        elif meaning == "reversal":
            pieces[event.product] = pieces.get(event.product, 0.0) - abs(quantity)
    return pieces


def declined(
    events: Iterable[RecentEvent],
    types: Mapping[str, EventType],
    *,
    now: float,
    days: float,
) -> frozenset[str]:
    """The products that were declined in the last `days` and not bought since, by id.

    Args:
        events: all that are kept, whether a release knows of them or not: no model forgets a no.
        types: by name.
        now: epoch seconds.
        days: how long a no holds; 0: not at all.
    """
    last: dict[str, tuple[float, bool]] = {}
    for event in events:
        if event.product is None:
            continue
        meaning = _meaning(event, types)
        if meaning in {"conversion", "rejection"}:
            said = event.at, meaning == "rejection"
            last[event.product] = max(last.get(event.product, said), said)
    limit = now - days * _DAY_S
    return frozenset(product for product, (at, no) in last.items() if no and at > limit)


def _meaning(event: RecentEvent, types: Mapping[str, EventType]) -> str:
    kind = types.get(event.type)
    return "conversion" if kind is None else kind.meaning
