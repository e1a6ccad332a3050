"""Live scorers: what is left of a model when only arrays may travel.

Every fitted model exports one of the two. Batch scoring uses the model; serving uses these to
answer after new events, without a refit and without the model's library. Both take any number of
customers at once and work through them in pieces, so memory is that of their answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.histories import Histories
from oferta.scoring.fold_in import FoldIn, because_vectors, fold_in_vectors

_EXPANDED = 1 << 21  # entries times neighbours at once: some 50 MB of temporaries
_GATHERED = 1 << 19  # entries times listed products at once


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingScorer:
    """Score = inner product of a customer's and a product's vector.

    Attributes:
        products: `(products, d) float32`; a bias is one more dimension against a constant.
        cold: `(segments + 1, d) float32`, vectors of customers without a history, by segment; the
            last row is for an unknown segment.
        fold_in: how a history becomes a vector; None where histories do not matter.
        attributes: `(features, d) float32`, what each customer feature adds to `cold`; None where
            features do not matter.
    """

    products: NDArray[np.float32]
    cold: NDArray[np.float32]
    fold_in: FoldIn | None
    attributes: NDArray[np.float32] | None = None

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, d) float32`: the customers' vectors, folded in from their histories."""
        vectors = self.cold[segment_rows(histories, len(self.cold))]
        add_attributes(self.attributes, histories, into=vectors)
        if self.fold_in is not None:
            fold_in_vectors(self.fold_in, self.products, histories, into=vectors)
        return vectors

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`."""
        return np.asarray(self.vectors(histories) @ self.products.T)

    def because(self, histories: Histories, products: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(customers, k) int32`: for each listed product the one of the past that weighed most.

        The score is a sum over the past, `sum_i c_i y_j^T A^-1 y_i` (Hu et al. 2008, section 5);
        the largest positive term is named, -1 where there is none. A product never explains itself.
        """
        if self.fold_in is None:
            return np.full(products.shape, -1, np.int32)
        return because_vectors(self.fold_in, self.products, histories, products)


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourScorer:
    """Score = base of the customer's segment + past times product-to-product weights.

    Attributes:
        indptr, neighbour, weight: the rows of a sparse `(products, products)` matrix, sorted: what
            having product `i` says for product `j`. About 200 a row.
        base: `(segments + 1, products) float32`, for every customer by segment; the last row is
            for an unknown segment.
        step_decay: what one step back in the past is multiplied by; 1.0: order does not matter.
        binary: whether any past weight counts as one.
        attributes: `(features, products) float32`, what each customer feature adds to the base of
            customers without a past; None where features do not matter.
    """

    indptr: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    weight: NDArray[np.float32]
    base: NDArray[np.float32]
    step_decay: float
    binary: bool
    attributes: NDArray[np.float32] | None = None

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`."""
        scores = self.base[segment_rows(histories, len(self.base))]
        add_attributes(self.attributes, histories, into=scores)
        width = self.base.shape[1]
        lengths = np.diff(self.indptr)[histories.product]
        for start, stop in _pieces(histories, np.cumsum(lengths), _EXPANDED):
            part = histories.slice(start, stop)
            size = np.diff(self.indptr)[part.product]
            ends = np.cumsum(size)
            at = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - size, size)
            at += np.repeat(self.indptr[part.product], size)
            cell = np.repeat(part.owners() * width, size) + self.neighbour[at]
            said = np.repeat(self._past_weights(part), size) * self.weight[at]
            sums = np.bincount(cell, said, (stop - start) * width)
            scores[start:stop] += sums.reshape(-1, width).astype(np.float32)
        return scores

    def because(self, histories: Histories, products: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(customers, k) int32`: for each listed product the one of the past that weighed most.

        -1 where no product of the past has it among its neighbours with a positive weight. A
        product never explains itself.
        """
        named = np.full(products.shape, -1, np.int32)
        if not len(self.neighbour) or not products.shape[1]:
            return named
        cells = self._cells()
        entries = np.arange(1, len(histories.product) + 1) * products.shape[1]
        for start, stop in _pieces(histories, entries, _GATHERED):
            part = histories.slice(start, stop)
            listed = products[start:stop][part.owners()]
            terms = self._weights_at(cells, part.product[:, None], listed)
            terms *= self._past_weights(part)[:, None]
            terms[listed == part.product[:, None]] = 0
            named[start:stop] = largest_terms(part, terms)
        return named

    def _past_weights(self, histories: Histories) -> NDArray[np.float32]:
        return past_weights(histories, step_decay=self.step_decay, binary=self.binary)

    def _cells(self) -> NDArray[np.int64]:
        # Ascending positions of the stored weights in the dense matrix.
        width = self.base.shape[1]
        row = np.repeat(np.arange(width, dtype=np.int64), np.diff(self.indptr))
        return np.asarray(row * width + self.neighbour, np.int64)

    def _weights_at(
        self, cells: NDArray[np.int64], row: NDArray[np.int32], column: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        asked = row.astype(np.int64) * self.base.shape[1] + np.maximum(column, 0)
        at = np.minimum(np.searchsorted(cells, asked), len(cells) - 1)
        return np.where((cells[at] == asked) & (column >= 0), self.weight[at], np.float32(0))


LiveScorer: TypeAlias = EmbeddingScorer | NeighbourScorer


def segment_rows(histories: Histories, n_rows: int) -> NDArray[np.int64]:
    """`(customers,)`: each customer's row in a table by segment whose last row is for unknown."""
    segment = histories.segment
    known = (segment >= 0) & (segment < n_rows - 1)
    return np.where(known, segment, n_rows - 1).astype(np.int64)


def add_attributes(
    attributes: NDArray[np.float32] | None, histories: Histories, *, into: NDArray[np.float32]
) -> None:
    """Add the rows of `attributes` for the features of customers without a past to `into`.

    Features that are not known, or not in the vocabulary of `attributes`, add nothing.
    """
    codes = histories.features
    if attributes is None or codes is None:
        return
    rows = np.flatnonzero(np.diff(histories.indptr) == 0)
    for column in codes[rows].T:
        known = (column >= 0) & (column < len(attributes))
        into[rows[known]] += attributes[column[known]]


def known_by_attributes(scorer: LiveScorer, histories: Histories) -> NDArray[np.bool_]:
    """`(customers,)`: who has no past, and a feature that `scorer` has learned something of."""
    codes, attributes = histories.features, scorer.attributes
    if attributes is None or codes is None:
        return np.zeros(len(histories), np.bool_)
    told = ((codes >= 0) & (codes < len(attributes))).any(axis=1)
    return np.asarray(told & (np.diff(histories.indptr) == 0))


def past_weights(histories: Histories, *, step_decay: float, binary: bool) -> NDArray[np.float32]:
    """`(entries,) float32`: what each entry counts for: weight times `step_decay ** recency`."""
    weight = np.ones_like(histories.weight) if binary else histories.weight
    if step_decay == 1.0:
        return weight
    return np.asarray(weight * np.power(np.float32(step_decay), histories.recency), np.float32)


def _pieces(
    histories: Histories, cost: NDArray[np.integer], limit: int
) -> Iterator[tuple[int, int]]:
    # Ranges of customers whose entries' costs, given as running sums, stay near `limit`.
    until = np.concatenate([np.zeros(1, np.int64), cost])[histories.indptr]
    start = 0
    while start < len(histories):
        stop = int(np.searchsorted(until, until[start] + limit, side="right")) - 1
        stop = min(max(stop, start + 1), start + 65_536)
        yield start, stop
        start = stop


def largest_terms(histories: Histories, terms: NDArray[np.float32]) -> NDArray[np.int32]:
    """`(customers, k) int32`: of `terms`, `(entries, k)`, the product of the first largest.

    Per customer and column; -1 where none is positive.
    """
    named = np.full((len(histories), terms.shape[1]), -1, np.int32)
    with_past = np.flatnonzero(np.diff(histories.indptr))
    if not len(with_past):
        return named
    starts = histories.indptr[with_past]
    best = np.maximum.reduceat(terms, starts, axis=0)
    counts = np.diff(np.append(starts, len(terms)))
    entry = np.arange(len(terms), dtype=np.int32)[:, None]
    at = np.where(terms == np.repeat(best, counts, axis=0), entry, np.int32(len(terms)))
    first = np.minimum.reduceat(at, starts, axis=0)
    named[with_past] = np.where(best > 0, histories.product[first], np.int32(-1))
    return named
