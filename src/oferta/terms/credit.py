"""Loans fitted to wish and means: as wished where it can be, else by the smallest change."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from oferta.catalogue.ranges import CreditTerms
from oferta.terms.affordability import Limit, credit_limit
from oferta.terms.card import Sale
from oferta.terms.cents import amount, cents, loan_to_value, percentage
from oferta.terms.counter import Asked, Found, Within, least_instalment, search, within
from oferta.terms.instalment import instalment
from oferta.terms.loan import STEP, Cover, Loan
from oferta.terms.plan import Plan, plan_of
from oferta.terms.quote import Change, Quote, Unfit
from oferta.terms.tariff import CreditTariff, InsuranceTariff
from oferta.terms.wanted import Means, Wanted

_ALL: Final = 10_000


def fit_credit(
    ranges: CreditTerms,
    tariff: CreditTariff,
    *,
    sale: Sale,
    wanted: Wanted,
    means: Means,
) -> Quote | Unfit:
    """A quote within `ranges`, or why there is none."""
    plan = plan_of(ranges, tariff)
    start = plan.start(means.tier, means.condition, wished=wanted.months)
    if start is None:
        return Unfit("card.none", (("product", sale.product), ("tier", means.tier or "unknown")))
    limit = credit_limit(wanted, means)
    if isinstance(limit, Unfit):
        return limit
    loan, months = start
    if unvalued := _unvalued(ranges, means):
        return unvalued
    if means.car_value is not None:
        loan = replace(loan, value=cents(means.car_value))
    asked = _asked(plan, wanted, value=loan.value, months=months)
    if isinstance(asked, Unfit):
        return asked
    fitted = _as_asked(loan, asked, limit=limit.most) or _counter(
        plan, loan, asked, limit=limit, sale=sale, condition=means.condition
    )
    if isinstance(fitted, Unfit):
        return fitted
    return _quote(fitted, asked=asked, sale=sale, wanted=wanted)


def _unvalued(ranges: CreditTerms, means: Means) -> Unfit | None:
    """Why there is no loan to value: without one the rule on it would be silently off."""
    value = means.car_value
    if value is None:
        return None if ranges.car_value is None else Unfit("car_value.unknown")
    return Unfit("ltv.exceeded", (("car_value", str(value)),)) if value <= 0 else None


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A loan with its amount, deposit and term; `limit`: what its instalment is within."""

    loan: Loan
    found: Found
    limit: int
    guarantor: bool = False


def _asked(
    plan: Plan, wanted: Wanted, *, value: int | None, months: tuple[int, ...]
) -> Asked | Unfit:
    wished = wanted.amount if wanted.amount is not None else wanted.start_amount
    if wished is None:
        return Unfit("amount.unknown")
    lent = cents(wished)
    if wanted.deposit is None:
        deposit = _start_deposit(plan.deposit_start, lent, value)
    else:
        deposit = max(cents(wanted.deposit), 0)
    need = lent + deposit
    least_deposit = -(-plan.deposit_least * (value or need) // _ALL)
    if deposit < least_deposit:
        # Paid down instead of lent: amount and deposit together stay.
        deposit = -(-least_deposit // STEP) * STEP
        lent = need - deposit
    if lent < plan.least:
        facts = (("amount", str(amount(lent))), ("least", str(amount(plan.least))))
        return Unfit("amount.range", facts)
    return Asked(
        lent=lent,
        deposit=deposit,
        months=months,
        least=plan.least,
        most=plan.most,
        deposit_most=plan.deposit_most,
        max_ltv=plan.max_ltv,
    )


def _start_deposit(share: int, lent: int, value: int | None) -> int:
    """The offer's own share: of the car's value, or of what amount and deposit are together."""
    if not share:
        return 0
    exact = share * lent // max(_ALL - share, 1) if value is None else share * value // _ALL
    return -(-exact // STEP) * STEP


def _as_asked(loan: Loan, asked: Asked, *, limit: int) -> _Fitted | None:
    """Amount and deposit as asked, over the first term that is within the limit."""
    lent, deposit = asked.lent, asked.deposit
    price = loan.price(lent, deposit)
    if lent > asked.most or lent * _ALL > asked.max_ltv * price:
        return None
    if lent * _ALL < loan.final_least * price:
        return None
    for months in asked.months:
        due = loan.instalment(lent, deposit, months)
        if due is not None and due <= limit:
            return _Fitted(loan, Found(lent, deposit, months), limit)
    return None


def _counter(
    plan: Plan, loan: Loan, asked: Asked, *, limit: Limit, sale: Sale, condition: str | None
) -> _Fitted | Unfit:
    """The smallest change, in the order of `oferta.terms.counter`."""
    ways = within(loan, asked)
    if ways is None and (covered := _covered(plan, loan, sale=sale, condition=condition)):
        loan, max_ltv = covered
        asked = replace(asked, max_ltv=max_ltv)
        ways = within(loan, asked)
    if ways is None:
        return _nothing_left(loan, asked)
    found = search(loan, asked, ways, limit=limit.most)
    if found is not None:
        return _Fitted(loan, found, limit.most)
    share = plan.ranges.guarantor_from
    helped = limit if share is None else limit.with_help(share)
    if helped.most > limit.most:
        found = search(loan, asked, ways, limit=helped.most)
        if found is not None:
            return _Fitted(loan, found, helped.most, guarantor=True)
    return _refusal(loan, asked, ways, limit=limit, sale=sale)


def _covered(
    plan: Plan, loan: Loan, *, sale: Sale, condition: str | None
) -> tuple[Loan, int] | None:
    """The loan with the cover that the offer requires beyond its loan to value, and the new one."""
    cover = plan.ranges.cover
    tariff = None if cover is None else sale.card.tariffs.get(cover.product)
    if cover is None or not isinstance(tariff, InsuranceTariff):
        return None
    covered = replace(loan, cover=Cover(cover.product, tariff, condition))
    return covered, round(cover.max_loan_to_value * _ALL)


def _nothing_left(loan: Loan, asked: Asked) -> Unfit:
    """Why ranges and loan to value leave nothing, whatever the instalment."""
    if loan_to_value(asked.lent, loan.price(asked.lent, asked.deposit)) > asked.max_ltv:
        return Unfit("ltv.exceeded", (("max_loan_to_value", f"{asked.max_ltv / _ALL:g}"),))
    # Within the loan to value, yet too little for the least final payment.
    return Unfit("amount.range", (("amount", str(amount(asked.lent))),))


def _refusal(loan: Loan, asked: Asked, ways: Within, *, limit: Limit, sale: Sale) -> Unfit:
    least = least_instalment(loan, asked, ways)
    lent, deposit = ways.first
    if least is None and all(loan.cell(lent, deposit, months) is None for months in asked.months):
        return Unfit("card.none", (("product", sale.product), ("amount", str(amount(lent)))))
    return limit.exceeded(least)


def _quote(fitted: _Fitted, *, asked: Asked, sale: Sale, wanted: Wanted) -> Quote:
    loan, found = fitted.loan, fitted.found
    lent, deposit, months = found.lent, found.deposit, found.months
    cell = loan.cell(lent, deposit, months)
    assert cell is not None  # noqa: S101 - it was found by this very cell
    final = loan.final(lent, deposit, cell=cell, months=months, limit=fitted.limit)
    due = instalment(loan.kind, lent, rate_e4=cell.rate_e4, months=months, final=final)
    due += sum([fee for _, fee in loan.monthly(lent, deposit, cell)])
    changes = _changes(found, asked=asked, wanted=wanted)
    if fitted.guarantor:
        changes += (Change("guarantor", None, None),)
    if loan.cover is not None:
        changes += (Change("cover", None, None),)
    return Quote(
        kind=loan.kind,
        product=sale.product,
        currency=sale.currency,
        start=sale.on,
        amount=amount(lent),
        deposit=amount(deposit),
        months=months,
        rate=percentage(cell.rate_e4),
        instalment=amount(due),
        final_payment=amount(final),
        fees=loan.fees(lent, deposit, cell),
        card=sale.card.version,
        changes=changes,
        guarantor=fitted.guarantor,
        cover=None if loan.cover is None else loan.cover.product,
    )


def _changes(found: Found, *, asked: Asked, wanted: Wanted) -> tuple[Change, ...]:
    """How `found` differs from what was said; a deposit also where the amount gave way to it."""
    changes = []
    if wanted.months is not None and wanted.months != found.months:
        changes.append(Change("months", Decimal(wanted.months), Decimal(found.months)))
    offered = amount(found.deposit)
    if (
        (offered != wanted.deposit)
        if wanted.deposit is not None
        else (wanted.amount is not None and found.deposit > asked.deposit)
    ):
        changes.append(Change("deposit", wanted.deposit, offered))
    if wanted.amount is not None and amount(found.lent) != wanted.amount:
        changes.append(Change("amount", wanted.amount, amount(found.lent)))
    return tuple(changes)
