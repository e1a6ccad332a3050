"""The effective annual rate: what credit costs a year, fees included.

The rate X at which what is drawn and what is paid have the same present value,

    sum C_k (1 + X)^-t_k = sum D_l (1 + X)^-s_l,

with times in years from the first drawdown and a month being a twelfth of a year: the annual
percentage rate of charge of Directive 2008/48/EC, annex I, and of its successor (EU) 2023/2225,
annex III. Deposits are no part of it: they are paid for the car, not for the credit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from math import exp, expm1
from typing import Final

_TWO_DIGITS: Final = Decimal("0.01")
_ZERO: Final = Decimal("0.00")
_STEPS: Final = 200
_CLOSE: Final = 1e-13
_EXPONENT: Final = 600.0


@dataclass(frozen=True, slots=True)
class Flow:
    """An amount, in any unit of money, so many years after the first drawdown."""

    years: float
    amount: float


def annual_rate(drawn: Sequence[Flow], paid: Sequence[Flow]) -> Decimal | None:
    """X in percent, two digits half up; None where no rate equates the two.

    Newton's method on `log(1 + X)`, in which every flow is an exponential, kept within a bracket
    that bisection narrows wherever a step would leave it. It may be negative, down to -100 %.
    """
    flows = [(flow.years, flow.amount) for flow in drawn]
    flows += [(flow.years, -flow.amount) for flow in paid]
    last = max((years for years, _ in flows), default=0.0)
    if last <= 0:
        return None
    # Between these the powers stay within what a float can hold.
    low, high = -_EXPONENT / last, _EXPONENT / last
    force = _root([flow for flow in flows if flow[1]], low, high)
    if force is None:
        return None
    rate = Decimal(repr(expm1(force) * 100)).quantize(_TWO_DIGITS, ROUND_HALF_UP)
    return rate or _ZERO  # never minus zero


def _root(flows: Sequence[tuple[float, float]], low: float, high: float) -> float | None:
    at_low, _ = _value(flows, low)
    at_high, _ = _value(flows, high)
    if not (at_low < 0 < at_high):
        return None
    force = 0.05
    for _ in range(_STEPS):
        value, slope = _value(flows, force)
        if value < 0:
            low = force
        else:
            high = force
        step = force - value / slope if slope else high
        new = step if low < step < high else (low + high) / 2
        if abs(new - force) <= _CLOSE * max(1.0, abs(force)):
            return new
        force = new
    return force


def _value(flows: Sequence[tuple[float, float]], force: float) -> tuple[float, float]:
    """Drawn less paid in present value, and its slope by the force of interest."""
    value = slope = 0.0
    for years, cash in flows:
        discounted = cash * exp(-force * years)
        value += discounted
        slope -= years * discounted
    return value, slope
