"""From scores to probabilities: what lists are ranked by stays the score, this is what is shown.

numpy only; the maps are fitted by `oferta.evaluation.calibration`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oferta.errors import ArtefactInvalid
from oferta.scoring.stored import take_array

SLOPE_AND_OFFSET = 2
"""Numbers of a logistic map."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationMap:
    """The probability that a product with this score is chosen. Never falls as scores rise.

    Either steps with straight lines between them (isotonic regression), flat outside; or a
    logistic curve (Platt 1999), `1 / (1 + exp(-(slope * score + offset)))`.

    Attributes:
        score: `(knots,) float64`, ascending; empty in a logistic map.
        value: `(knots,) float64` in [0, 1], never falling; `(slope, offset)` in a logistic map.
    """

    score: NDArray[np.float64]
    value: NDArray[np.float64]

    @staticmethod
    def logistic(slope: float, offset: float) -> "CalibrationMap":
        """The logistic map; a negative slope becomes 0."""
        return CalibrationMap(np.zeros(0), np.array([max(slope, 0.0), offset], np.float64))

    @property
    def method(self) -> str:
        """`isotonic` or `platt`."""
        return "isotonic" if len(self.score) else "platt"

    def probability(self, scores: NDArray[np.floating]) -> NDArray[np.float32]:
        """Probabilities in the shape of `scores`; 0 where a score is minus infinity."""
        exact = np.asarray(scores, np.float64)
        if len(self.score):
            found = np.interp(exact, self.score, self.value)
        else:
            slope, offset = self.value
            # A slope of 0 times an infinite score is no number.
            line = np.multiply(slope, exact, where=np.isfinite(exact), out=np.zeros_like(exact))
            found = 1 / (1 + np.exp(-np.clip(line + offset, -700, 700)))
        return np.where(np.isneginf(exact), 0, found).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """`score` and `value`."""
        return {"score": self.score, "value": self.value}

    @staticmethod
    def restore(arrays: Mapping[str, NDArray[Any]]) -> "CalibrationMap":
        """The map whose `arrays` these are.

        Raises:
            ArtefactInvalid: an array is missing, or they make no map that never falls.
        """
        score = take_array(arrays, "score", np.float64, 1)
        value = take_array(arrays, "value", np.float64, 1)
        if not (np.isfinite(score).all() and np.isfinite(value).all()):
            raise ArtefactInvalid("calibration", "a number in it is not finite")
        if len(score):
            rising = bool((np.diff(score) > 0).all() and (np.diff(value) >= 0).all())
            fits = len(score) == len(value) and rising and value[0] >= 0 and value[-1] <= 1
        else:
            fits = len(value) == SLOPE_AND_OFFSET and value[0] >= 0
        if not fits:
            raise ArtefactInvalid("calibration", "its arrays make no map from score to probability")
        return CalibrationMap(score, value)
