"""What attributes say where events are missing, against the plainest dense arithmetic."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from worlds import random_world

from oferta.errors import ModelTooLarge
from oferta.features.coding import Coding
from oferta.features.customers import CustomerFeatures
from oferta.features.products import ProductFeatures
from oferta.interactions.histories import Histories
from oferta.models.als import Als
from oferta.models.attributes import customer_effects, describe_products
from oferta.models.ials import Ials
from oferta.models.popularity import Popularity
from oferta.progress import Silent

PLAIN = random_world(customers=80, products=50, seed=4)
RNG = np.random.default_rng(5)
VOCABULARY = CustomerFeatures(
    (
        Coding(column="branch", kind="category", values=("a", "b")),
        Coding(column="age", kind="number", edges=(30.0, 50.0)),
    )
)
CODES = np.stack([RNG.integers(-1, 2, 80), RNG.integers(2, 5, 80)], axis=1).astype(np.int32)
FEATURES = (RNG.random((50, 4)) < 0.4).astype(np.float32)
NEW = 30  # products from here on lose their events
DATA = replace(
    PLAIN,
    histories=replace(PLAIN.histories, features=CODES),
    customer_features=VOCABULARY,
    product_features=ProductFeatures(tuple("wxyz"), csr_array(FEATURES)),
)


def without_new():
    """DATA, of which nobody chose the products from `NEW` on."""
    past = DATA.histories
    kept = past.product < NEW
    counts = np.bincount(past.owners()[kept], minlength=len(past))
    entries = {
        name: None if getattr(past, name) is None else getattr(past, name)[kept]
        for name in ("product", "weight", "recency", "age_days", "count")
    }
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return replace(DATA, histories=replace(past, indptr=indptr, **entries))


def test_customers_effects_are_a_ridge_regression_of_what_the_base_leaves():
    segment = (np.arange(80) % 3 - 1).astype(np.int32)
    data = replace(DATA, histories=replace(DATA.histories, segment=segment), segments=("s", "t"))
    learned = RNG.standard_normal((80, 6)).astype(np.float32)
    base = RNG.standard_normal((3, 6)).astype(np.float32)
    buyers = np.diff(data.histories.indptr) > 0
    design = np.zeros((80, 5))
    for column in range(2):
        told = CODES[:, column] >= 0
        design[np.flatnonzero(told), CODES[told, column]] = 1
    left = learned - base[segment]  # -1: the last row
    x, y = design[buyers], left[buyers]
    wanted = np.linalg.solve(x.T @ x + 20 * np.eye(5), x.T @ y)
    effects = customer_effects(data, learned, base=base)
    np.testing.assert_allclose(effects, wanted, rtol=1e-4, atol=1e-5)
    sparse = customer_effects(data, csr_array(learned), base=base)
    np.testing.assert_allclose(sparse, wanted, rtol=1e-4, atol=1e-5)
    assert customer_effects(PLAIN, learned, base=base) is None


def test_a_new_products_row_is_a_ridge_regression_on_its_features_and_others_stay():
    data = without_new()
    learned = RNG.standard_normal((50, 6)).astype(np.float32)
    chosen = np.zeros(50, np.bool_)
    chosen[data.histories.product] = True
    x, y = FEATURES[chosen].astype(np.float64), learned[chosen].astype(np.float64)
    middle, mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - middle
    effects = np.linalg.solve(centred.T @ centred + 3 * np.eye(4), centred.T @ (y - mean))
    told = ~chosen & (FEATURES.sum(axis=1) > 0)
    wanted = learned.copy()
    wanted[told] = mean + (FEATURES[told] - middle) @ effects
    assert 10 < told.sum() < 50 - NEW + 5
    np.testing.assert_allclose(describe_products(data, learned), wanted, rtol=1e-4, atol=1e-5)
    assert describe_products(replace(data, product_features=None), learned) is learned
    assert describe_products(DATA, learned[:50])[:NEW].tolist() == learned[:NEW].tolist()


@pytest.mark.parametrize("kind", [Als, Ials])
def test_features_leave_everything_with_events_as_it_was(kind: type[Als | Ials]):
    data, recipe = without_new(), kind(factors=8)
    plain = replace(data, customer_features=None, product_features=None)
    with_features, without = (
        recipe.fit(one, rng=np.random.default_rng(1), progress=Silent()) for one in (data, plain)
    )
    chosen = np.unique(data.histories.product)
    buyers = np.flatnonzero(np.diff(data.histories.indptr))
    ours, theirs = (model.score(data.histories) for model in (with_features, without))
    np.testing.assert_array_equal(ours[np.ix_(buyers, chosen)], theirs[np.ix_(buyers, chosen)])
    new = np.setdiff1d(np.flatnonzero(FEATURES.sum(axis=1)), chosen)
    assert (np.abs(with_features.scorer.products[new]).sum(axis=1) > 0).all()


def test_popularity_tells_two_new_customers_apart_by_their_features():
    model = Popularity().fit(DATA, rng=np.random.default_rng(0), progress=Silent())
    new = replace(Histories.empty(2), features=np.array([[0, 2], [1, 4]], np.int32))
    one, other = model.score(new)
    assert not np.array_equal(one, other)
    np.testing.assert_allclose(
        one, model.share[-1] + model.attributes[0] + model.attributes[2], rtol=1e-5, atol=1e-7
    )
    with_past = model.score(DATA.histories)[np.diff(DATA.histories.indptr) > 0]
    assert (with_past == model.share[-1]).all()


def test_more_features_than_memory_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("oferta.models.memory.available_bytes", lambda: 100)
    with pytest.raises(ModelTooLarge, match="5 customer features"):
        customer_effects(DATA, np.zeros((80, 6), np.float32), base=np.zeros((1, 6), np.float32))
