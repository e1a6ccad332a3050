"""Implicit alternating least squares: vectors of customers and products."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from oferta.errors import ArtefactInvalid
from oferta.interactions.histories import Histories
from oferta.models.data import DataShape, TrainingData
from oferta.models.protocol import Arrays, Cost, Embeddings
from oferta.models.stored import take_array
from oferta.progress import Progress
from oferta.scoring.fold_in import FoldIn
from oferta.scoring.live import EmbeddingScorer
from oferta.scoring.reasons import Reason
from oferta.settings import Settings


class Als(Settings):
    """Weighted matrix factorisation (Hu, Koren, Volinsky 2008), by implicit's solver.

    Confidence `alpha * weight` in what a customer has, 1 in what they have not; constant
    regulariser. Cost: interactions times factors, a pass.
    """

    factors: int = Field(default=64, ge=1, le=1024)
    """Length of the vectors."""

    alpha: float = Field(default=3.0, gt=0)
    """Confidence that one unit of weight gives."""

    regularization: float = Field(default=20.0, gt=0)
    """Penalty on the vectors' squares; grows with how often the usual product is chosen."""

    iterations: int = Field(default=15, ge=1)
    """Passes over customers and products."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "regularization": (20.0, 5.0, 1.0, 50.0, 0.1),
        "alpha": (3.0, 10.0, 1.5, 30.0),
        "factors": (64, 32, 128),
    }

    def cost(self, shape: DataShape) -> Cost:
        """What fitting on data of this shape will take."""
        rows, d = shape.customers + shape.products, float(self.factors)
        step = shape.interactions * d * 2e-9 + rows * d * d * 3e-10
        solve = shape.customers * (d**3 * 4e-11) + shape.interactions * d * d * 5e-11
        memory = 8 * rows * d + 24 * shape.interactions
        return Cost(0.05 + self.iterations * step + solve, int(memory))

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> "FittedAls":
        """Learn from `data`. The same data and generator state give the same arrays."""
        from implicit.cpu.als import (  # noqa: PLC0415 - half a second that listing models must not pay
            AlternatingLeastSquares,
        )

        matrix = csr_matrix(data.matrix)
        # implicit runs its own threads; with BLAS threads inside them it is ten times slower, and
        # it warns of them when made.
        with threadpool_limits(1, "blas"), progress.task("als", total=self.iterations) as advance:
            model = AlternatingLeastSquares(
                factors=self.factors,
                alpha=self.alpha,
                regularization=self.regularization,
                iterations=self.iterations,
                random_state=rng,
            )
            model.fit(matrix, show_progress=False, callback=lambda *_: advance(1))
            # The last half-step moved the products. Solving the customers once more, exactly,
            # makes a stored vector the same as one folded in from the same past.
            customers = model.recalculate_user(np.arange(matrix.shape[0]), matrix)
        return _fitted(self, customers, np.asarray(model.item_factors), _cold(data, customers))

    def restore(self, arrays: Arrays) -> "FittedAls":
        """The fitted model whose `arrays()` these are.

        Raises:
            ArtefactInvalid: an array is missing, or of another shape or dtype.
        """
        customers = take_array(arrays, "customers", np.float32, 2)
        products = take_array(arrays, "products", np.float32, 2)
        cold = take_array(arrays, "cold", np.float32, 2)
        if not customers.shape[1] == products.shape[1] == cold.shape[1] == self.factors:
            raise ArtefactInvalid("model arrays", f"vectors are not {self.factors} long")
        return _fitted(self, customers, products, cold)


@dataclass(frozen=True, slots=True, eq=False)
class FittedAls:
    """Vectors.

    Attributes:
        customers: `(customers, d) float32`, of the training data's rows.
        scorer: the products' vectors, those of customers without a past, and the fold-in.
    """

    customers: NDArray[np.float32]
    scorer: EmbeddingScorer
    reason: Reason = "similar_taste"

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`: stored vectors for known customers, else folded in."""
        return np.asarray(self.vectors(histories) @ self.scorer.products.T)

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, d) float32`."""
        stored = (histories.known >= 0) & (np.diff(histories.indptr) > 0)
        vectors = np.empty((len(histories), self.customers.shape[1]), np.float32)
        vectors[stored] = self.customers[histories.known[stored]]
        if not stored.all():
            others = np.flatnonzero(~stored)
            vectors[others] = self.scorer.vectors(histories.take(others))
        return vectors

    def live_scorer(self) -> EmbeddingScorer:
        """The products' vectors and the fold-in."""
        return self.scorer

    def embeddings(self) -> Embeddings | None:
        """The vectors of customers and products."""
        return Embeddings(self.customers, self.scorer.products)

    def arrays(self) -> Arrays:
        """`customers`, `products`, `cold`."""
        return {
            "customers": self.customers,
            "products": self.scorer.products,
            "cold": self.scorer.cold,
        }


def _fitted(
    recipe: Als,
    customers: NDArray[np.float32],
    products: NDArray[np.float32],
    cold: NDArray[np.float32],
) -> FittedAls:
    exact = products.astype(np.float64)
    gram = exact.T @ exact + recipe.regularization * np.eye(products.shape[1])
    fold_in = FoldIn(precision=gram.astype(np.float32), alpha=recipe.alpha)
    return FittedAls(customers, EmbeddingScorer(products, cold, fold_in))


def _cold(data: TrainingData, customers: NDArray[np.float32]) -> NDArray[np.float32]:
    # Customers without a past score as the mean customer of their segment.
    past = data.histories
    buyers = np.flatnonzero(np.diff(past.indptr) > 0)
    rows = np.zeros((len(data.segments) + 1, customers.shape[1]), np.float64)
    if len(buyers):
        overall = customers[buyers].mean(axis=0, dtype=np.float64)
        segment = past.segment[buyers]
        np.add.at(rows, segment[segment >= 0], customers[buyers[segment >= 0]])
        size = np.bincount(segment[segment >= 0], minlength=len(rows))[:, None]
        rows = (rows + _SMOOTHING * overall) / (size + _SMOOTHING)
    return rows.astype(np.float32)


_SMOOTHING = 50.0  # customers of overall taste that each segment's mean starts with
