"""The table of faults names tests that there are, and gives a reason where there is none."""

from pathlib import Path

import pytest
from serving.fault_table_operations import FAULTS, NotCovered

TESTS = Path(__file__).parents[1]


def test_every_fault_of_operation_stands_in_the_table():
    assert list(FAULTS) == [*map(str, range(69, 84)), "83b", *map(str, range(84, 101))]


@pytest.mark.parametrize("fault", FAULTS)
def test_it_names_a_test_that_there_is_or_a_reason(fault: str):
    found = FAULTS[fault]
    if isinstance(found, NotCovered):
        assert len(found.reason.split()) > 4
        return
    place, _, name = found.partition("::")
    assert f"def {name}(" in (TESTS / place).read_text()
