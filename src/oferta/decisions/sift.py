"""The stages that say no, in the order of the funnel, up to the terms.

candidates, status, placement, eligibility, consent, contact: each offer passes all of them or is
dropped by the first that stops it, with a code and what exactly failed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oferta.catalogue.offers import Channel, Placement
from oferta.decisions.asked import Asked
from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.decision import Rejection
from oferta.decisions.engine import Engine
from oferta.decisions.request import FactValue, Known, Request
from oferta.decisions.room import CapRoom
from oferta.decisions.slots import takes
from oferta.decisions.view import View
from oferta.policy.caps import frees_at
from oferta.policy.consent import contact_refused
from oferta.policy.quiet import quiet_until
from oferta.policy.silence import silence_on


@dataclass(slots=True)
class Sifted:
    """What is left of the offers on one channel, and what became of the others.

    Attributes:
        left: in the catalogue's order.
        again: instants at which something that stopped an offer ends, epoch seconds.
    """

    left: list[CompiledOffer]
    rejected: list[Rejection]
    again: list[float]


def candidates(
    engine: Engine, request: Request, known: Known, view: View
) -> tuple[list[CompiledOffer], list[Rejection]]:
    """The offers whose products are scored for the customer.

    Where a request names offers, the others are neither made nor refused: nobody asked for them.
    A product that a release scores for others but not for this customer is held already, and is
    not repeatable. Servicing is about what is held.
    """
    only = frozenset(request.offers)
    asked = [one for one in engine.offers if one.offer.id in only] if only else engine.offers
    if view.closed is not None:
        return [], [compiled.dropped[view.closed] for compiled in asked]
    wished = None if request.wish is None else request.wish.product
    unscored = _unscored(known) if view.personal else frozenset()
    left: list[CompiledOffer] = []
    rejected: list[Rejection] = []
    for compiled in asked:
        offer = compiled.offer
        if wished is not None and wished != offer.family and wished not in offer.products:
            rejected.append(compiled.dropped["candidates.none"])
        elif unscored and not compiled.servicing and not unscored.isdisjoint(offer.products):
            rejected.append(compiled.dropped["product.not_scored"])
        else:
            left.append(compiled)
    return left, rejected


def _unscored(known: Known) -> frozenset[str]:
    propensities = known.customer.propensities
    if not propensities:
        return frozenset()
    return frozenset(
        product
        for product, rate in known.popular.items()
        if rate > 0.0 and product not in propensities
    )


def open_offers(
    offers: Sequence[CompiledOffer], channel: Channel, placements: Sequence[Placement], at: float
) -> Sifted:
    """Status and dates, then the placement's families and channel."""
    left: list[CompiledOffer] = []
    rejected: list[Rejection] = []
    again: list[float] = []
    for compiled in offers:
        if compiled.status is not None:
            rejected.append(compiled.status)
        elif at < compiled.starts:
            rejected.append(compiled.dropped["offer.not_started"])
            again.append(compiled.starts)
        elif at >= compiled.ends:
            rejected.append(compiled.dropped["offer.ended"])
        elif channel not in compiled.offer.channels:
            rejected.append(compiled.dropped["placement.channel"])
        elif not any(takes(placement, compiled.offer) for placement in placements):
            rejected.append(compiled.dropped["placement.family"])
        else:
            left.append(compiled)
    return Sifted(left, rejected, again)


def eligible(
    offers: Sequence[CompiledOffer],
    failed: int,
    *,
    servicing_only: bool,
    asked: Asked,
    row: dict[str, FactValue],
) -> tuple[list[CompiledOffer], list[Rejection]]:
    """Rules of all three tiers; `failed` has the bit of every condition that is not true."""
    left: list[CompiledOffer] = []
    rejected: list[Rejection] = []
    for compiled in offers:
        if servicing_only and not compiled.servicing:
            rejected.append(compiled.dropped["customer.in_arrears"])
            continue
        wrong = compiled.needs & failed
        if wrong:
            first = (wrong & -wrong).bit_length() - 1
            rejected.append(compiled.failing[first])
        elif asked.filter is not None and not _passes(asked, compiled, row):
            rejected.append(compiled.dropped["filter"])
        else:
            left.append(compiled)
    return left, rejected


def _passes(asked: Asked, compiled: CompiledOffer, row: dict[str, FactValue]) -> bool:
    offer = compiled.offer
    seen: dict[str, FactValue] = {
        **row,
        "offer": offer.id,
        "product": offer.products[0],
        "family": offer.family,
        "provider": offer.provider,
        "fulfilment": offer.fulfilment,
        "incentive": offer.incentive is not None,
    }
    return asked.filter is not None and asked.filter(seen)[0] is True


def reachable(
    engine: Engine,
    offers: Sequence[CompiledOffer],
    view: View,
    channel: Channel,
    placements: Sequence[Placement],
    caps: CapRoom,
    *,
    consents: Mapping[str, FactValue],
) -> Sifted:
    """Consent to the channel, then cool-down, caps and quiet hours.

    `consents`: the customer's facts, also where the answer must not depend on them: a channel that
    needs consent is closed without it, whatever would have been said.
    """
    refused = contact_refused(channel, consents, engine.policy)
    if refused is not None:
        return Sifted([], [offer.dropped[refused] for offer in offers], [])
    silences, scope = view.state.silences, engine.policy.cool_down.scope
    quiet = quiet_until(engine.policy.channels[channel].quiet, view.at, zone=engine.zone)
    if not silences and not caps.full and quiet is None:
        return Sifted(list(offers), [], [])
    sifted = Sifted([], [], [])
    for compiled in offers:
        offer = compiled.offer
        silence = silence_on(
            silences,
            offer=offer.id,
            products=offer.products,
            family=offer.family,
            scope=scope,
            at=view.at,
        )
        if silence is not None:
            code = f"silence.{silence.answer}"
            sifted.rejected.append(Rejection(offer.id, "contact", code, silence.offer))
            sifted.again.append(silence.until)
        elif _capped(compiled, view, channel, placements, caps, sifted):
            continue
        elif quiet is not None:
            sifted.rejected.append(Rejection(offer.id, "contact", "quiet.hours", channel))
            sifted.again.append(quiet)
        else:
            sifted.left.append(compiled)
    return sifted


def _capped(
    compiled: CompiledOffer,
    view: View,
    channel: Channel,
    placements: Sequence[Placement],
    caps: CapRoom,
    sifted: Sifted,
) -> bool:
    """Whether caps stop the offer in every placement; then says so in `sifted`."""
    if not caps.full:
        return False
    offer = compiled.offer
    stops = [caps.stops(offer, channel, place.id) for place in placements if takes(place, offer)]
    stopping = [stop for stop in stops if stop is not None]
    if len(stopping) < len(stops):
        return False
    cap, key = stopping[0]
    if cap.per == "total":
        sifted.rejected.append(Rejection(offer.id, "contact", "cap.total", f"{cap.name}/{key}"))
        return True
    sifted.rejected.append(Rejection(offer.id, "contact", "cap.reached", f"{cap.name}/{key}"))
    free = [frees_at(one[0], view.state.contacts, one[1], at=view.at) for one in stopping]
    sifted.again += [at for at in free if at is not None]
    return True
