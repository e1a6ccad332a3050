"""The best k of a row of scores: deterministic, masked, vectorised."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.ranges import indices_of_ranges


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
        return ProductMask(
            self.offerable, indptr, self.excluded[indices_of_ranges(starts, lengths)]
        )

    def apply(self, scores: NDArray[np.float32]) -> None:
        """Set every forbidden entry of `scores` `(customers, products)` to minus infinity."""
        if not self.offerable.all():
            scores[:, ~self.offerable] = -np.inf
        if self.indptr is not None and self.excluded is not None:
            rows = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
            scores[rows, self.excluded] = -np.inf

    def __post_init__(self) -> None:
        if (self.indptr is None) != (self.excluded is None):
            raise ValueError("indptr and excluded belong together")


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
    """The k best products of every row of `scores` `(customers, products)`; k at most `products`.

    Ties go to the lower row of the product map, that is, to the smaller id. NaN and minus infinity
    are never listed; plus infinity is first. `scores` is overwritten where the mask forbids. Cost:
    about two passes over `scores`, whatever `k` is.
    """
    if mask is not None:
        mask.apply(scores)
    n, width = scores.shape
    k = min(k, width)
    products = np.full((n, k), -1, np.int32)
    best = np.full((n, k), -np.inf, np.float32)
    if k > 0:
        rows = max(1, _PIECE // width)
        for start in range(0, n, rows):
            piece = slice(start, min(start + rows, n))
            products[piece], best[piece] = _piece(scores[piece], k)
    return TopK(products, best)


_PIECE = 1 << 19  # scores at a time: 2 MiB, which a second-level cache holds
_CHUNKS = 128
_LOWEST = np.finfo(np.float32).min
_NOTHING = np.uint64(2**64 - 1)
_LOW_HALF = np.uint64(2**32 - 1)


def _piece(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    # What reaches a lower bound of the k-th best is few, and only that is sorted.
    n, width = scores.shape
    bound = _lower_bound(scores, k)
    if np.isnan(bound).any():
        scores = np.where(np.isnan(scores), np.float32(-np.inf), scores)
        bound = _lower_bound(scores, k)
    found = np.flatnonzero(scores >= np.maximum(bound, _LOWEST)[:, None])
    starts = np.searchsorted(found, np.arange(n + 1) * width)
    counts = np.diff(starts)
    row = np.repeat(np.arange(n), counts)
    keys = np.full((n, max(k, int(counts.max(initial=0)))), _NOTHING)
    keys[row, np.arange(len(found)) - starts[row]] = _keys(
        scores.reshape(-1)[found], found - row * width
    )
    keys.sort(axis=1)
    return _unpacked(keys[:, :k])


def _lower_bound(scores: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    # `(n,)`: the k-th largest of the maxima of disjoint chunks; NaN where a row holds one. Chunks
    # are every so-many-th column, which lets the maximum run along memory.
    n, width = scores.shape
    length = width // max(_CHUNKS, 4 * k)
    if length > 1:
        chunks = width // length
        whole = scores[:, : length * chunks].reshape(n, length, chunks)
        maxima = np.hstack([whole.max(axis=1), scores[:, length * chunks :]])
    else:
        maxima = scores.copy()
    size = maxima.shape[1]
    # NaN sorts last, so a row with one shows it at the end of what is partitioned.
    maxima.partition((size - k, size - 1), axis=1)
    return np.asarray(np.where(np.isnan(maxima[:, -1]), np.float32(np.nan), maxima[:, size - k]))


def _keys(values: NDArray[np.float32], columns: NDArray[np.int64]) -> NDArray[np.uint64]:
    # Integers that ascend as values descend, then as columns ascend: one sort for both. Adding zero
    # makes -0.0 the 0.0 that it equals.
    bits = (values + np.float32(0)).view(np.uint32)
    falling = np.where(bits >> 31, bits, ~(bits | np.uint32(1 << 31)))
    return (falling.astype(np.uint64) << np.uint64(32)) | columns.astype(np.uint64)


def _unpacked(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    falling = (keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(falling >> 31, falling, ~falling & np.uint32(2**31 - 1))
    listed = keys != _NOTHING
    products = np.where(listed, (keys & _LOW_HALF).astype(np.int64), -1).astype(np.int32)
    return products, np.where(listed, bits.view(np.float32), np.float32(-np.inf))
