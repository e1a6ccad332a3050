"""Implicit alternating least squares: vectors of customers and products."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from pydantic import Field
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from oferta.models.data import DataShape, TrainingData
from oferta.models.protocol import Arrays, Cost
from oferta.models.vectors import FittedVectors, length_of, restore_vectors, vectors_of
from oferta.progress import Progress
from oferta.scoring.fold_in import FoldIn
from oferta.settings import Settings


class Als(Settings):
    """Weighted matrix factorisation (Hu, Koren, Volinsky 2008), by implicit's solver.

    Confidence `alpha * weight` in what a customer has, 1 in what they have not; constant
    regulariser. Cost: interactions times factors, a pass.
    """

    factors: int = Field(default=64, ge=1, le=1024)
    """Length of the vectors; half the number of products where that is less."""

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
        rows, d = shape.customers + shape.products, float(length_of(self.factors, shape.products))
        step = shape.interactions * d * 2e-9 + rows * d * d * 3e-10
        solve = shape.customers * (d**3 * 4e-11) + shape.interactions * d * d * 5e-11
        memory = 8 * rows * d + 24 * shape.interactions
        return Cost(0.05 + self.iterations * step + solve, int(memory))

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedVectors:
        """Learn from `data`. The same data and generator state give the same arrays."""
        from implicit.cpu.als import (  # noqa: PLC0415 - half a second that listing models must not pay
            AlternatingLeastSquares,
        )

        matrix = csr_matrix(data.matrix)
        # implicit runs its own threads; with BLAS threads inside them it is ten times slower, and
        # it warns of them when made.
        with threadpool_limits(1, "blas"), progress.task("als", total=self.iterations) as advance:
            model = AlternatingLeastSquares(
                factors=length_of(self.factors, len(data.products)),
                alpha=self.alpha,
                regularization=self.regularization,
                iterations=self.iterations,
                random_state=rng,
            )
            model.fit(matrix, show_progress=False, callback=lambda *_: advance(1))
            # The last half-step moved the products. Solving the customers once more, exactly,
            # makes a stored vector the same as one folded in from the same past.
            customers = model.recalculate_user(np.arange(matrix.shape[0]), matrix)
        products = np.asarray(model.item_factors)
        exact = products.astype(np.float64)
        gram = exact.T @ exact + self.regularization * np.eye(products.shape[1])
        fold_in = FoldIn(precision=gram.astype(np.float32), alpha=self.alpha)
        return vectors_of(data, products=products, fold_in=fold_in, customers=customers)

    def restore(self, arrays: Arrays) -> FittedVectors:
        """The fitted model whose `arrays()` these are.

        Raises:
            ArtefactInvalid: an array is missing, or of another shape or dtype.
        """
        return restore_vectors(arrays)
