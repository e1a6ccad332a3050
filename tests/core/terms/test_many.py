"""Quotes for many customers at once: those of one customer, to the cent, for every kind."""

from dataclasses import fields
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from core.terms.cards import CARD, DAY, ROOT, cards, credit
from numpy.random import Generator, default_rng

from oferta.catalogue.offers import OfferCatalogue, load_catalogue
from oferta.catalogue.ranges import (
    InsuranceTerms,
    PriceTerms,
    ServicingTerms,
    TermsRange,
)
from oferta.terms.card import RateCards, load_cards
from oferta.terms.fit import quote
from oferta.terms.instalment import annuity
from oferta.terms.many import quote_many
from oferta.terms.many_cells import annuities
from oferta.terms.many_columns import CODES, Columns
from oferta.terms.quote import Unfit

ON = date(2026, 11, 2)


def customers(rng: Generator, size: int, *, allow: bool = False) -> Columns:
    """Some with every figure, some with hardly any."""

    def known(values: np.ndarray, share: float) -> np.ndarray:
        return np.where(rng.random(size) < share, values, np.nan)

    return Columns(
        size=size,
        tier=rng.integers(-1, 5, size),
        tiers=("A", "B", "C", "D", "E"),
        condition=rng.integers(-1, 2, size),
        start_amount=known(np.round(rng.uniform(300, 60_000, size), 2), 0.95),
        payoff=known(np.round(rng.uniform(50, 30_000, size), 2), 0.9),
        arrears=known(np.round(rng.uniform(0, 3000, size), 2), 0.7),
        remaining_months=known(rng.integers(1, 60, size).astype(float), 0.8),
        amount=known(np.round(rng.uniform(500, 60_000, size), -2), 0.5),
        months=known(rng.integers(6, 96, size).astype(float), 0.4),
        deposit=known(np.round(rng.uniform(0, 15_000, size), -2), 0.4),
        instalment=known(rng.integers(20, 900, size).astype(float), 0.4),
        excess=known(rng.choice([0.0, 150.0, 220.0, 300.0, 900.0], size), 0.3),
        mileage_km_year=known(rng.integers(5, 50, size) * 1000.0, 0.3),
        income=known(np.round(rng.uniform(600, 7000, size), 2), 0.9),
        spending=known(np.round(rng.uniform(200, 3000, size), 2), 0.8),
        instalments=known(np.round(rng.uniform(0, 700, size), 2), 0.6),
        replaced=known(np.round(rng.uniform(0, 600, size), 2), 0.4),
        car_value=known(np.round(rng.uniform(-100, 60_000, size), 2), 0.4),
        relief=rng.random(size) < 0.3,
        share=Decimal("0.35"),
        unknown_income="allow" if allow else "refuse",
    )


def differences(
    ranges: TermsRange, *, product: str, known: RateCards, on: date, columns: Columns
) -> tuple[list[str], int]:
    """Where the arrays differ from single quotes, and how many quotes there are."""
    many = quote_many(ranges, product=product, cards=known, on=on, columns=columns)
    found, quoted = [], 0
    for at in range(columns.size):
        wanted, means = columns.one(at)
        one = quote(
            ranges,
            product=product,
            cards=known,
            currency="EUR",
            on=on,
            wanted=wanted,
            means=means,
        )
        if isinstance(one, Unfit):
            got = CODES[many.code[at]] if not many.fits[at] else "fits"
            if got != one.code:
                found.append(f"{product} {at}: {one.code}, not {got}")
            continue
        quoted += 1
        expected = {
            "amount": float(one.amount),
            "deposit": float(one.deposit),
            "months": one.months,
            "rate": float(one.rate),
            "instalment": float(one.instalment),
            "final_payment": float(one.final_payment),
            "price": float(one.price),
            "guarantor": one.guarantor,
        }
        if one.excess is not None:
            expected["excess"] = float(one.excess)
        have = {name: getattr(many, name)[at].item() for name in expected}
        if have != expected:
            code = CODES[many.code[at]] if not many.fits[at] else "fits"
            found.append(f"{product} {at} {code}: {have}, not {expected}")
    return found, quoted


@pytest.fixture(scope="module")
def seller() -> tuple[RateCards, OfferCatalogue]:
    return load_cards(ROOT / "serving/rate_cards"), load_catalogue(ROOT / "serving/catalogue")


def test_every_offer_of_the_sample_seller_agrees(seller: tuple[RateCards, OfferCatalogue]):
    known, offers = seller
    rng = default_rng(11)
    found, quoted = [], 0
    for offer in offers.offers:
        wrong, some = differences(
            offer.terms,
            product=offer.products[0],
            known=known,
            on=ON,
            columns=customers(rng, 60, allow=bool(rng.integers(2))),
        )
        found += wrong
        quoted += some
    assert found == []
    assert quoted > 2000


BANDS = CARD.replace("[1.2, 0.6, 0.0]", "[9.2, 0.6, 0.0]").replace(
    '"account", fixed = 2', '"account", percent = 0.02, least = 1.5, most = 3'
)
"""A larger amount may cost less a month, and fees a month hang on it."""

HARD: list[tuple[str, TermsRange]] = [
    ("loan", credit()),
    ("loan", credit("guarantor_from = 0.7\nmax_loan_to_value = 0.85\ndeposit = { max = 0.3 }")),
    ("loan", credit("deposit = { min = 0.1, start = 0.2, max = 0.25 }\nmax_loan_to_value = 0.95")),
    ("balloon", credit(kind="balloon")),
    ("balloon", credit("max_loan_to_value = 0.8\nguarantor_from = 0.6", kind="residual_value")),
    ("principal", credit("deposit = { max = 0.1 }", kind="equal_principal")),
    (
        "loan",
        credit('max_loan_to_value = 0.6\ncover = { product = "cover", max_loan_to_value = 1 }'),
    ),
    ("plain", credit()),
    ("plan", credit("months = [6, 24, 60]\nstart_months = 24")),
    ("lease", credit()),
    ("nothing", credit()),
    ("loan", PriceTerms(kind="price")),
    ("cover", InsuranceTerms(kind="insurance", insured_value="1", excess=(0, 50), start_excess=0)),
    ("plan", ServicingTerms(kind="payment_plan", months=(3, 12))),
    ("plain", ServicingTerms(kind="re_term", months=(6, 12, 48))),
    ("loan", ServicingTerms(kind="re_term", months=(6, 12, 48))),
    ("plain", ServicingTerms(kind="re_term", months=(12, 24, 48), lowers=True)),
    ("plain", ServicingTerms(kind="payment_holiday", holiday_months=3, months=(12,))),
]


@pytest.mark.parametrize("number", range(len(HARD)))
def test_what_is_rare_agrees_too(number: int, tmp_path: Path):
    product, ranges = HARD[number]
    known = cards(tmp_path / "cards", one=BANDS)
    columns = customers(default_rng(number), 300, allow=True)
    found, _ = differences(ranges, product=product, known=known, on=DAY, columns=columns)
    assert found == []


def test_an_instalment_at_exactly_half_a_cent_is_rounded_as_for_one():
    """Where only interest is paid, 600.00 at 0.59 % ask for 29.5 cents a month: up, in both."""
    lent = np.arange(1, 400) * 60_000
    for rate_e4 in (5900, 6100, 50_100, 99_900):
        rate = np.full(lent.shape, rate_e4)
        found = annuities(lent, rate, 36, lent)
        exact = [annuity(int(one), rate_e4=rate_e4, months=36, final=int(one)) for one in lent]
        assert found.tolist() == exact
    assert annuity(60_000, rate_e4=5900, months=36, final=60_000) == 30


def test_nobody_and_a_day_before_the_first_card(card: RateCards):
    nobody = customers(default_rng(0), 0)
    assert len(quote_many(credit(), product="loan", cards=card, on=DAY, columns=nobody).fits) == 0
    early = customers(default_rng(0), 5)
    found = quote_many(credit(), product="loan", cards=card, on=date(2020, 1, 1), columns=early)
    assert [CODES[code] for code in found.code] == ["card.none"] * 5
    assert np.isnan(found.amount).all()


def test_columns_of_nobody_known_are_as_unknown_ones(card: RateCards):
    """Only a start amount: like customers of whom nothing else is known."""
    bare = Columns(
        size=2,
        tier=np.array([0, -1]),
        tiers=("A",),
        start_amount=np.array([10_000.0, 10_000.0]),
        unknown_income="allow",
    )
    found = quote_many(credit(), product="loan", cards=card, on=DAY, columns=bare)
    assert found.fits.tolist() == [True, False]
    assert {len(getattr(found, one.name)) for one in fields(found)} == {2}


def test_a_share_that_can_not_be_exact_is_refused(card: RateCards):
    columns = Columns(
        size=1, tier=np.array([0]), tiers=("A",), share=Decimal("0.33333333333"), income=np.ones(1)
    )
    with pytest.raises(ValueError, match="more than nine digits"):
        quote_many(credit(), product="loan", cards=card, on=DAY, columns=columns)
