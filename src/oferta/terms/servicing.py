"""Servicing: what is owed already is re-termed, caught up with, or paused.

Where an instalment is late it is there to make a burden bearable, so an income that does not carry
it is no reason to refuse it; elsewhere affordability is as hard as of a new loan. Rates come from
the card, where every such product has cells of its own; the contract's rate is not kept.
"""

from dataclasses import dataclass
from decimal import Decimal

from oferta.catalogue.ranges import ServicingTerms
from oferta.terms.affordability import NO_LIMIT, whole
from oferta.terms.card import Sale
from oferta.terms.cents import amount, cents, loan_to_value, percentage
from oferta.terms.instalment import after_holiday, annuity
from oferta.terms.quote import NOTHING, Change, Quote, Unfit
from oferta.terms.tariff import CreditTariff
from oferta.terms.wanted import Means, Wanted


def fit_servicing(
    ranges: ServicingTerms,
    tariff: CreditTariff,
    *,
    sale: Sale,
    wanted: Wanted,
    means: Means,
) -> Quote | Unfit:
    """A quote within `ranges`, or why there is none.

    A payment plan pays the arrears beside the running instalments. A re-terming or a holiday
    replaces them: an unknown `means.replaced` counts as all of them. A re-terming begins with the
    wished term, else with the months that remain, and becomes longer for what is affordable or
    wished a month. A holiday keeps the remaining months after the pause: those of the contract,
    else the first of `ranges.months`.
    """
    owed_ = wanted.arrears if ranges.kind == "payment_plan" else wanted.payoff
    if owed_ is None or owed_ <= 0:
        return Unfit("amount.unknown")
    owed = cents(owed_)
    row = tariff.row(means.tier, means.condition)
    pause = ranges.holiday_months if ranges.kind == "payment_holiday" else 0
    terms = _terms(ranges, wanted)
    if not terms:
        return Unfit("amount.unknown", (("remaining_months", "unknown"),))
    ltv = (
        loan_to_value(owed, cents(means.car_value))
        if means.car_value is not None and means.car_value > 0
        else None
    )
    bounds = _bounds(ranges, wanted, means)
    if isinstance(bounds, Unfit):
        return bounds
    dues = []
    for months in terms:
        cell = None if row is None else row.cell(months + pause, owed, ltv)
        if cell is None:
            continue
        resumed = after_holiday(owed, rate_e4=cell.rate_e4, months=pause)
        due = annuity(resumed, rate_e4=cell.rate_e4, months=months)
        dues.append((months, cell, due + cell.charges.monthly(owed)))
    if not dues:
        return Unfit("card.none", (("product", sale.product), ("amount", str(amount(owed)))))
    fits = [one for one in dues if one[2] <= bounds.hard]
    if not fits:
        return bounds.exceeded(min(due for _, _, due in dues))
    months, cell, due = next((one for one in fits if one[2] <= bounds.soft), fits[-1])
    return Quote(
        kind=ranges.kind,
        product=sale.product,
        currency=sale.currency,
        start=sale.on,
        amount=amount(owed),
        deposit=NOTHING,
        months=months + pause,
        rate=percentage(cell.rate_e4),
        instalment=amount(due),
        final_payment=NOTHING,
        fees=cell.charges.fees(owed),
        card=sale.card.version,
        holiday_months=pause,
        changes=_changes(wanted, months=months, due=due),
    )


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Bounds of the new instalment in cents.

    Attributes:
        soft: the term becomes longer for it, and where no term is within it the longest stands.
        able: what is affordable, where that is hard.
        lower: what the contract's instalment leaves to an offer that is there to lower it.
    """

    soft: int
    able: int
    lower: int

    @property
    def hard(self) -> int:
        """Above it nothing is offered."""
        return min(self.able, self.lower)

    def exceeded(self, least: int) -> Unfit:
        """Why nothing fits, where the lowest instalment is `least`."""
        by_means = least > self.able
        facts = (
            ("limit", str(amount(self.able if by_means else self.lower))),
            ("least_instalment", str(amount(least))),
        )
        return Unfit("affordability.exceeded" if by_means else "instalment.not_lower", facts)


def _terms(ranges: ServicingTerms, wanted: Wanted) -> tuple[int, ...]:
    """The terms to be tried, the preferred one first."""
    sold, remaining = ranges.months, wanted.remaining_months
    if ranges.kind == "payment_holiday":
        return (remaining,) if remaining is not None and remaining > 0 else sold
    wished = wanted.months
    if wished is not None:
        nearest = min(sold, key=lambda months: (abs(months - wished), -months))
        return sold[sold.index(nearest) :]
    if ranges.kind == "re_term" and remaining is not None:
        return tuple(months for months in sold if months >= remaining) or sold[-1:]
    return sold


def _bounds(ranges: ServicingTerms, wanted: Wanted, means: Means) -> _Bounds | Unfit:
    """What the new instalment has to stay within, and what it should."""
    affordable = means.affordable
    if ranges.kind != "payment_plan" and means.replaced is None and means.income is not None:
        left = means.share * (means.income - (means.spending or Decimal(0)))
        affordable = max(left, Decimal(0))
    if affordable is None and not means.relief and means.unknown_income == "refuse":
        return Unfit("affordability.unknown")
    if ranges.lowers and means.replaced is None:
        return Unfit("instalment.not_lower", (("instalment", "unknown"),))
    budget = NO_LIMIT if wanted.instalment is None else cents(wanted.instalment)
    able = NO_LIMIT if affordable is None else whole(affordable)
    if means.relief and affordable is None and wanted.instalment is None:
        able = 0  # nothing known to be affordable: the longest term
    lower = NO_LIMIT
    if ranges.lowers and means.replaced is not None:
        lower = cents(means.replaced) - 1
    return _Bounds(
        soft=min(budget, able, lower),
        able=NO_LIMIT if means.relief else able,
        lower=lower,
    )


def _changes(wanted: Wanted, *, months: int, due: int) -> tuple[Change, ...]:
    changes = []
    if wanted.months is not None and wanted.months != months:
        changes.append(Change("months", Decimal(wanted.months), Decimal(months)))
    if wanted.instalment is not None and amount(due) > wanted.instalment:
        changes.append(Change("instalment", wanted.instalment, amount(due)))
    return tuple(changes)
