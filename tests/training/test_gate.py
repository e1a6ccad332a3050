"""The gate: who may replace the champion, guard by guard."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from gates import METRIC, card, facts_of
from numpy.random import default_rng

from oferta.evaluation.calibration import Reliability
from oferta.privacy.findings import Finding
from oferta_training.checks import overall
from oferta_training.gate import decide
from oferta_training.group_checks import segments
from oferta_training.guards import Guards, SegmentGuard
from oferta_training.verdict import Outcome


def values(customers: int, mean: float, spread: float, seed: int) -> np.ndarray:
    return default_rng(seed).normal(mean, spread, customers).clip(0, 1)


def judged(candidate: np.ndarray, champion: np.ndarray | None, margin: float = 0.02):
    return decide(
        card(candidate),
        None if champion is None else card(champion),
        facts=facts_of(len(candidate)),
        guards=Guards(margin=margin),
        rng=default_rng(7),
    )


def test_the_first_version_becomes_champion() -> None:
    verdict = judged(values(50, 0.1, 0.05, 1), None)
    assert verdict.promoted
    assert "no champion" in verdict.because


def test_the_same_recipe_again_passes() -> None:
    """A nightly retraining measures a difference of exactly zero."""
    same = values(200, 0.3, 0.2, 1)
    assert judged(same, same.copy()).promoted


def test_a_clearly_better_model_passes() -> None:
    champion = values(500, 0.2, 0.1, 1)
    verdict = judged(champion + 0.05, champion)
    assert verdict.promoted
    assert verdict.difference is not None
    assert verdict.difference.low > 0


def test_a_clearly_worse_model_stays_challenger_and_says_by_how_much() -> None:
    champion = values(500, 0.4, 0.1, 1)
    verdict = judged(champion - 0.05, champion)
    assert not verdict.promoted
    assert verdict.failing == ("overall",)
    assert "-0.0500" in verdict.because
    assert "500 customers" in verdict.because


def test_rows_of_one_customer_count_as_one_customer() -> None:
    """Twelve customers with fifty rows each know no more than twelve customers."""
    champion = np.repeat(values(12, 0.3, 0.2, 1), 50)
    candidate = np.repeat(values(12, 0.4, 0.2, 2), 50)
    whose = np.repeat(np.arange(12), 50)
    rows, _ = overall(candidate, champion, metric=METRIC, margin=0.02, rng=default_rng(7))
    clustered, _ = overall(
        candidate, champion, metric=METRIC, margin=0.02, rng=default_rng(7), customer=whose
    )
    assert rows.passed
    assert not clustered.passed
    assert "12 customers" in clustered.sentence


def test_too_little_data_to_tell_keeps_the_champion() -> None:
    """Better on the mean of twelve customers, but it might as well be worse."""
    champion = values(12, 0.3, 0.2, 1)
    candidate = values(12, 0.4, 0.2, 2)
    assert candidate.mean() > champion.mean()
    assert not judged(candidate, champion).promoted


@pytest.mark.parametrize(("loss", "promoted"), [(0.01, True), (0.03, False)])
def test_a_loss_within_the_margin_is_let_through(loss: float, promoted: bool) -> None:
    """Two per cent of the champion's mean is what a seller would not notice."""
    champion = np.full(100, 0.5)
    assert judged(champion - loss * 0.5, champion).promoted is promoted


def one(outcomes: tuple[Outcome, ...], guard: str) -> Outcome:
    (found,) = [outcome for outcome in outcomes if outcome.guard == guard]
    return found


EVERY_RELATIVE_GUARD = Guards.model_validate(
    {
        "margin": 0.0,
        "segments": {"by": ["region", "activity", "cold"], "margin": 0.0},
        "coverage": {"share": 1.0},
        "cost": {"factor": 1.0},
    }
)


@pytest.mark.parametrize("seed", range(6))
def test_a_model_equal_to_the_champion_passes_every_relative_guard(seed: int) -> None:
    """Whatever the values, groups and margins: even margins of nothing."""
    rng = default_rng(seed)
    rows = int(rng.integers(1300, 4000))
    figures = rng.random(rows) * (rng.random(rows) < 0.3)
    facts = facts_of(rows, customers=rows // 2, regions=3, seed=seed)
    outcomes = decide(
        card(figures), card(figures.copy()), facts=facts, guards=EVERY_RELATIVE_GUARD, rng=rng
    ).outcomes
    assert {outcome.guard for outcome in outcomes} >= {"overall", "segments", "coverage", "cost"}
    assert [outcome.sentence for outcome in outcomes if not outcome.passed] == []


def test_a_model_that_helps_the_mean_and_hurts_one_segment_is_refused_by_its_name() -> None:
    facts = facts_of(3000, regions=3)
    rng = default_rng(1)
    champion = rng.random(3000) * 0.4
    hurt = (facts.customers["region"] == "region 2").to_numpy()
    candidate = champion + np.where(hurt, -0.05, 0.06) + rng.normal(0, 0.05, 3000)
    guards = Guards.model_validate({"segments": {"by": ["region"]}})
    verdict = decide(card(candidate), card(champion), facts=facts, guards=guards, rng=rng)
    assert candidate.mean() > champion.mean()
    assert one(verdict.outcomes, "overall").passed
    assert verdict.failing == ("segments",)
    assert "region=region 2" in verdict.because
    assert "region=region 1" not in verdict.because


def test_many_groups_do_not_refuse_an_equally_good_model_by_chance() -> None:
    """Sixty groups of noise at 5 % each would refuse nineteen in twenty models."""
    refused = 0
    for seed in range(20):
        rng = default_rng(seed)
        facts = facts_of(60 * 240, regions=60, seed=seed)
        champion = rng.random(60 * 240)
        candidate = np.roll(champion, 1)  # as good on average, other customers
        guard = SegmentGuard(by=("region",), margin=0.0)
        (found,) = segments(candidate, champion, facts=facts, guard=guard)
        refused += not found.passed
    assert refused <= 3


def test_the_cold_are_a_segment_of_their_own() -> None:
    facts = facts_of(2000, cold=0.2)
    champion = default_rng(1).random(2000)
    candidate = champion * np.where(facts.past == 0, 0.7, 1.1)
    guards = Guards.model_validate({"segments": {"by": ["cold", "activity"]}})
    verdict = decide(
        card(candidate), card(champion), facts=facts, guards=guards, rng=default_rng(1)
    )
    assert "cold=cold" in verdict.because
    assert "activity=0:" in verdict.because


def test_a_segment_guard_of_an_unknown_attribute_fails_closed() -> None:
    same = default_rng(1).random(500)
    guards = Guards.model_validate({"segments": {"by": ["regoin"]}})
    outcomes = decide(
        card(same), card(same), facts=facts_of(500, regions=2), guards=guards, rng=default_rng(1)
    ).outcomes
    failed = one(outcomes, "segments")
    assert not failed.passed
    assert "Did you mean 'region'" in failed.sentence


def test_a_segment_guard_without_a_large_enough_group_fails_closed() -> None:
    same = default_rng(1).random(500)
    guards = Guards.model_validate({"segments": {"by": ["region"]}})
    outcomes = decide(
        card(same), card(same), facts=facts_of(500, regions=20), guards=guards, rng=default_rng(1)
    ).outcomes
    (failed,) = [outcome for outcome in outcomes if not outcome.passed]
    assert failed.guard == "segments"
    assert "no group by region has 200 customers" in failed.sentence


def test_coverage_below_a_share_of_the_champions_is_refused() -> None:
    same = default_rng(1).random(500)
    ours, theirs = card(same, coverage=0.1), card(same, coverage=0.2)
    for share, passed in ((0.4, True), (0.6, False)):
        guards = Guards.model_validate({"coverage": {"share": share}})
        outcomes = decide(
            ours, theirs, facts=facts_of(500), guards=guards, rng=default_rng(1)
        ).outcomes
        assert one(outcomes, "coverage").passed is passed


def test_a_floor_of_coverage_holds_without_a_champion() -> None:
    guards = Guards.model_validate({"coverage": {"at_least": 0.3, "share": 0.9}})
    verdict = decide(
        card(np.full(50, 0.5), coverage=0.2),
        None,
        facts=facts_of(50),
        guards=guards,
        rng=default_rng(1),
    )
    assert verdict.failing == ("coverage",)
    assert "coverage@10 is 0.2000, below 0.3000" in verdict.because


def test_a_declared_calibration_that_was_not_measured_fails_closed() -> None:
    guards = Guards.model_validate({"calibration": {"ece": 0.05}})
    verdict = decide(
        card(np.full(50, 0.5)), None, facts=facts_of(50), guards=guards, rng=default_rng(1)
    )
    assert verdict.failing == ("calibration",)
    assert (
        "not measured: no chances were stated: set [calibration] method, in a study calibrate"
        in verdict.because
    )


@pytest.mark.parametrize(("ece", "passed"), [(0.04, True), (0.06, False)])
def test_chances_that_are_off_by_more_than_the_limit_are_refused(ece: float, passed: bool) -> None:
    worth = Reliability(ece=ece, brier=0.1, log_loss=0.3, bins=(), count=100)
    candidate = replace(card(np.full(50, 0.5)), calibration=worth)
    guards = Guards.model_validate({"calibration": {"ece": 0.05}})
    verdict = decide(candidate, None, facts=facts_of(50), guards=guards, rng=default_rng(1))
    assert verdict.promoted is passed


def test_a_group_served_below_four_fifths_of_the_best_served_is_refused() -> None:
    facts = facts_of(2000, regions=2)
    second = (facts.customers["region"] == "region 1").to_numpy()
    guards = Guards.model_validate({"fairness": {"by": ["region"]}})
    for worse, passed in ((0.9, True), (0.7, False)):
        figures = np.where(second, worse, 1.0) * 0.5
        outcomes = decide(
            card(figures), None, facts=facts, guards=guards, rng=default_rng(1)
        ).outcomes
        found = one(outcomes, "fairness")
        assert found.passed is passed
        assert found.measured == pytest.approx(worse)
        assert "region=region 1" in found.sentence


def test_a_product_group_shown_to_one_group_of_customers_alone_is_refused() -> None:
    """Equally good lists, and loans only in those of one region: steering."""
    facts = facts_of(2000, regions=2)
    second = (facts.customers["region"] == "region 1").to_numpy()
    guards = Guards.model_validate({"fairness": {"by": ["region"], "exposure": ["category=loan"]}})
    plain = card(np.full(2000, 0.5))
    shown = {**plain.values, "exposure:category=loan@10": np.where(second, 0.1, 0.4)}
    steering = replace(plain, values=shown)
    outcomes = decide(steering, None, facts=facts, guards=guards, rng=default_rng(1)).outcomes
    assert [outcome.passed for outcome in outcomes if outcome.guard == "fairness"] == [True, False]
    unseen = decide(plain, None, facts=facts, guards=guards, rng=default_rng(1)).outcomes
    assert "was not measured" in unseen[1].sentence


def test_fairness_between_groups_too_small_to_compare_fails_closed() -> None:
    guards = Guards.model_validate({"fairness": {"by": ["region"]}})
    outcomes = decide(
        card(np.full(300, 0.5)),
        None,
        facts=facts_of(300, regions=2),
        guards=guards,
        rng=default_rng(1),
    ).outcomes
    assert not one(outcomes, "fairness").passed


def test_a_model_slower_than_the_limits_is_refused() -> None:
    same = default_rng(1).random(50)
    ours, theirs = card(same, fit_s=30.0), card(same, fit_s=10.0)
    for limits, passed in (
        ({"fit_s": 20}, False),
        ({"fit_s": 40}, True),
        ({"factor": 2}, False),
        ({"factor": 4}, True),
    ):
        guards = Guards.model_validate({"cost": limits})
        outcomes = decide(
            ours, theirs, facts=facts_of(50), guards=guards, rng=default_rng(1)
        ).outcomes
        assert all(found.passed for found in outcomes if found.guard == "cost") is passed


def test_milliseconds_are_no_cost() -> None:
    """Three times a fit of two milliseconds is the machine's mood."""
    same = default_rng(1).random(50)
    guards = Guards.model_validate({"cost": {"factor": 1.5}})
    outcomes = decide(
        card(same, fit_s=0.006),
        card(same, fit_s=0.002),
        facts=facts_of(50),
        guards=guards,
        rng=default_rng(1),
    ).outcomes
    assert all(found.passed for found in outcomes)


@pytest.mark.parametrize("credit", [True, False])
def test_a_model_of_protected_attributes_never_becomes_champion_for_credit(credit: bool) -> None:
    """Also where it would be the first: the guard compares with nobody."""
    used = (Finding("sex", "sex", "its name says 'sex'", "a public benchmark"),)
    facts = replace(facts_of(50), protected=used, credit=credit)
    verdict = decide(card(np.full(50, 0.5)), None, facts=facts, guards=Guards(), rng=default_rng(1))
    assert verdict.promoted is not credit
    if credit:
        assert verdict.failing == ("protected",)
        assert "sex (sex)" in verdict.because


def test_numbers_are_cut_into_fifths_and_dates_by_year() -> None:
    facts = facts_of(1000)
    customers = facts.customers.with_columns(
        pl.Series("income", np.arange(1000) * 10),
        pl.Series("since", [2020 + one % 3 for one in range(1000)])
        .cast(pl.String)
        .str.to_date("%Y"),
    )
    facts = replace(facts, customers=customers)
    assert [rows.sum() for rows in facts.groups("income", min_customers=100).values()] == [
        pytest.approx(200, abs=2)
    ] * 5
    assert set(facts.groups("since", min_customers=100)) == {"2020", "2021", "2022"}


def test_customers_without_a_value_are_a_group_of_their_own() -> None:
    """Null, blank, not a number, or not in the customers' table at all."""
    facts = facts_of(600)
    income = np.where(np.arange(600) < 100, np.nan, np.arange(600) * 1.5)
    customers = facts.customers.with_columns(
        pl.Series("income", income),
        pl.Series("plan", [" ", None, "gold"] * 200),
    ).head(500)
    facts = replace(facts, customers=customers)
    assert facts.groups("income", min_customers=30)["(unknown)"].sum() == 200
    assert facts.groups("plan", min_customers=30)["(unknown)"].sum() == 434


def test_small_groups_are_thrown_together_and_left_out_where_that_is_small_too() -> None:
    facts = facts_of(1000)
    cities = ["large"] * 900 + ["one"] * 60 + ["two"] * 40
    facts = replace(facts, customers=facts.customers.with_columns(pl.Series("city", cities)))
    groups = facts.groups("city", min_customers=100)
    assert {label: int(rows.sum()) for label, rows in groups.items()} == {
        "large": 900,
        "(all smaller groups)": 100,
    }
    assert set(facts.groups("city", min_customers=101)) == {"large"}
