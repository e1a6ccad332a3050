"""Offers that a card could never price are named when files are loaded."""

from pathlib import Path

import pytest
from core.terms.cards import CARD, cards, credit

from oferta.catalogue.ranges import (
    InsuranceTerms,
    LeaseTerms,
    PriceTerms,
    RequiredCover,
    ServicingTerms,
    ShareRange,
    TermsRange,
)
from oferta.terms.card import RateCards
from oferta.terms.offered import problems

LEASE = LeaseTerms(
    kind="lease",
    car_value="1",
    months=(24,),
    start_months=24,
    residual=ShareRange(max=0.5, start=0.5),
    mileage_km_year=(10_000, 15_000),
    start_mileage_km_year=10_000,
)


@pytest.mark.parametrize(
    ("product", "ranges", "said"),
    [
        ("loans", credit(), "product 'loans' has no price on the rate card one@"),
        ("lease", credit(), "is priced by a lease table, equal_instalment needs a credit"),
        ("loan", LEASE, "is priced by a credit table, lease needs a lease"),
        ("loan", PriceTerms(kind="price"), "is priced by a credit table, price needs a price"),
        ("loan", credit("months = [5, 36]"), "no rate for 5 months"),
        (
            "loan",
            credit("amount = { min = 90000, max = 99000, start = '9' }"),
            "no rate for amounts of 90000 to 99000",
        ),
        (
            "cover",
            InsuranceTerms(kind="insurance", insured_value="1", excess=(0, 100), start_excess=0),
            "no premium for an excess of 100",
        ),
        ("lease", LEASE, "no fee for 15000 km a year"),
        ("plan", ServicingTerms(kind="payment_plan", months=(12, 61)), "no rate for 61 months"),
        (
            "loan",
            credit().model_copy(
                update={"cover": RequiredCover(product="plan", max_loan_to_value=1.1)}
            ),
            "the required cover 'plan' is no insurance",
        ),
    ],
)
def test_what_has_no_cell_is_named(card: RateCards, product: str, ranges: TermsRange, said: str):
    found = problems(ranges, product=product, cards=card)
    assert len(found) == 1
    assert said in found[0]


def test_a_price_for_a_shorter_term_than_any_is_named(tmp_path: Path):
    known = cards(tmp_path / "cards", one=CARD.replace("months = [1, 24]", "months = [6, 24]"))
    short = PriceTerms(kind="price", months=3)
    assert problems(short, product="plan-price", cards=known)[0].startswith(
        "product 'plan-price': no price for 3 months"
    )
    assert problems(PriceTerms(kind="price", months=6), product="plan-price", cards=known) == []


def test_the_newest_card_counts(tmp_path: Path):
    newer = CARD.replace("2026-01-01", "2026-07-01").replace('"once"', '"more"')
    both = cards(tmp_path / "cards", a=CARD, b=newer)
    assert len(problems(PriceTerms(kind="price"), product="once", cards=both)) == 1
    assert problems(PriceTerms(kind="price"), product="more", cards=both) == []
