"""Insurances and prices fitted to a budget: nothing is lent, so nothing must be afforded first."""

from typing import Final

from oferta.catalogue.ranges import InsuranceTerms, PriceTerms
from oferta.terms.affordability import premium_limit
from oferta.terms.card import Sale
from oferta.terms.cents import amount, cents, percentage
from oferta.terms.instalment import equal_share
from oferta.terms.quote import NOTHING, Change, Quote, Unfit
from oferta.terms.tariff import InsuranceTariff, PriceTariff
from oferta.terms.wanted import Means, Wanted

_YEAR: Final = 12


def fit_insurance(
    ranges: InsuranceTerms,
    tariff: InsuranceTariff,
    *,
    sale: Sale,
    wanted: Wanted,
    means: Means,
) -> Quote | Unfit:
    """A quote within `ranges`, or why there is none.

    The wished excess becomes the nearest one on offer, the lower where two are as near. Where the
    premium a month is above the budget, the excess grows by as little as is needed.
    """
    if wanted.start_amount is None:
        return Unfit("amount.unknown")
    insured = cents(wanted.start_amount)
    premiums = [
        (cents_of_excess, premium)
        for cents_of_excess in sorted(round(excess * 100) for excess in ranges.excess)
        if (premium := tariff.premium(insured, cents_of_excess, means.condition)) is not None
    ]
    if not premiums:
        return Unfit("card.none", (("product", sale.product), ("insured", str(amount(insured)))))
    wished = round(ranges.start_excess * 100) if wanted.excess is None else cents(wanted.excess)
    nearest = min(range(len(premiums)), key=lambda at: abs(premiums[at][0] - wished))
    limit = premium_limit(wanted)
    monthly_fees = tariff.charges.monthly(insured)
    dues = [
        equal_share(equal_share(premium * ranges.months, _YEAR), ranges.months) + monthly_fees
        for _, premium in premiums
    ]
    for (excess, premium), due in list(zip(premiums, dues, strict=True))[nearest:]:
        if due <= limit.most:
            offered = amount(excess)
            return Quote(
                kind="insurance",
                product=sale.product,
                currency=sale.currency,
                start=sale.on,
                amount=amount(insured),
                deposit=NOTHING,
                months=ranges.months,
                rate=percentage(0),
                instalment=amount(due),
                final_payment=NOTHING,
                fees=tariff.charges.fees(insured),
                card=sale.card.version,
                price=amount(premium),
                excess=offered,
                changes=(
                    (Change("excess", wanted.excess, offered),)
                    if wanted.excess is not None and wanted.excess != offered
                    else ()
                ),
            )
    return limit.exceeded(min(dues))


def fit_price(
    ranges: PriceTerms,
    tariff: PriceTariff,
    *,
    sale: Sale,
    wanted: Wanted,
) -> Quote | Unfit:
    """A quote at the card's price, or why there is none: nothing of it gives way."""
    price = tariff.price(ranges.months)
    if price is None:
        return Unfit("card.none", (("product", sale.product), ("months", str(ranges.months))))
    due = 0
    if ranges.paid == "monthly":
        limit = premium_limit(wanted)
        due = equal_share(price, ranges.months) + tariff.charges.monthly(price)
        if due > limit.most:
            return limit.exceeded(due)
    return Quote(
        kind="price",
        product=sale.product,
        currency=sale.currency,
        start=sale.on,
        amount=amount(price),
        deposit=NOTHING,
        months=ranges.months,
        rate=percentage(0),
        instalment=amount(due),
        final_payment=NOTHING,
        fees=tariff.charges.fees(price),
        card=sale.card.version,
        price=amount(price),
    )
