"""Leases fitted to wish and means: the car goes back at the end, so its residual is not paid."""

from decimal import Decimal
from typing import Final

from oferta.catalogue.ranges import LeaseTerms
from oferta.terms.affordability import credit_limit
from oferta.terms.card import Sale
from oferta.terms.cents import amount, cents, percentage
from oferta.terms.instalment import annuity
from oferta.terms.loan import STEP
from oferta.terms.quote import NOTHING, Change, Fee, Quote, Unfit
from oferta.terms.tariff import LeaseTariff
from oferta.terms.wanted import Means, Wanted

_ALL: Final = 10_000


def fit_lease(
    ranges: LeaseTerms,
    tariff: LeaseTariff,
    *,
    sale: Sale,
    wanted: Wanted,
    means: Means,
) -> Quote | Unfit:
    """A quote within `ranges`, or why there is none.

    A wished mileage takes the smallest allowance that covers it. An instalment above what is wished
    or affordable makes the term longer; nothing else of a lease gives way.
    """
    row = tariff.row(means.tier, means.condition)
    sold = tariff.sold(ranges.months, means.tier, means.condition)
    allowance = _allowance(ranges, tariff, wanted.mileage_km_year)
    if row is None or not sold or allowance is None:
        return Unfit("card.none", (("product", sale.product), ("tier", means.tier or "unknown")))
    if wanted.start_amount is None or wanted.start_amount <= 0:
        return Unfit("amount.unknown")
    limit = credit_limit(wanted, means)
    if isinstance(limit, Unfit):
        return limit
    value = cents(wanted.start_amount)
    wished = ranges.start_months if wanted.months is None else wanted.months
    nearest = min(sold, key=lambda months: (abs(months - wished), -months))
    least: int | None = None
    for months in sold[sold.index(nearest) :]:
        cell = row.cell(months, value, None)
        if cell is None:
            continue
        residual = residual_share(ranges, months) * value // _ALL // STEP * STEP
        due = annuity(value, rate_e4=cell.rate_e4, months=months, final=residual)
        due += cell.charges.monthly(value) + tariff.mileage_fee[allowance]
        least = due if least is None else min(least, due)
        if due <= limit.most:
            fees = cell.charges.fees(value)
            if tariff.mileage_fee[allowance]:
                fees += (Fee("mileage", amount(tariff.mileage_fee[allowance]), "monthly"),)
            return Quote(
                kind="lease",
                product=sale.product,
                currency=sale.currency,
                start=sale.on,
                amount=amount(value),
                deposit=NOTHING,
                months=months,
                rate=percentage(cell.rate_e4),
                instalment=amount(due),
                final_payment=NOTHING,
                fees=fees,
                card=sale.card.version,
                residual=amount(residual),
                mileage_km_year=allowance,
                changes=_changes(wanted, months=months, allowance=allowance),
            )
    if least is None:
        return Unfit("card.none", (("product", sale.product), ("amount", str(amount(value)))))
    return limit.exceeded(least)


def residual_share(ranges: LeaseTerms, months: int) -> int:
    """What is left of the car's value after `months`, in ten-thousandths.

    The range's `max` after the shortest term, `start` after `start_months`, `min` after the
    longest, and straight lines between: a car loses value with time.
    """
    first, middle, last = ranges.months[0], ranges.start_months, ranges.months[-1]
    high, start, low = (
        round(share * _ALL)
        for share in (ranges.residual.max, ranges.residual.start, ranges.residual.min)
    )
    if months < middle:
        return start + (high - start) * (middle - months) // (middle - first)
    if months > middle:
        return start - (start - low) * (months - middle) // (last - middle)
    return start


def _allowance(ranges: LeaseTerms, tariff: LeaseTariff, wished: int | None) -> int | None:
    """The smallest allowance on offer that covers the wish, else the largest; None: none priced."""
    priced = [allowance for allowance in ranges.mileage_km_year if allowance in tariff.mileage_fee]
    wanted = ranges.start_mileage_km_year if wished is None else wished
    return min(
        (allowance for allowance in priced if allowance >= wanted),
        default=max(priced, default=None),
    )


def _changes(wanted: Wanted, *, months: int, allowance: int) -> tuple[Change, ...]:
    changes = []
    if wanted.months is not None and wanted.months != months:
        changes.append(Change("months", Decimal(wanted.months), Decimal(months)))
    if wanted.mileage_km_year is not None and wanted.mileage_km_year > allowance:
        changes.append(Change("mileage", Decimal(wanted.mileage_km_year), Decimal(allowance)))
    return tuple(changes)
