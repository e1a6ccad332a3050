"""What an evaluation may take: time over all models, and memory for one."""

from collections.abc import Callable
from dataclasses import dataclass

from oferta.models.protocol import Cost

Timer = Callable[[], float]
"""Seconds from any starting point, never going back."""

_SLACK = 1.2  # what the last fits may take beyond the budget: searches left time for them
_SCORED_S = 6e-9  # a score made, ranked and judged: measured on 30,000 products
_DRAWN_S = 1.5  # the bootstrap of all metrics, over so many customers or more
_DRAWN_UNITS = 20_000
_SHARE = 0.5  # of the time or the memory, for one fit: the declared cost is within a factor of two


def seconds_to_judge(rows: int, products: int) -> float:
    """What lists for `rows` over `products`, and their metrics with intervals, will take."""
    return _DRAWN_S * min(rows / _DRAWN_UNITS, 1) + rows * float(products) * _SCORED_S


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be spent.

    Attributes:
        seconds: over all models.
        free_bytes: memory that the process may still take.
        timer: measures fits, and the time spent.
        part: share of what is left of the seconds that searching may take; the rest is others'.
        spent: seconds of the budget that were spent before.
    """

    seconds: float
    free_bytes: int
    timer: Timer
    part: float = 1.0
    spent: float = 0.0

    def refusal(self, cost: Cost, *, spent: float = 0.0) -> str | None:
        """Why a fit of this cost is not begun after `spent` seconds, or None where it may be."""
        if cost.seconds > self.seconds * _SHARE:
            return (
                f"would take about {cost.seconds / 60:.0f} min, over half of the budget of "
                f"{self.seconds / 60:.0f} min (--budget)"
            )
        spent += self.spent
        if spent + cost.seconds > self.seconds * _SLACK:
            return (
                f"would take about {cost.seconds / 60:.1f} min, and of the budget of "
                f"{self.seconds / 60:.0f} min {spent / 60:.0f} were spent (--budget)"
            )
        if cost.bytes > self.free_bytes * _SHARE:
            return (
                f"would take about {cost.bytes / 2**30:.1f} GiB, over half of the "
                f"{self.free_bytes / 2**30:.1f} GiB that are free"
            )
        return None
