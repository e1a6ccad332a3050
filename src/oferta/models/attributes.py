"""What attributes say where events are missing: learnt from what events taught, and kept beside it.

A ridge regression of what a model learned of customers (or products) on their features, as in
Gantner et al., Learning Attribute-to-Feature Mappings for Cold-Start Recommendations (2010). Nobody
with events is touched by it, so a feature cannot make known customers' lists worse.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from oferta.models.data import TrainingData
from oferta.models.memory import require_memory
from oferta.scoring.live import segment_rows

_CUSTOMERS = 20.0  # customers without effect that each value of an attribute starts with
_PRODUCTS = 3.0  # the same for products, of which there are fewer


def customer_effects(
    data: TrainingData, learned: NDArray[np.float32] | csr_array, *, base: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """`(features, width) float32`: what each feature adds to the base; None without features.

    `learned` is `(customers, width)`, what is known of each customer from events; `base`
    `(segments + 1, width)` what is expected of a segment's. Only customers with a past count.
    """
    vocabulary, codes = data.customer_features, data.histories.features
    if vocabulary is None or codes is None:
        return None
    buyers = np.flatnonzero(np.diff(data.histories.indptr))
    has = one_hot(codes[buyers], len(vocabulary))
    segment = segment_rows(data.histories.take(buyers), len(base))
    of_segment = has.T @ one_hot(segment[:, None], len(base))
    total: Any = has.T @ learned[buyers]  # as sparse as `learned`
    residual = np.asarray(total.toarray() if hasattr(total, "toarray") else total, np.float64)
    residual -= of_segment @ base.astype(np.float64)
    effects = _solved((has.T @ has).toarray(), residual, _CUSTOMERS, "customer")
    return effects.astype(np.float32)


def describe_products(data: TrainingData, learned: NDArray[np.float32]) -> NDArray[np.float32]:
    """`learned` `(products, width) float32` with rows for products that nobody chose.

    Such a product gets what its features make of it; where it has none, or the data has none, its
    row stays.
    """
    features = data.product_features
    chosen = np.zeros(len(data.products), np.bool_)
    chosen[data.histories.product] = True
    if features is None or not chosen.any():
        return learned
    matrix = features.matrix.astype(np.float64)
    told = ~chosen & (np.diff(matrix.indptr) > 0)
    if not told.any():
        return learned
    rows = np.flatnonzero(chosen)
    known, mean = matrix[rows], learned[rows].mean(axis=0, dtype=np.float64)
    # Both sides are centred, so that the ridge holds back no mean.
    count = np.asarray(known.sum(axis=0)).ravel()
    gram = (known.T @ known).toarray() - np.outer(count, count) / len(rows)
    sums = np.asarray(known.T @ (learned[rows] - mean))
    effects = _solved(gram, sums, _PRODUCTS, "product")
    described = learned.copy()
    described[told] = mean + matrix[np.flatnonzero(told)] @ effects - count @ effects / len(rows)
    return described


def one_hot(codes: NDArray[np.integer], width: int) -> csr_array:
    """`(rows, width) float64` with ones where a row's `codes` `(rows, columns)` point; -1: none."""
    rows, columns = np.nonzero(codes >= 0)
    return csr_array((np.ones(len(rows)), (rows, codes[rows, columns])), shape=(len(codes), width))


def _solved(
    gram: NDArray[np.float64], sums: NDArray[np.float64], ridge: float, what: str
) -> NDArray[np.float64]:
    require_memory(
        f"{len(gram):,} {what} features",
        24 * gram.size,
        remedy=f"Name fewer {what} attributes, or such with fewer values.",
    )
    gram.flat[:: len(gram) + 1] += ridge
    return np.asarray(np.linalg.solve(gram, sums), np.float64)
