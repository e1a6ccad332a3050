"""Leases, insurances, prices and servicing, each fitted in its own way."""

from decimal import Decimal

import pytest
from core.terms.cards import asked, means, quoted, wanted
from hypothesis import given
from hypothesis import strategies as st

from oferta.catalogue.ranges import InsuranceTerms, LeaseTerms, PriceTerms, ServicingTerms
from oferta.settings import parse
from oferta.terms.card import RateCards
from oferta.terms.lease import residual_share
from oferta.terms.quote import NOTHING, Quote, Unfit
from oferta.terms.schedule import schedule

LEASE_VALUES: dict[str, object] = {
    "kind": "lease",
    "car_value": "20000",
    "months": [12, 24, 36],
    "start_months": 24,
    "residual": {"min": 0.4, "start": 0.5, "max": 0.7},
    "mileage_km_year": [10_000, 20_000],
    "start_mileage_km_year": 10_000,
}
LEASE = parse(LEASE_VALUES, LeaseTerms, place="test")
COVER = InsuranceTerms(kind="insurance", insured_value="1", excess=(0, 300, 600), start_excess=300)


def code(found: object) -> str:
    assert isinstance(found, Unfit)
    return found.code


def test_a_lease_pays_for_the_use_and_gives_the_car_back(card: RateCards):
    terms = quoted(card, LEASE, product="lease", wish=wanted(start_amount=20_000))
    # (20000 - 10000) * 0.005 / (1 - 1.005^-24) + 10000 * 0.005 = 443.2061 + 50
    assert str(terms.instalment) == "493.21"
    assert (terms.residual, terms.final_payment) == (Decimal(10_000), NOTHING)
    assert schedule(terms)[-1].balance == 10_000
    assert terms.annual_rate is None
    assert terms.total_cost == terms.total_payable
    assert [(fee.name, str(fee.amount)) for fee in terms.fees] == [("handover", "100.00")]


def test_the_residual_falls_with_the_term():
    shares = {months: residual_share(LEASE, months) for months in (12, 18, 24, 30, 36)}
    assert shares == {12: 7000, 18: 6000, 24: 5000, 30: 4500, 36: 4000}


def test_a_wished_mileage_takes_the_smallest_allowance_that_covers_it(card: RateCards):
    def lease(wished: int) -> Quote:
        wish = wanted(start_amount=20_000, mileage_km_year=wished)
        found = asked(card, LEASE, product="lease", wish=wish)
        assert isinstance(found, Quote)
        return found

    assert (lease(9000).mileage_km_year, lease(9000).changes) == (10_000, ())
    assert [(fee.name, str(fee.amount)) for fee in lease(12_000).fees][-1] == ("mileage", "30.00")
    assert lease(12_000).instalment == lease(9000).instalment + 30
    change = lease(25_000).changes[0]
    assert (change.what, change.wished, change.offered) == ("mileage", 25_000, 20_000)


def test_a_lease_grows_longer_for_a_budget_and_nothing_else_gives_way(card: RateCards):
    wish = wanted(start_amount=20_000, months=12, instalment=480)
    found = quoted(card, LEASE, product="lease", wish=wish)
    assert (found.months, [change.what for change in found.changes]) == (36, ["months"])
    low = wanted(start_amount=20_000, instalment=300)
    assert code(asked(card, LEASE, product="lease", wish=low)) == "budget.exceeded"
    poor = means(income=Decimal(1000))
    assert (
        code(asked(card, LEASE, product="lease", wish=wanted(start_amount=20_000), can=poor))
        == "affordability.exceeded"
    )
    assert code(asked(card, LEASE, product="lease", wish=wanted())) == "amount.unknown"
    tier = means(tier="B")
    assert (
        code(asked(card, LEASE, product="lease", wish=wanted(start_amount=20_000), can=tier))
        == "card.none"
    )


def test_a_premium_by_insured_value_and_excess(card: RateCards):
    terms = quoted(card, COVER, product="cover", wish=wanted(start_amount=20_000))
    assert (str(terms.price), str(terms.instalment), terms.excess) == ("600.00", "50.00", 300)
    assert (str(terms.total_payable), terms.annual_rate) == ("600.00", None)


def test_a_budget_makes_the_excess_higher_by_as_little_as_is_needed(card: RateCards):
    def offered(budget: int, excess: int | None = 0) -> tuple[Decimal | None, list[str]]:
        wish = wanted(start_amount=20_000, instalment=budget, excess=excess)
        found = quoted(card, COVER, product="cover", wish=wish)
        return found.excess, [change.what for change in found.changes]

    assert offered(67) == (0, [])
    assert offered(66) == (300, ["excess"])
    assert offered(49) == (600, ["excess"])
    assert offered(66, None) == (300, [])
    found = asked(card, COVER, product="cover", wish=wanted(start_amount=20_000, instalment=39))
    assert isinstance(found, Unfit)
    assert (found.code, dict(found.facts)) == (
        "budget.exceeded",
        {"limit": "39.00", "least_instalment": "40.00"},
    )


def test_a_wished_excess_becomes_the_nearest_and_the_insured_value_has_bounds(card: RateCards):
    near = quoted(card, COVER, product="cover", wish=wanted(start_amount=20_000, excess=200))
    assert near.excess == 300
    assert near.changes[0].wished == 200
    for value in (500, 60_000):
        found = asked(card, COVER, product="cover", wish=wanted(start_amount=value))
        assert code(found) == "card.none"
    assert code(asked(card, COVER, product="cover", wish=wanted())) == "amount.unknown"


def test_an_insurance_asks_for_no_income(card: RateCards):
    poor = means(tier=None, income=None, unknown_income="refuse")
    wish = wanted(start_amount=20_000)
    assert isinstance(asked(card, COVER, product="cover", wish=wish, can=poor), Quote)


def test_prices_by_the_month_and_at_once(card: RateCards):
    monthly = PriceTerms(kind="price", months=24, paid="monthly")
    terms = quoted(card, monthly, product="plan-price", wish=wanted())
    assert (str(terms.instalment), str(terms.price), str(terms.total_cost)) == (
        "9.00",
        "216.00",
        "216.00",
    )
    assert code(asked(card, monthly, product="plan-price", wish=wanted(instalment=8))) == (
        "budget.exceeded"
    )
    once = quoted(card, PriceTerms(kind="price", paid="once"), product="once", wish=wanted())
    assert (str(once.instalment), str(once.total_payable)) == ("0.00", "120.00")
    spread = PriceTerms(kind="price", months=12, paid="monthly")
    assert str(quoted(card, spread, product="once", wish=wanted()).instalment) == "10.00"


def servicing(kind: str, **more: object) -> ServicingTerms:
    return parse({"kind": kind} | more, ServicingTerms, place="test")


def test_a_payment_plan_spreads_what_is_late(card: RateCards):
    ranges = servicing("payment_plan", months=[3, 6, 12])
    can = means(income=Decimal(2000), spending=Decimal(1000), instalments=Decimal(320))
    terms = quoted(card, ranges, product="plan", wish=wanted(arrears=600, payoff=9000), can=can)
    # 80 a month are left
    assert (terms.months, str(terms.instalment)) == (12, "50.00")
    assert (terms.annual_rate, terms.total_cost) == (0, 0)
    assert code(asked(card, ranges, product="plan", wish=wanted(payoff=9000))) == "amount.unknown"
    assert code(asked(card, ranges, product="plan", wish=wanted(arrears=0))) == "amount.unknown"


def test_a_holiday_pauses_and_then_pays_over_the_remaining_months(card: RateCards):
    ranges = servicing("payment_holiday", holiday_months=1, months=[12])
    terms = quoted(card, ranges, product="plain", wish=wanted(payoff=1000, remaining_months=2))
    assert (terms.months, terms.holiday_months, str(terms.instalment)) == (3, 1, "512.59")
    # 12.68 % but for a cent: 5.0751 of interest are paid as 5.08.
    assert str(terms.annual_rate) == "12.69"
    stated = quoted(card, ranges, product="plain", wish=wanted(payoff=1000))
    assert stated.months == 13
    silent = servicing("payment_holiday", holiday_months=1)
    assert code(asked(card, silent, product="plain", wish=wanted(payoff=1000))) == "amount.unknown"


def test_servicing_without_a_cell_is_not_priced(card: RateCards):
    ranges = servicing("re_term", months=[12])
    found = asked(card, ranges, product="loan", wish=wanted(payoff=6000), can=means(tier="E"))
    assert code(found) == "card.none"


@given(
    st.integers(1000, 50_000),
    st.none() | st.integers(5, 300),
    st.none() | st.integers(0, 800),
    st.integers(1, 60),
)
def test_a_bigger_budget_never_gives_a_higher_excess(
    card: RateCards, insured: int, budget: int | None, excess: int | None, more: int
):
    def offered(most: int | None) -> Quote | Unfit:
        wish = wanted(start_amount=insured, instalment=most, excess=excess)
        return asked(card, COVER, product="cover", wish=wish)

    before, after = offered(budget), offered(None if budget is None else budget + more)
    if isinstance(before, Unfit):
        return
    assert isinstance(after, Quote)
    assert after.excess is not None
    assert before.excess is not None
    assert after.excess <= before.excess
    assert budget is None or before.instalment <= budget


@pytest.mark.parametrize("income", [None, 100, 1500, 4000])
def test_all_kinds_are_complete_to_the_cent(card: RateCards, income: int | None):
    can = means(income=None if income is None else Decimal(income), relief=True)
    wish = wanted(start_amount=20_000, payoff=6000, arrears=500, remaining_months=20)
    for ranges, product in (
        (LEASE, "lease"),
        (COVER, "cover"),
        (PriceTerms(kind="price"), "plan-price"),
        (servicing("re_term", months=[24]), "plain"),
        (servicing("payment_plan", months=[7]), "plan"),
        (servicing("payment_holiday", holiday_months=2), "plain"),
    ):
        found = asked(card, ranges, product=product, wish=wish, can=can)
        if isinstance(found, Unfit):
            assert (product, found.code) == ("lease", "affordability.exceeded")
            continue
        lines = schedule(found)
        assert lines[-1].balance == found.residual
        assert all(line.payment >= 0 for line in lines)


COVER_VALUES: dict[str, object] = {
    "kind": "insurance",
    "insured_value": "1",
    "excess": [0, 300],
    "start_excess": 0,
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"months": [24, 12, 36]}, "months: at least one, ascending"),
        ({"months": []}, "months: at least one"),
        ({"start_months": 99}, "start_months: 99 is none of"),
        ({"mileage_km_year": [20_000, 10_000]}, "mileage_km_year: at least one, ascending"),
        ({"mileage_km_year": [0, 10_000]}, "mileage_km_year.0"),
        ({"start_mileage_km_year": 17}, "start_mileage_km_year: 17 is none of"),
    ],
)
def test_ranges_of_a_lease_that_make_no_sense(changed: dict[str, object], said: str):
    with pytest.raises(ValueError, match=said):
        LeaseTerms.model_validate(LEASE_VALUES | changed)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"excess": []}, "excess: at least one"),
        ({"excess": [300, 0]}, "excess: at least one, ascending"),
        ({"excess": [0, 0]}, "excess: at least one, ascending, each once"),
        ({"start_excess": 77}, "start_excess: 77 is none of"),
        ({"months": 0}, "months"),
    ],
)
def test_ranges_of_an_insurance_that_make_no_sense(changed: dict[str, object], said: str):
    with pytest.raises(ValueError, match=said):
        InsuranceTerms.model_validate(COVER_VALUES | changed)
