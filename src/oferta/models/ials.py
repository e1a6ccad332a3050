"""Implicit ALS whose regulariser grows with how much is known of a customer or a product."""

import os
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from pydantic import Field, PydanticDeprecatedSince20
from scipy.sparse import csr_matrix

from oferta.models.data import DataShape, TrainingData
from oferta.models.protocol import Arrays, Cost
from oferta.models.vectors import FittedVectors, length_of, restore_vectors, vectors_of
from oferta.progress import Progress
from oferta.scoring.fold_in import FoldIn
from oferta.settings import Settings


class Ials(Settings):
    """Weighted matrix factorisation with frequency-scaled regularisation, by irspack's solver.

    The loss is that of Rendle, Krichene, Zhang, Koren (Revisiting the Performance of iALS on Item
    Recommendation Benchmarks, 2021), with `nu` 1: for scores `s` and vectors `x` and `y`,
    `sum_chosen w (s - 1)^2 + a sum_all s^2 + l (sum_u (n_u + a I) |x_u|^2 + sum_i (m_i + a U)
    |y_i|^2)`, where `n_u` products were chosen by a customer and `m_i` customers chose a product,
    of `U` and `I` with any choice. Weights `w` are by their mean. The paper's `a` and `l` differ
    with the data by two orders of magnitude; the settings, which give them (`_terms`), do not.

    Cost: interactions times factors, an epoch.
    """

    factors: int = Field(default=64, ge=1, le=1024)
    """Length of the vectors; half the number of products where that is less."""

    unobserved: float = Field(default=10.0, gt=0)
    """The weight of all that was not chosen, by the weight of all that was."""

    regularization: float = Field(default=0.5, gt=0, lt=1.5)
    """Penalty on the vectors' squares, by what chance alone would need; from 1 on little is left
    but popularity."""

    epochs: int = Field(default=16, ge=1)
    """Passes over customers and products."""

    threads: int = Field(default=1, ge=1)
    """Threads of the solver. With more than one, sums are taken in any order, and the same seed
    gives the same model only to six digits."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "regularization": (0.5, 0.4, 0.6, 0.3, 0.75, 0.9, 0.2),
        "unobserved": (10.0, 30.0, 3.0, 100.0, 1.0),
        "factors": (64, 128, 192, 32),
    }

    def cost(self, shape: DataShape) -> Cost:
        """What fitting on data of this shape will take."""
        rows, d = shape.customers + shape.products, float(length_of(self.factors, shape.products))
        epoch = shape.interactions * d * 4e-9 + rows * d * d * 3e-10
        solve = shape.customers * (d**3 * 4e-11) + shape.interactions * d * d * 5e-11
        memory = 12 * rows * d + 60 * shape.interactions
        return Cost(0.1 + self.epochs * epoch + solve, int(memory))

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedVectors:
        """Learn from `data`. With one thread the same generator state gives the same model."""
        seed, size = int(rng.integers(2**31)), len(data.products)
        buyers = np.flatnonzero(np.diff(data.histories.indptr))
        chosen = np.unique(data.histories.product)
        products = np.zeros((size, length_of(self.factors, size)), np.float32)
        alpha = 1.0
        with progress.task("ials", total=self.epochs) as advance:
            if len(chosen):
                alpha = 1 / float(data.histories.weight.mean(dtype=np.float64))
                bought = csr_matrix(data.matrix)[buyers][:, chosen] * np.float32(alpha)
                unobserved, penalty = self._terms(len(buyers), len(chosen), bought.nnz)
                model = _library()(
                    bought,
                    n_components=products.shape[1],
                    alpha0=unobserved,
                    reg=penalty,
                    random_seed=seed,
                    n_threads=min(self.threads, os.cpu_count() or 1),
                )
                model.start_learning()
                for _ in range(self.epochs):
                    model.run_epoch()
                    advance(1)
                products[chosen] = model.get_item_embedding()
            else:
                unobserved, penalty = self._terms(1, 1, 1)
                advance(self.epochs)
        # The last half-step moved the products. Solving the customers once more makes a stored
        # vector the same as one folded in from the same past.
        ridge = penalty * unobserved * max(len(chosen), 1)
        exact = products.astype(np.float64)
        gram = unobserved * (exact.T @ exact) + ridge * np.eye(products.shape[1])
        fold_in = FoldIn(gram.astype(np.float32), alpha, implied=0.0, ridge=penalty)
        return vectors_of(data, products=products, fold_in=fold_in)

    def restore(self, arrays: Arrays) -> FittedVectors:
        """The fitted model whose `arrays()` these are.

        Raises:
            ArtefactInvalid: an array is missing, or of another shape or dtype.
        """
        return restore_vectors(arrays)

    def _terms(self, customers: int, products: int, interactions: int) -> tuple[float, float]:
        # The paper's weight of what was not chosen, and its regulariser. With the latter, vectors
        # keep those singular values of the matrix, divided by the roots of its rows' and columns'
        # sums, that exceed `(1 + unobserved) * penalty`; the largest is 1, and those of chance
        # reach about the sum of the roots below.
        noise = (customers / interactions) ** 0.5 + (products / interactions) ** 0.5
        penalty = self.regularization * noise / (1 + self.unobserved)
        return self.unobserved * interactions / (customers * products), penalty


def _library() -> type[Any]:
    with warnings.catch_warnings():
        # On import it warns of how it declares its own settings, which nobody here can change.
        warnings.filterwarnings("ignore", category=PydanticDeprecatedSince20)
        # It takes a second, which listing models must not pay.
        from irspack.recommenders.ials import IALSRecommender  # noqa: PLC0415
    kind: type[Any] = IALSRecommender
    return kind
