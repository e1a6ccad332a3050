"""The gate: who may replace the champion."""

import numpy as np
import pytest
from numpy.random import default_rng

from oferta_training.gate import decide

METRIC = "ndcg@10"


def values(customers: int, mean: float, spread: float, seed: int) -> np.ndarray:
    return default_rng(seed).normal(mean, spread, customers).clip(0, 1)


def judged(candidate: np.ndarray, champion: np.ndarray | None, margin: float = 0.02):
    return decide(candidate, champion, metric=METRIC, margin=margin, rng=default_rng(7))


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
    assert "-0.0500" in verdict.because
    assert "500 customers" in verdict.because


def test_rows_of_one_customer_count_as_one_customer() -> None:
    """Twelve customers with fifty rows each know no more than twelve customers."""
    champion = np.repeat(values(12, 0.3, 0.2, 1), 50)
    candidate = np.repeat(values(12, 0.4, 0.2, 2), 50)
    whose = np.repeat(np.arange(12), 50)
    rows = decide(candidate, champion, metric=METRIC, margin=0.02, rng=default_rng(7))
    clustered = decide(
        candidate, champion, metric=METRIC, margin=0.02, rng=default_rng(7), customer=whose
    )
    assert rows.promoted
    assert not clustered.promoted
    assert "12 customers" in clustered.because


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
