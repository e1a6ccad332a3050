"""What every model of the catalogue keeps to."""

import json
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array
from worlds import BlockWorld, block_world, random_world

from oferta.errors import ExtraMissing, SettingsInvalid
from oferta.features.coding import Coding
from oferta.features.customers import CustomerFeatures
from oferta.features.products import ProductFeatures
from oferta.interactions.histories import Histories
from oferta.interactions.weighting import Weighting
from oferta.models.catalog import MODELS, recipe
from oferta.models.data import TrainingData
from oferta.models.protocol import Composite, Embeddings, FittedRecommender, Recommender
from oferta.models.recommend import recommend
from oferta.models.saved import Origin, load, save
from oferta.progress import Advance, Silent
from oferta.scoring.packed import pack_live, unpack_live
from oferta.scoring.reasons import REASONS
from oferta.scoring.topk import ProductMask

WORLD = block_world()
RANDOM = random_world(customers=90, products=60)


def _made(name: str) -> Recommender | None:
    try:
        return recipe(name)
    except ExtraMissing:
        return None


BLOCKS = CustomerFeatures((Coding(column="block", kind="category", values=("0", "1", "2")),))
FROM_ATTRIBUTES = {"popularity", "als", "ials", "hybrid"}
"""Models that score somebody without a past from their features."""

COMPOSITE = {name for name in MODELS if isinstance(_made(name), Composite)}


def described(world: BlockWorld) -> TrainingData:
    """The world with each customer's block as an attribute instead of a segment, products' too.

    Two thirds of the customers of the last block tell theirs.
    """
    codes = world.block.copy()
    codes[-20:] = -1
    return replace(
        world.data,
        histories=replace(
            world.data.histories,
            segment=np.full(len(codes), -1, np.int32),
            features=codes[:, None],
        ),
        segments=(),
        customer_features=BLOCKS,
        product_features=ProductFeatures(
            ("block=0", "block=1", "block=2"),
            csr_array(np.eye(3, dtype=np.float32)[world.product_block]),
        ),
    )


def _model(name: str) -> object:
    try:
        recipe(name)
    except ExtraMissing as missing:
        return pytest.param(name, marks=pytest.mark.skip(reason=str(missing)))
    return name


EVERY = pytest.mark.parametrize("name", [_model(name) for name in MODELS])


def fitted(name: str, data: TrainingData, *, seed: int = 3) -> FittedRecommender:
    return recipe(name).fit(data, rng=np.random.default_rng(seed), progress=Silent())


def unknown(histories: Histories) -> Histories:
    return replace(histories, known=np.full(len(histories), -1, np.int32))


def right_answers(model: FittedRecommender, histories: Histories) -> float:
    """Share of customers whose first unheld product is the one they lack."""
    mask = ProductMask(
        np.ones(len(WORLD.data.products), np.bool_), histories.indptr, histories.product
    )
    best = recommend(model, histories, 1, mask=mask, progress=Silent())
    return float((best.products[:, 0] == WORLD.missing).mean())


class Transposed:
    """A planted fault: fitted as if customers were products, answering in the right shape."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fit(self, data: TrainingData) -> FittedRecommender:
        past = data.histories
        swapped = data.matrix.T.tocsr()
        swapped.resize(len(data.products), len(data.customers))
        rows, columns = swapped.nonzero()
        cells = np.unique(
            (rows % len(data.customers)) * len(data.products) + columns % len(data.products)
        )
        counts = np.bincount(cells // len(data.products), minlength=len(data.customers))
        product = (cells % len(data.products)).astype(np.int32)
        owner = np.repeat(np.arange(len(data.customers), dtype=np.int32), counts)
        turned = replace(
            data,
            histories=replace(
                past,
                indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
                product=product,
                weight=np.ones(len(product), np.float32),
                recency=np.zeros(len(product), np.int32),
            ),
            events=replace(
                data.events,
                customer=owner,
                product=product,
                amount=np.ones(len(product), np.float32),
                step=np.arange(len(product), dtype=np.int32),
                time_us=np.zeros(len(product), np.int64),
                conversion=np.ones(len(product), np.bool_),
            ),
        )
        return fitted(self.name, turned)


@EVERY
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_recommends_the_one_product_that_a_customer_of_a_block_lacks(name: str, known: bool):
    histories = WORLD.data.histories
    model = fitted(name, WORLD.data)
    assert right_answers(model, histories if known else unknown(histories)) == 1.0


@EVERY
def test_a_transposed_matrix_would_not_pass(name: str):
    """The right answer is demanded of every customer; a transposed fit keeps only some."""
    model = Transposed(name).fit(WORLD.data)
    assert right_answers(model, unknown(WORLD.data.histories)) < 0.9


@EVERY
def test_works_where_events_have_no_order(name: str):
    world = block_world(ordered=False)
    assert not world.data.ordered
    assert right_answers(fitted(name, world.data), world.data.histories) == 1.0


@EVERY
def test_the_same_seed_gives_the_same_arrays(name: str):
    one, two = fitted(name, RANDOM).arrays(), fitted(name, RANDOM).arrays()
    assert one.keys() == two.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], two[key])


@EVERY
def test_fitting_and_scoring_change_nothing_they_are_given(name: str):
    data = random_world(seed=5)
    before = [np.copy(getattr(data.events, one.name)) for one in fields(data.events)]
    past = [np.copy(getattr(data.histories, one)) for one in ("indptr", "product", "weight")]
    model = fitted(name, data)
    arrays = {key: array.copy() for key, array in model.arrays().items()}
    scores = model.score(data.histories)
    scores[:] = -1  # the caller may
    model.live_scorer().score(data.histories)[:] = -1
    for was, one in zip(before, fields(data.events), strict=True):
        np.testing.assert_array_equal(was, getattr(data.events, one.name))
    for was, field in zip(past, ("indptr", "product", "weight"), strict=True):
        np.testing.assert_array_equal(was, getattr(data.histories, field))
    for key, array in model.arrays().items():
        np.testing.assert_array_equal(array, arrays[key])


@EVERY
def test_a_customer_without_a_past_gets_finite_scores_that_tell_products_apart(name: str):
    model = fitted(name, WORLD.data)
    nobody = replace(Histories.empty(3), segment=np.array([-1, 1, 999], np.int32))
    for scorer in (model, model.live_scorer()):
        scores = scorer.score(nobody)
        assert scores.shape == (3, len(WORLD.data.products))
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()
        assert (scores.std(axis=1) > 0).all()
        # Their segment is known: its products come first. An unknown code is an unknown segment.
        assert WORLD.product_block[scores[1].argmax()] == 1
        np.testing.assert_array_equal(scores[0], scores[2])


@EVERY
def test_a_customer_without_a_past_is_scored_from_what_is_known_of_them(name: str):
    data = described(WORLD)
    model = fitted(name, data)
    new = replace(Histories.empty(5), features=np.array([[0], [1], [2], [-1], [99]], np.int32))
    again = recipe(name).restore(model.arrays())
    for scorer in (model, model.live_scorer(), again, unpack_live(pack_live(model.live_scorer()))):
        scores = scorer.score(new)
        assert np.isfinite(scores).all()
        # Unknown, and unknown to the vocabulary: as if nothing was told.
        for told in (scores[4], scorer.score(Histories.empty(1))[0]):
            np.testing.assert_allclose(scores[3], told, rtol=1e-5, atol=1e-6)
        if name not in COMPOSITE:  # their live scorer is one part's
            np.testing.assert_allclose(scores, model.score(new), rtol=1e-4, atol=1e-6)
        if name in FROM_ATTRIBUTES:
            own = WORLD.product_block[scores[:3].argmax(axis=1)]
            np.testing.assert_array_equal(own, [0, 1, 2])
    if name != "popularity":  # which has no segments here
        assert right_answers(model, data.histories) == 1.0


@EVERY
def test_no_customers_is_no_error(name: str):
    model = fitted(name, RANDOM)
    assert model.score(Histories.empty(0)).shape == (0, len(RANDOM.products))
    assert model.live_scorer().score(Histories.empty(0)).shape == (0, len(RANDOM.products))


@EVERY
def test_data_without_a_single_event_gives_a_model_that_answers(name: str):
    none = replace(
        RANDOM,
        events=RANDOM.events.where(np.zeros(len(RANDOM.events), np.bool_)),
        histories=replace(Histories.empty(len(RANDOM.customers))),
    )
    scores = fitted(name, none).score(RANDOM.histories)
    assert np.isfinite(scores).all()


@EVERY
def test_blocks_of_any_size_give_the_same_lists(name: str):
    model = fitted(name, RANDOM)
    whole, small = (
        recommend(model, RANDOM.histories, 10, mask=None, block=size, progress=Silent())
        for size in (1000, 7)
    )
    assert (whole.products == small.products).mean() > 0.99  # rounding may swap near ties
    np.testing.assert_allclose(whole.scores, small.scores, rtol=1e-4, atol=1e-6)


@EVERY
def test_the_live_scorer_agrees_with_the_model(name: str):
    model = fitted(name, RANDOM)
    past = unknown(RANDOM.histories)
    if name in COMPOSITE:  # one part's: other scores, much the same lists
        lists = [np.argsort(-one.score(past))[:, :10] for one in (model, model.live_scorer())]
        kept = [len(np.intersect1d(*both)) / 10 for both in zip(*lists, strict=True)]
        assert np.mean(kept) > 0.4
        return
    np.testing.assert_allclose(
        model.live_scorer().score(past), model.score(past), rtol=1e-3, atol=2e-5
    )


@EVERY
def test_a_reason_names_a_product_of_the_past_and_never_the_product_itself(name: str):
    model = fitted(name, RANDOM)
    best = recommend(model, RANDOM.histories, 10, mask=None, progress=Silent())
    named = model.live_scorer().because(RANDOM.histories, best.products)
    assert model.reason in REASONS
    assert named.shape == best.products.shape
    assert not (named == best.products)[named >= 0].any()
    past = RANDOM.histories
    for row in range(len(past)):
        own = set(past.product[past.indptr[row] : past.indptr[row + 1]].tolist())
        assert set(named[row].tolist()) <= own | {-1}
    if name != "popularity":
        assert (named >= 0).mean() > 0.3


@EVERY
def test_a_saved_model_gives_the_same_lists(name: str, tmp_path: Path):
    made = recipe(name)
    model = made.fit(RANDOM, rng=np.random.default_rng(3), progress=Silent())
    rows = (len(RANDOM.customers), len(RANDOM.products))
    vectors = Embeddings(*(np.ones((size, 4), np.float32) for size in rows))
    origin = Origin(
        seed=3,
        data_fingerprint="f",
        code_version="1",
        trained_at=datetime(2026, 1, 2, tzinfo=UTC),
        weighting=Weighting(),
    )
    own = model.embeddings() is not None
    save(
        tmp_path / "model",
        model,
        name=name,
        recipe=made,
        data=RANDOM,
        embeddings=None if own else vectors,
        origin=origin,
    )
    loaded = load(tmp_path / "model")
    assert loaded.recipe == made
    assert loaded.meta == origin or loaded.meta.weighting == origin.weighting
    past = loaded.recognise(RANDOM)
    np.testing.assert_array_equal(past.known, np.arange(rows[0]))
    for mine, theirs in ((model, loaded.fitted), (model.live_scorer(), loaded.live)):
        one = recommend(mine, RANDOM.histories, 10, mask=None, progress=Silent())
        two = recommend(theirs, past, 10, mask=None, progress=Silent())
        np.testing.assert_array_equal(one.products, two.products)
        np.testing.assert_array_equal(one.scores, two.scores)


def _toml(value: object) -> str:
    if not isinstance(value, dict):
        return json.dumps(value)
    return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"


@EVERY
def test_settings_survive_toml_and_json(name: str):
    made = recipe(name)
    settings = made.model_dump(mode="json")
    assert recipe(name, json.loads(json.dumps(settings))) == made
    toml = "\n".join(f"{key} = {_toml(one)}" for key, one in settings.items() if one is not None)
    assert recipe(name, tomllib.loads(toml)) == made
    with pytest.raises(SettingsInvalid, match="unknown setting"):
        recipe(name, {"no_such": 1})


@EVERY
def test_every_value_of_the_search_space_is_a_setting_and_the_default_is_among_them(name: str):
    made = recipe(name)
    for field, values in made.search_space.items():
        assert getattr(made, field) in values
        for value in values:
            assert getattr(recipe(name, {field: value}), field) == value


@EVERY
def test_the_cost_is_declared_and_grows_with_the_data(name: str):
    small, large = (
        recipe(name).cost(random_world(customers=size, products=products).shape)
        for size, products in ((40, 30), (400, 120))
    )
    assert 0 < small.seconds <= large.seconds < 60
    assert 0 < small.bytes <= large.bytes < 1 << 30


class Counting:
    """Keeps what was reported."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, int | None]] = []
        self.done = 0

    @contextmanager
    def task(self, name: str, *, total: int | None) -> Iterator[Advance]:
        self.tasks.append((name, total))

        def advance(done: int, /) -> None:
            self.done += done

        yield advance


@EVERY
def test_a_fit_reports_progress_to_its_end_and_prints_nothing(
    name: str, capfd: pytest.CaptureFixture[str]
):
    counting = Counting()
    recipe(name).fit(RANDOM, rng=np.random.default_rng(0), progress=counting)
    assert [task for task, _ in counting.tasks] == [name]
    assert counting.done == counting.tasks[0][1]
    assert capfd.readouterr() == ("", "")


@EVERY
def test_four_threads_get_the_answers_that_one_gets(name: str):
    model = fitted(name, RANDOM)
    live, past = model.live_scorer(), unknown(RANDOM.histories)
    alone = model.score(past), live.score(past)
    with ThreadPoolExecutor(4) as pool:
        for ours, theirs in pool.map(lambda _: (model.score(past), live.score(past)), range(12)):
            np.testing.assert_array_equal(ours, alone[0])
            np.testing.assert_array_equal(theirs, alone[1])
