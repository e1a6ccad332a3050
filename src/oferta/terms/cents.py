"""Exact money: whole cents, and rates in ten-thousandths of a percent, all Python integers.

Sums to the cent must not hang on how a binary fraction rounds, and `Decimal` is ten times slower
than an integer; so inside this room amounts are cents, rates are `rate_e4` (3.49 % is 34900) and
ratios are `e4` too (0.8 is 8000). `Decimal` comes in and goes out. All rounding is half up.
"""

from decimal import Decimal
from functools import lru_cache
from typing import Final

PERCENT_E4: Final = 1_000_000
"""`amount * percent_e4 / PERCENT_E4` is that percentage of the amount."""

YEAR_E4: Final = 12 * PERCENT_E4
"""`balance * rate_e4 / YEAR_E4` is a month's interest: nominal / 12, every month alike."""


def cents(amount: Decimal) -> int:
    """`amount` of the main unit in whole cents, half up."""
    scaled = amount.scaleb(2)
    whole = int(scaled)
    if scaled == whole:
        return whole
    return int((scaled + _HALF).to_integral_value(rounding="ROUND_FLOOR"))


def amount(whole_cents: int) -> Decimal:
    """Cents as an amount of the main unit, with two digits."""
    return Decimal(whole_cents).scaleb(-2)


def e4(ratio: Decimal | float) -> int:
    """A percentage or a ratio in ten-thousandths; finer digits are rounded half up."""
    exact = ratio if isinstance(ratio, Decimal) else Decimal(repr(ratio))
    return int((exact.scaleb(4) + _HALF).to_integral_value(rounding="ROUND_FLOOR"))


@lru_cache(maxsize=4096)
def percentage(rate_e4: int) -> Decimal:
    """`rate_e4` as a percentage: two digits, or as many more as it has."""
    rate = Decimal(rate_e4).scaleb(-4)
    return rate if rate_e4 % 100 else rate.quantize(_TWO_DIGITS)


def share_of(whole_cents: int, percent_e4: int) -> int:
    """A percentage of an amount, in cents, half up."""
    return (whole_cents * percent_e4 + PERCENT_E4 // 2) // PERCENT_E4


def interest(balance: int, rate_e4: int) -> int:
    """A month's interest on `balance`, in cents, half up."""
    return (balance * rate_e4 + YEAR_E4 // 2) // YEAR_E4


def loan_to_value(lent: int, value: int) -> int:
    """Amount over value in ten-thousandths, rounded up.

    Rounded up it is at most a bound of four digits exactly when the true ratio is.
    """
    return -(-lent * 10_000 // value)


_HALF: Final = Decimal("0.5")
_TWO_DIGITS: Final = Decimal("0.01")
