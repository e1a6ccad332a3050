"""What only shows when catalogue, policy, rate card and products are read together."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from oferta.catalogue.families import CREDIT, FAMILIES, Family
from oferta.catalogue.offers import Offer, OfferCatalogue
from oferta.decisions.compiled import CompiledOffer
from oferta.policy.file import Cap, Policy
from oferta.privacy.names import attributes_in
from oferta.rules.language import Expression
from oferta.terms.card import RateCards
from oferta.terms.offered import problems as unpriced

KINDS: Final[Mapping[Family, frozenset[str]]] = {
    "loan": frozenset(
        {"equal_instalment", "equal_principal", "balloon", "residual_value", "promotional"}
    ),
    "lease": frozenset({"lease", "price"}),
    "insurance": frozenset({"insurance", "price"}),
    "service": frozenset({"price"}),
    "trade_in": frozenset({"price"}),
    "servicing": frozenset(
        {
            "re_term",
            "payment_plan",
            "payment_holiday",
            "equal_instalment",
            "equal_principal",
            "balloon",
        }
    ),
    "car": frozenset({"price"}),
}
"""Which kinds of terms make sense in a family."""

_PREFIXES: Final = ("attr_", "context_")


def named(what: str, name: str, known: Iterable[str]) -> str:
    """That there is no such name, with the nearest one that there is."""
    near = get_close_matches(name, list(known), n=1)
    return f"unknown {what} '{name}'" + (f"; did you mean '{near[0]}'?" if near else "")


def offer_problems(
    catalogue: OfferCatalogue, policy: Policy, products: Collection[str] | None
) -> Iterator[str]:
    """What is wrong with offers and placements, beyond what their files show."""
    for placement in catalogue.placements:
        if placement.channel not in policy.channels:
            yield f"placement '{placement.id}': the policy has no channel '{placement.channel}'"
    for offer in catalogue.offers:
        yield from _products_of(offer, products)
        yield from _placements_of(offer, catalogue)
        place = f"offer '{offer.id}'"
        for channel in offer.channels:
            if channel not in policy.channels:
                yield f"{place}: {named('channel', channel, policy.channels)} of the policy"
        if offer.terms.kind not in KINDS[offer.family]:
            kinds = ", ".join(sorted(KINDS[offer.family]))
            yield (
                f"{place}: terms of kind {offer.terms.kind} are none of family {offer.family} "
                f"({kinds})"
            )


def _products_of(offer: Offer, products: Collection[str] | None) -> Iterator[str]:
    place = f"offer '{offer.id}'"
    for product in offer.products:
        if products is not None and product not in products:
            yield f"{place}: {named('product', product, products)}"
    if len(set(offer.products)) < len(offer.products):
        yield f"{place}: a product is in it twice"


def _placements_of(offer: Offer, catalogue: OfferCatalogue) -> Iterator[str]:
    place = f"offer '{offer.id}'"
    for name in offer.placements:
        placement = catalogue.placement.get(name)
        if placement is None:
            yield f"{place}: {named('placement', name, catalogue.placement)}"
        elif placement.channel not in offer.channels:
            yield (
                f"{place}: placement '{name}' is on channel {placement.channel}, "
                "which is none of the offer's"
            )
        elif placement.families and offer.family not in placement.families:
            yield f"{place}: placement '{name}' takes no offers of family {offer.family}"


def card_problems(catalogue: OfferCatalogue, policy: Policy, cards: RateCards) -> Iterator[str]:
    """Which approved offers the rate card can not price."""
    if cards.currency != policy.currency:
        yield f"the rate card is in {cards.currency}, the policy in {policy.currency}"
    for offer in catalogue.offers:
        if offer.status == "approved":
            for problem in unpriced(offer.terms, product=offer.products[0], cards=cards):
                yield f"offer '{offer.id}': {problem}"


def policy_problems(catalogue: OfferCatalogue, policy: Policy) -> Iterator[str]:
    """What is wrong with the policy, beyond what its file shows."""
    names = [cap.name for cap in policy.caps]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"caps: there are two called '{name}'"
    for cap in policy.caps:
        yield from _cap(cap, catalogue, policy)
    for channel, rules in policy.channels.items():
        if rules.quiet is not None and rules.quiet.start == rules.quiet.end:
            yield f"channels.{channel}.quiet: start and end are the same"
    targets = [
        *((f"weight '{weight.name}'", weight.offers) for weight in policy.weights),
        *((f"levers[{number}]", lever.offers) for number, lever in enumerate(policy.levers)),
        *((f"trigger '{trigger.name}'", trigger.offers) for trigger in policy.triggers),
    ]
    for place, offers in targets:
        for offer in offers:
            if offer not in catalogue.offer:
                yield f"{place}: {named('offer', offer, catalogue.offer)}"
    for attribute, reason in policy.allow_protected.items():
        if not reason.strip():
            yield f"allow_protected.{attribute}: say why it may be used"


def _cap(cap: Cap, catalogue: OfferCatalogue, policy: Policy) -> Iterator[str]:
    known: Mapping[str, Collection[str]] = {
        "all": (),
        "offer": catalogue.offer,
        "product": {offer.products[0] for offer in catalogue.offers},
        "family": FAMILIES,
        "channel": policy.channels,
        "placement": catalogue.placement,
    }
    if cap.scope == "all" and cap.of:
        yield f"cap '{cap.name}': 'of' narrows a scope, and scope 'all' has nothing to narrow"
        return
    for name in cap.of:
        if name not in known[cap.scope]:
            yield f"cap '{cap.name}': {named(cap.scope, name, known[cap.scope])}"


def protected_problems(
    offers: Iterable[CompiledOffer],
    weights: Mapping[str, Expression],
    allowed: Mapping[str, str],
    *,
    values: Sequence[Expression],
) -> Iterator[str]:
    """Protected attributes that decide about credit without a stated reason.

    `values`: what `start` and `car_value` of the offers are positions in.
    """
    for compiled in offers:
        if compiled.offer.family not in CREDIT:
            continue
        mine = [
            *compiled.rules.eligibility,
            *compiled.rules.applicability,
            *compiled.rules.suitability,
            compiled.margin_expression,
            *(weights[weight.name] for weight in compiled.weights),
            *(values[at] for at in (compiled.start, compiled.car_value) if at is not None),
        ]
        seen: set[str] = set()
        for expression in mine:
            for column in sorted(expression.columns - seen):
                seen.add(column)
                yield from _protected(compiled.offer.id, column, allowed)


def _protected(offer: str, column: str, allowed: Mapping[str, str]) -> Iterator[str]:
    name = column
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    if column in allowed or name in allowed:
        return
    for attribute, word in attributes_in(name):
        yield (
            f"offer '{offer}': credit may not depend on '{column}': {attribute} (its name says "
            f"'{word}'); leave it out, or give the legal reason in allow_protected"
        )
