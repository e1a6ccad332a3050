"""Real logs of two policies at once: one's value, estimated from the other's, is known.

Saito, Aihara, Matsutani, Narita: Open Bandit Dataset (2020), campaign men: 10,000 rows each of a
uniformly random policy and of Bernoulli Thompson sampling, three positions, clicks.
"""

import os
from pathlib import Path

import polars as pl
import pytest
from core.off_policy.worlds import world
from numpy.random import default_rng

from oferta.errors import PolicyUnsupported
from oferta.evaluation.off_policy.evaluate import PolicyValue, policy_value
from oferta.progress import Silent

pytestmark = pytest.mark.bench_data

NAMES = {"item_id": "product_id", "propensity_score": "probability", "click": "reward"}
KNOWN = [f"user_feature_{number}" for number in range(4)]


@pytest.fixture(scope="module")
def logs() -> dict[str, pl.DataFrame]:
    folder = os.environ.get("OFERTA_BENCH_DATA")
    if not folder:
        pytest.skip("OFERTA_BENCH_DATA is unset: real bandit logs were NOT evaluated")
    return {
        name: pl.read_parquet(Path(folder) / "open-bandit-men" / f"{name}.parquet")
        .rename(NAMES)
        .select("position", *NAMES.values(), *KNOWN)
        for name in ("random", "bts")
    }


def value_of(log: pl.DataFrame, policy: pl.DataFrame) -> PolicyValue:
    decisions, new = world(log, policy, context=KNOWN)
    return policy_value(decisions, new, rng=default_rng(1), progress=Silent())


def as_shown(log: pl.DataFrame) -> pl.DataFrame:
    """How often each product is at each position: the policy, as far as its own log tells."""
    counts = log.group_by("position", "product_id").len("times")
    share = pl.col("times") / pl.col("times").sum().over("position")
    return counts.select("position", "product_id", probability=share)


def uniform(log: pl.DataFrame) -> pl.DataFrame:
    products = log["product_id"].unique()
    return pl.DataFrame(
        {"product_id": products, "probability": [1 / len(products)] * len(products)}
    )


def test_the_learnt_policy_is_foreseen_from_the_random_log(logs: dict[str, pl.DataFrame]):
    found = value_of(logs["random"], as_shown(logs["bts"]))
    clicks = logs["bts"]["reward"].mean()
    assert clicks == pytest.approx(0.0069)
    for name in ("ips", "snips", "dr"):
        assert found.estimates[name].low < clicks < found.estimates[name].high, name
    assert found.support.ess > 2500
    assert found.logged.mean == pytest.approx(0.0046)


def test_the_random_policy_is_foreseen_from_the_learnt_log(logs: dict[str, pl.DataFrame]):
    """Effective sample size 656 of 10,000: the published difficulty of this direction."""
    found = value_of(logs["bts"], uniform(logs["bts"]))
    clicks = logs["random"]["reward"].mean()
    assert found.support.ess == pytest.approx(656, abs=0.5)
    assert found.support.mean_weight == pytest.approx(0.943, abs=5e-4)
    for name in ("snips", "dr"):
        assert found.estimates[name].low < clicks < found.estimates[name].high, name


def test_a_policy_that_always_shows_a_rare_product_is_refused(logs: dict[str, pl.DataFrame]):
    log = logs["bts"]
    rare = log["product_id"].value_counts().sort("count")["product_id"][0]
    one = uniform(log).with_columns(probability=(pl.col("product_id") == rare).cast(pl.Float64))
    with pytest.raises(PolicyUnsupported, match=r"effective sample size is 0\.0"):
        value_of(log, one)


def test_a_log_read_without_its_positions_is_refused(logs: dict[str, pl.DataFrame]):
    """The policy's probabilities over all three positions against those of one."""
    shown_once = logs["random"].with_columns(pl.col("probability") * 3)
    with pytest.raises(PolicyUnsupported, match="mean weight"):
        value_of(shown_once, as_shown(logs["bts"]))
