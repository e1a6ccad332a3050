"""The best customers for an offer: all who may have it, nobody else, the best first."""

from dataclasses import replace
from pathlib import Path

import pytest
from base_worlds import POPULAR, customers, scores_folder, wide
from offer_worlds import NOON, Seller, chance, engine, offer, policy, seller, state

from oferta.decisions.audience import Audience, Member
from oferta.decisions.base_table import BaseTable
from oferta.decisions.decide import decide
from oferta.decisions.decision import Decision
from oferta.decisions.occasion import occasion
from oferta.decisions.request import Customer, Known
from oferta.errors import RequestInvalid, UnknownName
from oferta.policy.consent import may_personalise
from oferta.policy.contact import CustomerState


def table_of(folder: Path, sold: Seller, people: dict[str, Customer]) -> BaseTable:
    return BaseTable.open(scores_folder(folder, wide(sold, people)))


def everybody(
    found: Audience, states: dict[str, CustomerState], *, limit: int | None = None
) -> list[Member]:
    ids = found.ranked(limit=limit)
    return [
        member
        for people in found.blocks(ids)
        for member in found.members(people, states, limit=limit)
    ]


def asked(
    sold: Seller,
    name: str,
    one: tuple[str, Customer],
    state: CustomerState | None,
    table: BaseTable,
) -> Decision:
    request = replace(occasion(sold.engine, offers=(name,)), customer_id=one[0])
    known = Known(
        one[1], POPULAR, NOON, state or CustomerState(), release_at=table.created_at.timestamp()
    )
    return decide(sold.engine, request, known)


def test_members_are_exactly_those_whose_own_decision_makes_the_offer(tmp_path: Path):
    """With contacts and silences; caps over everybody are another test's."""
    members, left_out, owed = 0, 0, 0
    for number in range(12):
        rng = chance(f"audience/{number}")
        sold = seller(rng)
        sold = replace(sold, engine=replace(sold.engine, total_caps=()))
        people = customers(rng, 40)
        states = {id_: state(rng, sold, at=NOON) for id_ in people if rng.random() < 0.7}
        table = table_of(tmp_path / str(number), sold, people)
        for name in rng.sample(sorted(sold.engine.by_id), min(3, len(sold.engine.by_id))):
            found = Audience(sold.engine, table, name, at=NOON)
            got = {one.customer_id: one.made for one in everybody(found, states)}
            expected = {}
            for one in people.items():
                decision = asked(sold, name, one, states.get(one[0]), table)
                agreed = may_personalise(one[1].facts, sold.engine.policy)
                owed += bool(decision.offers) and decision.personalised and not agreed
                if decision.offers and decision.personalised and agreed:
                    expected[one[0]] = decision.offers[0]
            assert {id_: made.parts.value for id_, made in got.items()} == {
                id_: made.parts.value for id_, made in expected.items()
            }
            members += len(got)
            left_out += sum(found.refused.values())
            assert found.found == len(got) + sum(found.refused.values())
    assert members > 100
    assert left_out > 10
    assert owed > 0  # help in arrears without consent: nobody is sought out for it


def test_the_highest_expected_value_comes_first_and_a_limit_takes_the_best(tmp_path: Path):
    rng = chance("ranked")
    sold = Seller(engine(offer("roadside"), offer("cover"), policy=policy()), {})
    people = customers(rng, 60)
    table = table_of(tmp_path / "base", sold, people)
    whole = everybody(Audience(sold.engine, table, "cover", at=NOON), {})
    values = [one.made.parts.value for one in whole]
    assert values == sorted(values, reverse=True)
    assert [one.rank for one in whole] == list(range(1, len(whole) + 1))
    assert len(whole) > 10
    assert everybody(Audience(sold.engine, table, "cover", at=NOON), {}, limit=7) == whole[:7]


def test_who_has_not_agreed_or_is_in_the_control_group_is_no_member(tmp_path: Path):
    rng = chance("agreed")
    control = {"share": 0.5, "gets": "popular"}
    sold = Seller(engine(offer("roadside"), policy=policy(control=control)), {})
    people = {
        id_: replace(one, facts={**one.facts, "vulnerable": False, "in_arrears": False})
        for id_, one in customers(rng, 80).items()
    }
    table = table_of(tmp_path / "base", sold, people)
    members = {
        one.customer_id for one in everybody(Audience(sold.engine, table, "roadside", at=NOON), {})
    }
    agreed = {
        id_ for id_, one in people.items() if one.facts.get("consent_personalisation") is True
    }
    assert members < agreed
    assert 0.25 < len(members) / len(agreed) < 0.75


def test_places_under_a_cap_over_everybody_go_to_the_best_until_they_are_taken(tmp_path: Path):
    rng = chance("places")
    cap = {
        "name": "installers",
        "event": "accept",
        "scope": "offer",
        "of": ["charging"],
        "per": "total",
        "limit": 9,
        "period": "7d",
    }
    sold = Seller(engine(offer("charging"), policy=policy(caps=[cap])), {})
    table = table_of(tmp_path / "base", sold, customers(rng, 60))
    free = Audience(sold.engine, table, "charging", at=NOON)
    assert len(everybody(free, {})) == 9
    assert free.refused["cap.total"] == free.found - 9
    taken = Audience(sold.engine, table, "charging", at=NOON, totals={"installers/charging": 5})
    assert len(everybody(taken, {})) == 4


def test_an_unknown_offer_or_a_channel_without_a_placement_is_refused(tmp_path: Path):
    sold = Seller(engine(offer("roadside"), policy=policy()), {})
    table = table_of(tmp_path / "base", sold, customers(chance("refused"), 3))
    with pytest.raises(UnknownName, match="Did you mean 'roadside'"):
        Audience(sold.engine, table, "roadsied", at=NOON)
    with pytest.raises(RequestInvalid, match="did you mean 'web'"):
        Audience(sold.engine, table, "roadside", at=NOON, channel="wab")
    only = [one for one in sold.engine.catalogue.placements if one.id == "charger"]
    narrow = Seller(engine(offer("roadside"), policy=policy(), placements=only), {})
    with pytest.raises(RequestInvalid, match="asks for context: kwh, member, station"):
        Audience(narrow.engine, table, "roadside", at=NOON, channel="app")
