"""The sample seller's rate cards: everything that is sold has a price for whom it is sold to."""

import tomllib
from datetime import date
from decimal import Decimal
from itertools import pairwise, product

import pytest
from core.terms.cards import ROOT

from oferta.catalogue.offers import OfferCatalogue, load_catalogue
from oferta.terms.card import RateCards, load_cards
from oferta.terms.offered import problems
from oferta.terms.quote import CardInputs

WORLD = ROOT / "experiments/oferta_experiments/world/products.toml"
DAYS = [date(2026, 1, 1), date(2026, 9, 30), date(2026, 10, 1), date(2027, 6, 1)]
FIRST, LAST = date(2026, 1, 1), date(2026, 10, 1)


@pytest.fixture(scope="module")
def sample() -> RateCards:
    return load_cards(ROOT / "serving/rate_cards")


@pytest.fixture(scope="module")
def offers() -> OfferCatalogue:
    return load_catalogue(ROOT / "serving/catalogue")


def products(*families: str) -> list[str]:
    known = tomllib.loads(WORLD.read_text(encoding="utf-8"))["products"]
    return [one["id"] for one in known if not families or one["family"] in families]


def test_every_product_is_priced_on_every_card(sample: RateCards):
    for card in sample.cards:
        assert set(products()) == set(card.tariffs)
    assert sample.notes == ()


@pytest.mark.parametrize("on", [FIRST, LAST])
def test_every_loan_has_cells_for_tiers_a_to_d_over_its_whole_range(sample: RateCards, on: date):
    for name in products("loan"):
        cells = product("ABCD", [1000, 4999, 30_000, 80_000], [6, 36, 96], ["0.4", "1", "1.2"])
        for tier, amount, months, ltv in cells:
            for condition in ("new", "used", None):
                price = sample.price(
                    CardInputs(name, tier, Decimal(amount), months, on, Decimal(ltv), condition)
                )
                assert price is not None, (name, tier, amount, months, ltv, condition)
        assert sample.price(CardInputs(name, "E", Decimal(10_000), 36, on)) is None, name


@pytest.mark.parametrize("on", [FIRST, LAST])
def test_a_worse_tier_never_pays_less_and_a_lower_loan_to_value_never_more(
    sample: RateCards, on: date
):
    for name in products("loan", "servicing", "lease"):
        for amount, months in product([2000, 9000, 40_000], [12, 36, 60]):
            for ltvs in (["0.5", "0.85", "1.1"],):
                rates = [
                    [
                        price.rate
                        for ltv in ltvs
                        if (
                            price := sample.price(
                                CardInputs(
                                    name,
                                    tier,
                                    Decimal(amount),
                                    months,
                                    on,
                                    Decimal(ltv),
                                    "new",
                                    mileage_km_year=20_000,
                                )
                            )
                        )
                    ]
                    for tier in "ABCD"
                ]
                for row in rates:
                    assert row == sorted(row)
                for better, worse in pairwise(rates):
                    assert all(low <= high for low, high in zip(better, worse, strict=True))


@pytest.mark.parametrize("on", [FIRST, LAST])
def test_servicing_has_cells_for_every_tier_in_arrears_too(sample: RateCards, on: date):
    for name, tier, months in product(products("servicing"), "ABCDE", [1, 12, 60]):
        price = sample.price(CardInputs(name, tier, Decimal(7000), months, on))
        assert price is not None, (name, tier, months)


def test_insurance_services_and_cars_ask_for_no_tier(sample: RateCards):
    for name in products("insurance", "service", "trade_in", "car"):
        price = sample.price(CardInputs(name, None, Decimal(15_000), 12, LAST))
        assert price is not None, name
        assert price.premium is not None


def test_prices_that_a_customer_pays_once_are_those_of_the_product_list(sample: RateCards):
    known = tomllib.loads(WORLD.read_text(encoding="utf-8"))["products"]
    for one in known:
        if one["kind"] in {"car", "price"} and not one["months"]:
            price = sample.price(CardInputs(one["id"], None, Decimal(0), 1, LAST))
            assert price is not None
            assert price.premium == one["price"], one["id"]


def test_the_newer_card_is_in_force_from_its_day(sample: RateCards):
    def rate(on: date) -> str | None:
        price = sample.price(
            CardInputs("new-car-loan", "A", Decimal(20_000), 36, on, Decimal("0.8"), "new")
        )
        return None if price is None else str(price.rate)

    assert [rate(day) for day in DAYS] == ["4.49", "4.49", "4.29", "4.29"]


def test_every_offer_of_the_catalogue_can_be_priced(sample: RateCards, offers: OfferCatalogue):
    found = [
        problem
        for offer in offers.offers
        for problem in problems(offer.terms, product=offer.products[0], cards=sample)
    ]
    assert found == []
