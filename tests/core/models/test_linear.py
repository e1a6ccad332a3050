"""EASE and transitions against dense and brute-force oracles."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array
from worlds import events, random_world, read

from oferta.errors import ArtefactInvalid, ModelTooLarge
from oferta.models import gram, item_to_item, memory, transitions
from oferta.models.catalog import recipe
from oferta.models.data import TrainingData
from oferta.models.ease import Ease
from oferta.models.item_to_item import strongest
from oferta.models.protocol import Recommender
from oferta.models.transitions import Transitions
from oferta.progress import Silent

DATA = random_world(seed=11)


def fit(made: Recommender, data: TrainingData = DATA):
    return made.fit(data, rng=np.random.default_rng(0), progress=Silent())


@pytest.mark.parametrize("weights", ["binary", "as_given"])
@pytest.mark.parametrize("rows", [7, 1024], ids=["blocks", "whole"])
@pytest.mark.parametrize("dense", [True, False], ids=["dense", "sparse"])
def test_ease_is_the_closed_form(
    weights: str, rows: int, dense: bool, monkeypatch: pytest.MonkeyPatch
):
    """Steck 2019, equation 8; the Gram matrix built either way and in blocks that do not divide."""
    monkeypatch.setattr(gram, "_ROWS", rows)
    monkeypatch.setattr(gram, "_DENSE_PAIR", 1e12 if dense else 0)
    past = DATA.matrix.toarray().astype(np.float64)
    past = past > 0 if weights == "binary" else past
    past = past.astype(np.float64)
    inverse = np.linalg.inv(past.T @ past + 30 * np.eye(len(DATA.products)))
    wanted = -inverse / inverse.diagonal()
    np.fill_diagonal(wanted, 0)
    model = fit(Ease(l2=30, weights=weights))
    np.testing.assert_allclose(model.weights, wanted, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(model.score(DATA.histories), past @ wanted, rtol=1e-3, atol=5e-6)
    assert np.abs(wanted - wanted.T).max() > 0.01  # a transposed matrix is another one


def test_ease_refuses_a_catalogue_that_would_not_fit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10_000)
    with pytest.raises(ModelTooLarge, match="als") as refused:
        fit(Ease())
    assert refused.value.needs_bytes > refused.value.has_bytes


def brute_force(data: TrainingData, *, reach: int, decay: float, backward: float):
    """Every pair of events of every customer, one by one."""
    wanted = np.zeros((len(data.products), len(data.products)))
    seen = np.zeros(len(data.products))
    log = data.events
    for customer in range(len(data.customers)):
        mine = np.flatnonzero((log.customer == customer) & (log.amount > 0))
        steps = {step: at for at, step in enumerate(np.unique(log.step[mine]).tolist())}
        met = sorted({(steps[int(log.step[e])], int(log.product[e])) for e in mine})
        for at, product in met:
            seen[product] += 1
            for later, other in met:
                if 0 < later - at <= reach:
                    wanted[product, other] += decay ** (later - at - 1)
                    wanted[other, product] += backward * decay ** (later - at - 1)
    return wanted, np.maximum(seen, 1)


@pytest.mark.parametrize("reach", [1, 3, 50])
def test_transitions_are_decayed_counts_of_later_products(
    reach: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transitions, "_BLOCK", 16)
    monkeypatch.setattr(transitions, "_PAIRS", 40)
    made = Transitions(
        reach=reach, distance_decay=0.5, source_power=0.5, target_power=0.25, backward=0.1
    )
    counts, seen = brute_force(DATA, reach=reach, decay=0.5, backward=0.1)
    wanted = counts / seen[:, None] ** 0.5 / seen[None, :] ** 0.25
    np.testing.assert_allclose(fit(made).weights.toarray(), wanted, rtol=1e-5)
    assert np.abs(wanted - wanted.T).max() > 0.1


def test_products_of_one_instant_do_not_follow_each_other_and_returns_are_no_step():
    data = read(
        events(
            [
                ("a", "x", "purchase", 1),
                ("a", "y", "purchase", 1),
                ("a", "x", "return", 2),
                ("a", "w", "impression", 3),
                ("a", "z", "purchase", 4),
            ]
        )
    )
    weights = fit(Transitions(source_power=0, target_power=0, backward=0), data).weights.toarray()
    assert data.products.ids.to_list() == ["w", "x", "y", "z"]
    wanted = np.zeros((4, 4))
    wanted[1, 3] = wanted[2, 3] = 1  # one step, although two numbers lie between
    np.testing.assert_allclose(weights, wanted)


def test_the_latest_product_says_most():
    data = read(events([("a", "x", "purchase", 1), ("a", "y", "purchase", 2)]))
    eye = csr_array(np.eye(2, dtype=np.float32))
    model = replace(fit(Transitions(recency_decay=0.5), data), weights=eye)
    np.testing.assert_allclose(model.score(data.histories), [[0.5, 1.0]], atol=1e-5)


def test_without_an_order_products_of_one_customer_are_counted_together():
    rows = [
        (*row[:3], 0)
        for row in (("a", "x", "purchase"), ("a", "y", "purchase"), ("b", "y", "purchase"))
    ]
    data = read(events(rows).drop("seq"))
    weights = fit(Transitions(source_power=0, target_power=0, backward=0), data).weights.toarray()
    np.testing.assert_allclose(weights, [[0, 1], [1, 0]])


@pytest.mark.parametrize("dense", [True, False])
def test_the_strongest_are_the_largest_by_magnitude_and_equals_keep_the_lower_column(dense: bool):
    rows = np.array([[1, -3, 0, 2, 2], [0, 0, 0, 0, 0], [5, 5, 5, 5, 5]], np.float32)
    cut = strongest(rows if dense else csr_array(rows), 2).toarray()
    assert cut.tolist() == [[0, -3, 0, 2, 0], [0] * 5, [5, 5, 0, 0, 0]]


def test_strongest_by_sorting_and_by_partition_agree(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(3)
    matrix = np.round(rng.standard_normal((40, 90)) * (rng.random((40, 90)) < 0.5), 1).astype(
        np.float32
    )
    monkeypatch.setattr(item_to_item, "_DENSE_CUT_FROM", 2.0)
    monkeypatch.setattr(item_to_item, "_ROWS", 7)
    one, two = strongest(matrix, 9), strongest(csr_array(matrix), 9)
    np.testing.assert_array_equal(one.toarray(), two.toarray())
    assert one.has_sorted_indices
    assert two.has_sorted_indices


def test_cutting_to_neighbours_keeps_nine_tenths_of_the_lists(monkeypatch: pytest.MonkeyPatch):
    """Where the live scorer must be cut down, here to a third of the catalogue."""
    data = random_world(customers=400, products=300, per_customer=12, seed=2)
    monkeypatch.setattr(item_to_item, "LIVE_ENTRIES", 0)
    monkeypatch.setattr(item_to_item, "NEIGHBOURS", 100)
    for name in ("ease", "transitions"):
        model = fit(recipe(name), data)
        live = model.live_scorer()
        assert np.diff(live.indptr).max() <= 100
        own, theirs = (
            np.argsort(-one.score(data.histories), axis=1)[:, :20] for one in (model, live)
        )
        kept = [len(np.intersect1d(a, b)) / 20 for a, b in zip(own, theirs, strict=True)]
        assert np.mean(kept) >= 0.9


def test_stored_weights_that_do_not_fit_together_are_refused():
    arrays = dict(fit(Transitions()).arrays())
    arrays["indptr"] = arrays["indptr"] + 1
    with pytest.raises(ArtefactInvalid, match="do not fit"):
        Transitions().restore(arrays)
    arrays.pop("indptr")
    with pytest.raises(ArtefactInvalid, match="'indptr' is missing"):
        Transitions().restore(arrays)
    dense = dict(fit(Ease()).arrays())
    dense["weights"] = dense["weights"][:, 1:]
    with pytest.raises(ArtefactInvalid, match="'weights' is"):
        Ease().restore(dense)


def test_events_are_in_each_customers_order():
    log = DATA.events
    for before, after in pairwise(range(len(log))):
        if log.customer[before] == log.customer[after]:
            assert log.step[before] <= log.step[after]
