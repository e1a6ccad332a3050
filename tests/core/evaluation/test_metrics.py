import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oferta.evaluation import metrics

# Five customers, lists of three, products 0-9. Worked by hand below.
LISTS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 1, -1], [3, 2, 1]], np.int32)
TEST = [[1], [5, 6], [0], [0, 1, 2, 3], [1, 4]]
INDPTR = np.cumsum([0, *(len(row) for row in TEST)]).astype(np.int64)
PRODUCT = np.concatenate(TEST).astype(np.int32)
SIZE = np.diff(INDPTR)
HIT = metrics.hits(LISTS, INDPTR, PRODUCT)
LOG3, LOG4, LOG5 = 1 / np.log2(3), 1 / np.log2(4), 1 / np.log2(5)


def test_hits_are_marked_where_they_stand():
    wanted = [[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert HIT.tolist() == [[bool(cell) for cell in row] for row in wanted]


@pytest.mark.parametrize(
    ("values", "by_hand"),
    [
        (metrics.hit_rate(HIT), [1, 1, 0, 1, 1]),
        (metrics.precision(HIT, 3), [1 / 3, 2 / 3, 0, 2 / 3, 1 / 3]),
        (metrics.recall(HIT, SIZE, 3, denominator="test"), [1, 1, 0, 2 / 4, 1 / 2]),
        (metrics.recall(HIT, SIZE, 3, denominator="min"), [1, 1, 0, 2 / 3, 1 / 2]),
        (metrics.reciprocal_rank(HIT), [1, 1 / 2, 0, 1, 1 / 3]),
        (
            metrics.average_precision(HIT, SIZE, 3),
            [1, (1 / 2 + 2 / 3) / 2, 0, (1 + 1) / 3, (1 / 3) / 2],
        ),
        (
            metrics.ndcg(HIT, SIZE, 3, ideal="cut"),
            [1, (LOG3 + LOG4) / (1 + LOG3), 0, (1 + LOG3) / (1 + LOG3 + LOG4), LOG4 / (1 + LOG3)],
        ),
        (
            metrics.ndcg(HIT, SIZE, 3, ideal="full"),
            [
                1,
                (LOG3 + LOG4) / (1 + LOG3),
                0,
                (1 + LOG3) / (1 + LOG3 + LOG4 + LOG5),
                LOG4 / (1 + LOG3),
            ],
        ),
    ],
    ids=["hr", "precision", "recall", "recall-min", "mrr", "map", "ndcg", "ndcg-full"],
)
def test_values_worked_by_hand(values: NDArray[np.float64], by_hand: list[float]):
    np.testing.assert_allclose(values, by_hand, rtol=1e-12)


def test_novelty_is_the_mean_self_information_in_bits():
    bits = metrics.self_information(np.array([8, 4, 1, 0]), 8)
    assert bits.tolist() == [0, 1, 3, 3]
    lists = np.array([[0, 1], [2, -1], [-1, -1]], np.int32)
    assert metrics.mean_over_list(lists, bits).tolist() == [0.5, 3, 0]


def test_the_popular_tenth_is_rounded_up_and_ties_go_to_the_smaller_id():
    holders = np.array([1, 5, 5, 2] + [0] * 7)
    assert np.flatnonzero(metrics.most_popular_tenth(holders)).tolist() == [1, 2]


def oracle(listed: list[int], wanted: set[int], k: int) -> dict[str, float]:
    """One customer's values by the textbook, in plain Python."""
    gains = [1.0 if product in wanted else 0.0 for product in listed[:k]]
    found = [at for at, gain in enumerate(gains) if gain]
    best = [1 / np.log2(at + 2) for at in range(len(wanted))]
    dcg = sum(1 / np.log2(at + 2) for at in found)
    return {
        f"hr@{k}": float(bool(found)),
        f"precision@{k}": len(found) / k,
        f"recall@{k}": len(found) / min(k, len(wanted)),
        f"mrr@{k}": 1 / (found[0] + 1) if found else 0.0,
        f"map@{k}": sum(sum(gains[: at + 1]) / (at + 1) for at in found) / min(k, len(wanted)),
        f"ndcg@{k}": dcg / sum(best),
    }


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_metric_agrees_with_the_textbook_and_stays_within_bounds(data: st.DataObject):
    n_products = data.draw(st.integers(1, 15))
    longest = data.draw(st.integers(1, 8))
    products = st.integers(0, n_products - 1)
    rows = data.draw(
        st.lists(
            st.tuples(
                st.lists(products, unique=True, max_size=longest),
                st.sets(products, min_size=1),
            ),
            min_size=1,
            max_size=6,
        )
    )
    lists = np.array([row + [-1] * (longest - len(row)) for row, _ in rows], np.int32)
    wanted = [sorted(test) for _, test in rows]
    indptr = np.cumsum([0, *(len(test) for test in wanted)])
    hit = metrics.hits(lists, indptr, np.concatenate(wanted).astype(np.int32))
    lengths = tuple(range(1, longest + 1))
    found = metrics.accuracy(hit, np.diff(indptr), k=lengths, recall_by="min", idcg="full")
    for k in lengths:
        for number, (row, test) in enumerate(rows):
            for name, value in oracle(row, test, k).items():
                assert found[name][number] == pytest.approx(value, rel=1e-12), name
                assert 0 <= found[name][number] <= 1 + 1e-12


def test_auc_by_hand():
    """Row 0: two test products, scores 3 and 1, against 2, 1 and 0: (3/3 + 1.5/3) / 2.

    Row 1: one candidate only, its own. Row 2: the last of three.
    """
    none = -np.inf
    scores = np.array(
        [[3, 2, 1, 1, 0], [none, 5, none, none, none], [none, 2, 3, 1, none]], np.float32
    )
    found = metrics.auc(scores, np.array([0, 2, 3, 4]), np.array([0, 2, 1, 3], np.int32))
    np.testing.assert_allclose(found, [0.75, 0.5, 0.0])
