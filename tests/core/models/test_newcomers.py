"""People the model has never met: form answers and a few products, without a refit."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from worlds import block_world

from oferta.errors import UnknownName
from oferta.features.coding import Coding
from oferta.features.customers import CustomerFeatures
from oferta.interactions.weighting import Weighting
from oferta.models.ials import Ials
from oferta.models.newcomers import Newcomer, newcomers
from oferta.models.saved import Loaded, Origin, load, save
from oferta.progress import Silent

WORLD = block_world()
VOCABULARY = CustomerFeatures(
    (
        Coding(column="block", kind="category", values=("0", "1", "2")),
        Coding(column="age", kind="number", edges=(30.0, 60.0)),
    )
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    codes = np.stack([WORLD.block, np.full_like(WORLD.block, 4)], axis=1)
    past = replace(WORLD.data.histories, features=codes, segment=np.full(len(codes), -1, np.int32))
    data = replace(WORLD.data, histories=past, segments=("s",), customer_features=VOCABULARY)
    recipe = Ials()
    folder = tmp_path_factory.mktemp("newcomers") / "model"
    fitted = recipe.fit(data, rng=np.random.default_rng(0), progress=Silent())
    origin = Origin(0, "f", "1", datetime(2026, 1, 2, tzinfo=UTC), Weighting())
    save(folder, fitted, name="ials", recipe=recipe, data=data, origin=origin)
    return load(folder)


def test_a_form_answer_places_somebody_new(model: Loaded):
    people = newcomers(model, [Newcomer({"block": str(block)}) for block in range(3)])
    for scorer in (model.fitted, model.live):
        best = scorer.score(people).argmax(axis=1)
        np.testing.assert_array_equal(WORLD.product_block[best], [0, 1, 2])


def test_a_few_products_say_more_than_a_form(model: Loaded):
    """Two products of block 1, of somebody who says block 0."""
    (row,) = newcomers(model, [Newcomer({"block": "0"}, ["p1-0", "p1-3"])]).product.reshape(1, -1)
    assert model.products.take(row).to_list() == ["p1-0", "p1-3"]
    scores = model.live.score(newcomers(model, [Newcomer({"block": "0"}, ["p1-0", "p1-3"])]))
    scores[0, row] = -np.inf
    assert WORLD.product_block[scores.argmax()] == 1


def test_what_was_named_last_is_the_latest_and_nothing_counts_twice(model: Loaded):
    people = newcomers(model, [Newcomer(), Newcomer(products=["p2-1", "p0-0", "p2-1"])])
    assert people.indptr.tolist() == [0, 0, 2]
    assert model.products.take(people.product).to_list() == ["p0-0", "p2-1"]
    assert people.recency.tolist() == [1, 0]
    assert people.known.tolist() == [-1, -1]


def test_answers_become_the_models_codes_and_others_nothing(model: Loaded):
    people = newcomers(
        model,
        [
            Newcomer({"block": "2", "age": 45, "shoe size": 44}, segment="s"),
            Newcomer({"block": "9", "age": "sixty"}, segment="t"),
            Newcomer(),
        ],
    )
    assert people.features is not None
    assert people.features.tolist() == [[2, 4], [-1, -1], [-1, -1]]
    assert people.segment.tolist() == [0, -1, -1]


def test_a_product_nobody_knows_is_named(model: Loaded):
    with pytest.raises(UnknownName, match="p1-0"):
        newcomers(model, [Newcomer(products=["p1-00"])])


def test_a_model_without_features_takes_products_alone(model: Loaded):
    plain = replace(model, customer_features=None)
    assert newcomers(plain, [Newcomer({"block": "1"}, ["p1-0"])]).features is None
