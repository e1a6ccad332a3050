"""The table of the API's faults names tests that there are, and every fault."""

import ast
from pathlib import Path

from serving.fault_table import FIRST, LAST, NOT_COVERED, TESTS

ROOT = Path(__file__).parents[2]


def test_every_fault_has_a_test_or_a_reason_why_not():
    assert sorted([*TESTS, *NOT_COVERED]) == list(range(FIRST, LAST + 1))


def test_every_test_of_the_table_is_there():
    for number, names in TESTS.items():
        for name in names:
            place, _, function = name.partition("::")
            tree = ast.parse((ROOT / place).read_text(encoding="utf-8"))
            there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert function in there, (number, name)
