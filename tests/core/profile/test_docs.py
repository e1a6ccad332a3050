"""docs/profile.md tells of every fact, default and setting as the code has them."""

import json
import re
import tomllib
from pathlib import Path

from oferta.policy.file import ValueTiers
from oferta.profile.facts import FACTS
from oferta.profile.settings import ProfileSettings
from oferta.settings import parse

PAGE = (Path(__file__).parents[3] / "docs" / "profile.md").read_text(encoding="utf-8")


def test_the_tables_of_facts_are_exactly_the_facts():
    section = PAGE.split("## Facts")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+) \|$", section, re.MULTILINE)
    assert rows == [(fact.name, fact.kind, fact.meaning) for fact in FACTS.values()]


def test_the_examples_of_settings_are_valid():
    value, settings = re.findall(r"```toml\n(.+?)```", PAGE, re.DOTALL)
    assert parse(tomllib.loads(value)["value"], ValueTiers, place="docs") == ValueTiers()
    said = tomllib.loads(settings)["profiles"]["settings"]
    parse(said, ProfileSettings, place="docs/profile.md")
    assert json.loads(re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)[0])["family"] == "loan"


def test_the_curve_and_the_order_of_trust_are_the_defaults():
    settings = ProfileSettings()
    curve = settings.vehicles.depreciation
    told = dict(re.findall(r"^\| ([\w -]+) \| ([\d.]+) % \|$", PAGE, re.MULTILINE))
    names = {"pick-up": "pickup", "SUV": "suv"}
    assert {names.get(name, name): float(share) for name, share in told.items()} == {
        **{name: round(share * 100, 1) for name, share in curve.after_five_years.items()},
        "any other": round(curve.otherwise * 100, 1),
    }
    order = re.sub(r"\s+", " ", PAGE.split("in the order of trust is believed:")[1].split(".")[0])
    assert tuple(re.findall(r"`(\w+)`", order)) == settings.trust.order


def test_every_stage_is_told():
    section = PAGE.split("## Stage")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(
        FACTS["stage"].meaning.split(", ")
    )
