"""What a change of files would change for a whole base."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from base_worlds import POPULAR, customers, scores_folder, wide
from offer_worlds import FACTS, NOON, Seller, chance, engine, offer, policy, seller

from oferta.decisions.base_table import BaseTable
from oferta.decisions.decide import decide
from oferta.decisions.occasion import occasion
from oferta.decisions.request import Customer, Known, Propensity
from oferta.decisions.whatif import CHANGES, WhatIf, what_if
from oferta.errors import SettingsInvalid
from oferta.policy.file import Policy

CHANCES = {
    product: Propensity(0.125, 0.1, "similar_taste", None)
    for product in ("roadside", "trade", "cover")
}


def people(**facts: float | str | bool | None) -> dict[str, Customer]:
    """Four customers: two in the north, one poor in the south, one who has not agreed."""
    plain = {**FACTS, **facts}
    return {
        "n1": Customer({**plain, "region": "north", "segment": "private"}, CHANCES),
        "n2": Customer({**plain, "region": "north", "segment": "private"}, CHANCES),
        "s1": Customer({**plain, "region": "south", "segment": "business"}, CHANCES),
        "no": Customer({**plain, "consent_personalisation": False}, CHANCES),
    }


def sold(made: Policy, **rules: list[str]) -> Seller:
    """Roadside (worth 25), trade-in (worth 120); `rules`: eligibility by product."""
    offers = [offer(name, eligibility=rules.get(name, [])) for name in ("roadside", "trade")]
    return Seller(engine(*offers, policy=made), {})


def compared(
    folder: Path, before: Seller, after: Seller, who: dict[str, Customer]
) -> tuple[WhatIf, pl.DataFrame]:
    table = BaseTable.open(scores_folder(folder, wide(before, who)))
    kept: list[pl.DataFrame] = []
    request = occasion(before.engine, channel="web")
    found = what_if(table, before.engine, after.engine, request=request, at=NOON, keep=kept.append)
    return found, pl.concat(kept)


def test_who_loses_everything_who_loses_some_and_who_gets_a_first_offer(tmp_path: Path):
    before = sold(policy(), trade=["region = 'north'"], roadside=["region = 'south'"])
    after = sold(policy(), trade=["region = 'south'"], roadside=["FALSE"])
    found, rows = compared(tmp_path / "s", before, after, people())
    changes = dict(rows.select("customer_id", "change").rows())
    assert changes == {"n1": "lost", "n2": "lost", "s1": "more", "no": "same"}
    assert found.total.customers == 4
    assert found.total.changes == {"lost": 2, "less": 0, "same": 1, "more": 1, "first": 0}
    assert found.losers == 0.5
    assert found.total.reached == (3, 1)
    assert found.total.value == (2 * 0.125 * 120 + 0.125 * 25, 0.125 * 120)
    assert found.value_change == pytest.approx(15 / 33.125 - 1)
    back, _ = compared(tmp_path / "t", after, before, people())
    assert back.total.changes == {"lost": 0, "less": 1, "same": 1, "more": 0, "first": 2}
    segments = {group.name: group for group in found.segments}
    assert segments["private"].changes["lost"] == 2
    assert segments["business"].value == (0.125 * 25, 0.125 * 120)
    assert segments["unknown"].customers == 1
    families = {share.name: share for share in found.families}
    assert families["trade_in"].best == (2, 1)
    assert families["none"].best == (1, 3)
    offers = {share.name: share for share in found.offers}
    assert offers["trade"].could == (2, 1)
    assert offers["roadside"].could == (1, 0)


def test_the_same_files_change_nothing(tmp_path: Path):
    rng = chance("nothing")
    one = seller(rng)
    found, rows = compared(tmp_path / "s", one, one, customers(rng, 60))
    assert set(rows["change"]) == {"same"}
    assert found.offers == ()
    assert found.before == found.after
    assert found.total.value[0] == found.total.value[1] > 0
    assert found.losers == found.value_change == 0.0


def test_every_sum_is_that_of_the_customers_and_each_is_as_their_own_decision_says(
    tmp_path: Path,
):
    """Two sellers at random: what stands in the comparison, counted again by hand."""
    better = 0
    for number in range(6):
        rng = chance(f"whatif/{number}")
        before, after, who = seller(rng), seller(rng), customers(rng, 50)
        found, rows = compared(tmp_path / str(number), before, after, who)
        assert sum(found.total.changes.values()) == found.total.customers == len(rows) == 50
        for groups in (found.segments, found.tiers, found.stages):
            assert sum(group.customers for group in groups) == 50
            for change in CHANGES:
                total = sum(group.changes[change] for group in groups)
                assert total == found.total.changes[change]
        for side, number_of in (("before", 0), ("after", 1)):
            value = rows[f"{side}_value"].sum()
            assert sum(share.value[number_of] for share in found.families) == pytest.approx(value)
            assert sum(share.best[number_of] for share in found.families) == 50
        for number_of, row in enumerate(rows.iter_rows(named=True)):
            id_ = row["customer_id"]
            for side, one in (("before", before), ("after", after)):
                request = replace(occasion(one.engine, channel="web"), customer_id=id_)
                whole = decide(one.engine, request, Known(who[id_], POPULAR, NOON))
                assert (row[f"{side}_offers"] > 0) == bool(whole.offers)
                if number_of % 4 == 0:
                    worth = best_of(one, id_, who[id_])
                    assert row[f"{side}_value"] == pytest.approx(worth, rel=1e-9)
                    better += worth > 0
    assert better > 20


def best_of(one: Seller, customer_id: str, customer: Customer) -> float:
    """The highest value of any offer made alone; 0 where none is, or where nobody is meant."""
    request = replace(occasion(one.engine, channel="web"), customer_id=customer_id)
    known = Known(customer, POPULAR, NOON)
    values = []
    for name in one.engine.by_id:
        decision = decide(one.engine, replace(request, offers=(name,)), known)
        if decision.personalised:
            values += [made.parts.value for made in decision.offers]
    return max(values, default=0.0)


def test_values_in_two_currencies_are_not_compared(tmp_path: Path):
    one = sold(policy())
    other = sold(policy())
    dollars = replace(
        other.engine, policy=other.engine.policy.model_copy(update={"currency": "USD"})
    )
    with pytest.raises(SettingsInvalid, match="before in EUR, after in USD"):
        compared(tmp_path / "s", one, replace(other, engine=dollars), people())


def test_a_base_of_nobody_changes_for_nobody(tmp_path: Path):
    one = sold(policy())
    nobody = wide(one, people())[:0]
    table = BaseTable.open(scores_folder(tmp_path / "s", nobody))
    request = occasion(one.engine, channel="web")
    found = what_if(table, one.engine, one.engine, request=request, at=NOON)
    assert found.total.customers == 0
    assert found.losers == found.value_change == 0.0
    assert found.segments == found.offers == ()
