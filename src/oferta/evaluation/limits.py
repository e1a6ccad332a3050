"""What an evaluation may take: time over all models, and memory for one."""

from collections.abc import Callable
from dataclasses import dataclass

from oferta.models.protocol import Cost

Timer = Callable[[], float]
"""Seconds from any starting point, never going back."""

_SHARE = 0.5  # of the time or the memory, for one fit: the declared cost is within a factor of two


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be spent.

    Attributes:
        seconds: over all models.
        free_bytes: memory that the process may still take.
        timer: measures fits, and the time spent.
    """

    seconds: float
    free_bytes: int
    timer: Timer

    def refusal(self, cost: Cost) -> str | None:
        """Why a fit of this cost is not begun, or None where it may be."""
        if cost.seconds > self.seconds * _SHARE:
            return (
                f"would take about {cost.seconds / 60:.0f} min, over half of the budget of "
                f"{self.seconds / 60:.0f} min (--budget)"
            )
        if cost.bytes > self.free_bytes * _SHARE:
            return (
                f"would take about {cost.bytes / 2**30:.1f} GiB, over half of the "
                f"{self.free_bytes / 2**30:.1f} GiB that are free"
            )
        return None
