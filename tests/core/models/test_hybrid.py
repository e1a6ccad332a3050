"""LightFM behind our protocol: its arrays, its features, quiet, interruptible, optional."""

import os
import signal
import subprocess
import sys
import textwrap
import warnings
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from scipy.sparse import coo_matrix, csr_array, csr_matrix, eye, hstack
from worlds import block_world, events, random_world, read

from oferta.errors import ArtefactInvalid, ExtraMissing, FitFailed
from oferta.features.coding import Coding
from oferta.features.customers import CustomerFeatures
from oferta.features.products import ProductFeatures
from oferta.interactions.idmap import IdMap
from oferta.models.catalog import recipe
from oferta.models.data import TrainingData
from oferta.models.hybrid import Hybrid
from oferta.progress import Silent

lightfm = pytest.importorskip("lightfm", reason="the hybrid model needs the extra 'hybrid'")

DATA = random_world(customers=80, products=50, seed=4)
FEATURES = np.random.default_rng(2).random((50, 3)).astype(np.float32)


def described(features: np.ndarray | None) -> ProductFeatures | None:
    if features is None:
        return None
    names = tuple(f"f{column}" for column in range(features.shape[1]))
    return ProductFeatures(names, csr_array(features))


def fit(data: TrainingData = DATA, **settings: float | str):
    return Hybrid(**{"factors": 8, "epochs": 5, **settings}).fit(
        data, rng=np.random.default_rng(1), progress=Silent()
    )


@pytest.mark.parametrize("features", [None, FEATURES], ids=["ids only", "features"])
def test_scores_are_those_that_the_library_predicts(features: np.ndarray | None):
    """But for one number per customer, on which no list depends."""
    data = replace(DATA, product_features=described(features))
    wide = eye(50, format="csr") if features is None else hstack([eye(50), csr_matrix(features)])
    bought = coo_matrix(DATA.matrix.toarray() > 0, dtype=np.float32)
    seed = int(np.random.default_rng(1).integers(2**32))
    bare = lightfm.LightFM(no_components=8, loss="warp", learning_rate=0.02, random_state=seed)
    bare.fit(bought, item_features=csr_matrix(wide, dtype=np.float32), epochs=5)
    rows, columns = np.divmod(np.arange(80 * 50), 50)
    predicted = bare.predict(
        rows.astype(np.int32), columns.astype(np.int32),
        item_features=csr_matrix(wide, dtype=np.float32),
    ).reshape(80, 50)  # fmt: skip
    with_past = np.diff(DATA.histories.indptr) > 0
    predicted -= bare.user_biases[:, None]
    scores = fit(data, features="both").score(DATA.histories)
    # With features, what nobody chose has those of its features alone.
    chosen = np.bincount(DATA.histories.product, minlength=50) > 0
    compared = np.ix_(with_past, chosen if features is not None else np.ones(50, np.bool_))
    np.testing.assert_allclose(scores[compared], predicted[compared], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("learnt", ["both", "customers"], ids=["with the ids", "on top"])
def test_a_feature_places_a_product_that_nobody_chose(learnt: str):
    """Each block has one more product, never bought: only its feature says whose it is."""
    world = block_world(((40, 5), (27, 8), (61, 4)))
    data = world.data
    products = IdMap.of([*data.products.ids, "p0-new", "p1-new", "p2-new"])
    rows = data.histories.owners()
    frame = events(
        [
            (data.customers.ids[int(customer)], data.products.ids[int(product)], "purchase", 1)
            for customer, product in zip(rows, data.histories.product, strict=True)
        ]
    )
    wider = read(frame, customers=data.customers, products=products)
    block = np.array([int(one[1]) for one in products.ids])
    new = np.array([one.endswith("new") for one in products.ids])

    def own_first(features: np.ndarray | None) -> float:
        model = fit(
            replace(wider, product_features=described(features)), epochs=20, features=learnt
        )
        best = model.score(wider.histories)[:, new].argmax(axis=1)
        return float((block[new][best] == world.block).mean())

    assert own_first(np.eye(3, dtype=np.float32)[block]) == 1.0
    assert own_first(None) < 0.8


def test_any_weight_counts_as_one():
    weighty = replace(DATA.histories, weight=DATA.histories.weight * 7)
    one, two = fit().arrays(), fit(replace(DATA, histories=weighty)).arrays()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_known_customers_are_looked_up_and_others_are_not():
    model = fit()
    marked = replace(model, customers=np.zeros_like(model.customers))
    assert not marked.score(DATA.histories).any()
    assert marked.score(replace(DATA.histories, known=np.full(80, -1, np.int32))).any()


def test_a_customer_without_a_past_has_the_mean_vector_of_their_segment():
    world = block_world().data
    keep = world.histories.owners() != 0
    indptr = np.concatenate([[0], np.cumsum(np.bincount(world.histories.owners()[keep]))])
    past = replace(
        world.histories,
        indptr=indptr.astype(np.int64),
        product=world.histories.product[keep],
        weight=world.histories.weight[keep],
        recency=world.histories.recency[keep],
    )
    model = fit(replace(world, histories=past))
    np.testing.assert_array_equal(model.customers[0], model.scorer.cold[past.segment[0]])
    assert np.ptp(model.customers[:, -1]) < 1e-6  # the constant against which biases stand


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (DATA, {"learning_rate": 1e30}),
        (
            replace(DATA, product_features=described(np.full((50, 1), np.nan, np.float32))),
            {"features": "both"},
        ),
    ],
    ids=["diverged", "feature is NaN"],
)
def test_numbers_that_are_not_finite_are_refused(
    data: TrainingData, settings: dict[str, float | str]
):
    with pytest.raises(FitFailed, match=r"(?s)hybrid.*finite"):
        fit(data, **settings)


def test_features_that_are_learnt_are_part_of_the_cost_and_others_are_not():
    shape = DATA.shape
    rich = replace(shape, customer_values=4.0, product_values=6.0)
    plain, told, both = (
        Hybrid(epochs=1000).cost(shape).seconds,
        Hybrid(epochs=1000, features="customers").cost(rich).seconds,
        Hybrid(epochs=1000, features="both").cost(rich).seconds,
    )
    assert 2 * plain < told < both
    assert Hybrid(epochs=1000, features="none").cost(rich).seconds == plain
    data = replace(DATA, product_features=described(np.ones((50, 3), np.float32)))
    assert data.shape.product_values == 3


def test_vectors_of_another_length_are_refused():
    arrays = fit().arrays()
    with pytest.raises(ArtefactInvalid, match="unlike vectors"):
        Hybrid(factors=8).restore({**arrays, "customers": arrays["customers"][:, 1:].copy()})


def test_without_the_library_the_recipe_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "lightfm", None)  # so Python has it that it is not there
    with pytest.raises(
        ExtraMissing, match=r"model 'hybrid' needs .* pip install 'oferta\[hybrid\]"
    ):
        recipe("hybrid")


def test_that_openmp_is_missing_is_no_warning_and_anything_else_is(
    monkeypatch: pytest.MonkeyPatch,
):
    learner = "lightfm._lightfm_fast_openmp", "lightfm._lightfm_fast_no_openmp"
    there = next(sys.modules[name] for name in learner if name in sys.modules)
    for name in ("lightfm", "lightfm.lightfm", "lightfm._lightfm_fast"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, learner[0], None)
    monkeypatch.setitem(sys.modules, learner[1], there)
    assert Hybrid(epochs=2).epochs == 2

    class Loud(ModuleType):
        def __getattr__(self, name: str) -> object:
            warnings.warn("something else", UserWarning, stacklevel=1)
            return lightfm.LightFM

    monkeypatch.setitem(sys.modules, "lightfm", Loud("lightfm"))
    with pytest.warns(UserWarning, match="something else"):
        Hybrid()


def test_an_interrupt_ends_a_fit_within_an_epoch():
    program = textwrap.dedent(
        """
        import numpy as np
        from contextlib import contextmanager
        from worlds import random_world
        from oferta.models.hybrid import Hybrid

        class Tell:
            @contextmanager
            def task(self, name, *, total):
                def advance(done):
                    print("epoch", flush=True)
                yield advance

        data = random_world(customers=300, products=200)
        Hybrid(epochs=1_000_000).fit(data, rng=np.random.default_rng(0), progress=Tell())
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    ) as child:  # fmt: skip
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "epoch\n"
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=10)
        finally:
            child.kill()  # else leaving the block would wait for a million epochs
        assert "KeyboardInterrupt" in errors


BLOCKS = CustomerFeatures((Coding(column="block", kind="category", values=("0", "1", "2")),))


def with_blocks(data: TrainingData) -> TrainingData:
    """The same, each customer's block being an attribute."""
    codes = np.array([int(one[1]) for one in data.customers.ids], np.int32)[:, None]
    return replace(
        data, histories=replace(data.histories, features=codes), customer_features=BLOCKS
    )


def test_a_customers_vector_is_their_own_and_their_features():
    data = with_blocks(block_world().data)
    model = fit(data, epochs=3)
    plain = fit(data, epochs=3, features="products")
    assert model.scorer.attributes is not None
    assert model.scorer.attributes.shape == (3, 9)
    assert plain.scorer.attributes is None
    np.testing.assert_array_equal(plain.customers, fit(block_world().data, epochs=3).customers)
    assert not np.array_equal(model.customers, plain.customers)
    own = model.customers - model.scorer.attributes[data.histories.features[:, 0]]
    cold = model.scorer.cold[-1]
    np.testing.assert_allclose(own.mean(axis=0), cold, rtol=1e-4, atol=1e-5)


def test_the_twin_is_the_same_without_features():
    assert Hybrid(factors=9).twin() == Hybrid(factors=9, features="none")
    assert Hybrid(features="none").twin() is None
    data = replace(with_blocks(block_world().data), product_features=None)
    twin = Hybrid(factors=8, epochs=3).twin()
    assert twin is not None
    one = twin.fit(data, rng=np.random.default_rng(1), progress=Silent())
    two = fit(block_world().data, epochs=3)
    np.testing.assert_array_equal(one.customers, two.customers)


def test_without_ids_products_of_the_same_features_are_the_same():
    features = np.eye(3, dtype=np.float32)[np.arange(50) % 3]
    described = ProductFeatures(("a", "b", "c"), csr_array(features))
    model = fit(replace(DATA, product_features=described), features="products", product_ids=False)
    assert len(np.unique(model.scorer.products, axis=0)) == 3
    assert len(np.unique(fit(product_ids=False).scorer.products, axis=0)) == 50  # no features


@pytest.mark.parametrize("learnt", ["both", "customers"], ids=["with the ids", "on top"])
def test_products_that_nobody_chose_are_what_their_features_are(learnt: str):
    """Two of the same features have the same vector, whatever was drawn for them at the start."""
    products = IdMap.of([*DATA.products.ids, "x1", "x2", "x3"])
    features = np.eye(3, dtype=np.float32)[np.arange(53) % 3]
    features[-3:] = [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    data = replace(DATA, products=products, product_features=described(features))
    vectors = fit(data, features=learnt).scorer.products
    np.testing.assert_array_equal(vectors[-3], vectors[-2])
    assert not np.array_equal(vectors[-2], vectors[-1])
    plain = fit(data, features="none").scorer.products
    assert not np.array_equal(plain[-3], plain[-2])
