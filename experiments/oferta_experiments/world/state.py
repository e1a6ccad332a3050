"""Where every customer stands: their car, their finance, their covers, their search for a car.

Arrays of one row a customer, changed in place month by month. Days are whole days since 1970;
`NEVER` is a day before all of them and `ALWAYS` one after all of them.
"""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
import polars as pl

from oferta_experiments.world.arrays import Flags, Ints, Reals
from oferta_experiments.world.cars import (
    age_years,
    is_electric,
    mileage,
    worth,
)
from oferta_experiments.world.products import Products

NONE: Final = -1
NEVER: Final = -100_000
ALWAYS: Final = 100_000


@dataclass(slots=True)
class State:
    """`n` customers.

    Attributes:
        vehicle: number of their vehicle in the chunk; car: its product; NONE: no car.
        car_value: price paid; car_share: `cars.worth` of it when bought, so that
            value now = car_value / car_share x worth now x car_luck.
        registered, bought: days; start_km, km_year, plan_km: mileage; warranty: last day.
        valued, seen: days of the last valuation and of the last reading of the odometer.
        finance: number of the contract; NONE: none is active. product, amount, rate, term,
            instalment, final, payments (made or missed so far), balance: of that contract;
            opened: its day; final_due: its last day; level: whether its instalments are equal.
        missed: instalments unpaid; unpaid: the day the oldest was due.
        holiday: instalments still paused. freed: the day the last finance ended.
        had_finance: how many finance contracts they ever had.
        until, contract: `(n, P)` last day and number of what they hold of insurance and services.
        blocked: `(n, P)` the day from which the product may be had (again).
        elsewhere: next renewal of motor insurance with somebody else.
        market: until when they look for a car (NEVER: they do not); since: from when; target,
            plan: the car and the finance product that they have in mind (NONE: cash).
        contacts: contacts of late, halving every month.
    """

    vehicle: Ints
    car: Ints
    car_value: Reals
    car_share: Reals
    car_luck: Reals
    registered: Ints
    bought: Ints
    start_km: Reals
    km_year: Reals
    plan_km: Reals
    warranty: Ints
    valued: Ints
    seen: Ints
    finance: Ints
    product: Ints
    amount: Reals
    rate: Reals
    term: Ints
    instalment: Reals
    final: Reals
    payments: Ints
    balance: Reals
    opened: Ints
    final_due: Ints
    level: Flags
    missed: Ints
    unpaid: Ints
    holiday: Ints
    freed: Ints
    had_finance: Ints
    elsewhere: Ints
    market: Ints
    since: Ints
    target: Ints
    plan: Ints
    contacts: Reals
    until: Ints
    contract: Ints
    blocked: Ints

    @classmethod
    def blank(cls, count: int, products: int) -> Self:
        """`count` customers who have nothing."""
        starts: dict[str, int] = dict.fromkeys(
            ("vehicle", "car", "finance", "product", "target", "plan"), NONE
        )
        starts |= dict.fromkeys(
            (
                "registered",
                "bought",
                "warranty",
                "valued",
                "seen",
                "opened",
                "final_due",
                "unpaid",
                "freed",
                "elsewhere",
                "market",
                "since",
                "until",
                "blocked",
            ),
            NEVER,
        )
        starts |= {"contract": NONE}
        reals = {
            "car_value",
            "car_share",
            "car_luck",
            "start_km",
            "km_year",
            "plan_km",
            "amount",
            "rate",
            "instalment",
            "final",
            "balance",
            "contacts",
        }
        made: dict[str, np.ndarray] = {}
        for field in fields(cls):
            shape = (count, products) if field.name in {"until", "contract", "blocked"} else count
            dtype = np.float64 if field.name in reals else np.int64
            made[field.name] = np.full(shape, starts.get(field.name, 0), dtype)
        made["level"] = np.ones(count, np.bool_)
        return cls(**made)

    def has_car(self) -> Flags:
        """Who has a car."""
        return np.asarray(self.vehicle != NONE)

    def has_finance(self) -> Flags:
        """Who has a car loan or a lease with us."""
        return np.asarray(self.finance != NONE)

    def km(self, day: Ints | int) -> Reals:
        """The odometer on a day; nothing sensible where there is no car."""
        return mileage(self.start_km, self.km_year, self.bought, day)

    def value(self, products: Products, day: Ints | int) -> Reals:
        """What the car is worth on a day, EUR; 0 where there is none."""
        share = worth(
            age_years(self.registered, day), self.km(day), is_electric(products, self.car)
        )
        value = self.car_value / np.maximum(self.car_share, 0.01) * share * self.car_luck
        return np.where(self.has_car(), np.round(value, 2), 0.0)

    def motor_end(self, products: Products) -> Ints:
        """`(n,)` the last day of motor insurance with us; NEVER where there is none."""
        return np.asarray(self.until[:, products.motor].max(axis=1))

    def taken(self, rows: Ints) -> Self:
        """Copies of these rows."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def frame(self) -> pl.DataFrame:
        """One row a customer; the `(n, P)` ones as arrays."""
        return pl.DataFrame({field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def of_frame(cls, frame: pl.DataFrame) -> Self:
        """The state that `frame` was made of."""
        return cls(**{f.name: frame[f.name].to_numpy().copy() for f in fields(cls)})
