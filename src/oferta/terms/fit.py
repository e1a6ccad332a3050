"""Terms fitted to what is wished and what can be afforded: the door of the terms room.

`quote` says what an offer asks for: cheap, for every offer that is compared. `complete` adds totals
and the annual rate: for the few that are made. `fit` is both. None of them sees a customer: the
price follows from the card, and wish and means move the rest within the offer's ranges.
"""

from datetime import date

from oferta.catalogue.ranges import (
    CreditTerms,
    InsuranceTerms,
    LeaseTerms,
    PriceTerms,
    ServicingTerms,
    TermsRange,
)
from oferta.terms.card import RateCards, Sale
from oferta.terms.complete import complete
from oferta.terms.credit import fit_credit
from oferta.terms.lease import fit_lease
from oferta.terms.premium import fit_insurance, fit_price
from oferta.terms.quote import Quote, Terms, Unfit
from oferta.terms.servicing import fit_servicing
from oferta.terms.tariff import CreditTariff, InsuranceTariff, LeaseTariff, PriceTariff
from oferta.terms.wanted import Means, Wanted


def fit(
    ranges: TermsRange,
    *,
    product: str,
    cards: RateCards,
    currency: str,
    on: date,
    wanted: Wanted,
    means: Means,
) -> Terms | Unfit:
    """The terms of an offer of `product` on the day `on`, or why there are none."""
    found = quote(
        ranges, product=product, cards=cards, currency=currency, on=on, wanted=wanted, means=means
    )
    return found if isinstance(found, Unfit) else complete(found)


def quote(
    ranges: TermsRange,
    *,
    product: str,
    cards: RateCards,
    currency: str,
    on: date,
    wanted: Wanted,
    means: Means,
) -> Quote | Unfit:
    """As `fit`, without totals and annual rate: some 15 us for a loan as wished, 60 us fitted.

    `complete` of it gives the same terms as `fit`.
    """
    card = cards.valid(on)
    tariff = None if card is None else card.tariffs.get(product)
    if card is None or tariff is None:
        return Unfit("card.none", (("product", product), ("on", on.isoformat())))
    sale = Sale(product, card, currency, on)
    found: Quote | Unfit
    match ranges, tariff:
        case CreditTerms(), CreditTariff() if not isinstance(tariff, LeaseTariff):
            found = fit_credit(ranges, tariff, sale=sale, wanted=wanted, means=means)
        case LeaseTerms(), LeaseTariff():
            found = fit_lease(ranges, tariff, sale=sale, wanted=wanted, means=means)
        case InsuranceTerms(), InsuranceTariff():
            found = fit_insurance(ranges, tariff, sale=sale, wanted=wanted, means=means)
        case PriceTerms(), PriceTariff():
            found = fit_price(ranges, tariff, sale=sale, wanted=wanted)
        case ServicingTerms(), CreditTariff() if not isinstance(tariff, LeaseTariff):
            found = fit_servicing(ranges, tariff, sale=sale, wanted=wanted, means=means)
        case _:
            found = Unfit("kind.unsupported", (("product", product), ("kind", ranges.kind)))
    return found
