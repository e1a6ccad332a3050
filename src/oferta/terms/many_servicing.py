"""Servicing for many customers at once, as `oferta.terms.servicing` for one."""

from dataclasses import dataclass

import numpy as np

from oferta.catalogue.ranges import ServicingTerms
from oferta.terms.affordability import NO_LIMIT
from oferta.terms.cents import YEAR_E4
from oferta.terms.many_cells import (
    NONE,
    Cents,
    Mask,
    annuities,
    charges_of,
    loan_to_values,
    monthly_charges,
    rates,
)
from oferta.terms.many_columns import UNKNOWN, Columns, Filling, Ints, affordable
from oferta.terms.many_loans import HUGE, nearest
from oferta.terms.tariff import CreditRow


def fit_many_servicing(
    ranges: ServicingTerms, columns: Columns, *, row: CreditRow | None
) -> Filling:
    """The quotes of one group, whose customers all have `row`."""
    out = Filling(columns.size)
    owed = columns.cents("arrears" if ranges.kind == "payment_plan" else "payoff")
    tried, open_ = _terms(ranges, columns, known=owed > 0)
    out.refuse(np.flatnonzero(~open_), "amount.unknown")
    bounds = _bounds(ranges, columns, out, open_)
    if row is None:
        return out
    pause = ranges.holiday_months
    ltv = _ltv(columns, owed)
    settled = ~open_
    least = np.full(columns.size, HUGE)
    for months, these in tried:
        rows = np.flatnonzero(these & ~settled)
        if not len(rows):
            continue
        due, rate_e4 = _due(row, owed[rows], ltv[rows], months=months, pause=pause)
        least[rows] = np.minimum(least[rows], due)
        # Written even where more is wished: a longer term may replace it, else it stands.
        good = np.flatnonzero((due < HUGE) & (due <= bounds.hard[rows]))
        at = rows[good]
        out.code[at], out.lent[at], out.due[at] = -1, owed[at], due[good]
        out.months[at], out.rate_e4[at] = months + pause, rate_e4[good]
        settled[at] = due[good] <= bounds.soft[at]
    none = open_ & (out.code >= 0) & (least < HUGE)
    out.refuse(np.flatnonzero(none & (least > bounds.able)), "affordability.exceeded")
    out.refuse(np.flatnonzero(none & (least <= bounds.able)), "instalment.not_lower")
    return out


def _terms(
    ranges: ServicingTerms, columns: Columns, *, known: Mask
) -> tuple[list[tuple[int, Mask]], Mask]:
    """Terms in the order in which they are tried, with whose they are; and who has any."""
    if ranges.kind == "payment_holiday":
        left = columns.whole("remaining_months")
        terms = np.where(left > 0, left, ranges.months[0] if ranges.months else 0)
        known = known & (terms > 0)
        return [(int(months), known & (terms == months)) for months in np.unique(terms[known])], (
            known
        )
    first = _first_terms(ranges, columns)
    return [(months, known & (first <= at)) for at, months in enumerate(ranges.months)], known


def _first_terms(ranges: ServicingTerms, columns: Columns) -> Ints:
    """Positions of the terms to begin with: as wished, else what remains, else the shortest."""
    sold = np.array(ranges.months)
    first = np.zeros(columns.size, np.int64)
    if ranges.kind == "re_term":
        # What is not known is below every term.
        left = columns.whole("remaining_months")
        first = np.minimum(np.searchsorted(sold, left, "left"), len(sold) - 1).astype(np.int64)
    wished = columns.whole("months")
    return np.where(wished == UNKNOWN, first, nearest(wished, sold, start=ranges.months[0]))


@dataclass(frozen=True, slots=True)
class _Bounds:
    """As `oferta.terms.servicing` bounds the new instalment, in cents."""

    soft: Cents
    able: Cents
    lower: Cents

    @property
    def hard(self) -> Cents:
        """Above it nothing is offered."""
        return np.minimum(self.able, self.lower)


def _bounds(ranges: ServicingTerms, columns: Columns, out: Filling, open_: Mask) -> _Bounds:
    """The bounds; refuses, and takes out of `open_`, whoever lacks what they are made from."""
    ending, budget = columns.cents("replaced"), columns.cents("instalment")
    relief = np.zeros(columns.size, np.bool_) if columns.relief is None else columns.relief
    able = affordable(columns)
    if ranges.kind != "payment_plan":
        able = np.where(ending == UNKNOWN, affordable(columns.without_instalments()), able)
    refused = open_ & (able == UNKNOWN) & ~relief & (columns.unknown_income == "refuse")
    out.refuse(np.flatnonzero(refused), "affordability.unknown")
    open_ &= ~refused
    lower = np.full(columns.size, NO_LIMIT)
    if ranges.lowers:
        silent = open_ & (ending == UNKNOWN)
        out.refuse(np.flatnonzero(silent), "instalment.not_lower")
        open_ &= ~silent
        lower = ending - 1
    # Where nothing is known to be affordable, relief is the longest term.
    nothing = np.where(relief & (budget == UNKNOWN), 0, NO_LIMIT)
    able = np.where(able == UNKNOWN, nothing, able)
    budget = np.where(budget == UNKNOWN, NO_LIMIT, budget)
    return _Bounds(
        soft=np.minimum(np.minimum(budget, able), lower),
        able=np.where(relief, NO_LIMIT, able),
        lower=lower,
    )


def _due(
    row: CreditRow, owed: Cents, ltv: Cents, *, months: int, pause: int
) -> tuple[Cents, Cents]:
    """New instalments, `HUGE` where there is no cell, and their rates."""
    found = rates(row, months + pause, owed, None)
    rate_e4, block = found.rate_e4, found.block
    with_car = np.flatnonzero(ltv != UNKNOWN)
    if len(with_car):
        own = rates(row, months + pause, owed[with_car], ltv[with_car])
        rate_e4[with_car], block[with_car] = own.rate_e4, own.block
    resumed = owed
    for _ in range(pause):
        resumed = resumed + (resumed * rate_e4 + YEAR_E4 // 2) // YEAR_E4
    due = annuities(resumed, rate_e4, months, np.zeros(owed.shape, np.int64))
    due += monthly_charges(charges_of(row), block, owed)
    return np.where(rate_e4 == NONE, HUGE, due), rate_e4


def _ltv(columns: Columns, owed: Cents) -> Cents:
    value = columns.cents("car_value")
    has = value > 0
    return np.where(has, loan_to_values(np.maximum(owed, 0), value), UNKNOWN)
