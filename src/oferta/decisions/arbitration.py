"""What an offer is worth: factors with a meaning each, whose product is the expected value.

    value = accept * approved * (margin - expected_loss) * context * lever

Ranking by P(accept) alone would favour the weakest borrowers: they are the keenest. Source of the
form: next-best-action practice (propensity x value x context weight x lever), with credit's own two
factors, approval and loss, taken out of "value" and named.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Final, Literal

from oferta.catalogue.families import CREDIT, Family
from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.decision import Parts
from oferta.decisions.request import FactValue, Known
from oferta.policy.file import Risk
from oferta.terms.quote import Quote

UNKNOWN_RATE: Final = 0.01
"""P(accept) of a product of which nothing is known, where nothing is known of any other either."""

AcceptFrom = Literal["calibrated", "base_rate", "non_personalised"]


def accept(product: str, known: Known, *, personal: bool) -> tuple[float, AcceptFrom]:
    """P(accept) of a product and where it comes from.

    The calibrated probability of the customer, else the base rate; of a product that nobody has
    taken yet, the mean of all base rates: who is new gets a chance.
    """
    if personal:
        scored = known.customer.propensities.get(product)
        if scored is not None and scored.probability is not None:
            return scored.probability, "calibrated"
    rate = known.popular.get(product)
    if not rate:
        rates = [one for one in known.popular.values() if one > 0.0]
        rate = sum(rates) / len(rates) if rates else UNKNOWN_RATE
    return rate, "base_rate" if personal else "non_personalised"


def approved(family: Family, tier: str | None, risk: Risk) -> float:
    """P(approved) of a family for a risk tier; 1 where no approval is needed.

    A tier that is not known is taken for the one that is approved least.
    """
    if tier is not None and tier in risk.tiers:
        return risk.tiers[tier].approved.get(family, 1.0)
    return min((one.approved.get(family, 1.0) for one in risk.tiers.values()), default=1.0)


def loss_rate(family: Family, tier: str | None, risk: Risk) -> float:
    """Expected loss as a share of the amount: default x loss given default; 0 but for credit.

    A tier that is not known is taken for the one that defaults most.
    """
    if family not in CREDIT:
        return 0.0
    given = risk.loss_given_default.get(family, 0.0)
    if tier is not None and tier in risk.tiers:
        return risk.tiers[tier].default * given
    return max((one.default for one in risk.tiers.values()), default=0.0) * given


def margin(compiled: CompiledOffer, row: dict[str, FactValue], quote: Quote | None) -> float | None:
    """Worth to the seller when sold, by the offer's formula; None: it needs what is not known.

    `amount`, `months` and `rate` (percent) are those of the terms; `price` is a yearly premium or
    the price of what is sold without credit. Writes them into `row`.
    """
    if quote is None:
        row["amount"] = row["months"] = row["rate"] = row["price"] = None
    else:
        row["amount"] = float(quote.amount)
        row["months"] = float(quote.months)
        row["rate"] = float(quote.rate)
        row["price"] = float(quote.price)
    value = compiled.margin(row)[0]
    return value if isinstance(value, float) and isfinite(value) else None


def neutral(parts: Mapping[str, float]) -> tuple[str, ...]:
    """The factors that are neutral: 1, or a loss of 0."""
    return tuple(
        name for name, value in parts.items() if value == (0.0 if name == "expected_loss" else 1.0)
    )


def multiplied(parts: Parts) -> float:
    """The product of the parts, in the order in which values are computed: exactly the value."""
    gain = parts.margin - parts.expected_loss
    return parts.accept * parts.approved * gain * parts.context * parts.lever
