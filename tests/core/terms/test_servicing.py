"""Re-terming and its kin: which term, how hard affordability is, and what is said of a wish."""

from decimal import Decimal

import pytest
from core.terms.cards import asked, means, quoted, wanted
from hypothesis import given
from hypothesis import strategies as st

from oferta.catalogue.ranges import ServicingTerms
from oferta.settings import parse
from oferta.terms.card import RateCards
from oferta.terms.quote import Quote, Unfit


def servicing(kind: str, **more: object) -> ServicingTerms:
    return parse({"kind": kind} | more, ServicingTerms, place="test")


RE_TERM = servicing("re_term", months=[12, 24, 36, 48])
LOWER = servicing("re_term", months=[12, 24, 36, 48], lowers=True)
# 6000 at 12 % over 12, 24, 36 and 48 months: 533.09, 282.44, 199.29 and 158.00.


def code(found: Quote | Unfit) -> str:
    assert isinstance(found, Unfit)
    return found.code


@pytest.mark.parametrize("relief", [True, False])
def test_a_re_terming_takes_the_shortest_term_that_is_affordable(card: RateCards, relief: bool):
    def months(income: int, **more: object) -> int:
        can = means(income=Decimal(income), relief=relief, **more)
        return quoted(card, RE_TERM, product="plain", wish=wanted(payoff=6000), can=can).months

    assert months(1500) == 12
    assert months(1000) == 24
    assert months(500) == 36
    # Existing instalments are what it replaces, unless it is said which part of them ends.
    assert months(1000, instalments=Decimal(300)) == 24
    assert months(1000, instalments=Decimal(300), replaced=Decimal(100)) == 36


def test_only_where_an_instalment_is_late_is_it_made_although_nothing_carries_it(card: RateCards):
    def found(income: int | None, *, relief: bool, **more: object) -> Quote | Unfit:
        known = None if income is None else Decimal(income)
        can = means(income=known, relief=relief, **more)
        return asked(card, RE_TERM, product="plain", wish=wanted(payoff=6000), can=can)

    late = found(100, relief=True)
    assert isinstance(late, Quote)
    assert late.months == 48
    refused = found(100, relief=False)
    assert isinstance(refused, Unfit)
    assert (refused.code, dict(refused.facts)) == (
        "affordability.exceeded",
        {"limit": "40.00", "least_instalment": "158.00"},
    )
    assert code(found(None, relief=False, unknown_income="refuse")) == "affordability.unknown"
    silent = found(None, relief=True, unknown_income="refuse")
    assert isinstance(silent, Quote)
    assert silent.months == 48
    let_pass = found(None, relief=False, unknown_income="allow")
    assert isinstance(let_pass, Quote)
    assert let_pass.months == 12


def test_a_holiday_is_not_counted_beside_the_instalment_that_it_pauses(card: RateCards):
    holiday = servicing("payment_holiday", holiday_months=1)
    wish = wanted(payoff=1000, remaining_months=2)
    can = means(income=Decimal(1300), instalments=Decimal(510))
    assert isinstance(asked(card, holiday, product="plain", wish=wish, can=can), Quote)
    others = means(income=Decimal(1300), instalments=Decimal(700), replaced=Decimal(510))
    found = asked(card, holiday, product="plain", wish=wish, can=others)
    assert code(found) == "affordability.exceeded"


def test_it_begins_with_what_remains_and_a_wish_comes_first(card: RateCards):
    def months(**wish: int) -> int:
        return quoted(card, RE_TERM, product="plain", wish=wanted(payoff=6000, **wish)).months

    assert months() == 12
    assert months(remaining_months=12) == 12
    assert months(remaining_months=25) == 36
    assert months(remaining_months=99) == 48
    assert months(remaining_months=25, months=12) == 12


def test_what_is_there_to_lower_an_instalment_lowers_it(card: RateCards):
    def found(ending: str | None, **more: int) -> Quote | Unfit:
        replaced = None if ending is None else Decimal(ending)
        can = means(income=Decimal(5000), instalments=replaced, replaced=replaced)
        wish = wanted(payoff=6000, **more)
        return asked(card, LOWER, product="plain", wish=wish, can=can)

    def months(ending: str) -> int:
        one = found(ending)
        assert isinstance(one, Quote)
        assert one.instalment < Decimal(ending)
        return one.months

    assert months("533.10") == 12
    assert months("533.09") == 24
    assert months("180.00") == 48
    none = found("158.00")
    assert isinstance(none, Unfit)
    assert (none.code, dict(none.facts)) == (
        "instalment.not_lower",
        {"limit": "157.99", "least_instalment": "158.00"},
    )
    assert code(found(None)) == "instalment.not_lower"
    shorter = found("240.00", months=12)
    assert isinstance(shorter, Quote)
    assert [(one.what, one.wished, one.offered) for one in shorter.changes] == [("months", 12, 36)]


@given(
    st.integers(500, 30_000), st.integers(20, 1500), st.none() | st.integers(1, 70), st.booleans()
)
def test_never_is_a_lower_instalment_higher(
    card: RateCards, payoff: int, ending: int, left: int | None, relief: bool
):
    can = means(income=Decimal(3000), replaced=Decimal(ending), relief=relief)
    wish = wanted(payoff=payoff, remaining_months=left)
    found = asked(card, LOWER, product="plain", wish=wish, can=can)
    assert isinstance(found, Unfit) or found.instalment < ending


def test_a_budget_makes_it_longer_and_what_stays_above_is_said(card: RateCards):
    ranges = servicing("re_term", months=[12, 24])
    wish = wanted(payoff=6000, months=12, instalment=100)
    terms = quoted(card, ranges, product="plain", wish=wish)
    assert [(one.what, str(one.wished), str(one.offered)) for one in terms.changes] == [
        ("months", "12", "24"),
        ("instalment", "100", "282.44"),
    ]
    assert str(terms.annual_rate) == "12.68"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "re_term"}, "months: at least one"),
        ({"kind": "re_term", "months": [24, 12]}, "months: at least one, ascending"),
        ({"kind": "payment_plan", "months": [3, 3]}, "months: at least one, ascending, each once"),
        ({"kind": "payment_holiday"}, "holiday_months: at least one"),
        ({"kind": "re_term", "months": [12], "holiday_months": 1}, "holiday_months"),
        ({"kind": "payment_plan", "months": [3], "lowers": True}, "lowers no instalment"),
        (
            {"kind": "payment_holiday", "months": [12, 24], "holiday_months": 1},
            "keeps the remaining term",
        ),
    ],
)
def test_ranges_of_servicing_that_make_no_sense(settings: dict[str, object], said: str):
    with pytest.raises(ValueError, match=said):
        ServicingTerms.model_validate(settings)
