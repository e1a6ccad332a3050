"""The price firewall from end to end: behaviour may rank, never price.

Pairs of customers who are equal in all that a rate card asks for, and opposite in what they did and
how eager they are: whatever both are offered costs both the same.
"""

import os
from dataclasses import replace

import pytest
from chaos.table import record
from offer_worlds import Facts, chance, customer, engine, known, offer, policy, request

from oferta.decisions.decide import decide
from oferta.decisions.request import Customer, FactValue, Propensity

PRODUCTS = ("loan", "balloon", "falling", "lease", "cover", "roadside")
SELLER = engine(
    *(offer(product, margin="900") for product in PRODUCTS),
    policy=policy(
        weights=[{"name": "keen", "when": "intent > 0.5", "factor": 3.0}],
        affordability={"share": 0.4, "unknown_income": "allow"},
    ),
)


def opposite(facts: Facts) -> dict[str, FactValue]:
    """The same customer with the opposite behaviour."""
    intent = facts.get("intent")
    return {
        **facts,
        "intent": 1.0 - intent if isinstance(intent, float) else 0.9,
        "intent_family": "insurance",
        "quotes_30d": 9.0,
        "calculator_30d": 12.0,
        "last_active": 20_000.0,
        "purchases": 7.0,
    }


def priced_alike(pairs: int, *, seed: int) -> int:
    """How many offers both of a pair could be made; fails where their terms differ."""
    rng = chance(f"firewall/{seed}")
    compared = 0
    for _ in range(pairs):
        facts = {**customer(rng).facts, "in_arrears": False, "consent_personalisation": True}
        facts.pop("vulnerable", None)
        eager = Customer(facts, {one: Propensity(0.9, 9.0, "popular", None) for one in PRODUCTS})
        cool = Customer(
            opposite(facts), {one: Propensity(0.001, 0.1, "often_follows", "x") for one in PRODUCTS}
        )
        asked = replace(request(), offers=(rng.choice(PRODUCTS),))
        one, other = (
            decide(SELLER, asked, replace(known(), customer=whom)) for whom in (eager, cool)
        )
        if one.offers and other.offers:
            assert one.offers[0].terms == other.offers[0].terms, facts
            compared += 1
    return compared


def test_behaviour_never_prices():
    assert priced_alike(400, seed=1) > 150


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_behaviour_never_prices_ten_thousand_pairs():
    pairs = 10_000 if "OFERTA_CHAOS_DECISIONS" in os.environ else 500
    compared = priced_alike(pairs, seed=2)
    record(
        "Behaviour never prices",
        {"prices that differed": 0, "offers compared": compared, "pairs": pairs},
        ("OFERTA_CHAOS_DECISIONS=1 " if pairs > 500 else "")
        + "pytest tests/core/decisions/test_firewall.py",
    )
    assert compared > pairs // 3
