"""The chances that scores are told with: by trees where the version has some, else calibrated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.histories import Histories
from oferta.models.propensity.knowledge import Knowledge
from oferta.models.propensity.propensity import Propensity
from oferta.models.saved import Loaded
from oferta.scoring.topk import TopK


@dataclass(frozen=True, slots=True, eq=False)
class Chances:
    """What states the chances of a model's lists.

    Attributes:
        loaded: the model.
        propensity: trees, and `known`, what they are told of all customers; None: there are none.
    """

    loaded: Loaded
    propensity: Propensity | None = None
    known: Knowledge | None = None

    @property
    def stated(self) -> bool:
        """Whether there are any."""
        return self.propensity is not None or self.loaded.calibration is not None

    def of(
        self, block: Histories, best: TopK, *, start: int, own_list: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """`(customers, k) float32`: the chances of the products of `best`, NaN for none.

        Args:
            block: the pasts of the customers from `start` on.
            best: their lists.
            start: row of the first of them.
            own_list: `(customers,)`: whose list is the model's; calibration tells of no other.
        """
        if self.propensity is not None and self.known is not None:
            # All of the model's scores: lists lack those of products that may not be offered.
            scores = self.loaded.fitted.score(block)
            rows = np.arange(start, start + len(block))
            said = self.propensity.chances(self.known, scores, rows=rows)
            chances = np.take_along_axis(said, np.maximum(best.products, 0), axis=1)
            return np.where(best.products < 0, np.float32(np.nan), chances)
        chances = np.full(best.scores.shape, np.nan, np.float32)
        if self.loaded.calibration is not None:
            chances[own_list] = self.loaded.calibration.probability(best.scores[own_list])
        return chances
