"""The loans of many customers, and the largest amounts within their limits: arrays of cents.

As `oferta.terms.loan` does for one customer, in the same steps: every amount is the same.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from oferta.terms.loan import STEP
from oferta.terms.many_cells import (
    NONE,
    Cents,
    annuities,
    charges_of,
    instalments,
    loan_to_values,
    monthly_charges,
    rates,
)
from oferta.terms.many_columns import UNKNOWN, Ints
from oferta.terms.plan import Plan
from oferta.terms.tariff import CreditRow

HUGE: Final = 10**12
"""Cents above every instalment: where there is no cell."""

_ALL: Final = 10_000
_SECANTS: Final = 8


@dataclass(frozen=True, slots=True)
class Loans:
    """What `oferta.terms.loan.Loan` is for one, with arrays inside; all have one row of the card.

    `value`: of the car in cents (customers,), 0 where it is being bought.
    """

    plan: Plan
    row: CreditRow
    value: Cents
    final_least: int
    final_start: int
    final_most: int

    def of(self, rows: Ints) -> "Loans":
        """Those of some customers."""
        return Loans(
            self.plan,
            self.row,
            self.value[rows],
            self.final_least,
            self.final_start,
            self.final_most,
        )

    def price(self, lent: Cents, deposit: Cents) -> Cents:
        """Of the car."""
        return np.where(self.value > 0, self.value, lent + deposit)

    def final(self, share: int, lent: Cents, deposit: Cents) -> Cents:
        """The final payment for a share of the price, never above what is lent."""
        whole = self.price(lent, deposit) * share // _ALL // STEP * STEP
        return np.minimum(whole, lent)

    def due(self, lent: Cents, deposit: Cents, months: int) -> Cents:
        """The lowest instalment there can be, with monthly fees; `HUGE` where there is no cell."""
        found = rates(self.row, months, lent, loan_to_values(lent, self.price(lent, deposit)))
        final = self.final(self.final_most, lent, deposit)
        due = instalments(self.plan.ranges.kind, lent, found.rate_e4, months, final)
        due += monthly_charges(charges_of(self.row), found.block, lent)
        return np.where(found.rate_e4 == NONE, HUGE, due)


@dataclass(frozen=True, slots=True)
class Ways:
    """`oferta.terms.loan.Way` for each customer.

    `by_deposit`: amount and deposit together stay, and are `total`; else the deposit stays, and is.
    """

    low: Cents
    high: Cents
    total: Cents
    by_deposit: bool

    def of(self, rows: Ints, *, low: Cents | None = None) -> "Ways":
        """Those of some customers; `low`: where they begin instead."""
        return Ways(
            self.low[rows] if low is None else low,
            self.high[rows],
            self.total[rows],
            self.by_deposit,
        )

    def deposit(self, lent: Cents) -> Cents:
        """The deposit that goes with an amount."""
        return self.total - lent if self.by_deposit else self.total

    def down(self, lent: Cents) -> Cents:
        """The next amount on the way that is not above `lent`."""
        return lent - (lent - (self.total if self.by_deposit else 0)) % STEP

    def edges(self, loans: Loans) -> Cents:
        """Where bands begin from `high` down to `low`, (edges, customers); `low` is the last."""
        found = [np.full(self.low.shape, edge) for edge in loans.row.amount_edges]
        own = loans.value > 0
        for ltv in loans.row.ltv_edges:
            worth = np.where(own, loans.value, self.total)
            edge = ltv * worth // _ALL + 1
            if not self.by_deposit:
                bought = ltv * self.total // (_ALL - ltv) + 1 if ltv < _ALL else self.low
                edge = np.where(own, edge, bought)
            found.append(edge)
        edges = np.stack([*found, self.low])
        inside = (edges > self.low) & (edges <= self.high)
        return -np.sort(-np.where(inside, edges, self.low), axis=0)


def largest(loans: Loans, ways: Ways, months: int, limit: Cents) -> Cents:
    """The largest amount on the way within the limit, -1: none; band by band from the top."""
    found = np.full(ways.low.shape, -1)
    top = ways.high.copy()
    for edge in ways.edges(loans):
        high, low = ways.down(top), ways.down(edge + STEP - 1)
        open_ = (found < 0) & (edge <= top) & (high >= low)
        top = np.where(edge <= top, edge - 1, top)
        here = np.flatnonzero(open_)
        if not len(here):
            continue
        part, part_ways, most = loans.of(here), ways.of(here), limit[here]
        at_low = part.due(low[here], part_ways.deposit(low[here]), months)
        good = np.flatnonzero(at_low <= most)
        if not len(good):
            continue
        some = here[good]
        found[some] = _between(
            part.of(good),
            part_ways.of(good),
            months,
            most[good],
            low=(low[some], at_low[good]),
            high=high[some],
        )
    return found


def _between(
    loans: Loans, ways: Ways, months: int, limit: Cents, *, low: tuple[Cents, Cents], high: Cents
) -> Cents:
    """Within one band the instalment grows with the amount: secants, then halving."""
    fits, at_fits = low[0].copy(), low[1].copy()
    above = high.copy()
    at_above = loans.due(above, ways.deposit(above), months)
    done = at_above <= limit
    fits[done] = above[done]
    tries = 0
    while True:
        here = np.flatnonzero(~done & (above - fits > STEP))
        if not len(here):
            return fits
        tries += 1
        near, far = fits[here], above[here]
        part = ways.of(here)
        guess = (near + far) // 2
        if tries <= _SECANTS:
            slope = np.maximum(at_above[here] - at_fits[here], 1)
            secant = near + (limit[here] - at_fits[here]) * (far - near) // slope
            guess = np.where(at_above[here] < HUGE, secant, guess)
        guess = np.minimum(np.maximum(part.down(guess), near + STEP), far - STEP)
        due = loans.of(here).due(guess, part.deposit(guess), months)
        good = due <= limit[here]
        fits[here[good]], at_fits[here[good]] = guess[good], due[good]
        above[here[~good]], at_above[here[~good]] = guess[~good], due[~good]


def finals(
    loans: Loans, lent: Cents, deposit: Cents, *, rate_e4: Cents, months: int, room: Cents
) -> Cents:
    """The least final payment, from the offer's start on, whose instalment is within the room."""
    start = loans.final(loans.final_start, lent, deposit)
    most = loans.final(loans.final_most, lent, deposit)
    high = annuities(lent, rate_e4, months, start)
    low = annuities(lent, rate_e4, months, most)
    needed = (start < most) & (high > room)
    final = start + (high - room) * (most - start) // np.maximum(high - low, 1) // STEP * STEP
    final = np.where(needed, np.clip(final, start, most), start)
    for step in (-STEP, STEP):
        while True:
            due = annuities(lent, rate_e4, months, final + min(step, 0))
            lower = (final > start) & (due <= room)
            move = needed & (lower if step < 0 else (final < most) & (due > room))
            if not move.any():
                break
            final = np.where(move, final + step, final)
    return np.minimum(final, most)


def nearest(wished: Ints, sold: Ints, *, start: int) -> Ints:
    """Position in `sold` of the term nearest to each wish, the longer of two as near."""
    wished = np.where(wished == UNKNOWN, start, wished)
    away = np.abs(sold[None, :] - wished[:, None])
    position: Ints = len(sold) - 1 - np.argmin(away[:, ::-1], axis=1)
    return position
