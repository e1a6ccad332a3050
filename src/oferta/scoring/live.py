"""Live scorers: what is left of a model when only arrays may travel.

Every fitted model exports one of the two. Batch scoring uses the model; serving uses these to
answer after new events, without a refit and without the model's library.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.histories import Histories


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class EmbeddingScorer:
    """Score = inner product of a customer's and a product's vector.

    Attributes:
        products: `(products, d) float32`; a bias is one more dimension against a constant.
        cold: `(segments + 1, d) float32`, vectors of customers without a history, by segment; the
            last row is for an unknown segment.
        fold_in: how a history becomes a vector; None where histories do not matter.
    """

    products: NDArray[np.float32]
    cold: NDArray[np.float32]
    fold_in: FoldIn | None

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, d) float32`: the customers' vectors, folded in from their histories."""
        vectors = self.cold[segment_rows(histories, len(self.cold))]
        if self.fold_in is not None:
            with_past = np.flatnonzero(np.diff(histories.indptr))
            for row in with_past:
                entries = slice(*histories.indptr[row : row + 2])
                own = self.products[histories.product[entries]]
                system, target = self._normal_equations(own, histories.weight[entries])
                vectors[row] = np.linalg.solve(system, target)
        return vectors

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`."""
        return self.vectors(histories) @ self.products.T

    def because(self, histories: Histories, products: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(customers, k) int32`: for each listed product the one of the past that weighed most.

        The score is a sum over the past, `sum_i c_i y_j^T A^-1 y_i` (Hu et al. 2008, section 5);
        the largest positive term is named, -1 where there is none.
        """
        named = np.full(products.shape, -1, np.int32)
        if self.fold_in is None:
            return named
        for row in np.flatnonzero(np.diff(histories.indptr)):
            entries = slice(*histories.indptr[row : row + 2])
            past, weight = histories.product[entries], histories.weight[entries]
            own = self.products[past]
            system, _ = self._normal_equations(own, weight)
            pull = np.linalg.solve(system, own.T * (self.fold_in.alpha * weight))
            terms = self.products[products[row]] @ pull
            named[row] = _largest(past, terms, products[row])
        return named

    def _normal_equations(
        self, own: NDArray[np.float32], weight: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self.fold_in is None:
            raise AssertionError  # both callers have looked
        confidence = self.fold_in.alpha * weight
        system = self.fold_in.precision + (own.T * (confidence - 1)) @ own
        return system, own.T @ confidence


@dataclass(frozen=True, slots=True)
class NeighbourScorer:
    """Score = base of the customer's segment + past times product-to-product weights.

    Attributes:
        indptr, neighbour, weight: the rows of a sparse `(products, products)` matrix: what having
            product `i` says for product `j`. About 200 a row.
        base: `(segments + 1, products) float32`, for every customer by segment; the last row is
            for an unknown segment.
        step_decay: what one step back in the past is multiplied by; 1.0: order does not matter.
        binary: whether any past weight counts as one.
    """

    indptr: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    weight: NDArray[np.float32]
    base: NDArray[np.float32]
    step_decay: float
    binary: bool

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`."""
        scores = self.base[segment_rows(histories, len(self.base))]
        owners, entry_weight = histories.owners(), self.past_weights(histories)
        for entry in range(len(histories.product)):
            row = slice(*self.indptr[histories.product[entry] : histories.product[entry] + 2])
            scores[owners[entry], self.neighbour[row]] += entry_weight[entry] * self.weight[row]
        return scores

    def past_weights(self, histories: Histories) -> NDArray[np.float32]:
        """`(entries,) float32`: what each entry of the past counts for."""
        return past_weights(histories, step_decay=self.step_decay, binary=self.binary)

    def because(self, histories: Histories, products: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(customers, k) int32`: for each listed product the one of the past that weighed most.

        -1 where no product of the past has it among its neighbours with a positive weight.
        """
        named = np.full(products.shape, -1, np.int32)
        entry_weight = self.past_weights(histories)
        for row in np.flatnonzero(np.diff(histories.indptr)):
            entries = range(*histories.indptr[row : row + 2])
            past = histories.product[entries.start : entries.stop]
            terms = np.zeros((products.shape[1], len(past)), np.float32)
            for column, entry in enumerate(entries):
                own = slice(*self.indptr[histories.product[entry] : histories.product[entry] + 2])
                at = np.searchsorted(self.neighbour[own], products[row])
                at = np.minimum(at, max(own.stop - own.start - 1, 0))
                if own.stop > own.start:
                    hit = self.neighbour[own][at] == products[row]
                    terms[:, column] = np.where(hit, self.weight[own][at], 0) * entry_weight[entry]
            named[row] = _largest(past, terms, products[row])
        return named


LiveScorer: TypeAlias = EmbeddingScorer | NeighbourScorer


def segment_rows(histories: Histories, n_rows: int) -> NDArray[np.int64]:
    """`(customers,)`: each customer's row in a table by segment whose last row is for unknown."""
    segment = histories.segment.astype(np.int64)
    return np.where((segment >= 0) & (segment < n_rows - 1), segment, n_rows - 1)


def past_weights(histories: Histories, *, step_decay: float, binary: bool) -> NDArray[np.float32]:
    """`(entries,) float32`: what each entry counts for: weight times `step_decay ** recency`."""
    weight = np.ones_like(histories.weight) if binary else histories.weight
    if step_decay == 1.0:
        return weight
    return np.asarray(weight * np.power(np.float32(step_decay), histories.recency), np.float32)


def _largest(
    past: NDArray[np.int32], terms: NDArray[np.float32], products: NDArray[np.int32]
) -> NDArray[np.int32]:
    # A product never explains itself: "because you bought coffee" is no reason for coffee.
    terms = np.where(past[None, :] == products[:, None], 0, terms)
    best = terms.argmax(axis=1)
    found = (terms[np.arange(len(best)), best] > 0) & (products >= 0)
    return np.where(found, past[best], -1).astype(np.int32)
