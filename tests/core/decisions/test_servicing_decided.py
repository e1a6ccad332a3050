"""Servicing in whole decisions: relief in arrears alone, the wish heard, the instalment lowered."""

from dataclasses import replace
from decimal import Decimal

from offer_worlds import FACTS, NOON, TERMS, TODAY, Facts, engine, known, offer, policy, request

from oferta.decisions.decide import decide
from oferta.decisions.decision import Decision
from oferta.decisions.request import Wish
from oferta.policy.contact import CustomerState
from oferta.terms.quote import Change, Terms

OWING: Facts = {
    **FACTS,
    "contract_instalment": 200.0,
    "contract_end": TODAY + 30 * 30.4375,
    "market_value": 9000.0,
}
"""6,000 to be paid in thirty months, 200 a month."""

SELLER = engine(
    offer("retermed", margin="100"),
    offer("retermed", id="lower", margin="100", terms=TERMS["retermed"][1] | {"lowers": True}),
    offer("falling", margin="100"),
    policy=policy(),
)


def asked(name: str, facts: Facts, *, wish: Wish | None = None, **more: object) -> Decision:
    about = replace(known(facts), **more)  # type: ignore[arg-type]  # plain settings
    return decide(SELLER, request(offers=(name,), wish=wish), about)


def terms(decision: Decision) -> Terms:
    (made,) = decision.offers
    assert made.terms is not None
    return made.terms


def codes(decision: Decision) -> set[str]:
    return {one.code for one in decision.rejected}


def test_outside_arrears_what_nothing_carries_is_not_made():
    poor = {**OWING, "income": 1050.0}
    refused = asked("retermed", poor)
    assert not refused.offers
    assert "affordability.exceeded" in codes(refused)
    assert terms(asked("retermed", {**poor, "in_arrears": True})).months == 84
    told = CustomerState(arrears_at=NOON - 60)
    assert terms(asked("retermed", poor, state=told)).months == 84


def test_a_re_terming_begins_with_the_months_that_remain():
    assert terms(asked("retermed", OWING)).months == 36


def test_a_wish_is_heard_and_what_gives_way_is_said():
    wish = Wish(months=24, instalment=150.0, product="retermed")
    made = terms(asked("retermed", OWING, wish=wish))
    assert made.months == 48
    assert made.instalment <= 150
    assert made.changes == (Change("months", Decimal(24), Decimal(48)),)
    low = terms(asked("retermed", OWING, wish=Wish(instalment=20.0)))
    assert low.months == 84
    assert [change.what for change in low.changes] == ["instalment"]


def test_lower_your_instalment_lowers_it():
    assert terms(asked("lower", OWING)).instalment < 200
    small = {**OWING, "contract_instalment": 75.0}
    assert "instalment.not_lower" in codes(asked("lower", small))
    assert terms(asked("retermed", small)).instalment > 75
    unknown = {name: value for name, value in OWING.items() if name != "contract_instalment"}
    assert "instalment.not_lower" in codes(asked("lower", unknown))


def test_a_loan_on_ones_own_car_needs_its_value():
    start = TERMS["falling"][1] | {"amount": {"min": 1000, "max": 20_000, "start": "5000"}}
    sold = engine(offer("falling", terms=start, margin="100"), policy=policy())
    unknown = {name: value for name, value in OWING.items() if name != "market_value"}
    assert decide(sold, request(), known(OWING)).offers
    refused = decide(sold, request(), known(unknown))
    assert not refused.offers
    assert codes(refused) == {"car_value.unknown"}
