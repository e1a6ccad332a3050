"""How good lists are: one value per test row first, means later.

Every function takes `hit` `(rows, k) bool` (whether the product at that rank is one of the row's
test products) and `size` `(rows,) int`, how many test products the row has, one or more.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

NAMES = (
    "hr",
    "precision",
    "recall",
    "mrr",
    "map",
    "ndcg",
    "coverage",
    "novelty",
    "popularity_share",
    "diversity",
    "auc",
)
"""Every metric, without its `@k`."""

Values = NDArray[np.float64]
Hits = NDArray[np.bool_]


def hits(products: NDArray[np.int32], indptr: NDArray[np.int64], test: NDArray[np.int32]) -> Hits:
    """Which entries of the lists are test products.

    Args:
        products: `(rows, k)`, lists of product rows, best first; -1 where a list is shorter.
        indptr: `(rows + 1,)`; the test products of row `r` are `test[indptr[r]:indptr[r + 1]]`.
        test: test products, ascending within a row.
    """
    if not len(test):
        return np.zeros(products.shape, np.bool_)
    width = int(max(test.max(), products.max(initial=0))) + 1
    rows = np.arange(len(products), dtype=np.int64)
    wanted = np.repeat(rows, np.diff(indptr)) * width + test
    asked = rows[:, None] * width + products
    at = np.minimum(np.searchsorted(wanted, asked), len(wanted) - 1)
    return np.asarray((wanted[at] == asked) & (products >= 0))


def hit_rate(hit: Hits) -> Values:
    """1 where any listed product is a test product."""
    return np.asarray(hit.any(axis=1), np.float64)


def precision(hit: Hits, k: int) -> Values:
    """Hits by k, also where a list is shorter than k."""
    return np.asarray(hit.sum(axis=1) / k)


def recall(hit: Hits, size: NDArray[np.int64], k: int, *, denominator: str) -> Values:
    """Hits by |test| (`test`) or by min(k, |test|) (`min`)."""
    return np.asarray(hit.sum(axis=1) / (size if denominator == "test" else np.minimum(size, k)))


def reciprocal_rank(hit: Hits) -> Values:
    """One by the rank of the first hit; 0 without a hit in the list."""
    return np.where(hit.any(axis=1), 1.0 / (hit.argmax(axis=1) + 1), 0.0)


def average_precision(hit: Hits, size: NDArray[np.int64], k: int) -> Values:
    """Mean of the precision at the rank of each hit, by min(k, |test|)."""
    at_rank = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
    return np.asarray((at_rank * hit).sum(axis=1) / np.minimum(size, k))


def ndcg(hit: Hits, size: NDArray[np.int64], k: int, *, ideal: str) -> Values:
    """DCG with gain 1 and discount 1 / log2(rank + 1), by that of the ideal list.

    The ideal list ends at k (`cut`), or holds all test products (`full`), in which case a customer
    with more than k test products cannot reach 1.
    """
    longest = max(int(size.max(initial=1)), hit.shape[1])
    discount = 1.0 / np.log2(np.arange(2, longest + 2))
    best = np.concatenate([[0.0], np.cumsum(discount)])
    length = np.minimum(size, k) if ideal == "cut" else size
    return np.asarray((hit * discount[: hit.shape[1]]).sum(axis=1) / best[length])


def auc(scores: NDArray[np.float32], indptr: NDArray[np.int64], test: NDArray[np.int32]) -> Values:
    """Mean over a row's test products of the share of its other candidates that rank below.

    Ties count half; 0.5 where there are no others.

    Args:
        scores: `(rows, products)`; -inf for what is no candidate of a row.
        indptr: `(rows + 1,)`; the test products of row `r` are `test[indptr[r]:indptr[r + 1]]`.
        test: test products, candidates all of them.
    """
    values = np.full(len(scores), 0.5)
    for row, own in enumerate(scores):
        asked = test[indptr[row] : indptr[row + 1]]
        others = own.copy()
        others[asked] = -np.inf
        others = np.sort(others[others > -np.inf])
        if len(others):
            below = np.searchsorted(others, own[asked], side="left")
            not_above = np.searchsorted(others, own[asked], side="right")
            values[row] = float((below + not_above).mean()) / (2 * len(others))
    return values


def mean_over_list(products: NDArray[np.int32], value: Values) -> Values:
    """Mean of a product's `value` over each list; 0 for an empty one."""
    listed = products >= 0
    total = (np.where(listed, value[products], 0.0)).sum(axis=1)
    return np.asarray(total / np.maximum(listed.sum(axis=1), 1))


def self_information(holders: NDArray[np.int64], customers: int) -> Values:
    """`(products,)`: -log2 of the share of train customers with the product, in bits.

    A product that nobody has counts as had by one customer, the most that the data can tell.
    """
    return np.asarray(-np.log2(np.maximum(holders, 1) / max(customers, 1)))


def most_popular_tenth(holders: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`(products,)`: the tenth of the products (rounded up) that most train customers have.

    Ties go to the smaller id. `popularity_share@k` is the share of a list's slots they fill.
    """
    count = -(-len(holders) // 10)
    top = np.zeros(len(holders), np.bool_)
    top[np.argsort(-holders, kind="stable")[:count]] = True
    return top


def accuracy(
    hit: Hits, size: NDArray[np.int64], *, k: tuple[int, ...], recall_by: str, idcg: str
) -> Mapping[str, Values]:
    """Every accuracy metric at every `k`: name -> `(rows,)`; `hit` is as wide as the largest k."""
    values: dict[str, Values] = {}
    for length in k:
        cut = hit[:, :length]
        values[f"hr@{length}"] = hit_rate(cut)
        values[f"precision@{length}"] = precision(cut, length)
        values[f"recall@{length}"] = recall(cut, size, length, denominator=recall_by)
        values[f"mrr@{length}"] = reciprocal_rank(cut)
        values[f"map@{length}"] = average_precision(cut, size, length)
        values[f"ndcg@{length}"] = ndcg(cut, size, length, ideal=idcg)
    return values
