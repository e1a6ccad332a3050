"""The price firewall through whole decisions: behaviour may rank, never price."""

import os
from collections.abc import Callable, Mapping
from random import Random

import pytest
from offer_worlds import FACTS, TIERS, TODAY, chance, engine, known, offer, policy, request

from oferta.catalogue.offers import Placement
from oferta.decisions.decide import decide
from oferta.decisions.engine import Engine
from oferta.decisions.request import FactValue
from oferta.profile import facts as declared
from oferta.terms.quote import Terms

PRODUCTS = ("loan", "balloon", "falling", "lease", "cover")
PAIRS = 10_000 if "OFERTA_CHAOS_ROUNDS" in os.environ else 1000

EAGER: Mapping[str, FactValue] = {
    "intent": 0.98,
    "intent_family": "loan",
    "last_active": TODAY,
    "quotes_30d": 6.0,
    "calculator_30d": 9.0,
    "calculator_last": TODAY - 1,
    "purchases": 5.0,
}
"""Somebody who comes every day and is about to sign."""

RELUCTANT: Mapping[str, FactValue] = {
    "intent": 0.0,
    "last_active": TODAY - 400,
    "quotes_30d": 0.0,
    "calculator_30d": 0.0,
    "purchases": 0.0,
}
"""Somebody who has not been seen for a year."""

Prices = dict[str, Terms]


@pytest.fixture(scope="module")
def sold() -> Engine:
    """Every credit offer and an insurance in one large placement, so that all that fit are made."""
    page = Placement(id="home", channel="app", size=10)
    offers = [offer(product, margin="100000") for product in PRODUCTS]
    return engine(*offers, policy=policy(), placements=[page])


def alike(rng: Random) -> dict[str, FactValue]:
    """What the card and the fit may depend on: equal for both of a pair."""
    return {
        **FACTS,
        "income": float(rng.randrange(900, 6000)),
        "spending": float(rng.randrange(300, 1500)),
        "instalments": float(rng.randrange(0, 500)),
        "risk_tier": rng.choice(TIERS),
        "market_value": float(rng.randrange(3000, 40_000)),
        "balloon_amount": float(rng.randrange(3000, 20_000)),
        "wished_amount": float(rng.randrange(2000, 30_000)),
        "wished_instalment": float(rng.randrange(80, 900)),
        "wished_at": TODAY - 2,
    }


def priced(sold: Engine, facts: Mapping[str, FactValue], accept: float) -> Prices:
    """The terms of every offer that is made."""
    accepts = dict.fromkeys(PRODUCTS, accept)
    decision = decide(sold, request(), known(facts, accept=accepts))
    return {made.offer: made.terms for made in decision.offers if made.terms is not None}


def compare(
    sold: Engine, pairs: int, leak: Callable[[Prices], Prices] = lambda prices: prices
) -> int:
    """Decides for pairs opposite in behaviour; gives how many prices were compared."""
    rng = chance("firewall")
    compared = 0
    for _ in range(pairs):
        same = alike(rng)
        eager = leak(priced(sold, same | EAGER, 0.9))
        reluctant = priced(sold, same | RELUCTANT, 0.001)
        for name in eager.keys() & reluctant.keys():
            assert eager[name] == reluctant[name], "behaviour has changed a price"
            compared += 1
    return compared


@pytest.mark.chaos
def test_pairs_opposite_in_behaviour_get_the_same_terms(sold: Engine):
    """A thousand pairs; ten thousand in `make chaos`."""
    assert compare(sold, PAIRS) > PAIRS


def test_the_pairs_differ_in_every_fact_of_behaviour_but_the_wish():
    """A new fact of behaviour must be opposite here, too."""
    behaviour = {name for name, fact in declared.FACTS.items() if fact.origin == "behaviour"}
    wishes = {name for name in behaviour if name.startswith("wished_")}
    assert behaviour - wishes == set(EAGER)


def test_a_price_that_hangs_on_behaviour_would_be_seen(sold: Engine):
    """As if the eager paid what somebody else was quoted."""
    last: Prices = {}

    def leak(prices: Prices) -> Prices:
        before = dict(last)
        last.update(prices)
        return before or prices

    with pytest.raises(AssertionError, match="behaviour has changed a price"):
        compare(sold, 20, leak)
