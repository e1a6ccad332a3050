"""Reasons are true: without the factor that a reason cites, the value is another."""

from collections import Counter
from dataclasses import replace

import pytest
from offer_worlds import (
    FACTS,
    chance,
    engine,
    known,
    offer,
    policy,
    request,
    seller,
    situation,
)

from oferta.decisions.decide import decide
from oferta.decisions.decision import OfferMade, Reason
from oferta.decisions.engine import Engine
from oferta.decisions.request import Customer, Known, Propensity, Request, Wish

WEIGHT = {
    "name": "renewal",
    "when": "has_vehicle",
    "families": ["service"],
    "factor": 2.0,
    "text": {"en": "Your insurance renews soon.", "zh": "您的保险即将续保。"},
}


def reasons(sold: Engine, asked: Request, about: Known) -> dict[str, Reason]:
    return {one.code: one for one in decide(sold, asked, about).offers[0].reasons}


@pytest.mark.parametrize(
    ("code", "en", "zh"),
    [
        ("often_follows", "Often the next step after Roadside", "产品roadside"),
        # What weighed most in a taste may be a car they only looked at.
        ("similar_taste", "Customers with a similar history choose this", "会选择它"),
    ],
)
def test_a_models_reason_names_a_product_that_a_person_would_accept(code: str, en: str, zh: str):
    sold = engine(offer("charging"), offer("roadside", status="archived"), policy=policy())
    about = known()
    scored = {
        product: one._replace(reason=code) for product, one in about.customer.propensities.items()
    }
    about = replace(about, customer=replace(about.customer, propensities=scored))
    (reason,) = reasons(sold, request(), about).values()
    assert (reason.code, reason.factor, reason.text.en) == (code, "accept", en)
    assert zh in reason.text.zh


def test_what_is_popular_is_said_to_be_where_nothing_else_is_known():
    sold = engine(offer("charging"), policy=policy())
    about = replace(known(), customer=Customer(FACTS, {}))
    (reason,) = reasons(sold, request(), about).values()
    assert (reason.code, reason.text.zh) == ("popular", "目前很受欢迎")


def test_a_weight_is_a_reason_where_it_holds_and_only_there():
    sold = engine(offer("charging"), policy=policy(weights=[WEIGHT]))
    assert reasons(sold, request(), known())["weight.renewal"].factor == "context"
    without = known({**FACTS, "has_vehicle": False})
    assert "weight.renewal" not in reasons(sold, request(), without)


def test_a_weight_without_text_or_force_is_no_reason():
    silent = {**WEIGHT, "name": "silent", "text": None}
    idle = {**WEIGHT, "name": "idle", "factor": 1.0}
    sold = engine(offer("charging"), policy=policy(weights=[silent, idle]))
    assert set(reasons(sold, request(), known())) == {"similar_taste"}


def test_a_wish_is_a_reason_only_where_it_changes_the_value():
    sold = engine(offer("loan", margin="0.05 * amount"), policy=policy())
    asked = request(wish=Wish(amount=15_000, months=48, product="loan"))
    assert reasons(sold, asked, known())["wish.met"].factor == "terms"
    as_it_is = request(wish=Wish(amount=12_000, months=36, product="loan"))
    assert "wish.met" not in reasons(sold, as_it_is, known())


def test_a_counter_offer_says_what_is_different():
    sold = engine(offer("loan", margin="0.05 * amount"), policy=policy())
    asked = request(wish=Wish(amount=15_000, months=24, instalment=400, product="loan"))
    reason = reasons(sold, asked, known())["counter.months"]
    assert reason.text.en == "Over 48 months, so that it can be paid"
    assert reason.text.zh == "期限调整为48个月，便于偿还"


def without(sold: Engine, request: Request, known: Known, made: OfferMade, reason: Reason) -> float:
    """The value of the offer where the factor that the reason cites is not there."""
    alone = replace(request, offers=(made.offer,), n=None)
    if reason.factor == "accept":
        product = made.products[0]
        popular = {**known.popular, product: made.parts.accept / 2}
        scores = {**known.customer.propensities, product: Propensity(None, 0.0, "popular", None)}
        known = replace(
            known, customer=replace(known.customer, propensities=scores), popular=popular
        )
    elif reason.factor == "context":
        name = reason.code.removeprefix("weight.")
        weights = [one for one in sold.policy.weights if one.name != name]
        sold = Engine.build(
            sold.catalogue, sold.policy.model_copy(update={"weights": tuple(weights)}), sold.cards
        )
    else:
        facts = {
            name: value
            for name, value in known.customer.facts.items()
            if not name.startswith("wished_") or name == "wished_amount"
        }
        known = replace(known, customer=replace(known.customer, facts=facts))
        product_only = None if request.wish is None else Wish(product=request.wish.product)
        alone = replace(alone, wish=product_only)
    offers = decide(sold, alone, known).offers
    return offers[0].parts.value if offers else 0.0


def test_removing_the_cited_factor_changes_the_value_whatever_the_reason():
    seen = Counter[str]()
    for number in range(60):
        rng = chance(f"reasons/{number}")
        sold = seller(rng)
        for _ in range(6):
            asked, about = situation(rng, sold)
            for made in decide(sold.engine, asked, about).offers:
                for reason in made.reasons:
                    value = without(sold.engine, asked, about, made, reason)
                    assert value != made.parts.value, (number, asked, made.offer, reason)
                    seen[reason.factor] += 1
    assert min(seen["accept"], seen["context"]) > 20, seen


def test_a_cited_wish_changes_the_value_whatever_was_wished():
    sold = engine(
        *(offer(product, margin="0.05 * amount - months") for product in ("loan", "lease")),
        policy=policy(),
    )
    rng, cited = chance("wishes"), 0
    for _ in range(150):
        wish = Wish(
            amount=rng.choice((None, 12_000.0, float(rng.randint(2000, 30_000)))),
            months=rng.choice((None, 36, 24)),
            instalment=rng.choice((None, float(rng.randint(150, 900)))),
            product=rng.choice(("loan", "lease")),
        )
        asked = request(wish=wish)
        for made in decide(sold, asked, known()).offers:
            for reason in made.reasons:
                if reason.factor == "terms":
                    value = without(sold, asked, known(), made, reason)
                    assert value != made.parts.value, (wish, reason)
                    cited += 1
    assert cited > 40
