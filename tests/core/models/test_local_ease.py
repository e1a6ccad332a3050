"""EASE among neighbours against the regression it stands for."""

import numpy as np
import pytest
from worlds import random_world

from oferta.errors import ModelTooLarge
from oferta.models import local_ease, memory
from oferta.models.data import TrainingData
from oferta.models.ease import Ease
from oferta.models.item_to_item import FittedItemToItem
from oferta.models.local_ease import LocalEase
from oferta.progress import Silent

DATA = random_world(customers=120, products=45, seed=11)


def fit(made: LocalEase | Ease, data: TrainingData = DATA) -> FittedItemToItem:
    return made.fit(data, rng=np.random.default_rng(0), progress=Silent())


def test_with_all_products_as_neighbours_it_is_ease():
    settings = {"strength": 2.0, "dropout": 0.3, "popularity_power": 0.2}
    near, whole = fit(LocalEase(neighbours=44, **settings)), fit(Ease(**settings))
    met = (DATA.matrix.T @ DATA.matrix).toarray() > 0
    wanted = np.where(met, whole.weights, 0)  # what never met says nothing here
    np.testing.assert_allclose(near.weights.toarray(), wanted, rtol=1e-4, atol=1e-6)
    assert not met.all()


@pytest.mark.parametrize("cells", [1, 10**5], ids=["one at a time", "at once"])
def test_each_product_is_foretold_from_its_nearest_alone(
    cells: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(local_ease, "_CELLS", cells)
    width, strength, dropout = 6, 1.5, 0.25
    past = (DATA.matrix.toarray() > 0).astype(np.float64)
    entries = past.sum(axis=1)
    weight = np.maximum(entries, 1) ** -0.5
    weight *= entries.sum() / (weight @ entries)
    gram = past.T @ (weight[:, None] * past)
    diagonal = gram.diagonal()
    penalty = strength * diagonal[diagonal > 0].mean() + dropout / (1 - dropout) * diagonal
    wanted = np.zeros_like(gram)
    for target in range(len(gram)):
        cosine = gram[target] / np.sqrt(diagonal + penalty)
        cosine[target] = -1
        near = np.argsort(-cosine)[:width]
        system = gram[np.ix_(near, near)] + np.diag(penalty[near])
        found = np.linalg.solve(system, gram[near, target])
        wanted[near, target] = np.where(gram[near, target] > 0, found, 0)
    made = LocalEase(neighbours=width, strength=strength, dropout=dropout)
    weights = fit(made).weights.toarray()
    np.testing.assert_allclose(weights, wanted, rtol=1e-3, atol=1e-6)
    assert ((weights != 0).sum(axis=0) <= width).all()
    assert np.abs(wanted - wanted.T).max() > 0.01  # a transposed matrix is another one


def test_it_refuses_a_catalogue_whose_square_would_not_fit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10_000)
    with pytest.raises(ModelTooLarge, match="ials"):
        fit(LocalEase())


def test_it_takes_half_the_memory_of_ease_where_the_catalogue_is_large():
    shape = random_world(customers=40, products=30).shape
    large = type(shape)(customers=30_000, products=41_000, interactions=10**6, events=10**6)
    near, whole = LocalEase().cost(large), Ease().cost(large)
    assert near.bytes < 0.55 * whole.bytes
    assert near.seconds < 0.3 * whole.seconds
