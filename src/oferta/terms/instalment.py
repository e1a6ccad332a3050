"""Instalments in closed form, exact to the cent.

Payments fall monthly in arrear; a month's interest is a twelfth of the nominal yearly rate
(30/360). With `r` a month's rate, `n` months, amount `A` and a final payment `F` due with the last
instalment, the present value of an ordinary annuity gives

    instalment = (A - F) * r / (1 - (1 + r)^-n) + F * r

(S. G. Kellison, The Theory of Interest, ch. 3 and 5; the balloon only bears interest meanwhile).
"""

from decimal import Context, Decimal
from functools import lru_cache
from typing import Final

from oferta.terms.cents import YEAR_E4, interest
from oferta.terms.quote import Kind

SCALE: Final = 10**24
"""What factors are multiplied by to be whole."""
_EXACT: Final = Context(prec=50)


@lru_cache(maxsize=1 << 14)
def annuity_factor(rate_e4: int, months: int) -> int:
    """The instalment per unit lent, times 10**24, to the nearest integer. Not for a rate of 0."""
    month = _EXACT.divide(Decimal(rate_e4), Decimal(YEAR_E4))
    grown = _EXACT.power(_EXACT.add(Decimal(1), month), months)
    factor = _EXACT.divide(_EXACT.multiply(month, grown), _EXACT.subtract(grown, Decimal(1)))
    return int((factor * SCALE).to_integral_value(context=_EXACT))


def annuity(lent: int, *, rate_e4: int, months: int, final: int = 0) -> int:
    """The equal instalment in cents, half up, without fees."""
    if rate_e4 == 0:
        return equal_share(lent - final, months)
    return (
        (lent - final) * annuity_factor(rate_e4, months)
        + final * rate_e4 * SCALE // YEAR_E4
        + SCALE // 2
    ) // SCALE


def first_of_equal_principal(lent: int, *, rate_e4: int, months: int) -> int:
    """The first instalment in cents, the highest one, where the same principal is paid monthly."""
    return equal_share(lent, months) + interest(lent, rate_e4)


def equal_share(lent: int, months: int) -> int:
    """One of `months` equal parts in cents, half up."""
    return (2 * lent + months) // (2 * months)


def instalment(kind: Kind, lent: int, *, rate_e4: int, months: int, final: int = 0) -> int:
    """The (first) instalment of a loan of any kind in cents, without fees."""
    if kind == "equal_principal":
        return first_of_equal_principal(lent, rate_e4=rate_e4, months=months)
    return annuity(lent, rate_e4=rate_e4, months=months, final=final)


def after_holiday(owed: int, *, rate_e4: int, months: int) -> int:
    """What is owed after `months` without payment: each month's interest is added to it."""
    for _ in range(months):
        owed += interest(owed, rate_e4)
    return owed
