"""Cars that age: what they are worth, and how far they have been driven."""

from typing import Final

import numpy as np

from oferta_experiments.world.arrays import Ints, Reals
from oferta_experiments.world.products import FUELS, Products

USES: Final = ("private", "commute", "ride_hailing", "commercial")
KM_YEAR: Final = np.array([11_000.0, 19_000.0, 46_000.0, 30_000.0])
"""Usual kilometres a year of each use."""
PLAN_KM: Final = np.array([10_000.0, 15_000.0, 20_000.0, 30_000.0, 50_000.0])
WARRANTY_MONTHS: Final = 24
USED_WARRANTY_MONTHS: Final = 12
_YEAR: Final = 365.25
_FIRST_YEAR: Final = 0.18
_LATER_YEARS: Final = 0.13
_ELECTRIC_FASTER: Final = 0.03
_PER_KM: Final = 0.06 / 10_000
_USUAL_KM: Final = 14_000.0
_LEAST: Final = 0.05


def worth(age_years: Reals, km: Reals, electric: Reals) -> Reals:
    """The share of a new car's price that is left, at least a twentieth."""
    first = np.minimum(age_years, 1.0) * _FIRST_YEAR
    rest = np.maximum(age_years - 1.0, 0.0) * (_LATER_YEARS + _ELECTRIC_FASTER * electric)
    driven = (km - _USUAL_KM * age_years) * _PER_KM
    return np.asarray(np.maximum(np.exp(-first - rest - driven), _LEAST))


def mileage(start_km: Reals, km_year: Reals, bought: Ints, day: Ints | int) -> Reals:
    """The odometer on a day."""
    return np.asarray(np.round(start_km + km_year * np.maximum(day - bought, 0) / _YEAR))


def age_years(registered: Ints, day: Ints | int) -> Reals:
    """Years since the first registration, never negative."""
    return np.asarray(np.maximum(day - registered, 0) / _YEAR)


def is_electric(products: Products, car: Ints) -> Reals:
    """1.0 where the car product runs on electricity."""
    electric: Reals = (products.fuel[car] == FUELS.index("electric")).astype(np.float64)
    return electric
