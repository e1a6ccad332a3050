"""The rate card: which card, which cell, and every mistake named when it is loaded."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from core.terms.cards import CARD, DAY, asked, cards, credit

from oferta.errors import SettingsInvalid
from oferta.terms.card import RateCards, load_cards
from oferta.terms.quote import CardInputs, Price, Unfit


def inputs(product: str = "loan", **values: object) -> CardInputs:
    known: dict[str, object] = {
        "tier": "A",
        "amount": Decimal(20_000),
        "months": 24,
        "on": DAY,
        "loan_to_value": Decimal("0.5"),
        "condition": "new",
    }
    return CardInputs(product=product, **(known | values))  # type: ignore[arg-type] - by name


def rate(card: RateCards, **values: object) -> str | None:
    price = card.price(inputs(**values))
    return None if price is None else str(price.rate)


def test_a_rate_is_that_of_tier_and_term_plus_points(card: RateCards):
    assert rate(card) == "4.80"
    assert rate(card, tier="B", months=36) == "6.60"
    assert rate(card, amount=Decimal(4000)) == "6.00"  # + 1.2
    assert rate(card, loan_to_value=Decimal("0.9")) == "5.40"  # + 0.6
    assert rate(card, condition="used") == "5.40"  # + 0.6
    every = {"amount": Decimal(4000), "loan_to_value": Decimal("1.1"), "condition": "used"}
    assert rate(card, **every) == "8.40"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"months": 24}, "4.80"),
        ({"months": 25}, "5.40"),
        ({"months": 5}, None),
        ({"months": 96}, "6.00"),
        ({"months": 97}, None),
        ({"amount": Decimal("4999.99")}, "6.00"),
        ({"amount": Decimal(5000)}, "5.40"),
        ({"amount": Decimal(80_000)}, "4.80"),
        ({"amount": Decimal("80000.01")}, None),
        ({"amount": Decimal("999.99")}, None),
        ({"loan_to_value": Decimal("0.8")}, "4.80"),
        ({"loan_to_value": Decimal("0.80001")}, "5.40"),
        ({"loan_to_value": Decimal("1.2")}, "6.60"),
        ({"loan_to_value": Decimal("1.20001")}, None),
        ({"tier": "E"}, None),
        ({"tier": None}, None),
        ({"tier": "C", "months": 60}, None),  # "none"
    ],
)
def test_bands_end_where_they_say(card: RateCards, values: dict[str, object], expected: str | None):
    assert rate(card, **values) == expected


def test_what_is_not_known_costs_as_the_dearest(card: RateCards):
    assert rate(card, condition=None) == "5.40"
    assert rate(card, loan_to_value=None) == "6.60"


def test_a_table_for_any_tier_asks_for_none(card: RateCards):
    assert rate(card, product="plain", tier=None) == "12.00"
    assert rate(card, product="plain", tier="E") == "12.00"


def test_fees_are_itemised_and_kept_within_their_bounds(card: RateCards):
    def fees(amount: int) -> dict[str, str]:
        price = card.price(inputs(amount=Decimal(amount)))
        assert price is not None
        return {f"{fee.name} {fee.paid}": str(fee.amount) for fee in price.fees}

    assert fees(20_000) == {"arrangement start": "200.00", "account monthly": "2.00"}
    assert fees(2000)["arrangement start"] == "50.00"
    assert fees(60_000)["arrangement start"] == "300.00"


def test_leases_premiums_and_prices(card: RateCards):
    lease = card.price(inputs("lease", mileage_km_year=20_000))
    assert lease is not None
    assert [(fee.name, str(fee.amount)) for fee in lease.fees] == [
        ("handover", "100.00"),
        ("mileage", "30.00"),
    ]
    assert card.price(inputs("lease", mileage_km_year=15_000)) is None

    def premium(excess: int | None, insured: int = 20_000) -> str | None:
        price = card.price(
            inputs(
                "cover", amount=Decimal(insured), excess=None if excess is None else Decimal(excess)
            )
        )
        return None if price is None else str(price.premium)

    assert [premium(excess) for excess in (0, 300, 600, None)] == [
        "800.00",
        "600.00",
        "480.00",
        "800.00",
    ]
    assert premium(300, 1000) == "180.00"
    assert premium(100) is None
    assert premium(300, 999) is None
    monthly = [card.price(inputs("plan-price", months=months)) for months in (12, 24)]
    assert [None if price is None else str(price.premium) for price in monthly] == [
        "120.00",
        "216.00",
    ]
    assert card.price(inputs("nothing")) is None


def test_the_newest_card_not_after_the_day_is_in_force(tmp_path: Path):
    newer = CARD.replace("2026-01-01", "2026-07-01").replace("4.8,", "4.3,")
    both = cards(tmp_path / "cards", a=CARD, b=newer)
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 6, 30), date(2026, 7, 1)]
    assert [rate(both, on=day) for day in days] == [None, "4.80", "4.80", "4.30"]
    versions = {price.version for day in days if (price := both.price(inputs(on=day)))}
    assert len(versions) == 2
    before = asked(both, credit(), on=days[0])
    assert isinstance(before, Unfit)
    assert before.code == "card.none"


def test_the_version_is_that_of_the_content(tmp_path: Path):
    one, same = cards(tmp_path / "one"), cards(tmp_path / "same")
    other = cards(tmp_path / "other", one=CARD.replace("4.8,", "4.7,"))
    assert one.version == same.version != other.version
    assert one.cards[0].version.startswith("one@")
    assert one.products >= {"loan", "lease", "cover", "once"}


def test_prices_are_equal_for_equal_inputs_however_they_are_asked(card: RateCards):
    price = card.price(inputs())
    assert isinstance(price, Price)
    assert card.price(inputs()) is price


PROBLEMS = {
    "[[6, 24], [25, 48], [49, 96]]": [
        ("[[6, 24], [24, 48], [49, 96]]", "[6, 24] and [24, 48] overlap"),
        ("[[6, 24], [26, 48], [49, 96]]", "between [6, 24] and [26, 48] is a hole"),
        ("[[25, 48], [6, 24], [49, 96]]", "[25, 48] and [6, 24] are not in ascending order"),
        ("[[24, 6], [25, 48], [49, 96]]", "[24, 6] ends before it begins"),
        ("[[6, 24], [25, 96]]", "rates.A: 3 rates for 2 bands"),
    ],
    "[[1000, 5000], [5000, 15_000], [15_000, 80_000]]": [
        ("[[1000, 6000], [5000, 15_000], [15_000, 80_000]]", "overlap"),
        ("[[1000, 5000], [5001, 15_000], [15_000, 80_000]]", "is a hole"),
        ("[[1000, 5000], [5000, 80_000]]", "amount_points: 3 for 2 bands"),
    ],
    "[[0, 0.8], [0.8, 1.0], [1.0, 1.2]]": [
        ("[[0, 0.8], [0.9, 1.0], [1.0, 1.2]]", "loan_to_value: between [0, 0.8] and [0.9, 1.0]"),
    ],
    "amount_points = [1.2, 0.6, 0.0]": [
        ("amount_points = [1.2, -5.0, 0.0]", "the points take a rate below 0, down to -0.2"),
        ("amount_point = [1.2, 0.6, 0.0]", "did you mean 'amount_points'"),
    ],
    'name = "arrangement", percent = 1.0': [
        ('name = "arrangement", fixed = 1', "least and most are bounds of a percentage"),
        ('name = "account", percent = 1.0', "fees: 'account' stands twice"),
        ('name = "arrangement", fixed = 5, percent = 1.0', "either fixed or percent"),
    ],
    "percent = [4.0, 3.0, 2.4]": [
        ("percent = [4.0, 4.1, 2.4]", "percent: a higher excess costs no more"),
        ("percent = [4.0, 3.0]", "percent: 2 for 3 of excess"),
    ],
    "mileage_fee = [0, 30]": [("mileage_fee = [30, 0]", "a larger allowance costs no less")],
    'products = ["once"]': [
        ('products = ["once", "lease"]', "product 'lease' is in tables of lease and price"),
        ('products = ["once", "plan-price"]', "product 'plan-price' has price tables 0 and 1"),
    ],
    'products = ["plan"]': [
        (
            'products = ["plan", "plain"]',
            "product 'plain': credit tables 1 and 2 overlap for tier any",
        ),
    ],
    "once = 120": [("once = 120\nmonths = [12]", "a price paid once has no terms")],
    'currency = "EUR"': [('currency = "euro"', "currency")],
}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [(old, new, said) for old, found in PROBLEMS.items() for new, said in found],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, said: str):
    assert CARD.count(old) >= 1
    with pytest.raises(SettingsInvalid) as error:
        cards(tmp_path / "cards", one=CARD.replace(old, new))
    assert said in str(error.value)


def test_all_mistakes_of_all_files_are_named_at_once(tmp_path: Path):
    with pytest.raises(SettingsInvalid) as error:
        cards(
            tmp_path / "cards",
            a=CARD.replace("[25, 48]", "[26, 48]").replace("percent = [4.0", "percent = [1.0"),
            b=CARD,
            c=CARD.replace("EUR", "CNY"),
        )
    said = str(error.value)
    for part in (
        "a.toml: credit.0: months: between [6, 24] and [26, 48] is a hole",
        "a.toml: insurance.0: percent: a higher excess costs no more",
        "c.toml: another card is valid from 2026-01-01 already, b.toml",
    ):
        assert part in said


def test_two_currencies_are_refused(tmp_path: Path):
    other = CARD.replace("EUR", "CNY").replace("2026-01-01", "2026-02-01")
    with pytest.raises(SettingsInvalid, match="cards of several currencies: CNY, EUR"):
        cards(tmp_path / "cards", a=CARD, b=other)


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(SettingsInvalid, match=r"no such folder, or no \.toml file"):
        load_cards(tmp_path / "nowhere")


SPLIT = """
valid_from = 2026-01-01
currency = "EUR"

[[credit]]
products = ["loan"]
months = [[6, 36]]
amount = [[1000, 10_000]]
rates.A = [7.0]

[[credit]]
products = ["loan"]
months = [[6, 60]]
amount = [[10_000, 80_000]]
rates.A = [5.0]
"""


def test_several_tables_of_one_product_are_one_grid_with_its_holes_noted(tmp_path: Path):
    split = cards(tmp_path / "cards", one=SPLIT)
    found = [
        rate(split, amount=Decimal(amount), months=months)
        for amount, months in [("9999.99", 36), ("10000", 36), ("9999.99", 48), ("10000", 48)]
    ]
    assert found == ["7.00", "5.00", None, "5.00"]
    assert split.notes == (
        "one.toml: product 'loan', tier A: no cell for 1000 to 10000 over 37 to 60 months",
    )


def test_products_that_a_newer_card_drops_are_noted(tmp_path: Path):
    newer = CARD.replace("2026-01-01", "2026-07-01").replace('"once"', '"once-more"')
    both = cards(tmp_path / "cards", a=CARD, b=newer)
    assert len(both.notes) == 1
    assert both.notes[0].endswith(": no longer priced: once")
