"""Whether a log can tell what a policy would have earned."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oferta.errors import PolicyUnsupported

LEAST_ESS_SHARE: Final = 0.01
"""Below one decision in a hundred, intervals are too narrow for what a few rows decide."""

MEAN_WEIGHT: Final = (0.9, 1.1)
"""Weights average 1 where the logged probabilities are right and cover the policy."""


@dataclass(frozen=True, slots=True)
class Support:
    """How much of a log speaks for a policy.

    `ess` is the effective sample size of Kish (1965), `(sum w)^2 / sum w^2`: the number of rows
    that were as good as logged by the policy itself.
    """

    rows: int
    ess: float
    mean_weight: float
    max_weight: float

    @property
    def ess_share(self) -> float:
        """The effective sample size as a share of the rows."""
        return self.ess / self.rows


def support(weight: NDArray[np.float64]) -> Support:
    """The support of weights `(rows,)`, at least one.

    >>> support(np.array([2.0, 0.0, 2.0, 0.0]))
    Support(rows=4, ess=2.0, mean_weight=1.0, max_weight=2.0)
    """
    squares = float((weight**2).sum())
    ess = float(weight.sum()) ** 2 / squares if squares else 0.0
    return Support(len(weight), ess, float(weight.mean()), float(weight.max()))


def require(found: Support) -> None:
    """Go no further where the log cannot tell.

    Raises:
        PolicyUnsupported: the effective sample size is under 1 % of the rows, or the mean weight
            outside [0.9, 1.1].
    """
    low, high = MEAN_WEIGHT
    problems = []
    if found.ess_share < LEAST_ESS_SHARE:
        problems.append(
            f"the effective sample size is {found.ess_share:.2%} of the rows, under "
            f"{LEAST_ESS_SHARE:.0%}: the policy seldom shows what was shown. Log more exploration, "
            "or evaluate a policy nearer to the logged one"
        )
    if not low <= found.mean_weight <= high:
        problems.append(
            f"the mean weight is {found.mean_weight:.3f}, outside [{low}, {high}]: a probability "
            "of the log is not the one with which that product was shown there, or the policy "
            "shows what the log never did, or the log is too short for it. Check the "
            "probabilities, or log more exploration"
        )
    if problems:
        raise PolicyUnsupported(
            problems, rows=found.rows, ess=found.ess, mean_weight=found.mean_weight
        )
