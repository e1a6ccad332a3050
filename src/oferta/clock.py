"""The only place that reads the time.

Everything else is given a `Clock`, so a test can stand still or jump a day. Instants are aware UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class FixedClock:
    """A clock that stands still at `instant`."""

    instant: datetime

    def now(self) -> datetime:
        """Always `instant`."""
        return self.instant
