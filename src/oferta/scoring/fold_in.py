"""From a history to a customer vector, for thousands of customers at once.

The systems of customers with pasts of about the same length are stacked and solved together. A past
shorter than the vectors is solved in its own length: with `P` the customer's precision and `Y` the
past's product vectors, `(P + Y^T E Y)^-1 Y^T = P^-1 Y^T (I + E Y P^-1 Y^T)^-1`, whatever the sign
of `E`. Two customers' precisions differ by a multiple of the identity, so the same eigenvectors
invert them all.
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

    For a customer with `n` entries `i` of weight `w_i` and product vectors `y_i`, the vector solves
    `(precision + n ridge I + sum e_i y_i y_i^T) x = sum c_i y_i` with confidences
    `c_i = alpha * w_i` and `e_i = c_i - implied`. That is the customer's half-step of implicit ALS:
    with `implied` 1 and `ridge` 0 that of Hu, Koren, Volinsky 2008; with `implied` 0 that of Rendle
    et al. 2021 (Revisiting the Performance of iALS), whose regulariser grows with the past.

    Attributes:
        precision: `(d, d) float32`, positive definite: the Gram matrix of the product vectors times
            the weight of what is not chosen, plus the regulariser of a customer without a past.
        alpha: the confidence that one unit of weight gives.
        implied: the part of a confidence that the Gram matrix already counts.
        ridge: what each entry of a past adds to the regulariser.
    """

    precision: NDArray[np.float32]
    alpha: float
    implied: float = 1.0
    ridge: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """Customers with pasts of up to `l` entries, padded: `(b,)`, `(b,)` and thrice `(b, l)`.

    Padding has confidence and extra 0, so it takes part in nothing.
    """

    rows: NDArray[np.int64]
    ridge: NDArray[np.float32]  # what their pasts add to the precision's diagonal
    past: NDArray[np.int32]
    confidence: NDArray[np.float32]
    extra: NDArray[np.float32]  # confidence minus what the Gram matrix already counts


@dataclass(frozen=True, slots=True, eq=False)
class Eigenspace:
    """The precision's eigenvectors as columns `(d, d)`, their values, and the products on them."""

    axes: NDArray[np.float32]
    values: NDArray[np.float64]
    products: NDArray[np.float32]

    def scale(self, stack: _Stack) -> NDArray[np.float32]:
        """`(b, 1, d)`: times this, the products are such that each customer's precision is one."""
        values = self.values + stack.ridge[:, None]
        return np.asarray(1 / np.sqrt(values)[:, None, :], np.float32)


def eigenspace(fold_in: FoldIn, products: NDArray[np.float32]) -> Eigenspace:
    """What folding in starts from: some tenths of a millisecond at 64 dimensions, and a product."""
    values, vectors = np.linalg.eigh(fold_in.precision.astype(np.float64))
    axes = vectors.astype(np.float32)
    return Eigenspace(axes, values, products @ axes)


@one_blas_thread()
def fold_in_vectors(
    fold_in: FoldIn,
    products: NDArray[np.float32],
    histories: Histories,
    *,
    into: NDArray[np.float32],
    space: Eigenspace | None = None,
) -> None:
    """Write the vectors of the customers who have a past into the rows of `into` `(n, d)`.

    `space`: what `eigenspace` made of the first two, for who folds in often.
    """
    width = products.shape[1]
    space = space or eigenspace(fold_in, products)
    for stack in _stacks(histories, fold_in, width, width):
        if stack.past.shape[1] <= width:
            scale = space.scale(stack)
            own = space.products[stack.past] * scale
            share = np.linalg.solve(_small(own, stack), stack.confidence[..., None])
            into[stack.rows] = (np.matmul(own.mT, share)[..., 0] * scale[:, 0]) @ space.axes.T
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
    *,
    space: Eigenspace | None = None,
) -> NDArray[np.int32]:
    """`(n, k) int32`: for each listed product the one of the past whose term is the largest.

    Terms are `c_i y_j^T A^-1 y_i`. -1 where none is positive, or the list has -1. `space` as for
    `fold_in_vectors`.
    """
    named = np.full(listed.shape, -1, np.int32)
    width = products.shape[1]
    space = space or eigenspace(fold_in, products)
    for stack in _stacks(histories, fold_in, width, max(width, listed.shape[1])):
        wanted = listed[stack.rows]
        rows = np.maximum(wanted, 0)
        if stack.past.shape[1] <= width:
            scale = space.scale(stack)
            own = space.products[stack.past] * scale
            towards = np.matmul(own, (space.products[rows] * scale).mT)
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


def _small(own: NDArray[np.float32], stack: _Stack) -> NDArray[np.float32]:
    system = stack.extra[..., None] * np.matmul(own, own.mT)
    diagonal = np.arange(system.shape[1])
    system[:, diagonal, diagonal] += 1
    return np.asarray(system)


def _large(fold_in: FoldIn, own: NDArray[np.float32], stack: _Stack) -> NDArray[np.float32]:
    system = fold_in.precision + np.matmul(own.mT * stack.extra[:, None, :], own)
    diagonal = np.arange(system.shape[1])
    system[:, diagonal, diagonal] += stack.ridge[:, None]
    return np.asarray(system)


def _stacks(histories: Histories, fold_in: FoldIn, width: int, breadth: int) -> Iterator[_Stack]:
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
        yield _stack(histories, rows[start:stop], int(ordered[stop - 1]), fold_in)
        start = stop


def _stack(histories: Histories, rows: NDArray[np.int64], longest: int, fold_in: FoldIn) -> _Stack:
    place = np.arange(longest)
    length = histories.indptr[rows + 1] - histories.indptr[rows]
    inside = place < length[:, None]
    entry = np.where(inside, histories.indptr[rows][:, None] + place, 0)
    confidence = np.where(
        inside, np.float32(fold_in.alpha) * histories.weight[entry], np.float32(0)
    )
    return _Stack(
        rows=rows,
        ridge=(fold_in.ridge * length).astype(np.float32),
        past=np.where(inside, histories.product[entry], 0),
        confidence=confidence,
        extra=np.where(inside, confidence - np.float32(fold_in.implied), np.float32(0)),
    )
