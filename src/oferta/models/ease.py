"""EASE: the linear item-to-item model with a closed form. Strong on almost everything."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.sparse import csr_array

from oferta.models.data import DataShape, TrainingData
from oferta.models.item_to_item import FittedItemToItem, restore_weights, tie_breaker
from oferta.models.memory import require_memory
from oferta.models.popularity import shares
from oferta.models.protocol import Arrays, Cost
from oferta.progress import Progress
from oferta.settings import Settings

_ROWS = 1024
_DENSE_PAIR = 50  # what one pair of a sparse product costs, in cells of a dense one


class Ease(Settings):
    """Least squares of every product on all others, diagonal forbidden (Steck 2019).

    With `G = X'X + l2 I` and `P` its inverse, the weights are `-P[i, j] / P[j, j]`, 0 on the
    diagonal. Cost: cube of the products in time, 12 bytes times their square in memory.
    """

    l2: float = Field(default=500.0, gt=0)
    """Regulariser, in customers: about how many must share two products before it says much."""

    weights: Literal["binary", "as_given"] = "binary"
    """Whether any past weight counts as one, in the fit and in the scoring."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "l2": (500.0, 200.0, 1000.0, 100.0, 2000.0, 50.0, 20.0, 5000.0),
    }

    def cost(self, shape: DataShape) -> Cost:
        """What fitting on data of this shape will take."""
        products = float(shape.products)
        per_customer = shape.interactions / max(shape.customers, 1)
        gram = min(shape.interactions * per_customer * 1e-8, shape.customers * products**2 * 2e-11)
        return Cost(0.05 + gram + 3e-11 * products**3, int(13 * products**2))

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedItemToItem:
        """Learn from `data`. Nothing is drawn at random.

        Raises:
            ModelTooLarge: the products' square would not fit into memory.
        """
        del rng
        require_memory(
            f"ease on {len(data.products):,} products",
            self.cost(data.shape).bytes,
            remedy="Use als, whose memory grows with the products and not with their square.",
        )
        matrix = data.matrix
        if self.weights == "binary":
            matrix = csr_array(
                (np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape
            )
        with progress.task("ease", total=3) as advance:
            gram = _gram(matrix)
            gram.flat[:: gram.shape[0] + 1] += self.l2
            advance(1)
            inverse = _inverse(gram)
            advance(1)
            fitted = _weights(inverse)
            advance(1)
        return self._fitted(fitted, tie_breaker(shares(data)))

    def restore(self, arrays: Arrays) -> FittedItemToItem:
        """The fitted model whose `arrays()` these are.

        Raises:
            ArtefactInvalid: an array is missing, or of another shape or dtype.
        """
        return self._fitted(*restore_weights(arrays))

    def _fitted(self, weights: Any, base: NDArray[np.float32]) -> FittedItemToItem:  # noqa: ANN401
        return FittedItemToItem(
            weights=weights,
            base=base,
            step_decay=1.0,
            binary=self.weights == "binary",
            reason="bought_together",
        )


def _gram(matrix: csr_array) -> NDArray[np.float64]:
    # Dense, in Fortran order for LAPACK, filled by blocks: a sparse product of the whole would
    # take more memory than its dense result.
    customers, products = matrix.shape
    gram = np.zeros((products, products), order="F")
    pairs = float((np.diff(matrix.indptr).astype(np.float64) ** 2).sum())
    if pairs * _DENSE_PAIR > customers * float(products) ** 2:
        rows = max(_ROWS, 32_000_000 // max(products, 1))
        for start in range(0, customers, rows):
            block = matrix[start : start + rows].toarray().astype(np.float64)
            gram += block.T @ block
        return gram
    columns = matrix.T.tocsr()
    for start in range(0, products, _ROWS):
        # The Gram matrix is symmetric, so a block of rows is written as a block of columns.
        gram[:, start : start + _ROWS] = (columns[start : start + _ROWS] @ matrix).toarray().T
    return gram


def _inverse(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    # In place, upper triangle only: half the memory of a general inverse.
    factor, failed = dpotrf(gram, lower=0, clean=0, overwrite_a=1)
    if failed:
        raise AssertionError  # a Gram matrix plus a positive diagonal is positive definite
    inverse, _ = dpotri(factor, lower=0, overwrite_c=1)
    return np.asarray(inverse)


def _weights(upper: NDArray[np.float64]) -> NDArray[np.float32]:
    # `upper` holds the inverse's upper triangle; below it is whatever LAPACK left.
    products = len(upper)
    diagonal = upper.diagonal().copy()
    weights = np.empty((products, products), np.float32)
    for start in range(0, products, _ROWS):
        stop = min(start + _ROWS, products)
        weights[start:stop, start:] = upper[start:stop, start:]
        weights[start:, start:stop] = upper[start:stop, start:].T
        corner = np.triu(upper[start:stop, start:stop])
        weights[start:stop, start:stop] = corner + np.triu(corner, 1).T
    weights /= -diagonal.astype(np.float32)
    np.fill_diagonal(weights, 0)
    return weights
