"""Days and months of the world: whole days since 1970, months counted from January 1970.

Contracts begin on one of the first 28 days of a month, so that every month has their day.
"""

from datetime import date
from typing import Final

import numpy as np

from oferta_experiments.world.arrays import Ints

DAY_S: Final = 86_400
LAST_DAY: Final = 28
MIDDLE: Final = 14
"""The day of a month on which moments are looked at, from its first."""
_MONTHS: Final = 12 * 131  # to the end of 2100
_FIRST_DAYS: Final[Ints] = (
    np.arange(_MONTHS).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
)


def month_of(day: date) -> int:
    """The month that `day` is in."""
    return (day.year - 1970) * 12 + day.month - 1


def first_day(month: Ints | int) -> Ints:
    """The first day of each month."""
    return np.asarray(_FIRST_DAYS[month])


def months_of(day: Ints) -> Ints:
    """The month that each day is in."""
    return np.asarray(np.searchsorted(_FIRST_DAYS, day, side="right") - 1, np.int64)


def later(day: Ints, months: Ints | int) -> Ints:
    """The same day of the month, so many months later; days beyond the 28th become the 28th."""
    month = months_of(day)
    of_month = np.minimum(day - _FIRST_DAYS[month], LAST_DAY - 1)
    return np.asarray(_FIRST_DAYS[month + months] + of_month)
