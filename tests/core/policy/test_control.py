"""The control group: fair, stable within a period, drawn anew in the next."""

from datetime import UTC, datetime
from math import sqrt
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from oferta.policy.control import in_control, period
from oferta.policy.file import Control

MADRID = ZoneInfo("Europe/Madrid")
NOVEMBER = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
DECEMBER = datetime(2026, 12, 2, tzinfo=UTC).timestamp()
CUSTOMERS = [f"c{number}" for number in range(20_000)]


def group(control: Control, at: float) -> set[str]:
    return {one for one in CUSTOMERS if in_control(one, control, at=at, zone=MADRID)}


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_the_share_is_as_declared(share: float):
    size = len(group(Control(share=share), NOVEMBER))
    spread = sqrt(len(CUSTOMERS) * share * (1 - share))
    assert abs(size - share * len(CUSTOMERS)) < 4 * spread


def test_nobody_and_everybody():
    assert group(Control(share=0.0), NOVEMBER) == set()
    assert group(Control(share=1.0), NOVEMBER) == set(CUSTOMERS)


def test_a_customer_stays_in_the_group_for_the_period_and_no_longer():
    control = Control(share=0.2)
    assert group(control, NOVEMBER) == group(control, NOVEMBER + 5 * 86_400)
    both = group(control, NOVEMBER) & group(control, DECEMBER)
    # Drawn independently: a fifth of a fifth.
    assert abs(len(both) - 0.04 * len(CUSTOMERS)) < 4 * sqrt(len(CUSTOMERS) * 0.04)


def test_another_salt_draws_another_group():
    assert group(Control(share=0.2), NOVEMBER) != group(Control(share=0.2, salt="b"), NOVEMBER)


@pytest.mark.parametrize(
    ("kind", "name"), [("month", "2027-01"), ("quarter", "2027-Q1"), ("year", "2027")]
)
def test_a_period_begins_at_midnight_of_the_policys_zone(
    kind: Literal["month", "quarter", "year"], name: str
):
    new_year = datetime(2027, 1, 1, tzinfo=MADRID).timestamp()
    assert period(Control(period=kind), at=new_year, zone=MADRID) == name
    assert period(Control(period=kind), at=new_year - 1, zone=MADRID) < name
