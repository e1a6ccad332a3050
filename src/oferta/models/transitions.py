"""What customers choose next: from each product to the later ones. Strong where order is known."""

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csc_array, csr_array, vstack

from oferta.models.data import DataShape, TrainingData
from oferta.models.item_to_item import (
    FittedItemToItem,
    restore_weights,
    strongest,
    tie_breaker,
)
from oferta.models.popularity import shares
from oferta.models.protocol import Arrays, Cost
from oferta.models.steps import Steps
from oferta.progress import Progress
from oferta.settings import Settings

_BLOCK = 1024  # products at a time
_PAIRS = 4_000_000  # occasions that are counted at once: some 100 MB


class Transitions(Settings):
    """How often product `j` came within `reach` steps after product `i`, nearer steps for more.

    `W[i, j]` is the sum over pairs of `distance_decay^(distance - 1)`, times `backward` where `j`
    came first, divided by `count_i^source_power` and `count_j^target_power`. Where the data has no
    order, any two products of one customer count as neighbours.
    """

    reach: int = Field(default=20, ge=1)
    """Steps beyond which a later product has nothing to do with an earlier one."""

    distance_decay: float = Field(default=0.8, gt=0, le=1)
    """What one more step between two products multiplies their pair by."""

    backward: float = Field(default=0.3, ge=0, le=1)
    """What a pair counts for in reverse: whoever buys the later product may like the earlier one.
    Of three sequences tried on validation cuts each was better with it than without."""

    recency_decay: float = Field(default=0.7, gt=0, le=1)
    """What one step back in the customer's past multiplies a product's say by."""

    source_power: float = Field(default=0.25, ge=0, le=1)
    """1: what follows, as a share of all occasions of the earlier product; 0: mere counts."""

    target_power: float = Field(default=0.25, ge=0, le=1)
    """How much a product is marked down for following everything."""

    neighbours: int = Field(default=1000, ge=1)
    """Later products kept per product."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "target_power": (0.25, 0.0, 0.5, 0.75),
        "source_power": (0.25, 0.5, 0.0, 1.0),
        "recency_decay": (0.7, 0.9, 0.5, 0.3, 1.0),
        "distance_decay": (0.8, 0.6, 0.9, 0.4, 1.0),
        "backward": (0.3, 0.0, 0.6, 1.0),
    }

    def cost(self, shape: DataShape) -> Cost:
        """What fitting on data of this shape will take."""
        per_customer = shape.events / max(shape.customers, 1)
        pairs = shape.events * min(float(self.reach), per_customer / 2)
        kept = min(pairs, shape.products * float(min(self.neighbours, shape.products)))
        block = 12.0 * min(_BLOCK, shape.products) * shape.products
        return Cost(0.05 + 2.5e-7 * pairs, int(40 * shape.events + 24 * kept + block))

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedItemToItem:
        """Learn from `data`. Nothing is drawn at random."""
        del rng
        n_products = len(data.products)
        together = not data.ordered
        met = Steps.together(data.matrix) if together else Steps.of(data.events, n_products)
        counter = _Counter(met)
        reach = 0 if together else self.reach
        blocks: list[csr_array] = []
        with progress.task("transitions", total=n_products) as advance:
            for start in range(0, n_products, _BLOCK):
                stop = min(start + _BLOCK, n_products)
                pairs = counter.pairs(start, stop, reach=reach, recipe=self)
                blocks.append(
                    strongest(self._normalised(pairs, counter.counts, start), self.neighbours)
                )
                advance(stop - start)
        return self._fitted(csr_array(vstack(blocks, format="csr")), tie_breaker(shares(data)))

    def _normalised(self, pairs: csr_array, counts: NDArray[np.float64], start: int) -> csr_array:
        safe = np.maximum(counts, 1.0)
        source = safe[start : start + pairs.shape[0]] ** -self.source_power
        data = pairs.data * np.repeat(source, np.diff(pairs.indptr))
        data *= safe[pairs.indices] ** -self.target_power
        return csr_array((data.astype(np.float32), pairs.indices, pairs.indptr), shape=pairs.shape)

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
            step_decay=self.recency_decay,
            binary=True,
            reason="often_follows",
        )


_Occasions: TypeAlias = "tuple[NDArray[np.integer], NDArray[np.integer], float]"


class _Counter:
    """Counts which products are met how many steps apart."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.by_column = csc_array(steps.met)
        self.counts = np.diff(self.by_column.indptr).astype(np.float64)

    def pairs(self, start: int, stop: int, *, reach: int, recipe: Transitions) -> csr_array:
        """`(stop - start, products)`: decayed counts of what came after each; reach 0: together."""
        block = self.by_column[:, start:stop]
        column = np.repeat(np.arange(stop - start), np.diff(block.indptr))
        if reach == 0:
            together = self._counted([(column, block.indices, 1.0)], stop - start)
            row = np.repeat(np.arange(start, stop), np.diff(together.indptr))
            together.data[row == together.indices] = 0
            return together
        total = _nothing(stop - start, self.steps.met.shape[1])
        waiting: list[_Occasions] = []
        for distance in range(1, reach + 1):
            weight = recipe.distance_decay ** (distance - 1)
            for shift, share in ((distance, weight), (-distance, weight * recipe.backward)):
                other, inside = self.steps.at(block.indices, shift)
                if share > 0 and inside.any():
                    waiting.append((column[inside], other[inside], share))
            if sum(len(step) for _, step, _ in waiting) > _PAIRS:
                total, waiting = _sum(total, self._counted(waiting, stop - start)), []
        return _sum(total, self._counted(waiting, stop - start)) if waiting else total

    def _counted(self, occasions: list[_Occasions], rows: int) -> csr_array:
        # Each occasion: a product of the block, the step at which others are counted, their weight.
        earlier = csr_array(
            (
                np.concatenate(
                    [np.full(len(step), weight, np.float32) for _, step, weight in occasions]
                ),
                (
                    np.concatenate([column for column, _, _ in occasions]),
                    np.concatenate([step for _, step, _ in occasions]),
                ),
            ),
            shape=(rows, self.steps.met.shape[0]),
        )
        counted: csr_array = earlier @ self.steps.met
        return counted


def _nothing(rows: int, columns: int) -> csr_array:
    none = np.zeros(0, np.int64)
    return csr_array((np.zeros(0, np.float32), (none, none)), shape=(rows, columns))


def _sum(one: csr_array, other: csr_array) -> csr_array:
    both: csr_array = one + other
    return both
