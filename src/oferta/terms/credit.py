"""Loans fitted to wish and means: as wished where it can be, else by the smallest change."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from oferta.catalogue.ranges import CreditTerms
from oferta.terms.affordability import Limit, credit_limit
from oferta.terms.card import Sale
from oferta.terms.cents import amount, cents, loan_to_value, percentage
from oferta.terms.counter import Asked, Found, Within, least_instalment, search, within
from oferta.terms.instalment import instalment
from oferta.terms.loan import STEP, Cover, Loan
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
    row = tariff.row(means.tier, means.condition)
    sold = tariff.sold(ranges.months, means.tier, means.condition)
    if row is None or not sold:
        return Unfit("card.none", (("product", sale.product), ("tier", means.tier or "unknown")))
    limit = credit_limit(wanted, means)
    if isinstance(limit, Unfit):
        return limit
    loan = Loan(
        kind=ranges.kind,
        row=row,
        value=None if means.car_value is None else cents(means.car_value),
        final_least=round(ranges.final.min * _ALL),
        final_start=round(ranges.final.start * _ALL),
        final_most=round(ranges.final.max * _ALL),
    )
    asked = _asked(ranges, loan, wanted, sold=sold)
    if isinstance(asked, Unfit):
        return asked
    ways = within(loan, asked)
    if ways is None and ranges.cover is not None:
        insurance = sale.card.tariffs.get(ranges.cover.product)
        if isinstance(insurance, InsuranceTariff):
            loan = replace(loan, cover=Cover(ranges.cover.product, insurance, means.condition))
            asked = replace(asked, max_ltv=round(ranges.cover.max_loan_to_value * _ALL))
            ways = within(loan, asked)
    if ways is None:
        return _nothing_left(loan, asked)
    bound = limit.most
    found = search(loan, asked, ways, limit=bound)
    guarantor = False
    if found is None and ranges.guarantor_from is not None and limit.affordable:
        helped = Limit(limit.budget, int(limit.affordable / ranges.guarantor_from))
        if helped.most > bound:
            bound = helped.most
            found = search(loan, asked, ways, limit=bound)
            guarantor = True
    if found is None:
        return _refusal(loan, asked, ways, limit=limit, sale=sale)
    return _quote(
        ranges,
        loan,
        found,
        asked=asked,
        limit=bound,
        guarantor=guarantor,
        sale=sale,
        wanted=wanted,
    )


def _asked(
    ranges: CreditTerms, loan: Loan, wanted: Wanted, *, sold: tuple[int, ...]
) -> Asked | Unfit:
    start = wanted.amount if wanted.amount is not None else wanted.start_amount
    if start is None:
        return Unfit("amount.unknown")
    lent = cents(start)
    least, most = round(ranges.amount.min * 100), round(ranges.amount.max * 100)
    if loan.value is not None and loan.value <= 0:
        return Unfit("ltv.exceeded", (("car_value", str(amount(loan.value))),))
    if lent < least:
        return Unfit("amount.range", (("amount", str(start)), ("least", str(amount(least)))))
    deposit = (
        _start_deposit(ranges, lent, loan.value)
        if wanted.deposit is None
        else max(cents(wanted.deposit), 0)
    )
    need = lent + deposit
    least_deposit = -(-round(ranges.deposit.min * _ALL) * (loan.value or need) // _ALL)
    if deposit < least_deposit:
        # Paid down instead of lent: amount and deposit together stay.
        deposit = -(-least_deposit // STEP) * STEP
        lent = need - deposit
        if lent < least:
            return Unfit(
                "amount.range", (("amount", str(amount(lent))), ("least", str(amount(least))))
            )
    wished = ranges.start_months if wanted.months is None else wanted.months
    nearest = min(sold, key=lambda months: (abs(months - wished), -months))
    return Asked(
        lent=lent,
        deposit=deposit,
        months=sold[sold.index(nearest) :],
        least=least,
        most=most,
        deposit_most=round(ranges.deposit.max * _ALL),
        max_ltv=round(ranges.max_loan_to_value * _ALL),
    )


def _start_deposit(ranges: CreditTerms, lent: int, value: int | None) -> int:
    """The offer's own share: of the car's value, or of what amount and deposit are together."""
    share = round(ranges.deposit.start * _ALL)
    if not share:
        return 0
    exact = share * lent // max(_ALL - share, 1) if value is None else share * value // _ALL
    return -(-exact // STEP) * STEP


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


def _quote(
    ranges: CreditTerms,
    loan: Loan,
    found: Found,
    *,
    asked: Asked,
    limit: int,
    guarantor: bool,
    sale: Sale,
    wanted: Wanted,
) -> Quote:
    lent, deposit, months = found.lent, found.deposit, found.months
    cell = loan.cell(lent, deposit, months)
    assert cell is not None  # noqa: S101 - it was found by this very cell
    final = (
        loan.final(lent, deposit, cell=cell, months=months, limit=limit) if loan.final_most else 0
    )
    due = instalment(loan.kind, lent, rate_e4=cell.rate_e4, months=months, final=final)
    due += sum([fee for _, fee in loan.monthly(lent, deposit, cell)])
    changes = _changes(found, asked=asked, wanted=wanted)
    if guarantor:
        changes += (Change("guarantor", None, None),)
    if loan.cover is not None:
        changes += (Change("cover", None, None),)
    return Quote(
        kind=ranges.kind,
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
        guarantor=guarantor,
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
