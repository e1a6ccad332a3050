"""The best k of a row of scores: deterministic, masked, vectorised."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ProductMask:
    """Which products may be in a list.

    Attributes:
        offerable: `(products,) bool`, for everybody.
        indptr, excluded: products that single customers must not get, as the rows of a sparse
            matrix: those of customer `u` are `excluded[indptr[u]:indptr[u + 1]]`. None: nothing.
    """

    offerable: NDArray[np.bool_]
    indptr: NDArray[np.int64] | None = None
    excluded: NDArray[np.int32] | None = None

    def slice(self, start: int, stop: int) -> "ProductMask":
        """The mask of the customers `start:stop`."""
        if self.indptr is None or self.excluded is None:
            return self
        low, high = int(self.indptr[start]), int(self.indptr[stop])
        return ProductMask(
            self.offerable, self.indptr[start : stop + 1] - low, self.excluded[low:high]
        )

    def take(self, rows: NDArray[np.integer]) -> "ProductMask":
        """The mask of the customers at `rows`, in that order."""
        if self.indptr is None or self.excluded is None:
            return self
        starts, lengths = self.indptr[rows], self.indptr[rows + 1] - self.indptr[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        entries = np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1])
        return ProductMask(self.offerable, indptr, self.excluded[entries])

    def apply(self, scores: NDArray[np.float32]) -> None:
        """Set every forbidden entry of `scores` `(customers, products)` to minus infinity."""
        if not self.offerable.all():
            scores[:, ~self.offerable] = -np.inf
        if self.indptr is not None and self.excluded is not None:
            rows = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
            scores[rows, self.excluded] = -np.inf


@dataclass(frozen=True, slots=True)
class TopK:
    """Lists, best first.

    Attributes:
        products: `(customers, k) int32`, -1 where a list is shorter than k.
        scores: `(customers, k) float32`, minus infinity there.
    """

    products: NDArray[np.int32]
    scores: NDArray[np.float32]


def top_k(scores: NDArray[np.float32], k: int, *, mask: ProductMask | None = None) -> TopK:
    """The k best products of every row of `scores` `(customers, products)`.

    Ties go to the lower row of the product map, that is, to the smaller id. NaN and minus infinity
    are never listed. `scores` is overwritten where the mask forbids.
    """
    if mask is not None:
        mask.apply(scores)
    n, width = scores.shape
    k = min(k, width)
    np.nan_to_num(scores, copy=False, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    # The k-th best value of each row; everything above it is in, ties at it by position.
    bound = np.partition(scores, width - k, axis=1)[:, width - k, None] if k < width else -np.inf
    above = scores > bound
    tied = (scores == bound) & (scores != -np.inf)
    room = k - above.sum(axis=1, keepdims=True)
    chosen = above | (tied & (np.cumsum(tied, axis=1) <= room))
    rows, columns = np.nonzero(chosen)
    values = scores[rows, columns]
    # Stable by position already, so sorting by (row, -score) leaves ties in id order.
    order = np.lexsort((-values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    counts = np.bincount(rows, minlength=n)
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    products = np.full((n, k), -1, np.int32)
    best = np.full((n, k), -np.inf, np.float32)
    products[rows, rank] = columns
    best[rows, rank] = values
    return TopK(products, best)
