"""Over random sellers, customers, states and requests: what no decision may ever break.

A thousand decisions here, a hundred thousand in `make chaos` (`OFERTA_CHAOS_DECISIONS`).
"""

import os
from collections import Counter
from dataclasses import replace

import pytest
from chaos.table import record
from offer_checks import broken
from offer_worlds import chance, random_request, seller, situation

from oferta.decisions.decide import decide
from oferta.decisions.record import pack_record, unpack_record
from oferta.decisions.replay import differences, replay

SELLERS = 50
SITUATIONS = 20


def run(sellers: int, *, seed: int) -> Counter[str]:
    """Decides, checks, replays; counts what happened, so that a green run means something."""
    counts = Counter[str]()
    for number in range(sellers):
        rng = chance(f"{seed}/{number}")
        sold = seller(rng)
        for _ in range(SITUATIONS):
            request, known = situation(rng, sold)
            decision = decide(sold.engine, request, known)
            problems = broken(sold, request, known, decision)
            assert not problems, (seed, number, problems, request, decision)
            record = unpack_record(pack_record(request, known, decision, engine=sold.engine))
            assert record.request == request
            assert record.decision == decision
            assert not differences(decision, replay(sold.engine, record)), (seed, number, request)
            counts[decision.outcome] += 1
            counts.update(f"made {made.selection}" for made in decision.offers)
            counts.update(rejection.code for rejection in decision.rejected)
            counts["decisions"] += 1
    return counts


def test_no_decision_breaks_eligibility_consent_caps_or_the_firewall():
    counts = run(SELLERS, seed=1)
    assert counts["decisions"] == 1000
    assert counts["offers"] > 200
    for code in (
        "rule.eligibility",
        "customer.vulnerable",
        "customer.in_arrears",
        "consent.marketing",
        "consent.channel",
        "cap.reached",
        "cap.total",
        "silence.decline",
        "quiet.hours",
        "affordability.exceeded",
        "value.negative",
        "made explored",
        "made non_personalised",
        "made control",
    ):
        assert counts[code] > 0, f"no case of {code} among a thousand decisions"


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_no_decision_of_a_great_many_breaks_anything():
    decisions = int(os.environ.get("OFERTA_CHAOS_DECISIONS", "1000"))
    seed = int(os.environ.get("OFERTA_CHAOS_SEED", "1"))
    counts = run(decisions // SITUATIONS, seed=seed)
    record(
        "Laws of decisions",
        {"decisions that broke one": 0, **dict(counts.most_common(12))},
        f"OFERTA_CHAOS_DECISIONS={decisions} OFERTA_CHAOS_SEED={seed} "
        "pytest tests/core/decisions/test_laws.py",
    )
    assert counts["decisions"] == decisions // SITUATIONS * SITUATIONS


def test_the_same_question_at_the_same_state_has_the_same_answer_and_id():
    rng = chance(5)
    sold = seller(rng)
    for _ in range(30):
        request, known = situation(rng, sold)
        assert decide(sold.engine, request, known) == decide(sold.engine, request, known)


def test_asked_again_at_the_date_that_a_later_names_there_is_an_offer():
    named = 0
    for number in range(60):
        rng = chance(f"later/{number}")
        sold = seller(rng)
        for _ in range(30):
            request, known = situation(rng, sold)
            decision = decide(sold.engine, request, known)
            if decision.later_on is not None:
                named += 1
                again = decide(sold.engine, request, replace(known, at=decision.later_on))
                assert again.offers, (number, request, decision.why)
    assert named > 20


def test_a_sequence_of_decisions_never_passes_a_cap():
    """Each on the state that the one before it left: what a store's compare-and-set gives."""
    reached = 0
    for number in range(20):
        rng = chance(f"sequence/{number}")
        sold = seller(rng)
        _, known = situation(rng, sold)
        at = known.at
        for _ in range(15):
            at += rng.choice((60.0, 3600.0, 40_000.0))
            request = replace(random_request(rng, sold), customer_id="c1")
            known = replace(known, at=at)
            decision = decide(sold.engine, request, known)
            assert not broken(sold, request, known, decision)
            reached += any(one.code == "cap.reached" for one in decision.rejected)
            totals = dict(known.totals)
            for name in decision.taken:
                totals[name] = totals.get(name, 0) + 1
            known = replace(known, state=decision.state, totals=totals)
    assert reached > 10
