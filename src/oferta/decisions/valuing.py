"""Terms and expected values of the offers that may be made: for a customer, or for anybody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oferta.catalogue.families import Family
from oferta.decisions.arbitration import accept
from oferta.decisions.case import Case
from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.decision import Rejection
from oferta.decisions.identity import tie
from oferta.decisions.offered import Valued
from oferta.decisions.pricing import Pricer
from oferta.decisions.request import FactValue
from oferta.terms.quote import Unfit


@dataclass(frozen=True, slots=True)
class Inputs:
    """What terms and values on one channel are computed from.

    Attributes:
        values: of the engine's program, after its conditions.
        failed: a bit for every condition that is not true.
        tier: the customer's declared risk tier.
    """

    pricer: Pricer
    values: Sequence[FactValue]
    failed: int
    tier: FactValue


def valued_for(
    case: Case, offers: Sequence[CompiledOffer], inputs: Inputs
) -> tuple[list[Valued], list[Rejection]]:
    """Offers for a customer, the best first, and those whose terms or value do not do.

    In arrears an offer need not be worth anything to the seller.
    """
    found: list[Valued] = []
    rejected: list[Rejection] = []
    pricer, values, failed = inputs.pricer, inputs.values, inputs.failed
    servicing_only = case.view.servicing_only
    risks = risks_of(case, inputs)
    for compiled in offers:
        priced = pricer.priced(compiled, values, wish=pricer.wish_for(compiled))
        if isinstance(priced, Unfit):
            rejected.append(_unfit(compiled, priced))
            continue
        quote, worth, amount = priced
        if worth is None:
            if not servicing_only:
                rejected.append(compiled.dropped["margin.unknown"])
                continue
            worth = 0.0
        offer = compiled.offer
        chance, source = accept(offer.products[0], case.known, personal=True)
        passes, rate = risks[offer.family]
        loss = rate * amount
        context = _context(compiled, failed)
        value = chance * passes * (worth - loss) * context * compiled.lever
        if value <= 0.0 and not servicing_only:
            rejected.append(compiled.dropped["value.negative"])
            continue
        found.append(Valued(value, compiled, quote, chance, source, passes, worth, loss, context))
    return _ranked(found, case.seed), rejected


def valued_for_anyone(case: Case, offers: Sequence[CompiledOffer], inputs: Inputs) -> list[Valued]:
    """Offers for nobody in particular, the best first: ranked by base rate, credit without terms.

    What a sale is worth hangs on terms, and terms on a person: margin, approval and loss are left
    neutral.
    """
    found = []
    for compiled in offers:
        chance, source = accept(compiled.offer.products[0], case.known, personal=False)
        quote = None
        if not compiled.credit:
            priced = inputs.pricer.priced(compiled, inputs.values, wish=None)
            quote = None if isinstance(priced, Unfit) else priced.quote
        context = _context(compiled, inputs.failed)
        value = chance * 1.0 * (1.0 - 0.0) * context * compiled.lever
        found.append(Valued(value, compiled, quote, chance, source, 1.0, 1.0, 0.0, context))
    return _ranked(found, case.seed)


def risks_of(case: Case, inputs: Inputs) -> Mapping[Family, tuple[float, float]]:
    """By family: P(approved), and the expected loss as a share of the amount."""
    risks = case.engine.risks
    return risks.get(inputs.tier if isinstance(inputs.tier, str) else None, risks[None])


def _unfit(compiled: CompiledOffer, why: Unfit) -> Rejection:
    """The rejection of an offer whose terms can not be made."""
    detail = ", ".join([f"{name}={value}" for name, value in why.facts])
    return Rejection(compiled.offer.id, "terms", why.code, detail)


def _context(compiled: CompiledOffer, failed: int) -> float:
    """The product of the context weights that hold."""
    context = 1.0
    if compiled.weighs & ~failed:
        for bit, _, factor in compiled.weights:
            if not failed >> bit & 1:
                context *= factor
    return context


def _ranked(found: list[Valued], seed: int) -> list[Valued]:
    """The best first; among equals the seed decides, not the alphabet."""
    found.sort(key=_worth)
    values = [one.value for one in found]
    if len(set(values)) < len(values):
        found.sort(key=lambda one: (-one.value, tie(one.compiled.offer.id, seed)))
    return found


def _worth(valued: Valued) -> float:
    return -valued.value
