"""The control group: customers who get nothing personalised for a while, to compare with.

Who is in it follows from the customer and the period alone, so that every channel, process and
replay agrees, and everybody's turn comes anew with the next period.
"""

from datetime import datetime
from hashlib import blake2b
from typing import Final
from zoneinfo import ZoneInfo

from oferta.policy.file import Control

_BYTES: Final = 8
_RANGE: Final = 2.0 ** (8 * _BYTES)


def in_control(customer_id: str, control: Control, *, at: float, zone: ZoneInfo) -> bool:
    """Whether the customer is in the group at `at` (epoch seconds), in days of `zone`."""
    if control.share <= 0.0:
        return False
    text = "\0".join((control.salt, period(control, at=at, zone=zone), customer_id))
    drawn = int.from_bytes(blake2b(text.encode(), digest_size=_BYTES).digest(), "big")
    return drawn < control.share * _RANGE


def period(control: Control, *, at: float, zone: ZoneInfo) -> str:
    """The name of the period that `at` is in: `2026-11`, `2026-Q4` or `2026`."""
    day = datetime.fromtimestamp(at, zone)
    if control.period == "month":
        return f"{day.year}-{day.month:02d}"
    if control.period == "quarter":
        return f"{day.year}-Q{(day.month + 2) // 3}"
    return str(day.year)
