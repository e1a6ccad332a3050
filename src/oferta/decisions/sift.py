"""The stages that look at customer and request, up to the terms, in the order of the funnel.

Candidates, eligibility, consent, contact; status and placement are `oferta.decisions.opening`. Each
offer passes all of them or is dropped by the first that stops it, with a code and what failed.
"""

from collections.abc import Mapping, Sequence

from oferta.catalogue.offers import Channel, Offer, Placement
from oferta.decisions.asked import Asked
from oferta.decisions.case import Case
from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.decision import Rejection
from oferta.decisions.request import FactValue, Known, Settled
from oferta.decisions.room import CapRoom
from oferta.decisions.sifted import Sifted
from oferta.decisions.slots import capped, takes
from oferta.decisions.view import View
from oferta.policy.caps import frees_at
from oferta.policy.consent import contact_refused
from oferta.policy.file import Cap
from oferta.policy.quiet import quiet_until
from oferta.policy.silence import silence_on


def candidates(case: Case) -> tuple[Sequence[CompiledOffer], list[Rejection]]:
    """The offers whose products are scored for the customer.

    Where a request names offers, the others are neither made nor refused: nobody asked for them.
    A product that a release scores for others but not for this customer is held already, and is
    not repeatable. What was bought or declined since then is settled. Servicing is about what is
    held.
    """
    engine, request, view = case.engine, case.request, case.view
    only = request.offers
    asked = [one for one in engine.offers if one.offer.id in only] if only else engine.offers
    if view.closed is not None:
        return [], [compiled.dropped[view.closed] for compiled in asked]
    wished = None if request.wish is None else request.wish.product
    unscored = _unscored(case.known) if view.personal else frozenset()
    settled = case.known.settled if view.personal else {}
    if wished is None and not unscored and not settled:
        return asked, []
    left: list[CompiledOffer] = []
    rejected: list[Rejection] = []
    for compiled in asked:
        offer = compiled.offer
        if wished is not None and wished != offer.family and wished not in offer.products:
            rejected.append(compiled.dropped["candidates.none"])
        elif unscored and not compiled.servicing and not unscored.isdisjoint(offer.products):
            rejected.append(compiled.dropped["product.not_scored"])
        elif settled and not compiled.servicing and (how := _settled(settled, offer)) is not None:
            rejected.append(compiled.dropped[f"product.{how}"])
        else:
            left.append(compiled)
    return left, rejected


def _settled(settled: Mapping[str, Settled], offer: Offer) -> Settled | None:
    return next((settled[product] for product in offer.products if product in settled), None)


def _unscored(known: Known) -> frozenset[str]:
    propensities = known.customer.propensities
    if not propensities:
        return frozenset()
    return frozenset(
        product
        for product, rate in known.popular.items()
        if rate > 0.0 and product not in propensities
    )


def eligible(
    case: Case,
    offers: Sequence[CompiledOffer],
    channel: Channel,
    failed: int,
    row: dict[str, FactValue],
) -> tuple[list[CompiledOffer], list[Rejection]]:
    """Rules of all three tiers; `failed` has the bit of every condition that is not true."""
    asked, servicing_only = case.asked, case.view.servicing_only
    if not servicing_only and asked.filter is None:
        return (
            [compiled for compiled in offers if not compiled.needs & failed],
            [_failing(compiled, failed) for compiled in offers if compiled.needs & failed],
        )
    # What is owed without consent is given to who comes for it; it is not sent.
    sent = case.engine.policy.channels[channel].direction == "outbound"
    unasked = case.view.owed and sent
    left: list[CompiledOffer] = []
    rejected: list[Rejection] = []
    for compiled in offers:
        if servicing_only and (unasked or not compiled.servicing):
            rejected.append(compiled.dropped["customer.in_arrears"])
        elif compiled.needs & failed:
            rejected.append(_failing(compiled, failed))
        elif asked.filter is not None and not _passes(asked, compiled, row):
            rejected.append(compiled.dropped["filter"])
        else:
            left.append(compiled)
    return left, rejected


def _failing(compiled: CompiledOffer, failed: int) -> Rejection:
    """The rejection that names the first of the offer's conditions that does not hold."""
    wrong = compiled.needs & failed
    return compiled.failing[(wrong & -wrong).bit_length() - 1]


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
    case: Case,
    offers: Sequence[CompiledOffer],
    channel: Channel,
    placements: Sequence[Placement],
    caps: CapRoom,
) -> Sifted:
    """Consent to the channel, then cool-down, caps and quiet hours.

    Consent is asked also where the answer must not depend on the customer: a channel that needs it
    is closed without it, whatever would have been said.
    """
    engine, view = case.engine, case.view
    refused = contact_refused(channel, case.known.customer.facts, engine.policy)
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
            continue
        stops = _stops(offer, channel, placements, caps)
        if stops:
            sifted.rejected.append(capped(offer, *stops[0]))
            sifted.capped += stops
        elif quiet is not None:
            sifted.rejected.append(Rejection(offer.id, "contact", "quiet.hours", channel))
            sifted.again.append(quiet)
        else:
            sifted.left.append(compiled)
    return sifted


def _stops(
    offer: Offer, channel: Channel, placements: Sequence[Placement], caps: CapRoom
) -> list[tuple[Cap, str]]:
    """The caps that stop the offer, where they do so in every placement; else none."""
    if not caps.full:
        return []
    stops = [caps.stops(offer, channel, place.id) for place in placements if takes(place, offer)]
    stopping = [stop for stop in stops if stop is not None]
    return stopping if len(stopping) == len(stops) else []


def room_again(view: View, capped: Sequence[tuple[Cap, str]]) -> list[float]:
    """When the customer's own caps among these have room again, epoch seconds."""
    free = [
        frees_at(cap, view.state.contacts, key, at=view.at)
        for cap, key in capped
        if cap.per == "customer"
    ]
    return [at for at in free if at is not None]
