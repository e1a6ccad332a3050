"""The decision: which offer, with which terms, through which channel, should be made now, or none.

Pure and deterministic: the same engine, request and known facts give an equal decision, on any
machine. The order is that of `oferta.decisions.decision.STAGES`; nothing later overrides a no.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Final

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

_TRIES: Final = 8
_LAST: Final = 221_845_392_000.0  # the year 9000: terms reach years further, calendars do not


def decide(engine: Engine, request: Request, known: Known) -> Decision:
    """The decision on `request`.

    Raises:
        RequestInvalid: a field of the request is missing, mistyped or names what there is not.
    """
    case = case_of(engine, request, known)
    share, several = _exploration(case), len(case.asked.ways) > 1
    # The channel is chosen by the best offers: what is tried out must not choose it, or the
    # probabilities of selection would not be the true ones.
    tried = _everywhere(case, explore=0.0 if several else share)
    best = _best(case, tried)
    if not best.picks:
        best = _awaited(case, tried)
    elif several and share > 0.0:
        way = best.channel, best.placements
        best = _on(case, *candidates(case), way, explore=share)
    return assemble(case, best)


def _everywhere(case: Case, *, explore: float) -> list[Made]:
    """What can be made on each channel that may be used."""
    left, rejected = candidates(case)
    return [_on(case, left, rejected, way, explore=explore) for way in case.asked.ways]


def _best(case: Case, tried: Sequence[Made]) -> Made:
    """The channel whose offers are worth most; of equals the one the customer prefers.

    Where no channel has an offer, the first.
    """
    if len(tried) == 1 or not any(one.picks for one in tried):
        return tried[0]
    preferred = case.view.facts.get("channel_preference")
    return max(tried, key=lambda one: (one.worth, one.channel == preferred, -tried.index(one)))


def _awaited(case: Case, tried: Sequence[Made]) -> Made:
    """Where there is no offer: the channel that has one first, and when; else the first, and never.

    That something ends does not say that an offer follows: at each instant at which something does,
    the soonest first, it is decided anew on what is known today, until there is an offer.
    """
    ahead = _ends(tried, after=case.known.at)
    for _ in range(_TRIES):
        if not ahead:
            break
        at = min(ahead)
        then = case_of(case.engine, case.request, replace(case.known, at=at))
        found = _everywhere(then, explore=0.0)
        best = _best(then, found)
        if best.picks:
            (here,) = [one for one in tried if one.channel == best.channel]
            return replace(here, again=(at,))
        ahead = {end for end in ahead | _ends(found, after=at) if end > at}
    return replace(tried[0], again=())


def _ends(tried: Sequence[Made], *, after: float) -> set[float]:
    """When what stops offers ends: whole seconds, since that is how a date is told."""
    ends = [end for one in tried for end in one.again]
    return {float(ceil(end)) for end in ends if after < end < _LAST}


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
