"""The table of the API's faults names tests that there are, and every fault."""

import ast
from pathlib import Path

from serving import faults_page
from serving.fault_table import FIRST, LAST, NOT_COVERED, TESTS
from serving.fault_words import API, OPERATION

ROOT = Path(__file__).parents[2]


def test_every_fault_has_a_test_or_a_reason_why_not():
    assert sorted([*TESTS, *NOT_COVERED]) == list(range(FIRST, LAST + 1))


def test_every_test_of_the_table_is_there():
    for number, names in faults_page.TESTS.items():
        for name in names:
            place, _, function = name.partition("::")
            tree = ast.parse((ROOT / place).read_text(encoding="utf-8"))
            kinds = ast.FunctionDef | ast.AsyncFunctionDef
            there = {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
            assert function in there, (number, name)


def test_the_page_has_every_fault_once_with_a_test_or_a_reason():
    told = [*API, *OPERATION]
    assert sorted(told, key=str) == sorted([*range(41, 101), "83b"], key=str)
    assert not set(faults_page.TESTS) & set(faults_page.NOT_COVERED)
    assert set(told) == {*faults_page.TESTS, *faults_page.NOT_COVERED}


def test_the_page_is_what_the_tables_make():
    """`PYTHONPATH=tests python -m serving.faults_page` writes it anew."""
    assert faults_page.PAGE.read_text(encoding="utf-8") == faults_page.page()
