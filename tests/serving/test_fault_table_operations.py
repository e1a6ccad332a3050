"""The table of faults names tests that there are, and gives a reason where there is none."""

from pathlib import Path

import pytest
from serving.fault_table_operations import NOT_COVERED, TESTS

ROOT = Path(__file__).parents[2]


def test_every_fault_of_operation_stands_in_the_table_once():
    assert not set(TESTS) & set(NOT_COVERED)
    assert {*TESTS, *NOT_COVERED} == {*range(69, 101), "83b"}


@pytest.mark.parametrize("test", [test for tests in TESTS.values() for test in tests])
def test_it_names_tests_that_there_are(test: str):
    place, _, name = test.partition("::")
    assert f"def {name}(" in (ROOT / place).read_text()
