"""What EASE's settings mean, against dense oracles."""

import numpy as np
import pytest
from worlds import random_world

from oferta.errors import FitFailed
from oferta.models import gram
from oferta.models.data import TrainingData
from oferta.models.ease import Ease
from oferta.models.item_to_item import FittedItemToItem
from oferta.progress import Silent

DATA = random_world(seed=11)


def fit(made: Ease, data: TrainingData = DATA) -> FittedItemToItem:
    return made.fit(data, rng=np.random.default_rng(0), progress=Silent())


def hiding(past: np.ndarray, customers: np.ndarray, *, dropout: float, l2: float) -> np.ndarray:
    """Steck 2020, by its definition: ridge regression per product over pasts with gaps.

    Instead of drawing the gaps, the mean over them: of the Gram matrix of `past * kept / (1 - p)`,
    which is that of the past off the diagonal and `1 / (1 - p)` times it on it.
    """
    products = past.shape[1]
    whole = past.T @ (customers[:, None] * past)
    seen = whole + np.diag(whole.diagonal() * dropout / (1 - dropout))
    weights = np.zeros((products, products))
    for target in range(products):
        others = np.delete(np.arange(products), target)
        system = seen[np.ix_(others, others)] + l2 * np.eye(len(others))
        weights[others, target] = np.linalg.solve(system, whole[others, target])
    return weights


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("power", [0.0, 0.5])
def test_products_are_foretold_from_pasts_with_gaps(dropout: float, power: float):
    past = (DATA.matrix.toarray() > 0).astype(np.float64)
    entries = past.sum(axis=1)
    customers = entries**-power
    customers *= entries.sum() / (customers * entries).sum()
    wanted = hiding(past, customers, dropout=dropout, l2=30)
    model = fit(Ease(l2=30, dropout=dropout, activity_power=power))
    np.testing.assert_allclose(model.weights, wanted, rtol=1e-4, atol=1e-6)


def test_the_strength_is_counted_in_mean_customers_of_a_product():
    customers = np.bincount(DATA.histories.product)
    plain = {"dropout": 0.0, "activity_power": 0.0}
    one = fit(Ease(strength=2.0, **plain))
    two = fit(Ease(l2=2.0 * float(customers[customers > 0].mean())))
    np.testing.assert_allclose(one.weights, two.weights, rtol=1e-4, atol=1e-7)
    assert np.abs(one.weights - fit(Ease(strength=4.0, **plain)).weights).max() > 0.01


def test_a_stated_l2_is_the_published_model_unless_more_is_stated():
    made = Ease.model_validate({"l2": 458})
    assert (made.dropout, made.activity_power, made.popularity_power) == (0, 0, 0)
    # What is given beside it holds, and a stored recipe is read back as it was.
    assert Ease.model_validate({"l2": 458, "dropout": 0.25}).dropout == 0.25
    for one in (Ease(), made, Ease(dropout=0.1)):
        assert Ease.model_validate(one.model_dump()) == one
    assert Ease().dropout > 0


def test_popular_products_are_marked_down():
    customers = np.maximum(np.bincount(DATA.histories.product, minlength=len(DATA.products)), 1)
    plain, down = (fit(Ease(popularity_power=power)).weights for power in (0.0, 0.5))
    ratio = down / np.where(plain == 0, np.nan, plain)
    common = ratio * customers**0.5  # one factor for all that are left, the mean's
    np.testing.assert_allclose(common[~np.isnan(common)], np.nanmedian(common), rtol=1e-4)


def test_large_catalogues_are_solved_in_single_precision(monkeypatch: pytest.MonkeyPatch):
    double = fit(Ease())
    monkeypatch.setattr(gram, "_DOUBLE_TO", 0)
    single = fit(Ease())
    np.testing.assert_allclose(single.weights, double.weights, rtol=1e-3, atol=1e-6)
    assert not np.array_equal(single.weights, double.weights)
    small = Ease().cost(DATA.shape)
    monkeypatch.setattr(gram, "_DOUBLE_TO", 10**6)
    assert small.bytes < 0.75 * Ease().cost(DATA.shape).bytes


def test_a_regulariser_too_small_to_solve_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gram, "_DOUBLE_TO", 0)
    with pytest.raises(FitFailed, match="too small"):
        # More products than customers: without a regulariser there is no solution.
        fit(Ease(l2=1e-12), random_world(customers=5, products=40))
