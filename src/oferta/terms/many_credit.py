"""Loans for many customers at once: the fit of `oferta.terms.credit`, step by step in arrays.

Customers of one tier and condition share a row of the card, so each group is fitted by itself. Who
gets what was asked for is settled first; only the others walk the ways of the counter-offer.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from oferta.terms.affordability import NO_LIMIT
from oferta.terms.loan import STEP
from oferta.terms.many_cells import (
    Cents,
    Mask,
    charges_of,
    instalments,
    loan_to_values,
    monthly_charges,
    rates,
)
from oferta.terms.many_columns import UNKNOWN, Columns, Filling, Ints, affordable
from oferta.terms.many_loans import HUGE, Loans, Ways, finals, largest, nearest
from oferta.terms.plan import Plan
from oferta.terms.tariff import CreditRow

_ALL: Final = 10_000


def fit_many_credit(plan: Plan, columns: Columns, row: CreditRow, sold: Ints) -> Filling:
    """The quotes of one group, whose customers all have `row`; `sold`: the terms it sells."""
    out = Filling(columns.size)
    everyone = np.arange(columns.size)
    ranges = plan.ranges
    means = affordable(columns)
    refused = (means == UNKNOWN) & (columns.unknown_income == "refuse")
    out.refuse(everyone[refused], "affordability.unknown")
    value = columns.cents("car_value")
    unvalued = ~refused & (value == UNKNOWN) & (ranges.car_value is not None)
    out.refuse(everyone[unvalued], "car_value.unknown")
    refused |= unvalued
    worthless = ~refused & (value != UNKNOWN) & (value <= 0)
    out.refuse(everyone[worthless], "ltv.exceeded")
    wished, start = columns.cents("amount"), columns.cents("start_amount")
    lent = np.where(wished == UNKNOWN, start, wished)
    unknown = ~refused & ~worthless & (lent == UNKNOWN)
    out.refuse(everyone[unknown], "amount.unknown")
    rows = everyone[~(refused | worthless | unknown)]
    loans = Loans(
        plan,
        row,
        np.where(value == UNKNOWN, 0, value)[rows],
        round(ranges.final.min * _ALL),
        round(ranges.final.start * _ALL),
        round(ranges.final.max * _ALL),
    )
    lent, deposit = _asked(plan, loans, lent[rows], columns.cents("deposit")[rows])
    small = lent < plan.least
    out.refuse(rows[small], "amount.range")
    keep = np.flatnonzero(~small)
    rows, loans, lent, deposit = rows[keep], loans.of(keep), lent[keep], deposit[keep]
    budget = columns.cents("instalment")[rows]
    budget = np.where(budget == UNKNOWN, NO_LIMIT, budget)
    able = np.where(means[rows] == UNKNOWN, NO_LIMIT, means[rows])
    first = nearest(columns.whole("months")[rows], sold, start=plan.ranges.start_months)
    asked = _Asked(rows, loans, lent, deposit, first, sold)
    left = _settle(asked, out, np.minimum(budget, able), as_asked=True)
    _counter(asked.of(left), out, budget[left], able[left])
    return out


@dataclass(frozen=True, slots=True)
class _Asked:
    """Customers and where their fit begins; `first`: position in `sold` of their first term."""

    rows: Ints
    loans: Loans
    lent: Cents
    deposit: Cents
    first: Ints
    sold: Ints

    def of(self, some: Ints) -> "_Asked":
        return _Asked(
            self.rows[some],
            self.loans.of(some),
            self.lent[some],
            self.deposit[some],
            self.first[some],
            self.sold,
        )

    def at(self, lent: Cents, deposit: Cents) -> "_Asked":
        return _Asked(self.rows, self.loans, lent, deposit, self.first, self.sold)


def _asked(plan: Plan, loans: Loans, lent: Cents, wished: Cents) -> tuple[Cents, Cents]:
    share = plan.deposit_start
    bought = share * lent // max(_ALL - share, 1)
    own: Cents = -(-np.where(loans.value > 0, share * loans.value // _ALL, bought) // STEP) * STEP
    deposit = np.where(wished == UNKNOWN, own if share else 0, np.maximum(wished, 0))
    need = lent + deposit
    least = -(-plan.deposit_least * np.where(loans.value > 0, loans.value, need) // _ALL)
    raised = np.where(deposit < least, -(-least // STEP) * STEP, deposit)
    return need - raised, raised


def _settle(asked: _Asked, out: Filling, limit: Cents, *, as_asked: bool = False) -> Ints:
    """Writes who can have the amount and deposit at hand; gives the positions of the others."""
    loans, lent, deposit = asked.loans, asked.lent, asked.deposit
    open_ = np.ones(lent.shape, np.bool_)
    if as_asked:
        price = loans.price(lent, deposit)
        open_ = (lent <= loans.plan.most) & (lent * _ALL <= loans.plan.max_ltv * price)
        open_ &= lent * _ALL >= loans.final_least * price
    settled = np.zeros(lent.shape, np.bool_)
    for position, months in enumerate(asked.sold):
        here = np.flatnonzero(open_ & ~settled & (asked.first <= position))
        if not len(here):
            continue
        due = loans.of(here).due(lent[here], deposit[here], int(months))
        good = here[due <= limit[here]]
        settled[good] = True
        write(asked.of(good), out, np.full(len(good), months), limit[good])
    return np.flatnonzero(~settled)


def write(found: _Asked, out: Filling, months: Ints, limit: Cents) -> None:
    """Writes quotes of amounts and deposits as they stand, over these terms."""
    kind = found.loans.plan.ranges.kind
    for term in np.unique(months):
        here = np.flatnonzero(months == term)
        some, rows = found.of(here), found.rows[here]
        loans, lent, deposit = some.loans, some.lent, some.deposit
        ltv = loan_to_values(lent, loans.price(lent, deposit))
        cells = rates(loans.row, int(term), lent, ltv)
        fees = monthly_charges(charges_of(loans.row), cells.block, lent)
        final = np.zeros(lent.shape, np.int64)
        if loans.final_most:
            final = finals(
                loans,
                lent,
                deposit,
                rate_e4=cells.rate_e4,
                months=int(term),
                room=limit[here] - fees,
            )
        due = instalments(kind, lent, cells.rate_e4, int(term), final) + fees
        out.code[rows] = -1
        out.lent[rows], out.deposit[rows], out.months[rows] = lent, deposit, term
        out.rate_e4[rows], out.due[rows], out.final[rows] = cells.rate_e4, due, final


def _counter(asked: _Asked, out: Filling, budget: Cents, able: Cents) -> None:
    """The ways of `oferta.terms.counter`, for those who can not have what was asked."""
    if not len(asked.rows):
        return
    plan, loans = asked.loans.plan, asked.loans
    by_deposit, by_amount = _ways(asked)
    first = by_deposit.down(by_deposit.high)
    stays = (by_deposit.low <= asked.lent) & (asked.lent == by_deposit.high)
    first = np.where(stays, asked.lent, first)
    on_deposit = stays | (first >= by_deposit.low)
    lower = by_amount.down(by_amount.high)
    possible = on_deposit | (lower >= by_amount.low)
    at = asked.at(
        np.where(on_deposit, first, lower),
        np.where(on_deposit, by_deposit.total - first, by_amount.total),
    )
    price = loans.price(asked.lent, asked.deposit)
    too_dear = loan_to_values(asked.lent, price) > plan.max_ltv
    out.refuse(asked.rows[~possible & too_dear], "ltv.exceeded")
    out.refuse(asked.rows[~possible & ~too_dear], "amount.range")
    limit = np.minimum(budget, able)
    open_ = np.flatnonzero(possible)
    open_ = open_[
        _search(at.of(open_), by_deposit.of(open_), by_amount.of(open_), out, limit[open_])
    ]
    share = plan.ranges.guarantor_from
    if share is not None and len(open_):
        helped = np.where(able < NO_LIMIT, np.trunc(able / share), NO_LIMIT).astype(np.int64)
        more = np.minimum(budget, helped)
        tried = open_[more[open_] > limit[open_]]
        still = _search(at.of(tried), by_deposit.of(tried), by_amount.of(tried), out, more[tried])
        out.guarantor[asked.rows[np.delete(tried, still)]] = True
        open_ = np.setdiff1d(open_, np.delete(tried, still))
    ways = by_deposit.of(open_), by_amount.of(open_)
    _refuse(at.of(open_), ways, out, budget=budget[open_], able=able[open_])


def _ways(asked: _Asked) -> tuple[Ways, Ways]:
    plan, loans = asked.loans.plan, asked.loans
    need = asked.lent + asked.deposit
    worth = np.where(loans.value > 0, loans.value, need)
    most_deposit = np.maximum(plan.deposit_most * worth // _ALL // STEP * STEP, asked.deposit)
    least_final = -(-loans.final_least * worth // _ALL)
    by_deposit = Ways(
        low=np.maximum(np.maximum(plan.least, need - most_deposit), least_final),
        high=np.minimum(np.minimum(asked.lent, plan.most), plan.max_ltv * worth // _ALL),
        total=need,
        by_deposit=True,
    )
    share, ltv = loans.final_least, plan.max_ltv
    bought_final = -(-share * most_deposit // (_ALL - share)) if share < _ALL else 0
    bought_most = HUGE if ltv >= _ALL else ltv * most_deposit // (_ALL - ltv)
    own = loans.value > 0
    by_amount = Ways(
        low=np.maximum(plan.least, np.where(own, -(-share * loans.value // _ALL), bought_final)),
        high=np.minimum(
            np.minimum(need - most_deposit, plan.most),
            np.where(own, ltv * loans.value // _ALL, bought_most),
        ),
        total=most_deposit,
        by_deposit=False,
    )
    return by_deposit, by_amount


def _search(at: _Asked, by_deposit: Ways, by_amount: Ways, out: Filling, limit: Cents) -> Ints:
    """Writes the smallest changes within the limit; gives the positions of those without one."""
    left = _settle(at, out, limit)
    for ways in (by_deposit, by_amount):
        if not len(left):
            break
        some = at.of(left)
        lent, months = _least_change(some, ways.of(left), limit[left])
        good = np.flatnonzero(months > 0)
        chosen = some.of(good)
        deposit = ways.of(left[good]).deposit(lent[good])
        write(chosen.at(lent[good], deposit), out, months[good], limit[left[good]])
        left = left[months == 0]
    return left


def _least_change(some: _Asked, ways: Ways, limit: Cents) -> tuple[Cents, Ints]:
    """The largest amount on the way and the shortest term that has it; 0 months: none."""
    best, months = ways.low.copy(), np.zeros(ways.low.shape, np.int64)
    for position in reversed(range(len(some.sold))):
        term = int(some.sold[position])
        here = np.flatnonzero((some.first <= position) & (ways.low <= ways.high))
        if not len(here):
            continue
        fits = largest(some.loans.of(here), ways.of(here, low=best[here]), term, limit[here])
        good = fits >= 0
        best[here[good]], months[here[good]] = fits[good], term
    return best, months


def _refuse(
    at: _Asked, ways: tuple[Ways, Ways], out: Filling, *, budget: Cents, able: Cents
) -> None:
    """Codes of those for whom no change is enough."""
    if not len(at.rows):
        return
    by_deposit, by_amount = ways
    on_amount = by_amount.low <= by_amount.high
    any_cell = _has_cell(at)
    for way, on_way in ((by_amount, on_amount), (by_deposit, ~on_amount)):
        here = np.flatnonzero(on_way)
        part = way.of(here)
        lent = part.down(part.low + STEP - 1)
        any_cell[here] |= _has_cell(at.of(here).at(lent, part.deposit(lent)))
    by_means = any_cell & (able < NO_LIMIT) & (able <= budget)
    out.refuse(at.rows[any_cell & ~by_means], "budget.exceeded")
    out.refuse(at.rows[by_means], "affordability.exceeded")
    out.refuse(at.rows[~any_cell], "card.none")


def _has_cell(at: _Asked) -> Mask:
    """Whether the card has a cell for these amounts over any of the terms to be tried."""
    found = np.zeros(at.rows.shape, np.bool_)
    for position, months in enumerate(at.sold):
        due = at.loans.due(at.lent, at.deposit, int(months))
        found |= (due < HUGE) & (at.first <= position)
    return found
