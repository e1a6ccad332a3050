"""LightFM: vectors of customers and products learned for the top of the list, features included."""

import os
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.sparse import coo_matrix, csr_matrix, hstack, identity

from oferta.errors import ExtraMissing, SettingsInvalid
from oferta.models.data import DataShape, TrainingData
from oferta.models.protocol import Arrays, Cost
from oferta.models.vectors import FittedVectors, restore_vectors, vectors_of
from oferta.progress import Progress
from oferta.scoring.fold_in import FoldIn
from oferta.settings import Settings

_ALPHA = 3.0
_RIDGE = 30.0  # times the mean eigenvalue of the products' Gram matrix; see `_fold_in`


class Hybrid(Settings):
    """Factorisation with the WARP loss (Weston et al. 2011; Kula 2015), by LightFM's learner.

    Any positive weight counts as one. A product's vector is its own plus those of its features; a
    feature column weighs as much as its values, so they belong near 0 to 1.

    A customer with other events than the model saw, or a new one, is folded in by a ridge
    regression on the products' vectors: an approximation of WARP, whose own vector takes epochs.
    The order of a folded-in customer's products is meant, not the size of the scores.

    Needs the extra `hybrid`. Cost: interactions times factors, an epoch.
    """

    factors: int = Field(default=64, ge=1, le=1024)
    """Length of the vectors, without the one dimension that holds the products' biases."""

    epochs: int = Field(default=30, ge=1)
    """Passes over the interactions."""

    learning_rate: float = Field(default=0.02, gt=0)
    """Of adagrad's first step. LightFM's own .05 fits customers' gaps after 20 epochs."""

    threads: int = Field(default=1, ge=1)
    """Threads of the learner, as many as there are processors at most. They write to the same
    vectors without locks: with more than one, the same seed does not give the same model."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "epochs": (30, 60, 15),
        "learning_rate": (0.02, 0.05, 0.01),
        "factors": (64, 32, 128),
    }

    @model_validator(mode="after")
    def _installed(self) -> Self:
        _library()  # a missing library is told before any data is read
        return self

    def cost(self, shape: DataShape) -> Cost:
        """What fitting on data of this shape will take, with one thread and without features."""
        rows, d = shape.customers + shape.products, float(self.factors)
        epoch = shape.interactions * (6e-7 + d * 1.3e-8)
        return Cost(0.05 + self.epochs * epoch, int(24 * rows * d + 48 * shape.interactions))

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedVectors:
        """Learn from `data`. With one thread the same data and generator state give the same model.

        Raises:
            SettingsInvalid: the vectors grew without bound, or a feature is not finite.
        """
        model = _library()(
            no_components=self.factors,
            loss="warp",
            learning_rate=self.learning_rate,
            random_state=int(rng.integers(2**32)),
        )
        bought, features = _binary(data), _features(data)
        threads = min(self.threads, os.cpu_count() or 1)
        with progress.task("hybrid", total=self.epochs) as advance:
            for _ in range(self.epochs):
                try:
                    with np.errstate(invalid="ignore", over="ignore"):  # it checks, and raises
                        model.fit_partial(bought, item_features=features, num_threads=threads)
                except ValueError as error:
                    raise SettingsInvalid("models.hybrid", [str(error)]) from None
                advance(1)
        products = _with_last(
            features @ model.item_embeddings, features @ model.item_biases[:, None]
        )
        # A pairwise loss has no gradient for a customer's own bias, and no list depends on it: what
        # LightFM keeps as such counts the updates and would only disturb scores between customers.
        customers = _with_last(model.user_embeddings, np.ones((len(data.customers), 1), np.float32))
        return vectors_of(data, products=products, fold_in=_fold_in(products), customers=customers)

    def restore(self, arrays: Arrays) -> FittedVectors:
        """The fitted model whose `arrays()` these are.

        Raises:
            ArtefactInvalid: an array is missing, or of another shape or dtype.
        """
        return restore_vectors(arrays)


def _library() -> type[Any]:
    with warnings.catch_warnings():
        # On import it warns where it was compiled without OpenMP. The model is the same then, on
        # one thread, which is our default.
        warnings.filterwarnings("ignore", "LightFM was compiled without OpenMP", UserWarning)
        try:
            from lightfm import LightFM  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ExtraMissing("the model 'hybrid'", "hybrid") from error
    kind: type[Any] = LightFM
    return kind


def _binary(data: TrainingData) -> coo_matrix:
    # Ones with 32 bit rows and columns: what LightFM takes without a copy per epoch.
    past = data.histories
    cells = (past.owners().astype(np.int32), past.product.astype(np.int32))
    shape = (len(data.customers), len(data.products))
    return coo_matrix((np.ones(len(past.product), np.float32), cells), shape=shape)


def _features(data: TrainingData) -> csr_matrix:
    own = identity(len(data.products), np.float32, "csr")
    if data.product_features is None:
        return csr_matrix(own)
    return csr_matrix(hstack([own, data.product_features.matrix], "csr", np.float32))


def _with_last(vectors: NDArray[np.floating], last: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.hstack([vectors, last]).astype(np.float32, copy=False)


def _fold_in(products: NDArray[np.float32]) -> FoldIn:
    # The regulariser that serves ALS overfits on vectors that WARP made. With one far above the
    # Gram matrix a customer is almost the weighted sum of their products. On a validation cut of
    # ml-100k, NDCG@10 of folded-in customers was .137 with .01 times the mean eigenvalue, .172 with
    # 1 and .186 with 30 (stored vectors: .193); alpha from 1 to 10 made no difference.
    exact = products.astype(np.float64)
    gram = exact.T @ exact
    ridge = _RIDGE * max(float(np.trace(gram)) / len(gram), 1e-6)
    precision = gram + ridge * np.eye(len(gram))
    return FoldIn(precision=precision.astype(np.float32), alpha=_ALPHA)
