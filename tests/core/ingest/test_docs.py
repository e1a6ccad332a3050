"""docs/data.md tells of every code, column and setting, and of none that does not exist."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

import oferta.events
from oferta.columns import TABLES
from oferta.events.codes import REASONS, REFUSALS
from oferta.events.source import SourceSettings, TableSource
from oferta.ids import id_fault
from oferta.settings import parse

PAGE = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
SOURCES = "".join(
    path.read_text(encoding="utf-8")
    for path in Path(str(oferta.events.__file__)).parent.glob("*.py")
    if path.name != "codes.py"
)


@pytest.mark.parametrize(("heading", "codes"), [("a row", REASONS), ("a source", REFUSALS)])
def test_the_page_lists_exactly_the_codes(heading: str, codes: Mapping[str, str]):
    section = PAGE.split(f"## Why {heading}")[1].split("\n## ")[0]
    assert dict(re.findall(r"^\| `(.+?)` \| (.+) \|$", section, re.MULTILINE)) == dict(codes)


def test_every_code_is_used_and_every_code_used_is_listed():
    used = {code for code in {*REASONS, *REFUSALS} if f'"{code}"' in SOURCES}
    # Built from the column's name.
    used |= {"customer.unknown", "product.unknown"}
    assert used == {*REASONS, *REFUSALS}
    raised = set(re.findall(r'(?:SourceRefused|Fault)\(\s*"([a-z_.]+)"', SOURCES))
    assert raised <= used


def test_every_fault_of_an_id_is_a_reason():
    faults = {id_fault(text) for text in ("", "x" * 129, ".", "\n")}
    assert faults <= set(REASONS)


def test_every_column_is_explained():
    for table in TABLES.values():
        section = PAGE.split(f"### {table.name}")[1].split("\n### ")[0]
        assert all(f"`{column}`" in section for column in table.names), table.name


def test_the_example_of_source_toml_is_valid_and_shows_every_setting():
    example = tomllib.loads(re.findall(r"```toml\n(.+?)```", PAGE, re.DOTALL)[0])
    parse(example, SourceSettings, place="docs/data.md")
    assert set(example["events"]) == set(TableSource.model_fields)
