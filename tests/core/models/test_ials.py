"""Frequency-scaled ALS behind our protocol: its loss, exact fold-in, settings by the data."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from worlds import block_world, random_world

from oferta.errors import ArtefactInvalid
from oferta.interactions.histories import Histories
from oferta.models.als import Als
from oferta.models.ials import Ials, _library
from oferta.progress import Silent

DATA = random_world(customers=80, products=50, seed=4)


def fit(seed: int = 1, **settings: float):
    return Ials(**{"factors": 8, **settings}).fit(
        DATA, rng=np.random.default_rng(seed), progress=Silent()
    )


def stranger(histories: Histories) -> Histories:
    return replace(histories, known=np.full(len(histories), -1, np.int32))


def test_vectors_are_those_that_the_library_solves_exactly_for_the_same_products():
    """The library's own half-step, by Cholesky, of the paper's objective; weights by their mean."""
    model, recipe = fit(), Ials(factors=8)
    buyers = np.flatnonzero(np.diff(DATA.histories.indptr))
    chosen = np.unique(DATA.histories.product)
    weights = csr_matrix(DATA.matrix)[buyers][:, chosen]
    weights = weights / weights.data.mean()
    unobserved, penalty = recipe._terms(len(buyers), len(chosen), weights.nnz)
    library = _library()(
        weights, n_components=8, alpha0=unobserved, reg=penalty, solver_type="CHOLESKY"
    )
    library.start_learning()
    library.trainer.core_trainer.item = model.scorer.products[chosen]
    solved = library.compute_user_embedding(weights)
    for mine in (model.customers, model.scorer.vectors(DATA.histories)):
        np.testing.assert_allclose(mine[buyers], solved, rtol=1e-3, atol=1e-5)


def test_a_stored_vector_is_the_one_folded_in_from_the_same_past():
    model = fit()
    np.testing.assert_allclose(
        model.vectors(DATA.histories), model.vectors(stranger(DATA.histories)), rtol=1e-6
    )


def test_the_settings_are_the_papers_terms_in_units_of_the_data():
    """By hand: 100 customers, 20 products, 400 choices: 4 each, and 20 of each product."""
    unobserved, penalty = Ials(unobserved=3, regularization=0.5)._terms(100, 20, 400)
    assert unobserved == pytest.approx(3 * 4 / 20)  # times 20 products: thrice the 4 chosen
    assert penalty == pytest.approx(0.5 * (4**-0.5 + 20**-0.5) / 4)


def test_customers_and_products_without_a_choice_do_not_change_the_model():
    data = random_world(customers=80, products=50, seed=4)
    idle = replace(
        data.histories, indptr=np.append(data.histories.indptr, data.histories.indptr[-1])
    )
    one = fit().scorer
    wider = replace(
        data,
        customers=type(data.customers).of([*data.customers.ids, "zz"]),
        histories=replace(
            idle,
            known=np.append(idle.known, np.int32(80)),
            segment=np.append(idle.segment, np.int32(-1)),
        ),
    )
    two = Ials(factors=8).fit(wider, rng=np.random.default_rng(1), progress=Silent()).scorer
    np.testing.assert_array_equal(one.products, two.products)
    np.testing.assert_array_equal(one.fold_in.precision, two.fold_in.precision)


def test_a_weight_counts_by_the_mean_weight():
    weighty = replace(DATA.histories, weight=DATA.histories.weight * 8)
    other = Ials(factors=8).fit(
        replace(DATA, histories=weighty), rng=np.random.default_rng(1), progress=Silent()
    )
    np.testing.assert_allclose(fit().customers, other.customers, rtol=1e-4, atol=1e-6)


def test_many_penalties_leave_popularity_and_never_numbers_that_are_not():
    scores = fit(regularization=1.49, epochs=30).score(DATA.histories)
    assert np.isfinite(scores).all()


def test_another_seed_gives_another_model():
    assert not np.array_equal(fit(1).customers, fit(2).customers)


@pytest.mark.parametrize("kind", [Als, Ials])
def test_vectors_are_at_most_half_as_long_as_there_are_products(kind: type[Als | Ials]):
    data = block_world().data  # 17 products
    model = kind().fit(data, rng=np.random.default_rng(0), progress=Silent())
    assert model.customers.shape == (len(data.customers), 8)
    again = kind().restore(model.arrays())
    np.testing.assert_array_equal(again.score(data.histories), model.score(data.histories))


def test_stored_numbers_of_the_fold_in_come_back():
    model = fit()
    again = Ials(factors=8).restore(model.arrays())
    past = stranger(DATA.histories)
    np.testing.assert_array_equal(again.score(past), model.score(past))
    with pytest.raises(ArtefactInvalid, match="precision"):
        Ials().restore({k: one for k, one in model.arrays().items() if k != "precision"})


def test_an_interrupt_ends_a_fit_within_an_epoch():
    program = textwrap.dedent(
        """
        import numpy as np
        from contextlib import contextmanager
        from worlds import random_world
        from oferta.models.ials import Ials

        class Tell:
            @contextmanager
            def task(self, name, *, total):
                def advance(done):
                    print("epoch", flush=True)
                yield advance

        data = random_world(customers=300, products=200)
        Ials(epochs=1_000_000).fit(data, rng=np.random.default_rng(0), progress=Tell())
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
            start = time.monotonic()
            _, errors = child.communicate(timeout=20)
            assert time.monotonic() - start < 10
        finally:
            child.kill()
        assert "KeyboardInterrupt" in errors
