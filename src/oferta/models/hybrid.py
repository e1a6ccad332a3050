"""LightFM: vectors of customers and products learned for the top of the list, features included."""

import os
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.sparse import coo_matrix, csr_array, csr_matrix, hstack, identity

from oferta.errors import ExtraMissing, FitFailed
from oferta.models.attributes import describe_products, one_hot
from oferta.models.data import DataShape, TrainingData
from oferta.models.protocol import Arrays, Cost
from oferta.models.vectors import FittedVectors, completed, mean_vectors, restore_vectors
from oferta.progress import Progress
from oferta.scoring.fold_in import FoldIn
from oferta.scoring.live import EmbeddingScorer
from oferta.settings import Settings

_ALPHA = 3.0
_RIDGE = 30.0  # times the mean eigenvalue of the products' Gram matrix; see `_fold_in`


class Hybrid(Settings):
    """Factorisation with the WARP loss (Weston et al. 2011; Kula 2015), by LightFM's learner.

    Any positive weight counts as one. The vector of a customer or a product is its own plus those
    of its features; somebody new has the mean customer's own and those of their features, a product
    that nobody chose those of its features alone.

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

    features: Literal["customers", "both", "products", "none"] = "customers"
    """Whose features are learnt together with the ids, where the data has any. Learnt so, those of
    products cost known customers .005 of NDCG@10 on a shop's reviews. Else they are learnt on top,
    for products that nobody chose; with `none` they play no part."""

    product_ids: bool = True
    """Whether a product with features has a vector of its own beside theirs. Without, products of
    the same features are the same: what features alone can do."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "epochs": (30, 60, 15),
        "learning_rate": (0.02, 0.05, 0.01),
        "factors": (64, 32, 128),
    }

    @model_validator(mode="after")
    def _installed(self) -> Self:
        _library()  # a missing library is told before any data is read
        return self

    def twin(self) -> Self | None:
        """The same model without features: what must be shown beside it."""
        return (
            None
            if self.features == "none"
            else self.model_copy(update={"features": "none", "product_ids": True})
        )

    def cost(self, shape: DataShape) -> Cost:
        """What fitting on data of this shape will take, with one thread.

        A step sums the vectors of a row's features, so each costs it about a third more.
        """
        rows, d = shape.customers + shape.products, float(self.factors)
        learnt = 1.0
        if self.features in {"both", "customers"}:
            learnt += 0.35 * shape.customer_values
        if self.features in {"both", "products"}:
            learnt += 0.45 * shape.product_values
        epoch = shape.interactions * (6e-7 + d * 1.3e-8) * learnt
        return Cost(0.05 + self.epochs * epoch, int(24 * rows * d + 48 * shape.interactions))

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedVectors:
        """Learn from `data`. With one thread the same data and generator state give the same model.

        Raises:
            FitFailed: the vectors grew without bound, or a feature is not finite.
        """
        model = _library()(
            no_components=self.factors,
            loss="warp",
            learning_rate=self.learning_rate,
            random_state=int(rng.integers(2**32)),
        )
        bought, threads = _binary(data), min(self.threads, os.cpu_count() or 1)
        described = self._product_features(data)
        of_customers = _wide(len(data.customers), self._customer_features(data))
        of_products = _wide(len(data.products), described)
        if described is not None and not self.product_ids:
            of_products = of_products[:, len(data.products) :]
        with progress.task("hybrid", total=self.epochs) as advance:
            for _ in range(self.epochs):
                try:
                    with np.errstate(invalid="ignore", over="ignore"):  # it checks, and raises
                        model.fit_partial(
                            bought,
                            user_features=of_customers,
                            item_features=of_products,
                            num_threads=threads,
                        )
                except ValueError as error:
                    raise FitFailed("hybrid", f"could not be fitted: {error}") from None
                advance(1)
        if described is not None and self.product_ids:
            # The own part of what nobody chose was only ever pushed away: leave the features'.
            chosen = np.bincount(data.histories.product, minlength=len(data.products)) > 0
            model.item_embeddings[: len(chosen)][~chosen] = 0
            model.item_biases[: len(chosen)][~chosen] = 0
        # A pairwise loss has no gradient for a customer's own bias, and no list depends on it: what
        # LightFM keeps as such counts the updates and would only disturb scores between customers.
        customers = model.user_embeddings
        return self._fitted(
            data,
            products=_with_last(
                of_products @ model.item_embeddings, of_products @ model.item_biases[:, None]
            ),
            own=_with_last(customers[: len(data.customers)], 1),
            effects=_with_last(customers[len(data.customers) :], 0),
            of_customers=of_customers,
        )

    def _customer_features(self, data: TrainingData) -> csr_array | None:
        codes, vocabulary = data.histories.features, data.customer_features
        if codes is None or vocabulary is None or self.features not in {"both", "customers"}:
            return None
        return one_hot(codes, len(vocabulary))

    def _product_features(self, data: TrainingData) -> csr_array | None:
        if data.product_features is None or self.features not in {"both", "products"}:
            return None
        return data.product_features.matrix

    def _fitted(
        self,
        data: TrainingData,
        *,
        products: NDArray[np.float32],
        own: NDArray[np.float32],
        effects: NDArray[np.float32],
        of_customers: csr_matrix,
    ) -> FittedVectors:
        fold_in = _fold_in(products)
        if self.features == "customers":
            products = describe_products(data, products)
        scorer = EmbeddingScorer(
            products=products,
            cold=mean_vectors(data, own),
            fold_in=fold_in,
            attributes=effects if len(effects) else None,
        )
        whole = np.asarray(of_customers @ np.vstack([own, effects]), np.float32)
        return completed(data, customers=whole, scorer=scorer)

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


def _wide(rows: int, features: csr_array | None) -> csr_matrix:
    # Each row's own feature first. LightFM takes 32 bit indices without a copy per epoch.
    own = identity(rows, np.float32, "csr")
    wide = csr_matrix(own if features is None else hstack([own, features], "csr", np.float32))
    wide.indices, wide.indptr = wide.indices.astype(np.int32), wide.indptr.astype(np.int32)
    return wide


def _with_last(
    vectors: NDArray[np.floating], last: NDArray[np.floating] | int
) -> NDArray[np.float32]:
    column = np.broadcast_to(np.asarray(last, np.float32), (len(vectors), 1))
    return np.hstack([vectors, column]).astype(np.float32, copy=False)


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
