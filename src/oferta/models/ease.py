"""EASE: the linear item-to-item model with a closed form. Strong on almost everything."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field, model_validator

from oferta.models.data import DataShape, TrainingData
from oferta.models.gram import (
    customers_as_rows,
    gram_matrix,
    inverse_of,
    popularity_scale,
    solving_bytes,
    solving_seconds,
)
from oferta.models.item_to_item import FittedItemToItem, Weights, restore_weights, tie_breaker
from oferta.models.memory import require_memory
from oferta.models.popularity import shares
from oferta.models.protocol import Arrays, Cost
from oferta.progress import Progress
from oferta.settings import Settings

_SMALLER = "Use local_ease, which takes half the memory, or ials, whose memory is in proportion."


class Ease(Settings):
    """Least squares of every product on all others, diagonal forbidden (Steck 2019, 2020).

    With `G = X'X`, `P = (G + l2 I + dropout / (1 - dropout) diag(G))^-1`, the weights are
    `-P[i, j] / P[j, j]`, 0 on the diagonal. Without `dropout` that is EASE (Embarrassingly Shallow
    Autoencoders for Sparse Data); with it, the exact mean over all ways of hiding that share of
    what customers have (Autoencoders that Don't Overfit towards the Identity).

    Cost: cube of the products in time, some 12 bytes times their square in memory.
    """

    strength: float = Field(default=4.0, gt=0)
    """Regulariser, in mean customers of a product: about how many must share two products before it
    says much. In this unit the best of the data sets tried were alike; in customers they were 40 to
    1,000."""

    l2: float | None = Field(default=None, gt=0)
    """Regulariser, in customers, in place of `strength`. Where it is stated, what is not stated
    beside it is as in the paper of 2019: no dropout, customers and products as they are."""

    dropout: float = Field(default=0.5, ge=0, lt=1)
    """The share of each past that is hidden while the rest must foretell it. 0: EASE."""

    activity_power: float = Field(default=0.5, ge=0, le=1)
    """A customer of `n` products counts as `n ** -activity_power`: 0: by all they have, which few
    with long pasts decide; 1: everybody the same."""

    popularity_power: float = Field(default=0.0, ge=-1, le=1)
    """How much a product is marked down for the number of its customers."""

    recency_decay: float = Field(default=1.0, gt=0, le=1)
    """What one step back in the customer's past multiplies a product's say by, at scoring. Below 1
    for sequences: on s3rec-beauty 0.7 is worth a sixth of NDCG@10; elsewhere it costs."""

    weights: Literal["binary", "as_given"] = "binary"
    """Whether any past weight counts as one, in the fit and in the scoring."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "strength": (4.0, 2.0, 8.0, 1.0, 16.0, 0.5),
        "popularity_power": (0.0, 0.1, 0.2, -0.1),
        "recency_decay": (1.0, 0.7, 0.9),
        "dropout": (0.5, 0.25, 0.0, 0.7),
        "activity_power": (0.5, 0.25, 0.0, 0.75),
    }

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, given: Any) -> Any:  # noqa: ANN401 - whatever a file holds
        if not isinstance(given, dict) or given.get("l2") is None:
            return given
        plain = {"strength": 4.0, "dropout": 0.0, "activity_power": 0.0, "popularity_power": 0.0}
        return plain | given

    def cost(self, shape: DataShape) -> Cost:
        """What fitting on data of this shape will take."""
        return Cost(0.05 + solving_seconds(shape), solving_bytes(shape.products))

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedItemToItem:
        """Learn from `data`. Nothing is drawn at random.

        Raises:
            ModelTooLarge: the products' square would not fit into memory.
            FitFailed: `l2` is too small to be solved.
        """
        del rng
        require_memory(
            f"ease on {len(data.products):,} products",
            self.cost(data.shape).bytes,
            remedy=_SMALLER,
        )
        with progress.task("ease", total=3) as advance:
            rows = customers_as_rows(
                data.matrix, activity_power=self.activity_power, binary=self.weights == "binary"
            )
            gram = gram_matrix(rows)
            del rows
            advance(1)
            diagonal = gram.diagonal().copy()
            had = diagonal > 0
            l2 = self.l2 or self.strength * float(diagonal[had].mean() if had.any() else 1)
            hidden = self.dropout / (1 - self.dropout)
            gram.flat[:: len(gram) + 1] += (l2 + hidden * diagonal).astype(gram.dtype)
            weights = inverse_of(gram, model="ease")
            advance(1)
            customers = np.bincount(data.histories.product, minlength=len(had))
            # Each product's column by its own diagonal, and by how popular it is.
            scale = popularity_scale(customers, had, self.popularity_power)
            weights *= (-scale / weights.diagonal()).astype(np.float32)
            np.fill_diagonal(weights, 0)
            advance(1)
        return self._fitted(weights, tie_breaker(shares(data)))

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
            binary=self.weights == "binary",
            reason="bought_together",
        )
