"""Quiet hours: wall-clock times of the policy's zone in which a channel begins nothing.

They may pass midnight, and they hold on the days on which clocks change: what counts is what the
clock on the customer's wall says.
"""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from oferta.policy.file import Quiet

_MINUTE = 60.0


def quiet_until(quiet: Quiet | None, at: float, *, zone: ZoneInfo) -> float | None:
    """The first instant after `at` that is not quiet; None: `at` is not. Epoch seconds.

    Quiet from 21:00 to 08:00 is silent at 21:00 and speaks again at 08:00. An end that the clocks
    jump over is where they land.
    """
    if quiet is None or not _silent(quiet, at, zone):
        return None
    today = datetime.fromtimestamp(at, zone).date()
    ends = sorted(
        datetime.combine(today + timedelta(days=days), quiet.end, zone)
        .replace(fold=fold)
        .astimezone(UTC)
        .timestamp()
        for days in (0, 1, 2)
        for fold in (0, 1)
    )
    end = next(end for end in ends if end > at and not _silent(quiet, end, zone))
    while end - _MINUTE > at and not _silent(quiet, end - _MINUTE, zone):
        end -= _MINUTE  # clocks jumped over the end: it came when they did
    return end


def _silent(quiet: Quiet, at: float, zone: ZoneInfo) -> bool:
    clock = datetime.fromtimestamp(at, zone).time()
    return _within(quiet.start, quiet.end, clock)


def _within(start: time, end: time, clock: time) -> bool:
    return start <= clock < end if start < end else clock >= start or clock < end
