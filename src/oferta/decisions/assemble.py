"""A decision put together: offers in words and terms, reservations, receipt, id."""

from collections.abc import Sequence
from typing import Final

from oferta.catalogue.texts import Text
from oferta.decisions.arbitration import neutral
from oferta.decisions.case import Case
from oferta.decisions.decision import (
    STAGES,
    Decision,
    OfferMade,
    Outcome,
    Parts,
    Rejection,
    Stage,
)
from oferta.decisions.explain import reasons_of
from oferta.decisions.identity import id_of
from oferta.decisions.made import Made
from oferta.decisions.offered import Pick, Valued
from oferta.decisions.whys import WHYS
from oferta.policy.caps import counter, counters_of
from oferta.policy.contact import Contact
from oferta.policy.state import reserve
from oferta.terms.complete import complete

_WHYS: Final = 3
_ORDER: Final = {stage: number for number, stage in enumerate(STAGES)}


def assemble(case: Case, made: Made) -> Decision:
    """The decision that these picks are, with everything that its receipt and its record need."""
    known, view = case.known, case.view
    offers = tuple(_offer(case, made, pick, rank) for rank, pick in enumerate(made.picks, 1))
    outcome: Outcome = "offers" if offers else "later" if made.again else "none"
    why = () if offers else _whys(made.rejected)
    answered = (
        outcome,
        [(offer.offer, offer.placement) for offer in offers],
        [code for code, _ in why],
        case.versions,
    )
    decision = id_of(
        case.request, state_version=known.state.version, seed=case.seed, answered=answered
    )
    contacts = tuple(_contact(case, made, pick, decision) for pick in made.picks)
    state = known.state
    if _remembered(case, made):
        state = reserve(state, contacts, at=known.at, policy=case.engine.policy)
    return Decision(
        id=decision,
        outcome=outcome,
        offers=offers,
        why=why,
        later_on=min(made.again) if outcome == "later" else None,
        versions=case.versions,
        at=known.at,
        personalised=view.personal,
        control=view.control,
        funnel=_funnel(made.rejected, len(offers)),
        rejected=tuple(made.rejected),
        contacts=contacts,
        state=state,
        taken=_taken(case, contacts),
        caps=_caps(made),
        seed=case.seed,
        channel=made.channel,
        release_at=known.release_at,
        owed=view.owed,
    )


def _remembered(case: Case, made: Made) -> bool:
    """Whether the contacts enter the customer's state: not those that may not depend on it."""
    direction = case.engine.policy.channels[made.channel].direction
    return case.view.remembered or direction == "outbound"


def _offer(case: Case, made: Made, pick: Pick, rank: int) -> OfferMade:
    valued = pick.valued
    offer = valued.compiled.offer
    return OfferMade(
        rank=rank,
        offer=offer.id,
        products=offer.products,
        family=offer.family,
        channel=made.channel,
        placement=pick.placement.id,
        name=offer.texts.name,
        summary=offer.texts.summary,
        terms=None if valued.quote is None else complete(valued.quote),
        parts=_parts(case, made, valued),
        reasons=reasons_of(case, made, pick),
        selection=pick.selection,
        probability=pick.probability,
        provider=offer.provider,
        fulfilment=offer.fulfilment,
        incentive=offer.incentive,
    )


def _parts(case: Case, made: Made, valued: Valued) -> Parts:
    compiled = valued.compiled
    factors = {
        "approved": valued.approved,
        "expected_loss": valued.loss,
        "context": valued.context,
        "lever": compiled.lever,
    }
    if not case.view.personal:
        factors["margin"] = valued.margin
    return Parts(
        accept=valued.accept,
        approved=valued.approved,
        margin=valued.margin,
        expected_loss=valued.loss,
        context=valued.context,
        lever=compiled.lever,
        value=valued.value,
        weights=tuple(
            (weight.name, weight.factor)
            for weight in compiled.weights
            if not made.inputs.failed >> weight.bit & 1
        ),
        neutral=neutral(factors),
        accept_from=valued.accept_from,
        levers=compiled.levers,
    )


def _contact(case: Case, made: Made, pick: Pick, decision: str) -> Contact:
    offer = pick.valued.compiled.offer
    at = case.known.at
    hold = case.engine.policy.channels[made.channel].holds
    return Contact(
        decision=decision,
        offer=offer.id,
        product=offer.products[0],
        family=offer.family,
        channel=made.channel,
        placement=pick.placement.id,
        made_at=at,
        held_until=at + hold.total_seconds(),
    )


def _taken(case: Case, contacts: Sequence[Contact]) -> tuple[str, ...]:
    """Counters of total caps; a decision counts once in a cap on decisions."""
    taken: list[str] = []
    for contact in contacts:
        for cap, name in counters_of(case.engine.total_caps, contact):
            if cap.event != "decision" or name not in taken:
                taken.append(name)
    return tuple(taken)


def _caps(made: Made) -> dict[str, tuple[int, int]]:
    """Every cap that an offer was stopped by or has taken a place of: used by now, limit."""
    seen = {counter(cap, key): (cap.limit, cap.limit) for cap, key in made.caps.full}
    for pick in made.picks:
        offer = pick.valued.compiled.offer
        seen.update(made.caps.looked_at(offer, made.channel, pick.placement.id))
    return seen


def _funnel(rejected: Sequence[Rejection], offers: int) -> tuple[tuple[Stage, int], ...]:
    """How many offers were left after each stage."""
    dropped = dict.fromkeys(STAGES, 0)
    for rejection in rejected:
        dropped[rejection.stage] += 1
    left = len(rejected) + offers
    funnel: list[tuple[Stage, int]] = []
    for stage in STAGES:
        left -= dropped[stage]
        funnel.append((stage, left))
    return tuple(funnel)


def _whys(rejected: Sequence[Rejection]) -> tuple[tuple[str, Text], ...]:
    """The codes of what came closest to being made, first; of one stage the most frequent first."""
    if not rejected:
        return (("catalogue.empty", WHYS["catalogue.empty"]),)
    counted: dict[str, tuple[int, int]] = {}
    for rejection in rejected:
        stage, times = counted.get(rejection.code, (_ORDER[rejection.stage], 0))
        counted[rejection.code] = (stage, times + 1)
    ordered = sorted(counted.items(), key=lambda one: (-one[1][0], -one[1][1], one[0]))
    return tuple((code, WHYS[code]) for code, _ in ordered[:_WHYS])
