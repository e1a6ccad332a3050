"""The best k: exact, deterministic, safe with every float."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oferta.scoring.topk import ProductMask, top_k


def by_hand(scores: NDArray[np.float32], k: int):
    """Sorted one by one: better first, then the lower row; NaN and minus infinity left out."""
    lists = []
    for row in scores:
        listed = [at for at in range(len(row)) if row[at] > -np.inf]
        listed.sort(key=lambda at, row=row: (-row[at], at))
        lists.append((listed + [-1] * k)[:k])
    return np.array(lists, np.int32).reshape(len(scores), k)


def check(scores: NDArray[np.float32], k: int):
    best = top_k(scores.copy(), k)
    wanted = by_hand(scores, min(k, scores.shape[1]))
    np.testing.assert_array_equal(best.products, wanted)
    values = np.take_along_axis(scores, np.maximum(wanted, 0), axis=1)
    np.testing.assert_array_equal(best.scores, np.where(wanted >= 0, values, -np.inf))


VALUES = st.sampled_from(
    [-np.inf, np.inf, np.nan, 0.0, -0.0, 1.0, -1.0, 3.4e38, -3.4e38, 1e-45, -1e-45, 2.5]
)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 6), st.integers(1, 12), st.integers(1, 14))
def test_is_what_sorting_gives_for_every_kind_of_float(
    data: st.DataObject, n: int, width: int, k: int
):
    cells = data.draw(st.lists(VALUES, min_size=n * width, max_size=n * width))
    check(np.array(cells, np.float32).reshape(n, width), k)


@pytest.mark.parametrize("width", [130, 700, 1031])
@pytest.mark.parametrize("kind", ["distinct", "ties", "holes", "same", "nearly_empty"])
def test_is_what_sorting_gives_on_rows_that_are_cut_into_chunks(width: int, kind: str):
    rng = np.random.default_rng(width)
    scores = rng.standard_normal((23, width)).astype(np.float32)
    if kind == "ties":
        scores = np.round(scores)
    elif kind == "holes":
        scores[rng.random(scores.shape) < 0.3] = np.nan
        scores[0] = np.nan
    elif kind == "same":
        scores[:] = 0
        scores[::2] = -0.0
    elif kind == "nearly_empty":
        scores[rng.random(scores.shape) < 0.97] = -np.inf
    check(scores, 20)


def test_more_rows_than_one_piece_are_all_listed():
    scores = np.random.default_rng(1).standard_normal((1200, 600)).astype(np.float32)
    check(scores, 3)


def test_the_mask_takes_products_from_everybody_and_from_single_customers():
    scores = np.array([[4, 3, 2, 1], [4, 3, 2, 1], [4, 3, 2, 1]], np.float32)
    mask = ProductMask(
        offerable=np.array([True, True, False, True]),
        indptr=np.array([0, 1, 1, 3]),
        excluded=np.array([0, 0, 3], np.int32),
    )
    best = top_k(scores, 3, mask=mask)
    assert best.products.tolist() == [[1, 3, -1], [0, 1, 3], [1, -1, -1]]
    assert best.scores[2].tolist() == [3, -np.inf, -np.inf]


def test_a_slice_of_the_mask_is_the_mask_of_those_customers():
    mask = ProductMask(np.ones(4, np.bool_), np.array([0, 1, 1, 3]), np.array([0, 0, 3], np.int32))
    scores = np.zeros((1, 4), np.float32)
    mask.slice(2, 3).apply(scores)
    assert scores.tolist() == [[-np.inf, 0, 0, -np.inf]]


def test_nobody_and_nothing_give_empty_lists():
    assert top_k(np.zeros((0, 5), np.float32), 3).products.shape == (0, 3)
    assert top_k(np.zeros((2, 5), np.float32), 0).products.shape == (2, 0)
    assert top_k(np.zeros((2, 0), np.float32), 3).products.shape == (2, 0)
