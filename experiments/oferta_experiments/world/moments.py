"""The clocks of a customer, and how much each of them makes its products wanted on a day."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from oferta_experiments.world.arrays import Flags, Ints, Reals
from oferta_experiments.world.products import CLOCKS, NEEDS, Products
from oferta_experiments.world.state import NEVER, State

BALLOON_DAYS: Final = 120
MATURITY_DAYS: Final = 120
RENEWAL_DAYS: Final = 45
WARRANTY_DAYS: Final = (-30, 90)
PLAN_DAYS: Final = (-30, 60)
BOUGHT_DAYS: Final = 90
BALLOON_OPEN_DAYS: Final = 183
"""A last payment is refinanced within half a year before it is due, not earlier."""

# Logits added at the moment, and (second) away from it.
_BALLOON: Final = (3.4, -2.0)
_RENEWAL: Final = (2.4, -1.2)
_WARRANTY: Final = (2.8, -0.6)
_EQUITY: Final = (1.7, -0.5)
_PLAN_END: Final = (2.2, -0.4)
_MATURITY: Final = (2.4, -1.0)
_PURCHASE: Final = (3.2, -2.0)
_ARREARS: Final = (3.0, -2.5)
_BOUGHT: Final = (2.2, -0.8)


@dataclass(frozen=True, slots=True)
class Moments:
    """What a day means to each customer.

    Attributes:
        boost: `(n, clocks)` logits by position in `products.CLOCKS`.
        can: `(n, needs)` whether what a product needs is there, by position in `products.NEEDS`.
        days_to_final: days to the last payment of the finance, for the reader; a large number
            where there is none.
        equity: `(n,)` value less what is owed, as a share of the value.
    """

    boost: Reals
    can: Flags
    days_to_final: Ints
    equity: Reals


def moments(state: State, products: Products, day: int) -> Moments:
    """The moments of `day`."""
    financed, has_car = state.has_finance(), state.has_car()
    left = np.where(financed, state.final_due - day, -NEVER)
    value = state.value(products, day)
    equity = np.where(has_car, 1 - np.where(financed, state.balance, 0) / np.maximum(value, 1), 0.0)
    old = (day - state.bought) > 730  # noqa: PLR2004 - two years
    motor = state.motor_end(products)
    renewal = np.where(motor > NEVER, motor, state.elsewhere) - day
    plans = products.clock == CLOCKS.index("service_plan_end")
    plan_end = state.until[:, plans].max(axis=1) - day if plans.any() else np.full(len(left), NEVER)
    when = {
        "balloon_due": _level(financed & (state.final > 0), left, (-15, BALLOON_DAYS), _BALLOON),
        "insurance_renewal": _level(has_car, renewal, (-5, RENEWAL_DAYS), _RENEWAL),
        "warranty_end": _level(has_car, state.warranty - day, WARRANTY_DAYS, _WARRANTY),
        "equity_positive": np.where(
            has_car & old & (equity > 0.1),  # noqa: PLR2004 - worth a tenth more than is owed
            _EQUITY[0] * np.minimum(0.5 + equity, 1.2),
            _EQUITY[1],
        ),
        "service_plan_end": _level(has_car, plan_end, PLAN_DAYS, _PLAN_END),
        "maturity": _level(financed, left, (-15, MATURITY_DAYS), _MATURITY),
        "purchase": np.where(state.market >= day, *_PURCHASE),
        "arrears": np.where(state.missed > 0, *_ARREARS),
        "bought": np.where(has_car & (day - state.bought <= BOUGHT_DAYS), *_BOUGHT),
    }
    boost = np.zeros((len(left), len(CLOCKS)))
    for name, logits in when.items():
        boost[:, CLOCKS.index(name)] = logits
    can = np.ones((len(left), len(NEEDS)), np.bool_)
    can[:, NEEDS.index("vehicle")] = has_car
    can[:, NEEDS.index("finance")] = financed
    can[:, NEEDS.index("balloon")] = financed & (state.final > 0) & (left <= BALLOON_OPEN_DAYS)
    can[:, NEEDS.index("arrears")] = financed & (state.missed > 0)
    return Moments(boost, can, left.astype(np.int64), equity)


def possible(state: State, products: Products, at: Moments, day: int) -> Flags:
    """`(n, P)`: whether a customer could have each product on `day` if they wanted it."""
    can = at.can[:, products.needs]
    # Insurance, services and trade-ins are for the car that there is; loans for the one to be.
    of_car = ~products.of_family("loan", "lease", "car", "servicing")
    for wanted, mine in (
        (products.body, products.body[state.car]),
        (products.fuel, products.fuel[state.car]),
        (products.condition, products.condition[state.car]),
    ):
        limited = (wanted > 0) & of_car
        can[:, limited] &= wanted[limited] == mine[:, None]
    can &= state.blocked <= day
    # A car has one motor insurance, which is changed when it is about to be renewed.
    insured = state.motor_end(products) > day + RENEWAL_DAYS
    can[:, products.motor] &= ~insured[:, None]
    refinance = (products.needs == NEEDS.index("vehicle")) & products.of_family("loan")
    main = refinance & (products.price > SMALL_LOAN)
    can[:, main] &= ~state.has_finance()[:, None]
    return can


SMALL_LOAN: Final = 5_000.0
"""A loan that usually is below this is for things, not for the car: it stands beside others."""


def _level(who: Flags, days: Ints, window: tuple[int, int], logits: tuple[float, float]) -> Reals:
    here = who & (days >= window[0]) & (days <= window[1])
    return np.where(here, *logits)
