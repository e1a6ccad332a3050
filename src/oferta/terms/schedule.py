"""The payments of an offer, line by line, to the cent.

Convention, for every kind: payments fall monthly in arrear, counted from the day the contract
begins (a day that a month does not have becomes its last); a month's interest is a twelfth of the
nominal yearly rate on what was owed (30/360), rounded half up to the cent; the last payment takes
what all that rounding left over.

- `equal_instalment`, `promotional`, `re_term`, `payment_plan`: an annuity.
- `equal_principal`: the same principal every month and the interest on what is owed.
- `balloon`, `residual_value`: an annuity of what is lent less the final payment, which bears
  interest meanwhile and is due with the last instalment. At a residual-value loan the customer may
  give back the car instead of paying it.
- `lease`: as a balloon, but the residual is not paid: the balance ends at it, the car goes back.
- `payment_holiday`: no payment first, interest is added to what is owed, then an annuity.
- `insurance`, `price`: equal parts without interest, or all of it at the start.
"""

from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from oferta.terms.cents import amount, cents, e4, interest
from oferta.terms.instalment import equal_share
from oferta.terms.quote import Line, Quote, Terms


class Payment(NamedTuple):
    """One month, in cents: what is paid for interest and principal, and what is then owed."""

    interest: int
    principal: int
    balance: int


@lru_cache(maxsize=1024)
def schedule(terms: Terms | Quote) -> tuple[Line, ...]:
    """All lines: number 0 is the first day (deposit and fees at the start), then every month.

    `payment = interest + principal + fees`, but on line 0, where it is deposit and fees (or a price
    paid at once). `balance` is what is owed after the line. Cached: terms are frozen.
    """
    at_start = sum(cents(fee.amount) for fee in terms.fees if fee.paid == "start")
    monthly = monthly_fees(terms)
    owed = owed_at_start(terms)
    paid_at_once = terms.kind == "price" and terms.instalment == 0
    first = Line(
        number=0,
        due=terms.start,
        payment=amount(cents(terms.deposit) + at_start + (owed if paid_at_once else 0)),
        interest=amount(0),
        principal=amount(owed if paid_at_once else 0),
        fees=amount(at_start),
        balance=amount(0 if paid_at_once else owed),
    )
    if paid_at_once:
        return (first,)
    return (
        first,
        *(
            Line(
                number=number,
                due=months_after(terms.start, number),
                payment=amount(paid.interest + paid.principal + fees),
                interest=amount(paid.interest),
                principal=amount(paid.principal),
                fees=amount(fees),
                balance=amount(paid.balance),
            )
            for number, paid in enumerate(payments(terms), 1)
            for fees in (0 if number <= terms.holiday_months else monthly,)
        ),
    )


def payments(terms: Terms | Quote) -> Iterator[Payment]:
    """The months' payments without fees, in cents. Not for what is paid at once."""
    owed = owed_at_start(terms)
    match terms.kind:
        case "insurance" | "price":
            yield from _equal_parts(owed, terms.months, rate_e4=0)
        case "equal_principal":
            yield from _equal_parts(owed, terms.months, rate_e4=e4(terms.rate))
        case "payment_holiday":
            yield from _pause(owed, terms)
        case _:
            yield from _equal_instalments(
                owed,
                terms.months,
                rate_e4=e4(terms.rate),
                instalment=cents(terms.instalment) - monthly_fees(terms),
                final=cents(terms.final_payment),
                residual=cents(terms.residual),
            )


def owed_at_start(terms: Terms | Quote) -> int:
    """What is to be paid off, in cents: the amount lent, the premium, the price."""
    match terms.kind:
        case "insurance":
            return equal_share(cents(terms.price) * terms.months, 12)
        case "price":
            return cents(terms.price)
        case _:
            return cents(terms.amount)


def monthly_fees(terms: Terms | Quote) -> int:
    """The fees of one month, in cents."""
    return sum(cents(fee.amount) for fee in terms.fees if fee.paid == "monthly")


def months_after(start: date, months: int) -> date:
    """The same day `months` later, or the last day of that month."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return date(year, month + 1, min(start.day, _DAYS[month] + (month == 1 and _leap(year))))


def _equal_instalments(
    owed: int, months: int, *, rate_e4: int, instalment: int, final: int = 0, residual: int = 0
) -> Iterator[Payment]:
    for _ in range(months - 1):
        due = interest(owed, rate_e4)
        # Rounding may pay a small loan off early: never more than is owed.
        principal = min(instalment - due, owed - final - residual)
        owed -= principal
        yield Payment(due, principal, owed)
    yield Payment(interest(owed, rate_e4), owed - residual, residual)


def _equal_parts(owed: int, months: int, *, rate_e4: int) -> Iterator[Payment]:
    part = equal_share(owed, months)
    for _ in range(months - 1):
        due, principal = interest(owed, rate_e4), min(part, owed)
        owed -= principal
        yield Payment(due, principal, owed)
    yield Payment(interest(owed, rate_e4), owed, 0)


def _pause(owed: int, terms: Terms | Quote) -> Iterator[Payment]:
    rate_e4 = e4(terms.rate)
    for _ in range(terms.holiday_months):
        due = interest(owed, rate_e4)
        owed += due
        yield Payment(due, -due, owed)
    yield from _equal_instalments(
        owed,
        terms.months - terms.holiday_months,
        rate_e4=rate_e4,
        instalment=cents(terms.instalment) - monthly_fees(terms),
    )


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
