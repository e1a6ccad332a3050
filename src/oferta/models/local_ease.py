"""EASE among each product's neighbours: for catalogues whose inverse would be too large."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from oferta.models.data import DataShape, TrainingData
from oferta.models.gram import customers_as_rows, gram_matrix, gram_seconds, popularity_scale
from oferta.models.item_to_item import FittedItemToItem, Weights, restore_weights, tie_breaker
from oferta.models.memory import require_memory
from oferta.models.popularity import shares
from oferta.models.protocol import Arrays, Cost
from oferta.progress import Progress
from oferta.settings import Settings

_CELLS = 2_000_000  # of the systems that are solved at once
_SMALL = 1e-8  # weights below, relative to the largest, are those of products never met together


class LocalEase(Settings):
    """Least squares of every product on its most similar ones alone.

    The regression of `ease`, its regulariser and dropout included, where only the `neighbours`
    products of largest cosine take part: SLIM with neighbours chosen beforehand (Ning and Karypis,
    Sparse Linear Methods for Top-N Recommender Systems, 2011, there fsSLIM), solved exactly. Where
    a product has few customers, what is left out is mostly chance.

    Cost: products times the cube of the neighbours in time, 4 bytes times the products' square in
    memory.
    """

    neighbours: int = Field(default=100, ge=1, le=2000)
    """Products that each is foretold from."""

    strength: float = Field(default=4.0, gt=0)
    """Regulariser, in mean customers of a product."""

    dropout: float = Field(default=0.5, ge=0, lt=1)
    """The share of each past that is hidden while the rest must foretell it."""

    activity_power: float = Field(default=0.5, ge=0, le=1)
    """A customer of `n` products counts as `n ** -activity_power`."""

    popularity_power: float = Field(default=0.0, ge=-1, le=1)
    """How much a product is marked down for the number of its customers."""

    recency_decay: float = Field(default=1.0, gt=0, le=1)
    """What one step back in the customer's past multiplies a product's say by, at scoring. Below 1
    for sequences: on s3rec-beauty 0.7 is worth a sixth of NDCG@10; elsewhere it costs."""

    weights: Literal["binary", "as_given"] = "binary"
    """Whether any past weight counts as one, in the fit and in the scoring."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "strength": (4.0, 2.0, 8.0, 1.0, 16.0),
        "neighbours": (100, 50, 200, 25),
        "popularity_power": (0.0, 0.1, 0.2, -0.1),
        "recency_decay": (1.0, 0.7, 0.9),
        "dropout": (0.5, 0.25, 0.0, 0.7),
        "activity_power": (0.5, 0.25, 0.75),
    }

    def cost(self, shape: DataShape) -> Cost:
        """What fitting on data of this shape will take."""
        products, width = float(shape.products), float(min(self.neighbours, shape.products))
        solve = products * (2e-10 * width**3 + 3e-8 * width**2) + 2e-8 * products**2
        memory = (9 if products <= 8192 else 4.5) * products**2 + 24 * products * width  # noqa: PLR2004
        return Cost(
            0.05 + gram_seconds(shape) + solve, int(memory + 24 * min(_CELLS, products * width**2))
        )

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedItemToItem:
        """Learn from `data`. Nothing is drawn at random.

        Raises:
            ModelTooLarge: the products' square would not fit into memory.
        """
        del rng
        n_products = len(data.products)
        require_memory(
            f"local_ease on {n_products:,} products",
            self.cost(data.shape).bytes,
            remedy="Use ials, whose memory grows with the products and not with their square.",
        )
        rows = customers_as_rows(
            data.matrix, activity_power=self.activity_power, binary=self.weights == "binary"
        )
        with progress.task("local_ease", total=n_products) as advance:
            gram = gram_matrix(rows)
            diagonal = gram.diagonal().astype(np.float64)
            had = diagonal > 0
            usual = float(diagonal[had].mean()) if had.any() else 1.0
            penalty = self.strength * usual + self.dropout / (1 - self.dropout) * diagonal
            width = min(self.neighbours, max(n_products - 1, 0))
            near = np.zeros((n_products, width), np.int32)
            said = np.zeros((n_products, width), np.float32)
            step = max(_CELLS // max(width**2, n_products, 1), 1)
            for start in range(0, n_products if width else 0, step):
                stop = min(start + step, n_products)
                near[start:stop] = _nearest(gram, diagonal + penalty, start, stop, width)
                said[start:stop] = _solved(gram, penalty, near[start:stop], start)
                advance(stop - start)
            if not width:
                advance(n_products)
        customers = np.bincount(data.histories.product, minlength=n_products)
        said *= popularity_scale(customers, had, self.popularity_power)[:, None]
        return self._fitted(_sparse(near, said), tie_breaker(shares(data)))

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


def _nearest(
    gram: NDArray[np.floating], size: NDArray[np.float64], start: int, stop: int, width: int
) -> NDArray[np.int64]:
    # By cosine, shrunk by the penalty: what two products share by chance is little beside it. The
    # Gram matrix is symmetric and in columns, which are quicker to read.
    cosine = (gram[:, start:stop] / np.sqrt(size)[:, None]).T
    cosine[np.arange(stop - start), np.arange(start, stop)] = -1
    nearest = np.argpartition(-cosine, width - 1, axis=1)[:, :width]
    nearest.sort(axis=1)
    return nearest


def _solved(
    gram: NDArray[np.floating], penalty: NDArray[np.float64], near: NDArray[np.int32], start: int
) -> NDArray[np.float32]:
    width = near.shape[1]
    systems = gram[near[:, :, None], near[:, None, :]].astype(np.float64)
    systems[:, np.arange(width), np.arange(width)] += penalty[near]
    target = np.arange(start, start + len(near))
    shared = gram[near, target[:, None]].astype(np.float64)
    found = np.linalg.solve(systems, shared[:, :, None])[:, :, 0]
    # A neighbour that was never met together with the target only fills the row.
    return np.where(shared > 0, found, 0).astype(np.float32)


def _sparse(near: NDArray[np.int32], said: NDArray[np.float32]) -> csr_array:
    products, width = near.shape
    kept = np.abs(said) > _SMALL * np.abs(said).max(initial=1e-30)
    target = np.repeat(np.arange(products, dtype=np.int32), width).reshape(near.shape)
    weights = csr_array((said[kept], (near[kept], target[kept])), shape=(products, products))
    weights.sort_indices()
    return weights
