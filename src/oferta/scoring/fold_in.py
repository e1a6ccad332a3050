"""From a history to a customer vector, for thousands of customers at once.

The systems of customers with pasts of about the same length are stacked and solved together. A past
shorter than the vectors is solved in its own length: with `P` the precision and `Y` the past's
product vectors, `(P + Y^T E Y)^-1 Y^T = P^-1 Y^T (I + E Y P^-1 Y^T)^-1`, whatever the sign of `E`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.histories import Histories
from oferta.scoring.blas import one_blas_thread

_STACKED = 1 << 21  # numbers in one stack of systems: 8 MB


@dataclass(frozen=True, slots=True, eq=False)
class FoldIn:
    """How a history becomes a customer vector: one ridge regression per customer.

    For a customer with entries `i` of weight `w_i` and product vectors `y_i`, the vector solves
    `(precision + sum e_i y_i y_i^T) x = sum (e_i + 1) y_i` with `e_i = alpha * w_i - 1`: the
    customer's half-step of implicit ALS (Hu, Koren, Volinsky 2008), confidence `alpha * w_i`.

    Attributes:
        precision: `(d, d) float32`, the Gram matrix of the product vectors plus the regulariser.
        alpha: what one unit of weight adds to the confidence.
    """

    precision: NDArray[np.float32]
    alpha: float


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """Customers with pasts of up to `l` entries, padded: `(b,)`, `(b, l)`, `(b, l)`, `(b, l)`.

    Padding has confidence and extra 0, so it takes part in nothing.
    """

    rows: NDArray[np.int64]
    past: NDArray[np.int32]
    confidence: NDArray[np.float32]
    extra: NDArray[np.float32]  # confidence minus the 1 that the Gram matrix already counts


@one_blas_thread()
def fold_in_vectors(
    fold_in: FoldIn,
    products: NDArray[np.float32],
    histories: Histories,
    *,
    into: NDArray[np.float32],
) -> None:
    """Write the vectors of the customers who have a past into the rows of `into` `(n, d)`."""
    width = products.shape[1]
    root, whitened = _whitened(fold_in, products)
    for stack in _stacks(histories, fold_in.alpha, width, width):
        if stack.past.shape[1] <= width:
            own = whitened[stack.past]
            share = np.linalg.solve(_small(own, stack), stack.confidence[..., None])
            into[stack.rows] = np.matmul(own.mT, share)[..., 0] @ root.T
        else:
            own = products[stack.past]
            target = np.matmul(own.mT, stack.confidence[..., None])
            into[stack.rows] = np.linalg.solve(_large(fold_in, own, stack), target)[..., 0]


@one_blas_thread()
def because_vectors(
    fold_in: FoldIn,
    products: NDArray[np.float32],
    histories: Histories,
    listed: NDArray[np.int32],
) -> NDArray[np.int32]:
    """`(n, k) int32`: for each listed product the one of the past whose term is the largest.

    Terms are `c_i y_j^T A^-1 y_i`. -1 where none is positive, or the list has -1.
    """
    named = np.full(listed.shape, -1, np.int32)
    width = products.shape[1]
    _, whitened = _whitened(fold_in, products)
    for stack in _stacks(histories, fold_in.alpha, width, max(width, listed.shape[1])):
        wanted = listed[stack.rows]
        rows = np.maximum(wanted, 0)
        if stack.past.shape[1] <= width:
            own = whitened[stack.past]
            towards = np.matmul(own, whitened[rows].mT)
            terms = np.linalg.solve(_small(own, stack).mT, towards)
        else:
            own = products[stack.past]
            towards = np.linalg.solve(_large(fold_in, own, stack), products[rows].mT)
            terms = np.matmul(own, towards)
        terms *= stack.confidence[..., None]  # (b, l, k)
        terms[stack.past[..., None] == wanted[:, None, :]] = 0  # nothing explains itself
        first = terms.argmax(axis=1)
        best = np.take_along_axis(terms, first[:, None, :], axis=1)[:, 0]
        name = np.take_along_axis(stack.past, first, axis=1)
        named[stack.rows] = np.where((best > 0) & (wanted >= 0), name, -1)
    return named


def _whitened(
    fold_in: FoldIn, products: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    # `root root^T` is the inverse of the precision, and the vectors in which it is the identity.
    lower = np.linalg.cholesky(fold_in.precision.astype(np.float64))
    root = np.linalg.inv(lower).T
    return root.astype(np.float32), (products @ root).astype(np.float32)


def _small(own: NDArray[np.float32], stack: _Stack) -> NDArray[np.float32]:
    system = stack.extra[..., None] * np.matmul(own, own.mT)
    diagonal = np.arange(system.shape[1])
    system[:, diagonal, diagonal] += 1
    return np.asarray(system)


def _large(fold_in: FoldIn, own: NDArray[np.float32], stack: _Stack) -> NDArray[np.float32]:
    return np.asarray(fold_in.precision + np.matmul(own.mT * stack.extra[:, None, :], own))


def _stacks(histories: Histories, alpha: float, width: int, breadth: int) -> Iterator[_Stack]:
    # `breadth`: the most numbers that a caller keeps per entry beside the system.
    lengths = np.diff(histories.indptr)
    with_past = np.flatnonzero(lengths)
    rows = with_past[np.argsort(lengths[with_past], kind="stable")]
    ordered = lengths[rows]
    start = 0
    while start < len(rows):
        shortest = int(ordered[start])
        longest = shortest + shortest // 8
        if shortest <= width:
            longest = min(longest, width)  # what is solved small is not padded over the border
        side = max(longest, min(longest, width), breadth)
        room = max(1, _STACKED // (longest * side))
        stop = min(int(np.searchsorted(ordered, longest, side="right")), start + room)
        yield _stack(histories, rows[start:stop], int(ordered[stop - 1]), alpha)
        start = stop


def _stack(histories: Histories, rows: NDArray[np.int64], longest: int, alpha: float) -> _Stack:
    place = np.arange(longest)
    inside = place < (histories.indptr[rows + 1] - histories.indptr[rows])[:, None]
    entry = np.where(inside, histories.indptr[rows][:, None] + place, 0)
    confidence = np.where(inside, np.float32(alpha) * histories.weight[entry], np.float32(0))
    return _Stack(
        rows=rows,
        past=np.where(inside, histories.product[entry], 0),
        confidence=confidence,
        extra=np.where(inside, confidence - 1, np.float32(0)),
    )
