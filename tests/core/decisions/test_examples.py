"""Every example of docs/decisions.md, computed again."""

from typing import get_args

import pytest
from core.decisions.examples import EXAMPLES, ROOT

from oferta.decisions.compiling import DROPS
from oferta.decisions.decision import Stage
from oferta.decisions.whys import WHYS
from oferta.terms.quote import UnfitCode

PAGE = (ROOT / "docs/decisions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_shows_what_is_computed(name: str):
    """After a change on purpose: `python -m core.decisions.examples` in tests/, and paste."""
    assert f"```text\n{EXAMPLES[name]()}\n```" in PAGE


def test_every_stage_and_every_code_is_on_the_page_and_has_its_words():
    codes = set(WHYS) - {"catalogue.empty"} - set(get_args(UnfitCode))
    assert all(f"`{code}`" in PAGE for code in codes)
    assert all(f"| {stage} |" in PAGE for stage in get_args(Stage))
    assert set(DROPS) | set(get_args(UnfitCode)) <= set(WHYS)
