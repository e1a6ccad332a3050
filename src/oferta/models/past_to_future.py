"""A linear map from what customers had to what they chose next. Strong where order is known."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from oferta.models.data import DataShape, TrainingData
from oferta.models.gram import gram_matrix, inverse_of, solving_bytes, solving_seconds
from oferta.models.item_to_item import FittedItemToItem, Weights, restore_weights, tie_breaker
from oferta.models.memory import require_memory
from oferta.models.popularity import shares
from oferta.models.protocol import Arrays, Cost
from oferta.models.steps import Steps
from oferta.progress import Progress
from oferta.settings import Settings

_ROWS = 1024
_FAINT = 0.02  # decayed to less than this, a step has nothing to say
_DENSE_FROM = 0.02  # density of a block from which a BLAS product beats the sparse one


class PastToFuture(Settings):
    """Ridge regression of the decayed future on the decayed past, at each step of each customer.

    With rows `x` of the past and `y` of the future, one per step that has a past, the weights are
    `(X'X + l2 I + dropout / (1 - dropout) diag(X'X))^-1 (X'Y + backward Y'X)`. Unlike counts of
    what follows what, they do not credit a product with what its companions explain. Where the data
    has no order this is EASE: the past foretells itself, the diagonal forbidden.

    Cost: cube of the products in time, some 12 bytes times their square in memory.
    """

    strength: float = Field(default=4.0, gt=0)
    """Regulariser, in mean squared occasions of a product."""

    dropout: float = Field(default=0.5, ge=0, lt=1)
    """The share of each past that is hidden while the rest must foretell the future."""

    backward: float = Field(default=0.3, ge=0, le=1)
    """What a pair counts for in reverse: whoever buys the later product may like the earlier."""

    past_decay: float = Field(default=0.5, gt=0, le=0.95)
    """What one more step back multiplies a product of the past by, in the fit."""

    future_decay: float = Field(default=0.6, gt=0, le=0.95)
    """What one more step ahead multiplies a product of the future by."""

    recency_decay: float = Field(default=0.7, gt=0, le=1)
    """What one step back in the customer's past multiplies a product's say by."""

    activity_power: float = Field(default=0.5, ge=0, le=1)
    """A step of a customer with `n` steps counts as `n ** -activity_power`."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "strength": (4.0, 2.0, 8.0, 1.0),
        "recency_decay": (0.7, 0.85, 0.5, 1.0),
        "future_decay": (0.6, 0.8, 0.3),
        "past_decay": (0.5, 0.7, 0.85),
        "backward": (0.3, 0.0, 0.6),
        "activity_power": (0.5, 0.25, 0.0),
    }

    def cost(self, shape: DataShape) -> Cost:
        """What fitting on data of this shape will take."""
        steps = np.log(_FAINT) / np.log([self.past_decay, self.future_decay]) + 2
        entries = 40.0 * shape.events * float(steps.sum())
        mapped = 1e-11 * float(shape.products) ** 3
        return Cost(
            0.1 + solving_seconds(shape) + mapped + 2e-7 * shape.events * float(steps.prod()),
            solving_bytes(shape.products) + int(entries),
        )

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedItemToItem:
        """Learn from `data`. Nothing is drawn at random.

        Raises:
            ModelTooLarge: the products' square would not fit into memory.
        """
        del rng
        n_products = len(data.products)
        require_memory(
            f"past_to_future on {n_products:,} products",
            self.cost(data.shape).bytes,
            remedy="Use transitions, whose memory grows with the products, not with their square.",
        )
        with progress.task("past_to_future", total=3) as advance:
            past, future = self._rows(data, n_products)
            advance(1)
            gram = gram_matrix(past)
            diagonal = gram.diagonal().copy()
            usual = float(diagonal[diagonal > 0].mean()) if diagonal.any() else 1.0
            hidden = self.dropout / (1 - self.dropout)
            penalty = self.strength * usual + hidden * diagonal
            gram.flat[:: n_products + 1] += penalty.astype(gram.dtype)
            inverse = inverse_of(gram, model="past_to_future")
            del gram
            advance(1)
            weights = _map(inverse, past, future, backward=self.backward)
            if not data.ordered:
                own = weights.diagonal() / inverse.diagonal()
                for start in range(0, n_products, _ROWS):
                    weights[start : start + _ROWS] -= inverse[start : start + _ROWS] * own
                np.fill_diagonal(weights, 0)
            advance(1)
        return self._fitted(weights, tie_breaker(shares(data)))

    def _rows(self, data: TrainingData, n_products: int) -> tuple[csr_array, csr_array]:
        # One row per step that has a past; without an order one per customer.
        if data.ordered:
            steps = Steps.of(data.events, n_products)
            past, future = _past(steps, self.past_decay), _future(steps, self.future_decay)
        else:
            steps = Steps.together(data.matrix)
            past = future = steps.met
        told = np.diff(past.indptr) > 0
        size = np.bincount(steps.owner)[steps.owner] if data.ordered else np.diff(past.indptr)
        weight = np.where(told, np.maximum(size, 1).astype(np.float64) ** -self.activity_power, 0)
        weight *= max(int(told.sum()), 1) / max(float(weight.sum()), 1e-12)
        root = np.sqrt(weight).astype(np.float32)
        return _scaled(past, root), _scaled(future, root)

    def restore(self, arrays: Arrays) -> FittedItemToItem:
        """The fitted model whose `arrays()` these are.

        Raises:
            ArtefactInvalid: an array is missing, or of another shape or dtype.
        """
        return self._fitted(*restore_weights(arrays))

    def _fitted(self, weights: Weights, base: NDArray[np.float32]) -> FittedItemToItem:
        return FittedItemToItem(
            weights=weights,
            base=base,
            step_decay=self.recency_decay,
            binary=True,
            reason="often_follows",
        )


def _past(steps: Steps, decay: float) -> csr_array:
    # As histories have it: of a product met several times, only the last counts.
    total, weight, back = steps.shifted(-1), decay, 2
    while weight > _FAINT:
        earlier = steps.shifted(-back)
        if not earlier.nnz:
            break
        total = csr_array(total.maximum(earlier * np.float32(weight)))
        weight, back = weight * decay, back + 1
    return total


def _future(steps: Steps, decay: float) -> csr_array:
    total, weight, ahead = steps.met, decay, 1
    while weight > _FAINT:
        later = steps.shifted(ahead)
        if not later.nnz:
            break
        total = csr_array(total + later * np.float32(weight))
        weight, ahead = weight * decay, ahead + 1
    return total


def _scaled(rows: csr_array, by: NDArray[np.float32]) -> csr_array:
    data = rows.data * np.repeat(by, np.diff(rows.indptr))
    return csr_array((data, rows.indices, rows.indptr), shape=rows.shape)


def _map(
    inverse: NDArray[np.float32], past: csr_array, future: csr_array, *, backward: float
) -> NDArray[np.float32]:
    # `inverse @ (past' future + backward future' past)`, a block of columns at a time. The inverse
    # is symmetric, so each block is made transposed, with the sparse factor on the left.
    products = len(inverse)
    past_columns, future_columns = past.T.tocsr(), future.T.tocsr()
    weights = np.empty((products, products), np.float32)
    for start in range(0, products, _ROWS):
        block = slice(start, start + _ROWS)
        pairs = future_columns[block] @ past + (past_columns[block] @ future) * np.float32(backward)
        dense = pairs.nnz > _DENSE_FROM * pairs.shape[0] * products
        weights[:, block] = ((pairs.toarray() if dense else pairs) @ inverse).T
    return weights
