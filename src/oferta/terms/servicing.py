"""Servicing: what is owed already is re-termed, caught up with, or paused.

It is there to make a burden bearable, so an income that does not carry it is no reason to refuse
it: affordability decides on the term, the shortest that is affordable, else the longest. Rates come
from the card, where every such product has cells of its own; the contract's rate is not kept.
"""

from decimal import Decimal

from oferta.catalogue.ranges import ServicingTerms
from oferta.terms.affordability import Limit
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

    A payment plan pays the arrears beside the running instalments. A re-terming replaces them: an
    unknown `means.replaced` counts as all of them. A holiday keeps the remaining months after the
    pause: those of the contract, else the first of `ranges.months`.
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
    most = _limit(ranges, wanted, means).most
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
    months, cell, due = next((one for one in dues if one[2] <= most), dues[-1])
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


def _terms(ranges: ServicingTerms, wanted: Wanted) -> tuple[int, ...]:
    """The terms to be tried, the preferred one first."""
    if ranges.kind == "payment_holiday":
        if wanted.remaining_months is not None and wanted.remaining_months > 0:
            return (wanted.remaining_months,)
        return ranges.months[:1]
    wished = wanted.months
    if wished is None or not ranges.months:
        return ranges.months
    nearest = min(ranges.months, key=lambda months: (abs(months - wished), -months))
    return ranges.months[ranges.months.index(nearest) :]


def _limit(ranges: ServicingTerms, wanted: Wanted, means: Means) -> Limit:
    """What the new instalment should stay within; the term follows it, nothing is refused."""
    budget = None if wanted.instalment is None else cents(wanted.instalment)
    if means.income is None:
        # Nothing known to be affordable: the longest term, unless a budget says otherwise.
        return Limit(0 if budget is None else budget, None)
    affordable = means.affordable
    if ranges.kind == "re_term" and means.replaced is None:
        affordable = means.share * (means.income - (means.spending or Decimal(0)))
    return Limit(budget, None if affordable is None else int(affordable * 100))


def _changes(wanted: Wanted, *, months: int, due: int) -> tuple[Change, ...]:
    changes = []
    if wanted.months is not None and wanted.months != months:
        changes.append(Change("months", Decimal(wanted.months), Decimal(months)))
    if wanted.instalment is not None and amount(due) > wanted.instalment:
        changes.append(Change("instalment", wanted.instalment, amount(due)))
    return tuple(changes)
