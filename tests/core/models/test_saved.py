"""Saved models, recommending in blocks, similar products."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from worlds import events, random_world, read

from oferta.errors import ArtefactInvalid
from oferta.interactions.weighting import Weighting
from oferta.models.als import Als
from oferta.models.ease import Ease
from oferta.models.protocol import Recommender
from oferta.models.recommend import block_size, recommend, top_k_blocks
from oferta.models.saved import Loaded, Origin, load, save
from oferta.models.similar import similar_products
from oferta.progress import Silent
from oferta.scoring.topk import ProductMask

DATA = random_world(customers=50, products=20, seed=6)
ORIGIN = Origin(7, "data", "0.1", datetime(2026, 3, 4, 5, tzinfo=UTC), Weighting(half_life_days=9))


def fit(made: Recommender):
    return made.fit(DATA, rng=np.random.default_rng(7), progress=Silent())


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    made = Ease(l2=3)
    save(
        folder, fit(made), name="ease", recipe=made, data=DATA,
        embeddings=fit(Als(factors=4)).embeddings(), origin=ORIGIN,
    )  # fmt: skip
    return load(folder)


def test_all_that_belongs_to_a_model_comes_back(loaded: Loaded):
    assert loaded.name == "ease"
    assert loaded.recipe == Ease(l2=3)
    assert loaded.meta == ORIGIN
    assert loaded.customers.ids.equals(DATA.customers.ids)
    assert loaded.products.ids.equals(DATA.products.ids)
    assert loaded.embeddings.products.shape == (20, 4)
    np.testing.assert_array_equal(loaded.past.weight, DATA.histories.weight)


def test_pasts_by_row_with_nobody_where_the_row_is_unknown(loaded: Loaded):
    some = loaded.histories(np.array([3, -1, 3]))
    assert some.known.tolist() == [3, -1, 3]
    entries = int(np.diff(DATA.histories.indptr)[3])
    assert np.diff(some.indptr).tolist() == [entries, 0, entries]


def test_a_customer_with_new_events_is_not_known_and_a_new_one_neither(loaded: Loaded):
    rows = [("c0001", "p005", "purchase", 1), ("new", "p001", "purchase", 1)]
    data = read(events(rows), products=DATA.products)
    assert loaded.recognise(data).known.tolist() == [-1, -1]
    same = loaded.recognise(replace(DATA, segments=()))
    assert same.known.tolist() == list(range(50))


def test_data_over_other_products_are_refused(loaded: Loaded):
    with pytest.raises(ArtefactInvalid, match="product rows"):
        loaded.recognise(read(events([("c0001", "p005", "purchase", 1)])))


def test_a_model_is_not_saved_without_embeddings_or_with_others(tmp_path: Path):
    made = Ease()
    model = fit(made)
    few = fit(Als(factors=4)).embeddings()
    few = replace(few, products=few.products[1:])
    for vectors, message in ((None, "no embeddings"), (few, "not of these")):
        with pytest.raises(ValueError, match=message):
            save(
                tmp_path / "m", model, name="ease", recipe=made, data=DATA,
                embeddings=vectors, origin=ORIGIN,
            )  # fmt: skip


def test_blocks_come_in_order_and_the_mask_follows_the_customers():
    model, past = fit(Ease()), DATA.histories
    mask = ProductMask(np.ones(20, np.bool_), past.indptr, past.product)
    starts = [
        start for start, _ in top_k_blocks(model, past, 3, mask=mask, block=8, progress=Silent())
    ]
    assert starts == list(range(0, 50, 8))
    lists = recommend(model, past, 20, mask=mask, block=8, progress=Silent())
    for row in range(50):
        own = past.product[past.indptr[row] : past.indptr[row + 1]]
        assert not set(lists.products[row].tolist()) & set(own.tolist())


def test_a_reader_that_stops_early_leaves_no_thread_behind():
    blocks = top_k_blocks(fit(Ease()), DATA.histories, 3, mask=None, block=2, progress=Silent())
    next(blocks)
    blocks.close()


def test_block_sizes_are_bounded():
    assert block_size(1) == 8192
    assert block_size(10_000_000) == 64


def test_similar_products_are_the_nearest_by_angle_never_the_product_itself():
    vectors = np.array([[1, 0], [5, 1], [0, 2], [0, 0], [np.nan, 1], [1, 0], [-1, 0]], np.float32)
    best = similar_products(vectors, 3)
    assert best.products.tolist() == [
        [5, 1, 2],
        [0, 5, 2],
        [1, 0, 5],  # 0, 5 and 6 are at a right angle: ties by row
        [-1, -1, -1],  # no direction, no neighbours
        [-1, -1, -1],
        [0, 1, 2],
        [2, 1, 0],
    ]
    np.testing.assert_allclose(best.scores[0], [1, 5 / 26**0.5, 0], atol=1e-6)


def test_hidden_products_are_similar_to_nothing_but_have_neighbours():
    vectors = np.eye(3, dtype=np.float32) + 0.1
    best = similar_products(vectors, 2, offerable=np.array([True, False, True]))
    assert best.products.tolist() == [[2, -1], [0, 2], [0, -1]]
