"""One offer for many customers at once: `oferta.terms.fit.quote` in arrays, the same to the cent.

For whatever asks about the whole base: what-ifs, audiences, campaigns. It says what each customer
would be quoted, counter-offers and refusals included. It does not say what was changed, nor itemise
fees: `quote` does, for the few that are made.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

import numpy as np

from oferta.catalogue.ranges import (
    CreditTerms,
    InsuranceTerms,
    LeaseTerms,
    PriceTerms,
    ServicingTerms,
    TermsRange,
)
from oferta.terms.card import RateCards
from oferta.terms.fit import quote
from oferta.terms.many_columns import CODES, Columns, Filling, Ints, Quotes
from oferta.terms.many_credit import fit_many_credit
from oferta.terms.many_others import (
    fit_many_insurances,
    fit_many_leases,
    fit_many_prices,
)
from oferta.terms.many_servicing import fit_many_servicing
from oferta.terms.plan import plan_of
from oferta.terms.quote import Quote
from oferta.terms.tariff import (
    CreditRow,
    CreditTariff,
    InsuranceTariff,
    LeaseTariff,
    PriceTariff,
    Tariff,
)

_CHUNK: Final = 1 << 16
"""Customers at once: columns of so many stay in the processor's cache."""


def quote_many(
    ranges: TermsRange, *, product: str, cards: RateCards, on: date, columns: Columns
) -> Quotes:
    """What each customer of `columns` would be quoted for an offer of `product` on a day.

    Raises:
        ValueError: the share of affordability has more than nine digits.
    """
    out = Filling(columns.size)
    card = cards.valid(on)
    tariff = None if card is None else card.tariffs.get(product)
    if tariff is None:
        return out.quotes()
    for start in range(0, columns.size, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, columns.size))
        chunk = columns.taken(rows)
        for tier, condition, group in _groups(chunk):
            fitted = _fit(ranges, tariff, chunk.taken(group), tier=tier, condition=condition)
            out.put(rows[group], fitted)
    if isinstance(ranges, CreditTerms) and ranges.cover is not None:
        _with_cover(ranges, out, product=product, cards=cards, on=on, columns=columns)
    return out.quotes()


def _groups(columns: Columns) -> Iterator[tuple[str | None, str | None, Ints]]:
    """Customers by tier and condition, the unknown ones apart."""
    condition = columns.condition
    if condition is None:
        condition = np.full(columns.size, -1)
    width = len(columns.conditions) + 1
    keys = (columns.tier + 1) * width + condition + 1
    for key in np.unique(keys):
        tier, state = divmod(int(key), width)
        yield (
            columns.tiers[tier - 1] if tier else None,
            columns.conditions[state - 1] if state else None,
            np.flatnonzero(keys == key),
        )


def _fit(
    ranges: TermsRange, tariff: Tariff, columns: Columns, *, tier: str | None, condition: str | None
) -> Filling:
    out = Filling(columns.size)
    match ranges, tariff:
        case PriceTerms(), PriceTariff():
            out = fit_many_prices(ranges, tariff, columns)
        case InsuranceTerms(), InsuranceTariff():
            out = fit_many_insurances(ranges, tariff, columns, condition=condition)
        case ServicingTerms(), CreditTariff() if type(tariff) is CreditTariff:
            out = fit_many_servicing(ranges, columns, row=tariff.row(tier, condition))
        case CreditTerms(), CreditTariff() if type(tariff) is CreditTariff:
            row, sold = _row(tariff, ranges.months, tier=tier, condition=condition)
            if row is not None:
                out = fit_many_credit(plan_of(ranges, tariff), columns, row, sold)
        case LeaseTerms(), LeaseTariff():
            row, sold = _row(tariff, ranges.months, tier=tier, condition=condition)
            if row is not None:
                out = fit_many_leases(ranges, tariff, columns, row=row, sold=sold)
        case _:
            out.refuse(np.arange(columns.size), "kind.unsupported")
    return out


def _row(
    tariff: CreditTariff, months: tuple[int, ...], *, tier: str | None, condition: str | None
) -> tuple[CreditRow | None, Ints]:
    """The row of the card and which of the terms it sells; no row where it sells none."""
    sold = np.array(tariff.sold(months, tier, condition), np.int64)
    return tariff.row(tier, condition) if len(sold) else None, sold


def _with_cover(
    ranges: CreditTerms,
    out: Filling,
    *,
    product: str,
    cards: RateCards,
    on: date,
    columns: Columns,
) -> None:
    """The few for whom nothing but a required cover is left, one by one."""
    codes = [CODES.index("ltv.exceeded"), CODES.index("amount.range")]
    for at in np.flatnonzero(np.isin(out.code, codes)):
        wanted, means = columns.one(int(at))
        found = quote(
            ranges,
            product=product,
            cards=cards,
            currency=cards.currency,
            on=on,
            wanted=wanted,
            means=means,
        )
        if isinstance(found, Quote):
            out.put_one(int(at), found)
        else:
            out.refuse(np.array([at]), found.code)
