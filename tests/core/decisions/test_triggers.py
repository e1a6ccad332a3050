"""Moments and patterns: who is due, on which day, with which offer, once."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from base_worlds import customers, scores_folder, wide
from offer_worlds import DAY, FACTS, NOON, TODAY, Seller, chance, engine, offer, policy, state

from oferta.decisions.base_table import BaseTable
from oferta.decisions.decide import decide
from oferta.decisions.occasion import occasion
from oferta.decisions.request import Customer, Known, Propensity
from oferta.decisions.triggers import Fired, Triggers, trigger_id
from oferta.errors import RequestInvalid
from oferta.policy.contact import CustomerState, Silence

TEXT = {"en": "The balloon falls due.", "zh": "尾款到期。"}
BALLOON = {
    "name": "balloon",
    "when": "balloon_due - today BETWEEN 0 AND 120",
    "due": "balloon_due - 60",
    "once_per": "balloon_due",
    "offers": ["balloon", "roadside"],
    "text": TEXT,
}
KEEN = {
    "name": "keen",
    "when": "intent >= 0.5",
    "due": "today",
    "once_per": "intent * 2",
    "families": ["insurance"],
    "text": TEXT,
}
DAY_ZERO = date(1970, 1, 1)
CHANCES = {
    product: Propensity(0.1, 0.1, "similar_taste", None)
    for product in ("balloon", "roadside", "cover")
}


def sold(*triggers: dict[str, object]) -> Seller:
    offers = [offer("balloon"), offer("roadside"), offer("cover")]
    return Seller(engine(*offers, policy=policy(triggers=list(triggers))), {})


def table_of(folder: Path, sold: Seller, people: dict[str, Customer]) -> BaseTable:
    return BaseTable.open(scores_folder(folder, wide(sold, people)))


def fired(
    sold: Seller,
    table: BaseTable,
    *,
    at: float = NOON,
    before: date | None = None,
    seen: frozenset[str] = frozenset(),
    states: dict[str, CustomerState] | None = None,
    channel: str = "any",
) -> list[Fired]:
    triggers = Triggers(sold.engine, table, at=at, channel=channel)
    return [
        one
        for block in triggers.due(before=before, seen=seen)
        for one in triggers.fired(block, states or {})
    ]


def somebody(**facts: float | str | bool) -> Customer:
    return Customer({**FACTS, **facts}, CHANCES)


def test_a_moment_has_its_day_its_value_and_the_best_of_its_offers(tmp_path: Path):
    seller = sold(BALLOON)
    table = table_of(tmp_path / "b", seller, {"c1": somebody(balloon_due=TODAY + 90)})
    (one,) = fired(seller, table)
    day = DAY_ZERO + timedelta(days=int(TODAY))
    assert one.due.due == day + timedelta(days=30)
    assert one.due.once_per == (day + timedelta(days=90)).isoformat()
    assert one.due.id == trigger_id("balloon", "c1", one.due.once_per)
    assert one.text.en == "The balloon falls due."
    request = replace(occasion(seller.engine, offers=("balloon", "roadside")), customer_id="c1")
    best = decide(seller.engine, request, Known(somebody(balloon_due=TODAY + 90), {}, NOON))
    assert one.made.offer == best.offers[0].offer == "balloon"


def test_exactly_those_fire_for_whom_the_rule_is_true_and_a_decision_makes_an_offer(
    tmp_path: Path,
):
    rng = chance("triggers")
    seller = sold(BALLOON, KEEN)
    people = customers(rng, 150)
    states = {id_: state(rng, seller, at=NOON) for id_ in people if rng.random() < 0.5}
    table = table_of(tmp_path / "b", seller, people)
    got = {(one.due.trigger, one.due.customer_id) for one in fired(seller, table, states=states)}
    expected = set()
    for id_, one in people.items():
        due, intent = one.facts.get("balloon_due"), one.facts.get("intent")
        moments = {
            "balloon": (("balloon", "roadside"), due is not None and 0 <= due - TODAY <= 120),
            "keen": (("cover",), intent is not None and intent >= 0.5),
        }
        for name, (offers, is_due) in moments.items():
            request = replace(occasion(seller.engine, offers=offers), customer_id=id_)
            known = Known(
                one,
                table.base_rates,
                NOON,
                states.get(id_, CustomerState()),
                release_at=table.created_at.timestamp(),
            )
            decision = decide(seller.engine, request, known)
            if is_due and decision.offers and decision.personalised:
                expected.add((name, id_))
    assert got == expected
    assert len(got) > 20


def test_what_was_seen_is_silent_until_its_value_changes(tmp_path: Path):
    seller = sold(BALLOON)
    people = {"c1": somebody(balloon_due=TODAY + 90), "c2": somebody(balloon_due=TODAY + 40)}
    table = table_of(tmp_path / "b", seller, people)
    first = fired(seller, table)
    seen = frozenset(one.due.id for one in first)
    assert len(seen) == 2
    assert fired(seller, table, seen=seen) == []
    assert fired(seller, table, at=NOON + DAY, seen=seen) == []
    people["c2"] = somebody(balloon_due=TODAY + 41)
    moved = table_of(tmp_path / "b2", seller, people)
    assert [one.due.customer_id for one in fired(seller, moved, seen=seen)] == ["c2"]


def test_due_before_leaves_out_the_day_itself(tmp_path: Path):
    seller = sold(BALLOON)
    table = table_of(tmp_path / "b", seller, {"c1": somebody(balloon_due=TODAY + 90)})
    due = DAY_ZERO + timedelta(days=int(TODAY) + 30)
    assert fired(seller, table, before=due) == []
    assert len(fired(seller, table, before=due + timedelta(days=1))) == 1


def test_without_an_offer_to_make_nothing_fires_and_the_reason_is_counted(tmp_path: Path):
    seller = sold({**BALLOON, "offers": ["roadside"]})
    table = table_of(tmp_path / "b", seller, {"c1": somebody(balloon_due=TODAY + 90)})
    no = Silence("decline", "roadside", "roadside", "service", NOON + DAY)
    triggers = Triggers(seller.engine, table, at=NOON)
    (block,) = triggers.due()
    assert list(triggers.fired(block, {"c1": CustomerState(1, (), (no,))})) == []
    assert triggers.refused == {"silence.decline": 1}
    assert len(fired(seller, table, at=NOON + 2 * DAY)) == 1


def test_who_may_not_be_personalised_or_whose_value_is_unknown_is_never_due(tmp_path: Path):
    seller = sold({**BALLOON, "when": "TRUE", "due": "today", "once_per": "payoff"})
    unknown = somebody()
    unknown = replace(unknown, facts={**unknown.facts, "payoff": None})
    people = {
        "no": somebody(consent_personalisation=False),
        "unknown": unknown,
        "yes": somebody(),
    }
    table = table_of(tmp_path / "b", seller, people)
    assert [one.due.customer_id for one in fired(seller, table)] == ["yes"]


def test_a_family_that_nothing_is_sold_of_fires_nothing(tmp_path: Path):
    """An empty list of offers would mean all of them to a request."""
    seller = sold({**KEEN, "when": "TRUE", "once_per": "today", "families": ["car"]})
    table = table_of(tmp_path / "b", seller, {"c1": somebody()})
    assert fired(seller, table) == []


def test_through_one_channel_its_consent_and_its_quiet_hours_hold(tmp_path: Path):
    seller = sold(BALLOON)
    people = {
        "agreed": somebody(balloon_due=TODAY + 90, consent_email=True),
        "refused": somebody(balloon_due=TODAY + 90, consent_email=False),
    }
    table = table_of(tmp_path / "b", seller, people)
    assert len(fired(seller, table)) == 2
    (one,) = fired(seller, table, channel="email")
    assert (one.due.customer_id, one.made.channel) == ("agreed", "email")
    assert {one.made.channel for one in fired(seller, table, channel="push")} == {"push"}
    assert fired(seller, table, channel="push", at=NOON + DAY / 2) == []
    with pytest.raises(RequestInvalid, match="emial"):
        fired(seller, table, channel="emial")
