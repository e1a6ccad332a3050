"""Whether a card can price what an offer states: asked when files are loaded, not per customer."""

from collections.abc import Iterable, Iterator
from typing import Final

from oferta.catalogue.ranges import (
    CreditTerms,
    InsuranceTerms,
    LeaseTerms,
    PriceTerms,
    ServicingTerms,
    TermsRange,
)
from oferta.terms.card import Card, RateCards
from oferta.terms.cents import cents
from oferta.terms.tariff import CreditTariff, InsuranceTariff, LeaseTariff, PriceTariff, Tariff

_TABLES: Final[dict[type[Tariff], str]] = {
    CreditTariff: "credit",
    LeaseTariff: "lease",
    InsuranceTariff: "insurance",
    PriceTariff: "price",
}


def problems(ranges: TermsRange, *, product: str, cards: RateCards) -> list[str]:
    """Why an offer of `product` with these ranges could never be made, by the newest card.

    A product without a price; one that is priced by another kind of table; terms, allowances or an
    excess that have no cell for any tier; a required cover that is no insurance of the card.
    """
    card = cards.cards[-1]
    tariff = card.tariffs.get(product)
    if tariff is None:
        return [f"product '{product}' has no price on the rate card {card.version}"]
    wanted = _wanted_table(ranges)
    if type(tariff) is not wanted:
        found, needed = _TABLES[type(tariff)], _TABLES[wanted]
        return [f"product '{product}' is priced by a {found} table, {ranges.kind} needs a {needed}"]
    return [
        f"product '{product}': {problem}, on the rate card {card.version}"
        for problem in _holes(ranges, tariff, card)
    ]


def _wanted_table(ranges: TermsRange) -> type[Tariff]:
    match ranges:
        case LeaseTerms():
            return LeaseTariff
        case InsuranceTerms():
            return InsuranceTariff
        case PriceTerms():
            return PriceTariff
        case _:
            return CreditTariff


def _holes(ranges: TermsRange, tariff: Tariff, card: Card) -> Iterator[str]:
    match ranges, tariff:
        case InsuranceTerms(), InsuranceTariff():
            for excess in ranges.excess:
                if tariff.premium(tariff.most, round(excess * 100), None) is None:
                    yield f"no premium for an excess of {excess:g}"
        case PriceTerms(), PriceTariff() if tariff.price(ranges.months) is None:
            yield f"no price for {ranges.months} months"
        case LeaseTerms(), LeaseTariff():
            yield from _terms(ranges.months, tariff)
            for allowance in ranges.mileage_km_year:
                if allowance not in tariff.mileage_fee:
                    yield f"no fee for {allowance} km a year"
        case CreditTerms(), CreditTariff():
            yield from _terms(ranges.months, tariff)
            yield from _amounts(ranges, tariff)
            yield from _cover(ranges, card)
        case ServicingTerms(), CreditTariff():
            yield from _terms(ranges.months, tariff)
        case _:
            return


def _terms(sold: Iterable[int], tariff: CreditTariff) -> Iterator[str]:
    for months in sold:
        if not any(low <= months <= high for table in tariff.tables for low, high in table.months):
            yield f"no rate for {months} months"


def _amounts(ranges: CreditTerms, tariff: CreditTariff) -> Iterator[str]:
    least = min(cents(table.amount[0][0]) for table in tariff.tables)
    most = max(cents(table.amount[-1][1]) for table in tariff.tables)
    if round(ranges.amount.max * 100) < least or round(ranges.amount.min * 100) > most:
        yield f"no rate for amounts of {ranges.amount.min:g} to {ranges.amount.max:g}"


def _cover(ranges: CreditTerms, card: Card) -> Iterator[str]:
    cover = None if ranges.cover is None else ranges.cover.product
    if cover is not None and not isinstance(card.tariffs.get(cover), InsuranceTariff):
        yield f"the required cover '{cover}' is no insurance"
