"""Quiet hours by the clock on the wall, also when clocks change."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oferta.policy.file import Quiet
from oferta.policy.quiet import quiet_until

MADRID = ZoneInfo("Europe/Madrid")
NIGHT = Quiet(start=time(21), end=time(8))
MINUTE = 60.0
DAYS = [
    datetime(2026, 3, 28, tzinfo=UTC),  # clocks jump from 02:00 to 03:00 in the night that follows
    datetime(2026, 10, 24, tzinfo=UTC),  # and back from 03:00 to 02:00
    datetime(2026, 6, 10, tzinfo=UTC),
]


def at(text: str) -> float:
    """Epoch seconds of a time in Madrid."""
    return datetime.fromisoformat(text).replace(tzinfo=MADRID).timestamp()


def silent(quiet: Quiet, instant: float, zone: ZoneInfo) -> bool:
    """The reference: what the wall clock says."""
    clock = datetime.fromtimestamp(instant, zone).time()
    if quiet.start < quiet.end:
        return quiet.start <= clock < quiet.end
    return not quiet.end <= clock < quiet.start


@pytest.mark.parametrize(
    ("asked", "until"),
    [
        ("2026-06-10T20:59:59", None),
        ("2026-06-10T21:00:00", "2026-06-11T08:00:00"),
        ("2026-06-10T23:30:00", "2026-06-11T08:00:00"),
        ("2026-06-11T03:00:00", "2026-06-11T08:00:00"),
        ("2026-06-11T08:00:00", None),
        ("2026-03-28T22:00:00", "2026-03-29T08:00:00"),
        ("2026-10-24T22:00:00", "2026-10-25T08:00:00"),
    ],
)
def test_a_night_ends_in_the_morning(asked: str, until: str | None):
    ends = quiet_until(NIGHT, at(asked), zone=MADRID)
    assert ends == (None if until is None else at(until))


def test_the_night_on_which_clocks_jump_is_an_hour_shorter():
    def hours(evening: str) -> float:
        ends = quiet_until(NIGHT, at(evening), zone=MADRID)
        assert ends is not None
        return (ends - at(evening)) / 3600

    assert hours("2026-03-28T21:00:00") == 10
    assert hours("2026-06-10T21:00:00") == 11
    assert hours("2026-10-24T21:00:00") == 12


def test_an_end_that_clocks_jump_over_is_where_they_land():
    ends = quiet_until(Quiet(start=time(1), end=time(2, 30)), at("2026-03-29T01:30"), zone=MADRID)
    assert ends == at("2026-03-29T03:00")


def test_no_quiet_hours_are_never_quiet():
    assert quiet_until(None, at("2026-06-10T23:00"), zone=MADRID) is None


@given(
    st.sampled_from(DAYS),
    st.integers(0, 3 * 24 * 60),
    st.tuples(st.integers(0, 47), st.integers(0, 47)).filter(lambda pair: pair[0] != pair[1]),
    st.sampled_from([MADRID, ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")]),
)
def test_the_end_is_the_first_instant_that_is_not_quiet(
    day: datetime, minutes: int, halves: tuple[int, int], zone: ZoneInfo
):
    """Against a search minute by minute."""
    start, end = (time(half // 2, half % 2 * 30) for half in halves)
    quiet = Quiet(start=start, end=end)
    asked = (day + timedelta(minutes=minutes)).timestamp()
    expected = asked
    while silent(quiet, expected, zone):
        expected += MINUTE
    assert quiet_until(quiet, asked, zone=zone) == (None if expected == asked else expected)
