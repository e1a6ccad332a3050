"""The laws of the estimators, and their exact expectation on bandits small enough to enumerate."""

import doctest
from collections.abc import Iterator
from itertools import product

import numpy as np
import polars as pl
import pytest
from core.off_policy.worlds import world
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.random import default_rng

from oferta.evaluation.intervals import bootstrap
from oferta.evaluation.off_policy import estimators, support
from oferta.evaluation.off_policy.estimators import dm, dr, ips, snips
from oferta.evaluation.off_policy.reward_model import cross_fitted
from oferta.progress import Silent

ROWS = st.shared(st.integers(1, 12), key="rows")


def column(low: float, high: float) -> st.SearchStrategy[np.ndarray]:
    cell = st.floats(low, high, allow_subnormal=False)
    return ROWS.flatmap(lambda rows: arrays(np.float64, rows, elements=cell))


REWARD, WEIGHT, MODEL = column(-5, 5), column(0.01, 20), column(-5, 5)


@pytest.mark.parametrize("module", [estimators, support])
def test_the_examples_are_right(module: object):
    found = doctest.testmod(module)  # type: ignore[arg-type] # a module
    assert found.attempted
    assert not found.failed


@given(REWARD, MODEL)
def test_the_logging_policy_itself_earns_the_mean_reward(reward: np.ndarray, q: np.ndarray):
    one = np.ones_like(reward)
    assert ips(reward, one).mean() == pytest.approx(reward.mean(), abs=1e-12)
    assert snips(reward, one).mean() == pytest.approx(reward.mean(), abs=1e-12)
    # A model that says the same of every product: what it says of the shown one is what it expects.
    assert dr(reward, one, of_shown=q, expected=q).mean() == pytest.approx(reward.mean(), abs=1e-12)


@given(REWARD, WEIGHT)
def test_without_a_reward_model_dr_is_ips(reward: np.ndarray, weight: np.ndarray):
    nothing = np.zeros_like(reward)
    found = dr(reward, weight, of_shown=nothing, expected=nothing)
    np.testing.assert_array_equal(found, ips(reward, weight))


@given(MODEL, WEIGHT, MODEL)
def test_with_a_perfect_reward_model_dr_is_dm_whatever_the_weights(
    reward: np.ndarray, weight: np.ndarray, expected: np.ndarray
):
    found = dr(reward, weight, of_shown=reward, expected=expected)
    np.testing.assert_array_equal(found, dm(expected))


@given(REWARD, WEIGHT, st.floats(-3, 3), st.floats(-3, 3))
def test_snips_follows_another_unit_and_zero_of_the_reward(
    reward: np.ndarray, weight: np.ndarray, scale: float, shift: float
):
    plain, moved = snips(reward, weight).mean(), snips(scale * reward + shift, weight).mean()
    assert moved == pytest.approx(scale * plain + shift, abs=1e-9)
    assert reward.min() - 1e-9 <= plain <= reward.max() + 1e-9


@given(REWARD, WEIGHT, st.floats(0.1, 10))
def test_weights_in_another_unit_change_no_row_of_snips(
    reward: np.ndarray, weight: np.ndarray, scale: float
):
    """The interval too, not only the mean, is that of a ratio."""
    np.testing.assert_allclose(
        snips(reward, scale * weight), snips(reward, weight), rtol=1e-9, atol=1e-9
    )


@given(WEIGHT, st.floats(0.1, 10))
def test_the_effective_sample_size_is_between_one_and_all(weight: np.ndarray, scale: float):
    found = support.support(weight)
    assert 1 - 1e-9 <= found.ess <= len(weight) * (1 + 1e-9)
    assert support.support(weight * scale).ess == pytest.approx(found.ess)
    assert support.support(np.full_like(weight, scale)).ess == pytest.approx(len(weight))


def test_snips_rows_have_the_interval_of_the_ratio():
    """Oracle: the ratio itself in each draw of a bootstrap."""
    rng = default_rng(5)
    weight = rng.exponential(size=3000)
    reward = rng.binomial(1, np.clip(0.1 * weight, 0, 1)).astype(np.float64)
    found = bootstrap(snips(reward, weight)[:, None], rng=rng)[0]
    drawn = rng.integers(0, len(weight), (2000, len(weight)))
    ratios = (weight * reward)[drawn].sum(axis=1) / weight[drawn].sum(axis=1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    assert found.mean == pytest.approx((weight * reward).sum() / weight.sum())
    assert found.high - found.low == pytest.approx(high - low, rel=0.1)
    assert found.low == pytest.approx(low, abs=(high - low) / 20)


SHOWN = ("loan", "card")
LOGGING = np.array([[0.7, 0.3], [0.4, 0.6], [0.2, 0.8]])  # (decisions, products)
NEW = np.array([[0.1, 0.9], [0.5, 0.5], [1.0, 0.0]])
TRUTH = np.array([[0.3, 0.8], [0.6, 0.1], [0.9, 0.5]])  # chance of a reward of 1


def every_log() -> Iterator[tuple[float, pl.DataFrame]]:
    """Each log that three decisions can become, with its probability."""
    rows = np.arange(len(TRUTH))
    for shown in product(range(2), repeat=3):
        for reward in product((0, 1), repeat=3):
            hit = TRUTH[rows, shown]
            chance = np.prod(LOGGING[rows, shown] * np.where(reward, hit, 1 - hit))
            yield (
                float(chance),
                pl.DataFrame(
                    {
                        "decision_id": ["d0", "d1", "d2"],
                        "product_id": [SHOWN[at] for at in shown],
                        "probability": LOGGING[rows, shown],
                        "reward": reward,
                        "x": [0.2, -1.0, 3.0],
                    }
                ),
            )


NEW_FRAME = (
    pl.DataFrame(NEW, schema=SHOWN)
    .with_columns(decision_id=pl.Series(["d0", "d1", "d2"]))
    .reverse()
)


def test_ips_and_cross_fitted_dr_are_unbiased_to_the_last_digit():
    """Oracle: the expectation over all 64 logs, models fitted in each, against the true value."""
    value = (NEW * TRUTH).sum(axis=1).mean()
    total, expected = 0.0, {"ips": 0.0, "dr": 0.0, "dm": 0.0}
    for chance, frame in every_log():
        log, policy = world(frame, NEW_FRAME, context=["x"])
        weight = policy.of_shown / log.probability
        model = cross_fitted(log, policy, folds=3, rng=default_rng(1), progress=Silent())
        doubly = dr(log.reward, weight, of_shown=model.of_shown, expected=model.under_policy)
        total += chance
        expected["ips"] += chance * float(ips(log.reward, weight).mean())
        expected["dr"] += chance * float(doubly.mean())
        expected["dm"] += chance * float(dm(model.under_policy).mean())
    assert total == pytest.approx(1)
    assert expected["ips"] == pytest.approx(value, abs=1e-12)
    assert expected["dr"] == pytest.approx(value, abs=1e-12)
    assert abs(expected["dm"] - value) > 0.05  # a model of two rows is no good: DM shows it


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_dr_of_the_logging_policy_is_the_mean_reward_on_average_over_what_it_shows(seed: int):
    """For any reward model: `E_a[sum_b pi(b) q(b) - q(a)]` is 0 when a is drawn by pi itself."""
    rng = default_rng(seed)
    chance, model, reward = rng.dirichlet(np.ones(4)), rng.normal(size=4), rng.normal(size=4)
    under_policy = np.full(4, chance @ model)
    rows = dr(reward, np.ones(4), of_shown=model, expected=under_policy)
    assert chance @ rows == pytest.approx(chance @ reward)
