"""The page of faults 41 to 100, docs/faults.md, from the tables that name their tests.

As a program it writes the page: PYTHONPATH=tests python -m serving.faults_page
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from serving import fault_table, fault_table_operations
from serving.fault_words import API, OPERATION, Words

PAGE: Final = Path(__file__).parents[2] / "docs" / "faults.md"

TESTS: Final[Mapping[int | str, Sequence[str]]] = {
    **fault_table.TESTS,
    **fault_table_operations.TESTS,
}
NOT_COVERED: Final[Mapping[int | str, str]] = {
    **fault_table.NOT_COVERED,
    **fault_table_operations.NOT_COVERED,
}

_INTRO: Final = """# Faults, and what holds us to them

What goes wrong at the API and in operation, what happens then, and the test that was seen to fail
without what handles it. Bad input files (faults 1 to 40) are the matter of [data.md](data.md), with
tests in [`tests/core/ingest`](../tests/core/ingest). Long forms under real kills are counted in
[chaos.md](chaos.md). This page is made by `PYTHONPATH=tests python -m serving.faults_page`; a test
keeps it true.
"""


def page() -> str:
    """All of it."""
    covered, open_ = len(TESTS), len(NOT_COVERED)
    said = f"{covered} of {covered + open_} have a test; where there is none, the reason stands."
    sections = [_section("The API", API), _section("Operation", OPERATION)]
    return "\n".join([_INTRO, said, "", *sections])


def _section(title: str, words: Mapping[int | str, Words]) -> str:
    head = [f"## {title}", "", "| | fault | what happens | held by |", "| --- | --- | --- | --- |"]
    rows = [
        f"| {number} | {fault} | {happens} | {_held_by(number)} |"
        for number, (fault, happens) in words.items()
    ]
    return "\n".join([*head, *rows, ""])


def _held_by(number: int | str) -> str:
    if number in NOT_COVERED:
        return f"**not covered:** {NOT_COVERED[number]}"
    return "<br>".join(_named(test) for test in TESTS[number])


def _named(test: str) -> str:
    place, _, name = test.partition("::")
    return f"[`{name}`](../{place})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
