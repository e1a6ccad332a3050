"""What docs/rules.md shows is what happens."""

import re
from pathlib import Path

import pytest
from offer_worlds import engine, offer, policy

from oferta.errors import SettingsInvalid
from oferta.profile.facts import FACTS
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
def test_the_messages_are_those_of_a_catalogue_with_such_a_rule(line: str):
    shown = re.fullmatch(r"offer '(.+?)': (\w+)\[(\d+)\]: .* near '(.*?)'(?:;.*)?", line)
    assert shown is not None
    offer_id, rules, position, wrong = shown.groups()
    listed = [*["TRUE"] * int(position), wrong]
    with pytest.raises(SettingsInvalid) as caught:
        engine(offer("cover", id=offer_id, **{rules: listed}), policy=policy())
    assert list(caught.value.problems) == [line]


def test_the_example_in_python_gives_what_its_comments_say():
    scope: dict[str, object] = {}
    exec(block("python"), scope)  # noqa: S102 - our own page
    rules = scope["rules"]
    assert isinstance(rules, list)
    assert rules[0].sql == "income / NULLIF(instalments, 0) > 3"
    assert Program(rules)({"income": 3000.0, "stage": "late"}) == [None, True]
