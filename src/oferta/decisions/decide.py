"""The decision: which offer, with which terms, through which channel, should be made now, or none.

Pure and deterministic: the same engine, request and known facts give an equal decision, on any
machine. The order is that of `oferta.decisions.decision.STAGES`; nothing later overrides a no.
"""

from collections.abc import Sequence
from math import inf

from oferta.catalogue.offers import Channel, Placement
from oferta.decisions.assemble import assemble
from oferta.decisions.case import Case, case_of
from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.decision import Decision, Rejection
from oferta.decisions.engine import Engine
from oferta.decisions.gate import gated
from oferta.decisions.made import Made
from oferta.decisions.offered import Valued
from oferta.decisions.opening import open_offers
from oferta.decisions.pricing import Pricer
from oferta.decisions.request import FactValue, Known, Request
from oferta.decisions.room import CapRoom
from oferta.decisions.sift import candidates, eligible, reachable, room_again
from oferta.decisions.slots import Slots, fill, not_picked
from oferta.decisions.valuing import Inputs, valued_for, valued_for_anyone


def decide(engine: Engine, request: Request, known: Known) -> Decision:
    """The decision on `request`.

    Raises:
        RequestInvalid: a field of the request is missing, mistyped or names what there is not.
    """
    case = case_of(engine, request, known)
    left, rejected = candidates(case)
    way, explore = case.asked.ways[0], _exploration(case)
    if len(case.asked.ways) > 1:
        # The channel is chosen by the best offers: what is tried out must not choose it, or the
        # probabilities of selection would not be the true ones.
        made = _best(case, [_on(case, left, rejected, one, explore=0.0) for one in case.asked.ways])
        if explore == 0.0:
            return assemble(case, made)
        way = made.channel, made.placements
    return assemble(case, _on(case, left, rejected, way, explore=explore))


def _best(case: Case, made: Sequence[Made]) -> Made:
    """The channel whose offers are worth most; of equals the one the customer prefers.

    Where no channel has an offer, the one that may have one first.
    """
    if not any(one.picks for one in made):
        return min(made, key=lambda one: min(one.again, default=inf))
    preferred = case.view.facts.get("channel_preference")
    return max(made, key=lambda one: (one.worth, one.channel == preferred, -made.index(one)))


def _on(
    case: Case,
    offers: Sequence[CompiledOffer],
    before: Sequence[Rejection],
    way: tuple[Channel, tuple[Placement, ...]],
    *,
    explore: float,
) -> Made:
    """What can be made of the candidates on one channel, with its placements."""
    channel, placements = way
    engine, view = case.engine, case.view
    opened = open_offers(engine, offers, channel, placements, view.at)
    row = {**case.row, "channel": channel}
    values = engine.program(row)
    failed = _failed(values, len(engine.conditions))
    allowed, ineligible = eligible(case, opened.left, channel, failed, row)
    caps = _caps(case, channel)
    reached = reachable(case, allowed, channel, placements, caps)
    pricer = Pricer(engine, case.request, view, row)
    inputs = Inputs(pricer, values[len(engine.conditions) :], failed, row.get("risk_tier"))
    valued, worthless = _valued(case, reached.left, inputs)
    slots = Slots(
        channel=channel,
        placements=placements,
        room=case.asked.room,
        per_family=engine.policy.diversity.per_family,
        explore=explore,
        selection=view.selection,
        seed=case.seed,
    )
    picks = fill(slots, valued, caps)
    stop = None if view.remembered else gated(engine, case.known, channel, picks)
    if stop is None:
        unmade = not_picked(slots, valued, picks, caps)
    else:
        unmade = [Rejection(one.compiled.offer.id, *stop.why) for one in valued]
        picks = []
    rejected = [
        *before,
        *opened.rejected,
        *ineligible,
        *reached.rejected,
        *worthless,
        *unmade,
    ]
    again = [*opened.again, *reached.again, *(() if stop is None else stop.again)]
    if not picks:
        again += room_again(view, reached.capped)
    return Made(channel, placements, picks, rejected, again, caps, inputs)


def _caps(case: Case, channel: Channel) -> CapRoom:
    """Where the answer is everybody's, a message that we send is cut to what caps allow anybody."""
    sent = case.engine.policy.channels[channel].direction == "outbound"
    return CapRoom(
        case.engine.caps if case.view.remembered or sent else (),
        case.engine.total_caps,
        contacts=case.view.state.contacts,
        totals=case.known.totals,
        at=case.view.at,
    )


def _valued(
    case: Case, offers: Sequence[CompiledOffer], inputs: Inputs
) -> tuple[list[Valued], list[Rejection]]:
    if case.view.personal:
        return valued_for(case, offers, inputs)
    return valued_for_anyone(case, offers, inputs), []


def _exploration(case: Case) -> float:
    """Nothing is tried out on somebody in arrears, nor where the answer is everybody's."""
    if not case.view.personal or case.view.servicing_only:
        return 0.0
    return case.engine.policy.exploration.share


def _failed(values: Sequence[FactValue], conditions: int) -> int:
    """A bit for every condition that is not true."""
    failed = 0
    bit = 1
    for value in values[:conditions]:
        if value is not True:
            failed |= bit
        bit <<= 1
    return failed
