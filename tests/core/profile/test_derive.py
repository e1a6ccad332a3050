"""Derived facts: by hand, and the same for a whole base and for one customer."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oferta.policy.file import ValueTiers
from oferta.profile.derive import Deriver, with_derived
from oferta.profile.facts import FACTS, FORMULAS, STORED
from oferta.profile.formulas import TIER, TODAY, day_number
from oferta.rules.invalid import RuleInvalid

TODAY_DATE = date(2026, 3, 1)
NUMBER = day_number(TODAY_DATE)
TIERS = ValueTiers()
DTYPES = {"number": pl.Float64, "text": pl.String, "boolean": pl.Boolean, "date": pl.Date}


def derived(**facts: object) -> dict[str, object]:
    return Deriver(TIERS).derive(facts, today=NUMBER)  # type: ignore[arg-type]


def test_the_contract_clock_by_hand():
    found = derived(
        contract_end=NUMBER + 304.375,
        balloon_due=NUMBER + 60.0,
        insurance_renewal=NUMBER - 1.0,
        warranty_end=NUMBER + 0.0,
        market_value=12_000.0,
        payoff=9_000.0,
        vehicle_registered=NUMBER - 365.25,
        mileage_km=22_000.0,
        mileage_plan_km=20_000.0,
        income=3_000.0,
        instalments=500.0,
    )
    assert found["months_to_maturity"] == pytest.approx(10)
    assert (found["days_to_balloon"], found["days_to_renewal"]) == (60.0, -1.0)
    assert found["days_to_warranty_end"] == 0.0
    assert (found["equity"], found["loan_to_value"]) == (3_000.0, 0.75)
    assert found["vehicle_age_months"] == pytest.approx(12)
    assert found["mileage_over_plan"] == pytest.approx(1.1)
    assert found["free_income"] == 2_500.0
    assert found[TODAY] == NUMBER


def test_what_is_unknown_stays_unknown_and_nothing_divides_by_zero():
    found = derived(payoff=9_000.0, market_value=0.0, mileage_km=10.0, mileage_plan_km=0.0)
    assert found["loan_to_value"] is None
    assert found["mileage_over_plan"] is None
    assert found["free_income"] is None
    assert found["months_to_maturity"] is None


@pytest.mark.parametrize(
    ("facts", "stage"),
    [
        ({}, "prospect"),
        ({"purchases": 1.0}, "first_time"),
        ({"contracts_active": 1.0, "has_finance": False}, "first_time"),
        (
            {
                "contracts_active": 1.0,
                "has_finance": True,
                "contract_start": NUMBER - 100.0,
                "contract_end": NUMBER + 900.0,
            },
            "early",
        ),
        (
            {
                "contracts_active": 1.0,
                "has_finance": True,
                "contract_start": NUMBER - 300.0,
                "contract_end": NUMBER + 900.0,
            },
            "mid",
        ),
        (
            {
                "contracts_active": 1.0,
                "has_finance": True,
                "contract_start": NUMBER - 30.0,
                "contract_end": NUMBER + 180.0,
            },
            "late",
        ),
        ({"contracts_ended": 1.0, "last_active": NUMBER - 365.0}, "replacing"),
        ({"contracts_ended": 1.0, "last_active": NUMBER - 366.0}, "lapsed"),
        ({"contracts_ended": 1.0}, "lapsed"),
        ({"contracts_active": 1.0, "has_finance": True}, "mid"),
    ],
)
def test_the_stage_by_hand(facts: dict[str, object], stage: str):
    assert derived(**facts)["stage"] == stage


class TestValueTiers:
    """The default formula counts contracts; bounds are 0, 2 and 4, a tier is kept to 10 % below."""

    @pytest.mark.parametrize(
        ("contracts", "before", "tier"),
        [
            (0.0, None, "basic"),
            (1.9, None, "basic"),
            (2.0, None, "plus"),
            (4.0, None, "top"),
            (1.9, "plus", "plus"),
            (1.8, "plus", "plus"),
            (1.7, "plus", "basic"),
            (1.9, "basic", "basic"),
            (3.6, "top", "top"),
            (3.5, "top", "plus"),
            # Who was at the top had reached the tier below as well.
            (1.9, "top", "plus"),
            (4.0, "basic", "top"),
            (1.9, "renamed", "basic"),
        ],
    )
    def test_one_that_was_reached_is_not_left_for_a_little(
        self, contracts: float, before: str | None, tier: str
    ):
        found = derived(contracts_active=contracts, value_tier_before=before)
        assert found[TIER] == tier

    def test_below_the_lowest_bound_and_of_no_value_there_is_none(self):
        tiers = ValueTiers(formula="income - 100", bounds={"low": 0.0, "high": 50.0})
        deriver = Deriver(tiers)
        assert deriver.derive({"income": 99.0}, today=NUMBER)[TIER] is None
        assert deriver.derive({"income": 100.0}, today=NUMBER)[TIER] == "low"
        assert deriver.derive({}, today=NUMBER)[TIER] is None

    def test_the_formula_may_read_derived_facts_and_the_sellers_own(self):
        tiers = ValueTiers(formula="free_income + attr_points", bounds={"it's": 1.0})
        deriver = Deriver(tiers, attributes={"attr_points": "number"})
        facts = {"income": 1.0, "attr_points": 0.5}
        assert deriver.derive(facts, today=NUMBER)[TIER] == "it's"

    @pytest.mark.parametrize("formula", ["incme", "region", "income >", "value_tier"])
    def test_a_formula_that_cannot_be_is_refused(self, formula: str):
        with pytest.raises(RuleInvalid, match="value"):
            Deriver(ValueTiers(formula=formula))

    def test_without_tiers_there_is_none(self):
        assert Deriver().derive({"contracts_active": 9.0}, today=NUMBER)[TIER] is None


def _values(name: str) -> st.SearchStrategy[object]:
    kind = FACTS[name].kind
    if kind == "boolean":
        return st.none() | st.booleans()
    if kind == "text":
        return st.none() | st.sampled_from(["basic", "plus", "top", "", "it's"])
    if kind == "date":
        days = st.sampled_from([-9_999, -366, -365, -183, -182, 0, 1, 182, 183, 400])
        return st.none() | days.map(lambda one: date.fromordinal(TODAY_DATE.toordinal() + one))
    return st.none() | st.sampled_from([-1.5, 0.0, 0.1, 1.8, 2.0, 3.6, 4.0, 1e12])


USED = sorted(
    {name for name in STORED if any(name in text for text in FORMULAS.values())}
    | {"value_tier_before"}
)
CUSTOMERS = st.lists(
    st.fixed_dictionaries({name: _values(name) for name in USED}), min_size=1, max_size=40
)


@settings(max_examples=30, deadline=None)
@given(CUSTOMERS)
def test_a_whole_base_and_one_customer_agree_nulls_included(customers: list[dict[str, object]]):
    schema = {name: DTYPES[FACTS[name].kind] for name in USED}
    base = with_derived(
        pl.DataFrame(customers, schema=schema), today=TODAY_DATE, policy_value=TIERS
    ).collect()
    names = [*FORMULAS, TODAY, TIER]
    assert set(names) <= set(base.columns)
    deriver = Deriver(TIERS)
    for row, facts in zip(base.select(names).to_dicts(), customers, strict=True):
        one = {
            name: float(day_number(value)) if isinstance(value, date) else value
            for name, value in facts.items()
        }
        found = deriver.derive(one, today=NUMBER)  # type: ignore[arg-type]
        for name in names:
            expected = row[name]
            if isinstance(expected, float):
                assert found[name] == pytest.approx(expected, rel=1e-12, abs=1e-12), name
            else:
                assert found[name] == expected, name


def test_dates_of_a_whole_base_are_whole_days_and_other_columns_stay():
    frame = pl.DataFrame({"customer_id": ["c"], "contract_end": [date(2026, 3, 31)], "x": [1]})
    base = with_derived(frame, today=TODAY_DATE, policy_value=None).collect()
    assert base["contract_end"].to_list() == [float(NUMBER + 30)]
    assert base["months_to_maturity"].to_list() == [pytest.approx(30 / 30.4375)]
    assert base.schema["contract_end"] == pl.Float64
    assert base["x"].to_list() == [1]
    assert base[TIER].to_list() == [None]
