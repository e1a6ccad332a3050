"""What no decision may ever break, checked by brute force.

Written against the definitions, not against the engine: it shares no code with what decides, counts
caps contact by contact, and takes the rules' truth from the functions that `offer_worlds` made with
their texts.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from offer_worlds import Facts, Seller

from oferta.decisions.decision import Decision, OfferMade
from oferta.decisions.request import Known, Request
from oferta.policy.contact import Contact
from oferta.policy.file import Cap, Policy
from oferta.profile.facts import FACTS
from oferta.terms.quote import CardInputs, Terms

CREDIT = {"loan", "lease", "servicing"}
STAGES = (
    "candidates",
    "status",
    "placement",
    "eligibility",
    "consent",
    "contact",
    "terms",
    "value",
    "diversity",
    "room",
)


def broken(sold: Seller, request: Request, known: Known, decision: Decision) -> list[str]:
    """Every law that the decision breaks; empty: none."""
    facts = known.customer.facts
    return [
        *_outcome(decision),
        *_funnel(sold, request, decision),
        *_person(sold.engine.policy, request, known, decision),
        *(
            problem
            for made in decision.offers
            for problem in (
                *_offer(sold, request, known, decision, made),
                *_terms(sold, facts, known, made),
                *_value(decision, made),
            )
        ),
        *_slots(sold, request, decision),
        *_caps(sold, known, decision),
        *_state(sold, known, decision),
    ]


def _outcome(decision: Decision) -> Iterator[str]:
    if (decision.outcome == "offers") != bool(decision.offers):
        yield f"outcome {decision.outcome} with {len(decision.offers)} offers"
    if not decision.offers and not decision.why:
        yield "no offer, and nothing says why"
    if (decision.outcome == "later") != (decision.later_on is not None):
        yield "later without a date, or a date without later"
    if decision.later_on is not None and decision.later_on <= decision.at:
        yield "later is not in the future"


def _funnel(sold: Seller, request: Request, decision: Decision) -> Iterator[str]:
    asked = request.offers or tuple(sold.engine.by_id)
    told = [rejection.offer for rejection in decision.rejected]
    made = [offer.offer for offer in decision.offers]
    if sorted([*told, *made]) != sorted(asked):
        yield "not every offer asked about is either made or rejected, once"
    stages = [rejection.stage for rejection in decision.rejected]
    left = len(asked)
    for stage, count in decision.funnel:
        left -= stages.count(stage)
        if count != left:
            yield f"funnel: {count} left after {stage}, {left} by the rejections"
    if tuple(stage for stage, _ in decision.funnel) != STAGES or left != len(made):
        yield "the funnel does not end in what was made"


def _person(policy: Policy, request: Request, known: Known, decision: Decision) -> Iterator[str]:
    facts = known.customer.facts
    said = facts.get("consent_personalisation")
    agreed = said is True or (
        said is None and policy.personalisation.without_consent == "personalised"
    )
    owed = _arrears(known) and not (agreed and request.personalise)
    if decision.personalised and not (agreed and request.personalise) and not owed:
        yield "personalised without consent"
    sent = {one.channel for one in decision.contacts if _outbound(policy, one)}
    if owed and sent:
        yield "written to about arrears without consent"
    if facts.get("vulnerable") is True and decision.offers:
        yield "promoted to somebody vulnerable"
    if _arrears(known) and any(made.family != "servicing" for made in decision.offers):
        yield "something else than servicing to somebody in arrears"
    if decision.control and decision.personalised and decision.offers:
        yield "a personalised offer to the control group"


def _outbound(policy: Policy, contact: Contact) -> bool:
    return policy.channels[contact.channel].direction == "outbound"


def _arrears(known: Known) -> bool:
    told = known.state.arrears_at
    return known.customer.facts.get("in_arrears") is True or (
        told is not None and told > known.release_at
    )


def _remembered(policy: Policy, known: Known, decision: Decision) -> bool:
    """Whether the customer's contacts count: who agreed, the control group included.

    Not where help in arrears is owed to somebody who wants nothing personal, now or ever.
    """
    said = known.customer.facts.get("consent_personalisation")
    open_to_all = policy.personalisation.without_consent == "personalised"
    agreed = said is True or (said is None and open_to_all)
    return decision.control or (decision.personalised and not decision.owed and agreed)


def _seen(known: Known, decision: Decision) -> Facts:
    """The facts that the decision may hang on; help in arrears without consent: on the contract."""
    if not decision.personalised:
        return {}
    if not decision.owed:
        return known.customer.facts
    return {
        name: value
        for name, value in known.customer.facts.items()
        if name == "risk_tier" or (name in FACTS and FACTS[name].origin in {"contract", "consent"})
    }


def _offer(
    sold: Seller, request: Request, known: Known, decision: Decision, made: OfferMade
) -> Iterator[str]:
    offer = sold.engine.catalogue.offer[made.offer]
    policy = sold.engine.policy
    place = sold.engine.catalogue.placement[made.placement]
    zone = ZoneInfo(policy.time_zone)
    now = datetime.fromtimestamp(known.at, zone)
    facts = _seen(known, decision)
    row: Facts = {
        **facts,
        **{f"context_{name}": request.context.get(name) for name in _context(sold, request, made)},
        "channel": made.channel,
        "today": float((now.date() - date(1970, 1, 1)).days),
    }
    if offer.status != "approved":
        yield f"{offer.id} is {offer.status}"
    if (offer.starts and now < offer.starts) or (offer.ends and now >= offer.ends):
        yield f"{offer.id} is not in its dates"
    if made.channel not in offer.channels or place.channel != made.channel:
        yield f"{offer.id} on a channel that is not its own"
    if request.channel not in ("any", made.channel):
        yield f"{offer.id} on a channel that nobody asked for"
    if request.placements and made.placement not in request.placements:
        yield f"{offer.id} in a placement that nobody asked for"
    if place.families and offer.family not in place.families:
        yield f"{offer.id} in a placement that does not take its family"
    if offer.placements and made.placement not in offer.placements:
        yield f"{offer.id} in a placement that it does not take"
    yield from _rules(sold, request, made, row)
    yield from _contact(sold, known, decision, made, now)


def _rules(sold: Seller, request: Request, made: OfferMade, row: Facts) -> Iterator[str]:
    offer = sold.engine.catalogue.offer[made.offer]
    if not all(holds(row) for holds in sold.holds[offer.id]):
        yield f"{offer.id} breaks a rule"
    if request.filter == "family <> 'lease'" and offer.family == "lease":
        yield f"{offer.id} does not pass the filter"
    if request.filter == "COALESCE(income, 0) > 900":
        income = row.get("income")
        if not (isinstance(income, float) and income > 900):
            yield f"{offer.id} does not pass the filter"
    wished = None if request.wish is None else request.wish.product
    if wished is not None and wished != offer.family and wished not in offer.products:
        yield f"{offer.id} is not what was wished for"


def _context(sold: Seller, request: Request, made: OfferMade) -> set[str]:
    asked = request.placements or tuple(sold.engine.catalogue.placement)
    placements = [sold.engine.catalogue.placement[name] for name in asked]
    if request.channel != "any":
        placements = [place for place in placements if place.channel == made.channel]
    return {name for place in placements for name in place.context}


def _contact(
    sold: Seller, known: Known, decision: Decision, made: OfferMade, now: datetime
) -> Iterator[str]:
    policy = sold.engine.policy
    facts = known.customer.facts
    channel = policy.channels[made.channel]  # type: ignore[index]  # one of the policy's
    if channel.direction == "outbound" and facts.get("consent_marketing") is not True:
        yield f"{made.offer}: written to without consent to marketing"
    if channel.consent is not None and facts.get(f"consent_{channel.consent}") is not True:
        yield f"{made.offer}: without consent to {channel.consent}"
    if channel.quiet is not None:
        clock, start, end = now.time(), channel.quiet.start, channel.quiet.end
        night = start > end
        if (clock >= start or clock < end) if night else (start <= clock < end):
            yield f"{made.offer}: in quiet hours"
    if not _remembered(policy, known, decision):
        return
    for silence in known.state.silences:
        about = {
            "offer": silence.offer == made.offer,
            "product": silence.product in made.products,
            "family": silence.family == made.family,
        }[policy.cool_down.scope]
        if about and silence.until > known.at:
            yield f"{made.offer}: within the cool-down after a {silence.answer}"


def _terms(sold: Seller, facts: Facts, known: Known, made: OfferMade) -> Iterator[str]:
    """Affordability and the price firewall: what is charged is what the card says, no more."""
    terms = made.terms
    policy = sold.engine.policy
    if terms is None or made.family not in CREDIT:
        return
    yield from _afforded(policy, facts, known, made, terms)
    tier = facts.get("risk_tier")
    day = datetime.fromtimestamp(known.at, ZoneInfo(policy.time_zone)).date()
    price = sold.engine.cards.price(
        CardInputs(
            product=terms.product,
            tier=str(tier),
            amount=terms.amount,
            months=terms.months,
            on=day,
            loan_to_value=Decimal(1),
            condition=None,
            mileage_km_year=terms.mileage_km_year,
        )
    )
    if price is None or price.rate != terms.rate:
        yield f"{made.offer}: a rate of {terms.rate} is not the card's"
    value = facts.get("market_value")
    if terms.kind == "equal_principal" and not isinstance(value, float):
        yield f"{made.offer}: lends on a car of unknown value"
    if terms.kind == "equal_principal" and isinstance(value, float):
        most_lent = Decimal("0.8") * Decimal(str(value)) + Decimal("0.01")
        if terms.amount > most_lent:
            yield f"{made.offer}: lends more than the car allows"


def _afforded(
    policy: Policy, facts: Facts, known: Known, made: OfferMade, terms: Terms
) -> Iterator[str]:
    if made.family == "servicing" and _arrears(known):
        return  # then it is made although nothing carries it
    income, spending, other = (
        Decimal(str(facts.get(name) or 0)) for name in ("income", "spending", "instalments")
    )
    if terms.kind in {"re_term", "payment_holiday"}:
        other = max(other - Decimal(str(facts.get("contract_instalment") or other)), Decimal(0))
    if facts.get("income") is None:
        if policy.affordability.unknown_income == "refuse":
            yield f"{made.offer}: credit though no income is known"
    else:
        most = Decimal(str(policy.affordability.share)) * (income - spending) - other
        if terms.instalment > max(most, Decimal(0)) and not terms.guarantor:
            yield f"{made.offer}: {terms.instalment} a month, {most} can be afforded"


def _value(decision: Decision, made: OfferMade) -> Iterator[str]:
    parts = made.parts
    value = (
        parts.accept
        * parts.approved
        * (parts.margin - parts.expected_loss)
        * parts.context
        * parts.lever
    )
    if value != parts.value:
        yield f"{made.offer}: parts give {value}, not {parts.value}"
    if value <= 0 and made.family != "servicing" and decision.personalised:
        yield f"{made.offer}: made at a value of {value}"
    product = 1.0
    for _, factor in parts.weights:
        product *= factor
    if product != parts.context:
        yield f"{made.offer}: weights give {product}, not {parts.context}"
    if not 0 < made.probability <= 1:
        yield f"{made.offer}: selected with probability {made.probability}"


def _slots(sold: Seller, request: Request, decision: Decision) -> Iterator[str]:
    made = decision.offers
    if len({offer.offer for offer in made}) < len(made):
        yield "an offer twice"
    products = Counter(product for offer in made for product in offer.products)
    if products and max(products.values()) > 1:
        yield "a product twice"
    if request.n is not None and len(made) > request.n:
        yield f"{len(made)} offers, {request.n} asked for"
    for name, count in Counter(offer.placement for offer in made).items():
        if count > sold.engine.catalogue.placement[name].size:
            yield f"{count} offers in '{name}'"
    most = sold.engine.policy.diversity.per_family
    families = Counter(offer.family for offer in made)
    if most is not None and families and max(families.values()) > most:
        yield "too many offers of one family"
    if len({offer.channel for offer in made}) > 1:
        yield "one answer on two channels"
    if [offer.rank for offer in made] != list(range(1, len(made) + 1)):
        yield "ranks are not 1, 2, 3..."


def _counts(cap: Cap, contact: Contact, at: float) -> bool:
    """Whether a contact takes a place of a cap, by the cap's definition."""
    start = at - cap.period.total_seconds()
    if cap.event == "decision":
        lasting = contact.shown_at is not None or contact.held_until > at
        return lasting and start < contact.made_at <= at
    told = {
        "impression": contact.shown_at,
        "click": contact.clicked_at,
        "accept": contact.accepted_at,
    }[cap.event]
    return contact.held_until > at if told is None else told > start


def _under(cap: Cap, contact: Contact) -> str | None:
    name = "all" if cap.scope == "all" else str(getattr(contact, cap.scope))
    return name if not cap.of or name in cap.of else None


def _places(cap: Cap, contacts: list[Contact], name: str, at: float) -> int:
    mine = [one for one in contacts if _under(cap, one) == name and _counts(cap, one, at)]
    if cap.event == "decision":
        return len({one.decision for one in mine})
    return len(mine)


def _caps(sold: Seller, known: Known, decision: Decision) -> Iterator[str]:
    for cap in sold.engine.policy.caps:
        for contact in decision.contacts:
            name = _under(cap, contact)
            if name is None:
                continue
            if cap.per == "total":
                taken = known.totals.get(f"{cap.name}/{name}", 0)
                taken += _places(cap, list(decision.contacts), name, decision.at)
            elif (
                _remembered(sold.engine.policy, known, decision)
                or sold.engine.policy.channels[contact.channel].direction == "outbound"
            ):
                everything = [*known.state.contacts, *decision.contacts]
                taken = _places(cap, everything, name, decision.at)
            else:
                continue
            if taken > cap.limit:
                yield f"cap {cap.name}/{name}: {taken} of {cap.limit}"


def _state(sold: Seller, known: Known, decision: Decision) -> Iterator[str]:
    if [contact.offer for contact in decision.contacts] != [
        offer.offer for offer in decision.offers
    ]:
        yield "reservations are not those of the offers"
    outbound = bool(decision.offers) and (
        sold.engine.policy.channels[decision.contacts[0].channel].direction == "outbound"
    )
    kept = _remembered(sold.engine.policy, known, decision)
    if decision.contacts and (kept or outbound):
        if decision.state.version != known.state.version + 1:
            yield "the state's version did not grow by one"
        if decision.state.contacts[-len(decision.contacts) :] != decision.contacts:
            yield "the reservations are not in the state"
    elif decision.state != known.state:
        yield "the state changed though nothing was reserved"
    expected = Counter[str]()
    for cap in sold.engine.policy.caps:
        if cap.per == "total":
            names = [name for one in decision.contacts if (name := _under(cap, one)) is not None]
            for name in set(names) if cap.event == "decision" else names:
                expected[f"{cap.name}/{name}"] += 1
    if Counter(decision.taken) != expected:
        yield "the counters to raise are not those of the total caps"
