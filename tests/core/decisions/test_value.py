"""Expected value: every factor by hand, and that the parts give it."""

from dataclasses import replace
from decimal import Decimal

import pytest
from offer_worlds import FACTS, NOON, TERMS, chance, engine, known, offer, policy, request

from oferta.decisions.arbitration import UNKNOWN_RATE, loss_rate, multiplied
from oferta.decisions.decide import decide
from oferta.decisions.decision import Decision, OfferMade
from oferta.decisions.request import Customer, Propensity, Wish


def made(decision: Decision) -> OfferMade:
    (one,) = decision.offers
    return one


def test_the_value_of_a_loan_by_hand():
    sold = engine(
        offer("loan", margin="0.05 * amount - 50"),
        policy=policy(
            weights=[{"name": "keen", "when": "intent > 0.4", "factor": 1.5}],
            levers=[{"families": ["loan"], "factor": 0.8, "reason": "board"}],
        ),
    )
    one = made(decide(sold, request(), known(accept={"loan": 0.25})))
    assert one.terms is not None
    assert one.terms.amount == Decimal(12_000)
    parts = one.parts
    assert parts.accept == 0.25
    assert parts.approved == 0.8  # tier B
    assert parts.margin == 550.0  # 5 % of 12,000 less 50
    assert parts.expected_loss == pytest.approx(0.03 * 0.4 * 12_000, rel=1e-12)
    assert parts.context == 1.5
    assert parts.lever == 0.8
    assert parts.levers == ("board",)
    assert parts.value == pytest.approx(0.25 * 0.8 * (550 - 144) * 1.5 * 0.8, rel=1e-12)
    assert parts.value == multiplied(parts)
    assert parts.weights == (("keen", 1.5),)
    assert parts.neutral == ()


def test_what_an_offer_does_not_have_is_neutral_and_says_so():
    parts = made(decide(engine(offer("roadside"), policy=policy()), request(), known())).parts
    assert parts.value == 0.1 * 25
    assert parts.neutral == ("approved", "expected_loss", "context", "lever")


def test_ranking_is_by_value_not_by_eagerness():
    """The weakest borrowers are the keenest: their losses count."""
    sold = engine(
        offer("loan", id="keen", margin="0.01 * amount"),
        offer("balloon", id="sound", margin="0.05 * amount"),
        policy=policy(),
    )
    decision = decide(sold, request(), known(accept={"loan": 0.9, "balloon": 0.2}))
    assert [one.offer for one in decision.offers] == ["sound"]
    assert [(one.offer, one.code) for one in decision.rejected] == [("keen", "value.negative")]


def test_a_tier_that_is_not_known_counts_as_the_worst():
    sold = engine(offer("roadside"), policy=policy(risk=RISK))
    unknown = made(decide(sold, request(), known({**FACTS, "risk_tier": None}))).parts
    worst = made(decide(sold, request(), known({**FACTS, "risk_tier": "C"}))).parts
    assert unknown.approved == worst.approved == 0.5


def test_the_chance_of_default_of_a_tier_that_is_not_known_is_the_worst():
    risk = policy().risk
    assert loss_rate("loan", "A", risk) == 0.01 * 0.4
    assert loss_rate("loan", None, risk) == loss_rate("loan", "Z", risk) == 0.08 * 0.4
    assert loss_rate("insurance", None, risk) == 0.0


RISK = {"tiers": {"A": {"approved": {"service": 0.9}}, "C": {"approved": {"service": 0.5}}}}


def accept_of(propensity: Propensity | None, popular: dict[str, float]) -> tuple[float, str]:
    about = known()
    scores = {} if propensity is None else {"roadside": propensity}
    about = replace(about, customer=Customer(FACTS, scores), popular=popular)
    parts = made(decide(engine(offer("roadside"), policy=policy()), request(), about)).parts
    return parts.accept, parts.accept_from


def test_where_the_chance_of_acceptance_comes_from():
    calibrated = Propensity(0.3, 2.0, "popular", None)
    uncalibrated = Propensity(None, 2.0, "popular", None)
    assert accept_of(calibrated, {"roadside": 0.05}) == (0.3, "calibrated")
    assert accept_of(uncalibrated, {"roadside": 0.05}) == (0.05, "base_rate")
    assert accept_of(None, {"roadside": 0.05}) == (0.05, "base_rate")
    assert accept_of(None, {"cover": 0.02, "loan": 0.04}) == (0.03, "base_rate")
    assert accept_of(None, {}) == (UNKNOWN_RATE, "base_rate")


def test_servicing_in_arrears_need_not_be_worth_anything():
    sold = engine(offer("retermed", margin="-10"), policy=policy())
    late = known({**FACTS, "in_arrears": True})
    assert made(decide(sold, request(), late)).parts.value < 0
    on_time = decide(sold, request(), known())
    assert [one.code for one in on_time.rejected] == ["value.negative"]


def test_a_remembered_wish_moves_the_offers_that_answer_it_and_no_others():
    wished = {"wished_at": NOON // 86_400 - 3, "wished_amount": 9000.0, "wished_months": 24.0}
    sold = engine(
        offer("loan", margin="0.05 * amount"),
        offer("balloon", margin="0.05 * amount"),
        policy=policy(),
    )
    terms = {
        one.offer: one.terms for one in decide(sold, request(), known({**FACTS, **wished})).offers
    }
    assert terms["loan"] is not None
    assert terms["balloon"] is not None
    assert (terms["loan"].amount, terms["loan"].months) == (Decimal(9000), 24)
    assert (terms["balloon"].amount, terms["balloon"].months) == (Decimal(5000), 36)


def test_an_offer_that_ends_the_contract_frees_its_instalment():
    terms = {**TERMS["loan"][1], "ends_contract": True}
    sold = engine(
        offer("loan", id="ends", margin="0.05 * amount", terms=terms),
        offer("loan", id="adds", margin="0.05 * amount"),
        policy=policy(),
    )
    facts = {**FACTS, "income": 1900.0, "instalments": 300.0, "contract_instalment": 300.0}
    afford = {}
    for name in ("ends", "adds"):
        decision = decide(sold, request(offers=(name,)), known(facts))
        afford[name] = made(decision).terms if decision.offers else None
    assert afford["adds"] is not None
    assert afford["ends"] is not None
    assert afford["adds"].instalment <= 60  # 40 % of what is left, less 300
    assert 60 < afford["ends"].instalment <= 360


def test_a_wish_of_months_ago_is_forgotten():
    wished = {"wished_at": NOON // 86_400 - 200, "wished_months": 24.0}
    sold = engine(offer("loan", margin="0.05 * amount"), policy=policy())
    terms = made(decide(sold, request(), known({**FACTS, **wished}))).terms
    assert terms is not None
    assert terms.months == 36


def test_a_wish_in_the_request_is_met_or_countered():
    sold = engine(offer("loan", margin="0.05 * amount"), policy=policy())
    asked = request(wish=Wish(amount=10_000, months=24, product="loan"))
    terms = made(decide(sold, asked, known())).terms
    assert terms is not None
    assert (terms.amount, terms.months, terms.changes) == (Decimal(10_000), 24, ())
    tight = request(wish=Wish(amount=10_000, months=24, instalment=250, product="loan"))
    countered = made(decide(sold, tight, known())).terms
    assert countered is not None
    assert countered.instalment <= 250
    assert {change.what for change in countered.changes} == {"months"}


def test_remembered_quotes_change_no_answer():
    """An engine that has priced for hundreds answers each as one that has priced for nobody."""
    offers = [
        offer("loan", margin="0.05 * amount"),
        offer("balloon", margin="0.05 * amount"),
        offer("loan", id="helped", terms={**TERMS["loan"][1], "guarantor_from": 0.6}),
        offer("lease"),
        offer("cover"),
    ]
    rules = policy(affordability={"share": 0.4, "unknown_income": "allow"})
    warm = engine(*offers, policy=rules)
    rng = chance("remembered")
    abouts = []
    for _ in range(150):
        facts = {**FACTS, "income": rng.choice((None, float(rng.randint(1200, 3500))))}
        facts["risk_tier"] = rng.choice(("A", "B"))
        abouts.append(known({**facts, "spending": 900.0}))
        decide(warm, request(), abouts[-1])
    codes = set()
    for about in abouts:
        fresh = decide(engine(*offers, policy=rules), request(), about)
        assert decide(warm, request(), about) == fresh
        codes |= {one.code for one in fresh.rejected}
        codes |= {
            change.what for made in fresh.offers if made.terms for change in made.terms.changes
        }
    assert {"affordability.exceeded", "guarantor"} <= codes
