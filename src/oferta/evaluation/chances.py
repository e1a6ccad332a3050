"""What the chances of one model are worth on test rows, over all folds, and recall by product."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oferta.evaluation.calibration import (
    SMALL,
    Asked,
    Reliability,
    Slots,
    calibration_of,
    reliability,
    slots_of,
)
from oferta.evaluation.folds import Fold
from oferta.evaluation.protocol import Protocol
from oferta.interactions.idmap import IdMap
from oferta.interactions.lists import Lists
from oferta.models.protocol import FittedRecommender, Recommender
from oferta.progress import Progress


@dataclass(frozen=True, slots=True)
class ProductRecall:
    """How often one product was listed for those who chose it.

    Attributes:
        pairs: test rows that chose it.
        recall: `recall@k` -> the share of these whose list of k holds it.
    """

    pairs: int
    recall: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"pairs": self.pairs, **self.recall}


@dataclass(slots=True)
class Chances:
    """What one model stated, fold by fold; the score of a slot is its chance.

    Attributes:
        listed: slots of the longest lists.
        every: all pairs that a list may hold, in small catalogues.
        uncut: whether a fold's data could not be cut to fit a map on.
    """

    listed: list[Slots] = field(default_factory=list)
    every: list[Slots] = field(default_factory=list)
    uncut: bool = False

    def add(
        self,
        recipe: Recommender,
        fitted: FittedRecommender,
        fold: Fold,
        *,
        protocol: Protocol,
        progress: Progress,
    ) -> None:
        """Fit a map on a cut of the fold's data and state the chances of its test rows."""
        if protocol.calibrate == "none":
            return
        k, rows = max(protocol.k), fold.rows
        calibration = calibration_of(
            recipe,
            fitted,
            fold.data,
            method=protocol.calibrate,
            k=k,
            seed=protocol.seed,
            progress=progress,
        )
        if calibration is None:
            self.uncut = True
            return
        asked = Asked(rows.histories, rows.test, rows.removed, rows.candidates, rows.ranked)
        kinds = [(self.listed, k)]
        small = len(fold.data.products) <= SMALL
        for kept, length in [*kinds, (self.every, None)] if small else kinds:
            slots = slots_of(fitted, asked, k=length)
            kept.append(Slots(calibration.probability(slots.score), slots.chosen))

    def worth(self, slots: list[Slots]) -> Reliability | None:
        """What `listed` or `every` is worth; None where no chances were stated."""
        if self.uncut or not slots:
            return None
        stated = np.concatenate([one.score for one in slots])
        return reliability(stated, np.concatenate([one.chosen for one in slots]))


@dataclass(slots=True)
class Listed:
    """How many test rows chose each product, and how many of them had it in their list.

    Attributes:
        asked: `(products,) int64`.
        found: k -> `(products,) int64`.
    """

    asked: NDArray[np.int64]
    found: dict[int, NDArray[np.int64]]

    @staticmethod
    def none(products: int, k: tuple[int, ...]) -> "Listed":
        """Of no rows yet."""
        return Listed(
            np.zeros(products, np.int64), {length: np.zeros(products, np.int64) for length in k}
        )

    def add(self, lists: NDArray[np.int32], test: Lists) -> None:
        """Count the rows of a fold; `lists` `(rows, largest k)`, -1 where they are shorter."""
        products = len(self.asked)
        self.asked += np.bincount(test.product, minlength=products)
        for length, found in self.found.items():
            hit = (lists[test.owners(), :length] == test.product[:, None]).any(axis=1)
            np.add.at(found, test.product[hit], 1)

    def recalls(self, products: IdMap) -> dict[str, ProductRecall]:
        """Recall by the ids of products that a test row chose."""
        return {
            str(products.ids[row]): ProductRecall(
                int(self.asked[row]),
                {
                    f"recall@{length}": float(found[row] / self.asked[row])
                    for length, found in self.found.items()
                },
            )
            for row in np.flatnonzero(self.asked).tolist()
        }
