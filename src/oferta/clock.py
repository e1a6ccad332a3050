"""The only place that reads the time.

Everything else is given a `Clock`, so a test can stand still or jump a day. Instants are aware UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


def instant(at: float | datetime) -> str:
    """An instant as ISO 8601 in UTC, ending in Z, with no more digits than it needs.

    Args:
        at: an aware instant, or epoch seconds, of which milliseconds are told.
    """
    when = at if isinstance(at, datetime) else datetime.fromtimestamp(round(at, 3), UTC)
    digits = "seconds" if not when.microsecond else "milliseconds"
    text = when.astimezone(UTC).isoformat(
        timespec=digits if when.microsecond % 1000 == 0 else "microseconds"
    )
    return text.replace("+00:00", "Z")


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
