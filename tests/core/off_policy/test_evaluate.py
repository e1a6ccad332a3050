"""What is said of a policy, and when nothing is."""

import numpy as np
import polars as pl
import pytest
from core.off_policy.worlds import world
from numpy.random import default_rng

from oferta.errors import DecisionsRefused, PolicyUnsupported
from oferta.evaluation.off_policy.decisions import logged_decisions
from oferta.evaluation.off_policy.evaluate import PolicyValue, policy_value
from oferta.evaluation.off_policy.policy import policy_for
from oferta.evaluation.off_policy.reward_model import cross_fitted
from oferta.progress import Silent

TASTES = {"young": (0.6, 0.1, 0.05), "old": (0.1, 0.5, 0.05)}
LOGGING = (0.5, 0.3, 0.2)
NAMES = ("card", "loan", "gap")


def shop(rows: int = 4000, seed: int = 3) -> pl.DataFrame:
    """Customers of two tastes, two rows each, shown three products whatever they like."""
    rng = default_rng(seed)
    shown = rng.choice(3, rows, p=LOGGING)
    taste = np.repeat(rng.choice(["young", "old"], rows // 2), 2)
    chance = np.array([TASTES[one][at] for one, at in zip(taste, shown, strict=True)])
    return pl.DataFrame(
        {
            "decision_id": [f"d{row}" for row in range(rows)],
            "customer_id": [f"c{row // 2}" for row in range(rows)],
            "product_id": np.array(NAMES)[shown],
            "probability": np.array(LOGGING)[shown],
            "reward": rng.binomial(1, chance),
            "taste": taste,
        }
    )


def by_taste(log: pl.DataFrame, **chances: tuple[float, float, float]) -> pl.DataFrame:
    """A policy that knows what customers like."""
    rows = [(one, *chances[taste]) for one, taste in log.select("decision_id", "taste").rows()]
    return pl.DataFrame(rows, schema=["decision_id", *NAMES], orient="row")


def value_of(log: pl.DataFrame, policy: pl.DataFrame, seed: int = 1) -> PolicyValue:
    known = [name for name in ("taste",) if name in log.columns]
    decisions, new = world(log, policy, context=known)
    return policy_value(decisions, new, rng=default_rng(seed), progress=Silent())


def test_a_better_policy_is_found_better_and_its_value_covered():
    log = shop()
    found = value_of(log, by_taste(log, young=(0.8, 0.1, 0.1), old=(0.1, 0.8, 0.1)))
    half = log["taste"].eq("young").mean()
    assert isinstance(half, float)
    truth = half * (0.48 + 0.01 + 0.005) + (1 - half) * (0.01 + 0.4 + 0.005)
    for name in ("ips", "snips", "dr"):
        assert found.estimates[name].low < truth < found.estimates[name].high, name
    assert found.gains["dr"].low > 0
    assert "better than the logged policy" in found.verdict


def test_a_worse_policy_is_found_worse():
    log = shop()
    found = value_of(log, by_taste(log, young=(0.1, 0.1, 0.8), old=(0.1, 0.1, 0.8)))
    assert "worse than the logged policy" in found.verdict


def test_the_logged_policy_is_not_distinguishable_from_itself():
    log = shop()
    found = value_of(log, pl.DataFrame({"product_id": NAMES, "probability": LOGGING}))
    assert found.support.ess == pytest.approx(len(log))
    for name in ("ips", "snips"):
        assert found.estimates[name].mean == pytest.approx(found.logged.mean)
        assert found.gains[name].low == pytest.approx(0, abs=1e-12)
    assert found.gains["dr"].mean == pytest.approx(0, abs=0.01)
    assert "not distinguishable" in found.verdict


def test_the_same_seed_says_the_same():
    log = shop(600)
    policy = by_taste(log, young=(0.8, 0.1, 0.1), old=(0.1, 0.8, 0.1))
    assert value_of(log, policy) == value_of(log, policy)
    assert value_of(log, policy) != value_of(log, policy, seed=2)


def test_a_policy_that_the_log_never_shows_is_refused():
    log = shop().filter(pl.col("product_id") != "gap")
    with pytest.raises(PolicyUnsupported, match=r"mean weight is 0\.5") as refused:
        value_of(log, by_taste(log, young=(0.2, 0.2, 0.6), old=(0.2, 0.2, 0.6)))
    assert refused.value.ess / refused.value.rows > 0.01


def test_a_wrong_probability_in_the_log_is_refused():
    log = shop().with_columns(probability=pl.col("probability") / 2)
    with pytest.raises(PolicyUnsupported, match=r"mean weight is 2\.0"):
        value_of(log, pl.DataFrame({"product_id": NAMES, "probability": LOGGING}))


def test_a_value_that_a_few_rows_decide_is_refused():
    """The mean weight is right and the effective sample size is 10 of 2,000."""
    log = pl.DataFrame(
        {
            "product_id": ["rare"] * 10 + ["usual"] * 1990,
            "probability": [0.005] * 10 + [0.995] * 1990,
            "reward": [1.0, 0.0] * 1000,
        }
    )
    policy = pl.DataFrame({"product_id": ["rare", "usual"], "probability": [1.0, 0.0]})
    with pytest.raises(PolicyUnsupported, match="effective sample size 10 of 2,000") as refused:
        value_of(log, policy)
    assert len(refused.value.problems) == 1


def test_one_customer_alone_teaches_nothing():
    log = shop(40).with_columns(customer_id=pl.lit("c0"))
    with pytest.raises(DecisionsRefused, match="nothing is left to learn from"):
        value_of(log, pl.DataFrame({"product_id": NAMES, "probability": LOGGING}))


def test_no_model_judges_a_customer_it_learnt_from():
    """One customer's rewards turned around change nobody's forecasts in that customer's fold."""
    frame = shop(200)
    policy = pl.DataFrame({"product_id": NAMES, "probability": LOGGING})
    own = frame["customer_id"].eq("c7").to_numpy()
    turned = frame.with_columns(
        reward=pl.when(pl.col("customer_id") == "c7").then(1 - pl.col("reward")).otherwise("reward")
    )
    before, after = (
        cross_fitted(
            *world(log, policy, context=["taste"]), folds=5, rng=default_rng(1), progress=Silent()
        )
        for log in (frame, turned)
    )
    same = before.of_shown == after.of_shown
    assert same[own].all()
    assert same.sum() == 40  # one fold of five


def test_the_reward_model_learns_position_context_and_product():
    """Rewards that are a sum of the three are foreseen by the ridge regression."""
    rng = default_rng(2)
    shown, position, age = rng.choice(3, 900), rng.choice(2, 900), rng.normal(40, 9, 900)
    reward = 3.0 * shown + 10.0 * position + 0.5 * age
    log = pl.DataFrame(
        {
            "product_id": np.array(NAMES)[shown],
            "position": position,
            "probability": np.full(900, 1 / 3),
            "reward": reward,
            "age": age,
        }
    )
    last = pl.DataFrame({"product_id": NAMES, "probability": [0, 0, 1]})
    decisions, policy = world(log, last, context=["age"])
    found = cross_fitted(decisions, policy, folds=5, rng=rng, progress=Silent())
    np.testing.assert_allclose(found.of_shown, reward, atol=0.3)
    np.testing.assert_allclose(found.under_policy, reward + 3.0 * (2 - shown), atol=0.3)
    assert found.model == "ridge regression on position, age, product_id, 5 folds"


def test_what_came_of_a_decision_is_not_learnt_from_unless_it_is_named():
    """A column that tells the reward would make the direct method foresee it."""
    log = shop().with_columns(seconds_watched=pl.col("reward") * 30.0)
    decisions = logged_decisions(log)
    same = pl.DataFrame({"product_id": NAMES, "probability": LOGGING})
    policy = policy_for(decisions, same)
    found = cross_fitted(decisions, policy, folds=5, rng=default_rng(1), progress=Silent())
    assert found.model == "logistic regression on product_id, 5 folds"
    assert len(np.unique(found.of_shown.round(6))) <= 5 * len(NAMES)


def test_figures_as_json_hold_everything():
    log = shop(600)
    document = value_of(log, by_taste(log, young=(0.8, 0.1, 0.1), old=(0.1, 0.8, 0.1))).as_json()
    assert set(document) == {"estimates", "logged", "support", "reward_model", "verdict"}
    assert set(document["estimates"]["dr"]) == {"mean", "low", "high", "gain"}
    assert set(document["support"]) == {"rows", "ess", "mean_weight", "max_weight", "ess_share"}
