"""Money that is lent: instalments, balances and the reference rate.

A world of its own: nothing here is the engine's terms room, so that a test may compare the two.
"""

from typing import Final

import numpy as np

from oferta_experiments.world.arrays import Flags, Ints, Reals

TIERS: Final = ("A", "B", "C", "D", "E")
_TIER_RATE: Final = np.array([3.9, 4.9, 6.4, 8.9, 12.5])
_USED: Final = 0.9
_PROMOTIONAL: Final = -2.4
_HIGH_LOAN_TO_VALUE: Final = 0.6
_SWING: Final = 0.7
"""The market's rate goes up and down by so much, over six years."""


def reference_rate(tier: Ints, month: Ints | int, *, used: Flags, promotional: Flags) -> Reals:
    """What the market asks of a tier in a month, percent a year, rounded to a tenth."""
    swing = _SWING * np.sin(2 * np.pi * (np.asarray(month) % 72) / 72)
    rate = _TIER_RATE[tier] + _USED * used + _PROMOTIONAL * promotional + swing
    return np.asarray(np.round(np.maximum(rate, 0.9), 1), np.float64)


def level_instalment(amount: Reals, rate: Reals, months: Ints, final: Reals) -> Reals:
    """The monthly annuity that leaves `final` after the last instalment, to the cent."""
    growth = 1 + rate / 1200
    grown = growth**months
    return np.asarray(np.round((amount * grown - final) * (growth - 1) / (grown - 1), 2))


def first_instalment(amount: Reals, rate: Reals, months: Ints) -> Reals:
    """The first, and largest, instalment of equal principal, to the cent."""
    return np.asarray(np.round(amount / months + amount * rate / 1200, 2))


def after_payment(balance: Reals, rate: Reals, paid: Reals) -> Reals:
    """What is owed after a month's interest and a payment, never below zero."""
    return np.asarray(np.maximum(balance * (1 + rate / 1200) - paid, 0.0))


def level_balance(amount: Reals, rate: Reals, instalment: Reals, paid: Ints) -> Reals:
    """What is owed after `paid` level instalments, never below zero."""
    growth = 1 + rate / 1200
    grown = growth**paid
    owed = amount * grown - instalment * (grown - 1) / (growth - 1)
    return np.asarray(np.maximum(owed, 0.0))


def principal_balance(amount: Reals, months: Ints, paid: Ints) -> Reals:
    """What is owed after `paid` instalments of equal principal."""
    return np.asarray(amount * np.maximum(months - paid, 0) / np.maximum(months, 1))
