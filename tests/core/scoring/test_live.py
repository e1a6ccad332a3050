"""Live scorers against the plainest possible dense arithmetic."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from worlds import random_world

from oferta.interactions.histories import Histories
from oferta.scoring.blas import _controller, one_blas_thread
from oferta.scoring.fold_in import FoldIn
from oferta.scoring.live import EmbeddingScorer, NeighbourScorer

DATA = random_world(customers=40, products=30, per_customer=14, seed=8)
PAST = replace(DATA.histories, segment=(np.arange(40) % 4 - 1).astype(np.int32))
WIDTH = len(DATA.products)
LISTED = np.random.default_rng(2).integers(-1, WIDTH, (40, 6)).astype(np.int32)


def dense(weight: NDArray[Any]):
    past = np.zeros((len(PAST), WIDTH))
    past[PAST.owners(), PAST.product] = weight
    return past


def explained(terms_of: Callable[[int], NDArray[Any]]):
    """`terms_of(u)` is `(products, products)`: what having i says for j, for customer u."""
    named = np.full(LISTED.shape, -1)
    for u in range(len(PAST)):
        own = PAST.product[PAST.indptr[u] : PAST.indptr[u + 1]]
        terms = terms_of(u)
        for place, listed in enumerate(LISTED[u]):
            said = {int(one): terms[one, listed] for one in own if one != listed}
            if listed >= 0 and said and max(said.values()) > 0:
                named[u, place] = max(said, key=lambda one: (said[one], -one))
    return named


@pytest.fixture(scope="module")
def neighbours():
    rng = np.random.default_rng(4)
    matrix = rng.standard_normal((WIDTH, WIDTH)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.6] = 0
    matrix[7] = 0  # a product that says nothing
    rows, columns = np.nonzero(matrix)
    scorer = NeighbourScorer(
        indptr=np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=WIDTH))]),
        neighbour=columns.astype(np.int32),
        weight=matrix[rows, columns],
        base=rng.random((3, WIDTH)).astype(np.float32),
        step_decay=0.7,
        binary=False,
    )
    return matrix, scorer


def test_neighbour_scores_are_the_past_times_the_matrix_plus_the_segments_base(
    neighbours: tuple[NDArray[np.float32], NeighbourScorer],
):
    matrix, scorer = neighbours
    past = dense(PAST.weight * 0.7**PAST.recency)
    base = scorer.base[[2 if code not in (0, 1) else code for code in PAST.segment]]
    np.testing.assert_allclose(scorer.score(PAST), past @ matrix + base, rtol=1e-4, atol=1e-5)


def test_neighbour_reasons_are_the_largest_positive_terms(
    neighbours: tuple[NDArray[np.float32], NeighbourScorer],
):
    matrix, scorer = neighbours
    past = dense(PAST.weight * 0.7**PAST.recency)
    wanted = explained(lambda u: past[u][:, None] * matrix)
    np.testing.assert_array_equal(scorer.because(PAST, LISTED), wanted)
    assert (wanted >= 0).any()
    assert (wanted < 0).any()


def test_pieces_do_not_change_neighbour_answers(
    neighbours: tuple[NDArray[np.float32], NeighbourScorer], monkeypatch: pytest.MonkeyPatch
):
    _, scorer = neighbours
    whole = scorer.score(PAST), scorer.because(PAST, LISTED)
    monkeypatch.setattr("oferta.scoring.live._EXPANDED", 3)
    monkeypatch.setattr("oferta.scoring.live._GATHERED", 50)
    np.testing.assert_allclose(scorer.score(PAST), whole[0], rtol=1e-6)
    np.testing.assert_array_equal(scorer.because(PAST, LISTED), whole[1])


NUMBERS = {"constant": (3.0, 1.0, 0.0), "by_frequency": (1.5, 0.0, 0.7)}
"""Alpha, implied confidence and ridge of the two forms of ALS."""


@pytest.fixture(scope="module", params=NUMBERS.values(), ids=list(NUMBERS))
def numbers(request: pytest.FixtureRequest):
    return request.param


@pytest.fixture(scope="module", params=[4, 12, 25], ids=["short", "about_the_past", "long"])
def embedding(request: pytest.FixtureRequest, numbers: tuple[float, float, float]):
    rng = np.random.default_rng(request.param)
    products = (rng.standard_normal((WIDTH, request.param)) * 0.5).astype(np.float32)
    precision = products.T @ products + 2 * np.eye(request.param, dtype=np.float32)
    cold = rng.standard_normal((3, request.param)).astype(np.float32)
    return EmbeddingScorer(products, cold, FoldIn(precision, *numbers))


def systems(scorer: EmbeddingScorer, past: Histories = PAST):
    fold_in = scorer.fold_in
    for u in range(len(past)):
        entries = slice(*past.indptr[u : u + 2])
        own = scorer.products[past.product[entries]].astype(np.float64)
        confidence = fold_in.alpha * past.weight[entries]
        system = fold_in.precision + own.T @ np.diag(confidence - fold_in.implied) @ own
        system = system + len(own) * fold_in.ridge * np.eye(len(system))
        yield np.linalg.inv(system), own, confidence, PAST.product[entries]


def test_folded_in_vectors_solve_the_ridge_regression(embedding: EmbeddingScorer):
    """Vectors shorter and longer than the pasts: the two ways of solving are both met."""
    wanted = np.array([inv @ own.T @ conf for inv, own, conf, _ in systems(embedding)])
    np.testing.assert_allclose(embedding.vectors(PAST), wanted, rtol=2e-3, atol=2e-5)


def test_embedding_reasons_are_the_largest_positive_terms(embedding: EmbeddingScorer):
    terms = []
    for inverse, own, confidence, product in systems(embedding):
        table = np.zeros((WIDTH, WIDTH))
        table[product] = confidence[:, None] * (own @ inverse @ embedding.products.T)
        terms.append(table)
    np.testing.assert_array_equal(embedding.because(PAST, LISTED), explained(terms.__getitem__))


def test_weights_below_one_over_alpha_are_solved_too(embedding: EmbeddingScorer):
    weak = replace(PAST, weight=np.full_like(PAST.weight, 0.05))  # confidence .15, extra negative
    wanted = np.array([inv @ own.T @ conf for inv, own, conf, _ in systems(embedding, weak)])
    np.testing.assert_allclose(embedding.vectors(weak), wanted, rtol=2e-3, atol=2e-5)


def test_reasons_for_thousands_take_no_loop_over_customers(
    neighbours: tuple[NDArray[np.float32], NeighbourScorer], embedding: EmbeddingScorer
):
    """Loops over customers took 100 times as long; a generous bound still tells them apart."""
    many = PAST.take(np.arange(20_000) % len(PAST))
    listed = np.tile(LISTED, (500, 1))
    for scorer in (neighbours[1], embedding):
        start = time.perf_counter()
        scorer.because(many, listed)
        assert time.perf_counter() - start < 5


def test_blas_threads_come_back_when_the_last_user_has_left():
    def threads() -> set[int]:
        return {lib["num_threads"] for lib in _controller().info() if lib["user_api"] == "blas"}

    before = threads()
    with one_blas_thread():
        with one_blas_thread():
            assert threads() == {1}
        assert threads() == {1}
    assert threads() == before
