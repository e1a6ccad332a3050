"""Leases, insurances and prices for many customers at once, as for one."""

from typing import Final

import numpy as np

from oferta.catalogue.ranges import InsuranceTerms, LeaseTerms, PriceTerms
from oferta.terms.affordability import NO_LIMIT
from oferta.terms.cents import PERCENT_E4
from oferta.terms.lease import residual_share
from oferta.terms.loan import STEP
from oferta.terms.many_cells import (
    NONE,
    Cents,
    annuities,
    charges_of,
    equal_shares,
    monthly_charges,
    rates,
)
from oferta.terms.many_columns import UNKNOWN, Columns, Filling, Ints, affordable
from oferta.terms.many_loans import nearest
from oferta.terms.tariff import (
    CreditRow,
    InsuranceTariff,
    LeaseTariff,
    PriceTariff,
)

_ALL: Final = 10_000
_YEAR: Final = 12


def fit_many_leases(
    ranges: LeaseTerms, tariff: LeaseTariff, columns: Columns, *, row: CreditRow, sold: Ints
) -> Filling:
    """The quotes of one group, whose customers all have `row`; `sold`: the terms it sells."""
    out = Filling(columns.size)
    offered = sorted(one for one in ranges.mileage_km_year if one in tariff.mileage_fee)
    if not offered:
        return out
    everyone = np.arange(columns.size)
    value = columns.cents("start_amount")
    unknown = value <= 0
    out.refuse(everyone[unknown], "amount.unknown")
    able = affordable(columns)
    refused = ~unknown & (able == UNKNOWN) & (columns.unknown_income == "refuse")
    out.refuse(everyone[refused], "affordability.unknown")
    rows = everyone[~unknown & ~refused]
    value, able = value[rows], np.where(able == UNKNOWN, NO_LIMIT, able)[rows]
    budget = _budget(columns)[rows]
    fees = np.array([tariff.mileage_fee[one] for one in offered])
    km = columns.whole("mileage_km_year")[rows]
    km = np.where(km == UNKNOWN, ranges.start_mileage_km_year, km)
    fee = fees[np.minimum(np.searchsorted(offered, km, "left"), len(offered) - 1)]
    first = nearest(columns.whole("months")[rows], sold, start=ranges.start_months)
    settled = np.zeros(rows.shape, np.bool_)
    any_cell = np.zeros(rows.shape, np.bool_)
    for position, months in enumerate(sold):
        found = rates(row, int(months), value, None)
        residual = residual_share(ranges, int(months)) * value // _ALL // STEP * STEP
        due = annuities(value, found.rate_e4, int(months), residual) + fee
        due += monthly_charges(charges_of(row), found.block, value)
        has = (found.rate_e4 != NONE) & (first <= position)
        any_cell |= has
        good = has & ~settled & (due <= np.minimum(budget, able))
        settled |= good
        at = rows[good]
        out.code[at], out.lent[at], out.due[at] = -1, value[good], due[good]
        out.months[at], out.rate_e4[at] = months, found.rate_e4[good]
    by_means = (able < NO_LIMIT) & (able <= budget)
    out.refuse(rows[~settled & any_cell & by_means], "affordability.exceeded")
    out.refuse(rows[~settled & any_cell & ~by_means], "budget.exceeded")
    return out


def fit_many_insurances(
    ranges: InsuranceTerms, tariff: InsuranceTariff, columns: Columns, *, condition: str | None
) -> Filling:
    """The quotes of customers whose cars are all of one condition."""
    out = Filling(columns.size)
    insured = columns.cents("start_amount")
    known = insured != UNKNOWN
    out.refuse(np.flatnonzero(~known), "amount.unknown")
    inside = known & (insured >= tariff.least) & (insured <= tariff.most)
    options = [
        (excess, *terms)
        for excess in sorted(round(one * 100) for one in ranges.excess)
        if (terms := tariff.terms(excess, condition)) is not None
    ]
    if not options:
        return out
    wished = columns.cents("excess")
    wished = np.where(wished == UNKNOWN, round(ranges.start_excess * 100), wished)
    away = np.abs(np.array([one[0] for one in options])[None, :] - wished[:, None])
    first = np.argmin(away, axis=1)
    budget = _budget(columns)
    fees = monthly_charges((tariff.charges,), np.zeros(columns.size, np.int64), insured)
    settled = ~inside
    for position, (excess, percent_e4, minimum) in enumerate(options):
        share = (insured * percent_e4 + PERCENT_E4 // 2) // PERCENT_E4
        premium = np.maximum(share, minimum)
        due = equal_shares(equal_shares(premium * ranges.months, _YEAR), ranges.months) + fees
        good = np.flatnonzero(~settled & (first <= position) & (due <= budget))
        settled[good] = True
        out.code[good], out.lent[good], out.due[good] = -1, insured[good], due[good]
        out.price[good], out.excess[good], out.months[good] = premium[good], excess, ranges.months
    out.refuse(np.flatnonzero(~settled), "budget.exceeded")
    return out


def fit_many_prices(ranges: PriceTerms, tariff: PriceTariff, columns: Columns) -> Filling:
    """The quotes of everybody: the price is the same, only budgets differ."""
    out = Filling(columns.size)
    price = tariff.price(ranges.months)
    if price is None:
        return out
    due = 0
    if ranges.paid == "monthly":
        parts = (2 * price + ranges.months) // (2 * ranges.months)
        due = parts + tariff.charges.monthly(price)
    fits = due <= _budget(columns)
    out.code[:] = np.where(fits, -1, out.code)
    out.refuse(np.flatnonzero(~fits), "budget.exceeded")
    out.lent[:], out.price[:], out.due[:], out.months[:] = price, price, due, ranges.months
    return out


def _budget(columns: Columns) -> Cents:
    budget = columns.cents("instalment")
    return np.where(budget == UNKNOWN, NO_LIMIT, budget)
