"""What docs/rules.md shows is what happens."""

import re
from pathlib import Path

import pytest

from oferta.profile.facts import FACTS
from oferta.rules.invalid import RuleInvalid
from oferta.rules.kinds import Kind
from oferta.rules.language import parse
from oferta.rules.program import Program

PAGE = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
COLUMNS: dict[str, Kind] = {name: fact.kind for name, fact in FACTS.items()}


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_first_example_is_a_rule():
    assert parse(block("sql"), COLUMNS).kind == "boolean"


@pytest.mark.parametrize("line", block("text").splitlines())
def test_the_messages_are_those_that_are_shown(line: str):
    place = line.split(":", maxsplit=1)[0]
    near = re.search(r"near '(.*?)'(?:;|$)", line)
    assert near is not None
    with pytest.raises(RuleInvalid) as caught:
        parse(near[1], COLUMNS, place=place)
    assert str(caught.value) == line


def test_the_example_in_python_gives_what_its_comments_say():
    scope: dict[str, object] = {}
    exec(block("python"), scope)  # noqa: S102 - our own page
    rules = scope["rules"]
    assert isinstance(rules, list)
    assert rules[0].sql == "income / NULLIF(instalments, 0) > 3"
    assert Program(rules)({"income": 3000.0, "stage": "late"}) == [None, True]
