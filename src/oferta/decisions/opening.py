"""Status, dates, placement: what is on offer here and now, whoever asks.

It changes only when an offer begins or ends, so it is remembered.
"""

from collections.abc import Sequence
from typing import Final

from oferta.catalogue.offers import Channel, Placement
from oferta.decisions.compiled import CompiledOffer, Opening
from oferta.decisions.decision import Rejection
from oferta.decisions.engine import Engine
from oferta.decisions.sifted import Sifted
from oferta.decisions.slots import takes

_KEPT: Final = 1024


def open_offers(
    engine: Engine,
    offers: Sequence[CompiledOffer],
    channel: Channel,
    placements: tuple[Placement, ...],
    at: float,
) -> Sifted:
    """Which of `offers` are approved, in their dates, and taken by a placement on the channel."""
    opening = opening_of(engine, channel, placements, at)
    if len(offers) == len(engine.offers):
        again = [compiled.starts for compiled in opening.coming]
        return Sifted(list(opening.able), list(opening.refused.values()), again)
    left: list[CompiledOffer] = []
    rejected: list[Rejection] = []
    for compiled in offers:
        rejection = opening.refused.get(compiled.index)
        if rejection is None:
            left.append(compiled)
        else:
            rejected.append(rejection)
    return Sifted(left, rejected, [one.starts for one in opening.coming if one in offers])


def opening_of(
    engine: Engine, channel: Channel, placements: tuple[Placement, ...], at: float
) -> Opening:
    """What is on offer in the placements at `at` (epoch seconds)."""
    closed = tuple([one.index for one in engine.timed if not one.starts <= at < one.ends])
    before = tuple([one.index for one in engine.timed if at < one.starts])
    key = (channel, *[placement.id for placement in placements], closed, before)
    known = engine.openings.get(key)
    if known is None:
        known = _opened(engine, channel, placements, at)
        if len(engine.openings) >= _KEPT:
            engine.openings.clear()
        engine.openings[key] = known
    return known


def _opened(
    engine: Engine, channel: Channel, placements: Sequence[Placement], at: float
) -> Opening:
    refused: dict[int, Rejection] = {}
    coming: list[CompiledOffer] = []
    for compiled in engine.offers:
        code = _misplaced(compiled, channel, placements)
        if compiled.status is not None:
            refused[compiled.index] = compiled.status
        elif at < compiled.starts:
            refused[compiled.index] = compiled.dropped["offer.not_started"]
            if code is None:
                coming.append(compiled)
        elif at >= compiled.ends:
            refused[compiled.index] = compiled.dropped["offer.ended"]
        elif code is not None:
            refused[compiled.index] = compiled.dropped[code]
    able = tuple(one for one in engine.offers if one.index not in refused)
    return Opening(able, refused, tuple(coming))


def _misplaced(
    compiled: CompiledOffer, channel: Channel, placements: Sequence[Placement]
) -> str | None:
    if channel not in compiled.offer.channels:
        return "placement.channel"
    if not any(takes(placement, compiled.offer) for placement in placements):
        return "placement.family"
    return None
