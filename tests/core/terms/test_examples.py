"""Every figure of docs/terms.md, computed again."""

import re
from decimal import Decimal
from typing import get_args

import pytest
from core.terms.cards import ROOT, wanted
from core.terms.examples import CAN, DAY, EXAMPLES, example, terms_of

from oferta.catalogue.offers import OfferCatalogue, load_catalogue
from oferta.terms.card import RateCards, load_cards
from oferta.terms.fit import quote
from oferta.terms.quote import CardInputs, Quote, UnfitCode

PAGE = (ROOT / "docs/terms.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def seller() -> tuple[RateCards, OfferCatalogue]:
    return load_cards(ROOT / "serving/rate_cards"), load_catalogue(ROOT / "serving/catalogue")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_shows_what_is_computed(name: str, seller: tuple[RateCards, OfferCatalogue]):
    """After a change on purpose: `python -m core.terms.examples` in tests/, and paste."""
    assert f"```text\n{example(name, *seller)}\n```" in PAGE


def test_an_example_is_of_the_kind_it_stands_for(seller: tuple[RateCards, OfferCatalogue]):
    for name in EXAMPLES.keys() - {"counter-offer"}:
        assert terms_of(name, *seller).kind == name


def test_the_card_on_the_page_is_a_part_of_the_sample_card():
    shown = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
    stated = (ROOT / "serving/rate_cards/2026-10.toml").read_text(encoding="utf-8")
    for line in shown.splitlines():
        assert line.split("#")[0].strip() in stated


def test_the_example_from_code_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(ROOT)
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    exec(code, {})  # noqa: S102 - the page's own example
    assert capsys.readouterr().out == code.split("# ")[-1]


def test_codes_of_refusal_are_all_explained():
    assert all(f"| `{code}` |" in PAGE for code in get_args(UnfitCode))


def test_figures_in_sentences_hold(seller: tuple[RateCards, OfferCatalogue]):
    cards, offers = seller
    price = cards.price(
        CardInputs("new-car-loan", "B", Decimal(12_000), 48, DAY, Decimal("0.9"), "new")
    )
    assert price is not None
    assert price.rate == Decimal("5.69")
    counter = terms_of("counter-offer", cards, offers)
    assert (counter.deposit, counter.months) == (4738, 72)
    for deposit in (3000, 4737):
        without = quote(
            offers.offer["new-car-loan"].terms,
            product="new-car-loan",
            cards=cards,
            currency="EUR",
            on=DAY,
            wanted=wanted(amount=23_000 - deposit, deposit=deposit, months=72),
            means=CAN,
        )
        assert isinstance(without, Quote)
        assert without.instalment > 300
