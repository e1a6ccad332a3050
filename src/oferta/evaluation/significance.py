"""Whether a difference on the same test rows may be chance, alone or as one of several."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

_ALIKE = 1e-12  # of the mean: a standard error below this is rounding


def paired_test(
    difference: NDArray[np.float64],
    *,
    customer: NDArray[np.integer] | None = None,
    than_zero: Literal["other", "less"] = "other",
) -> float:
    """How likely a mean difference as far from zero is, where there is none: a p-value.

    A t test clustered by customer: the mean over rows is a ratio of sums over customers; its
    variance is that of the residuals (linearised, with the small-sample factor), on customers - 1
    degrees of freedom (Cameron and Miller 2015, A practitioner's guide to cluster-robust
    inference). Of independent rows it is Student's. `difference` and `customer` (whose each row is;
    None: a customer a row) are `(rows,)`. `other` is two-sided; `less` asks how likely as low a
    mean is where the true one is zero or more. Fewer than two customers show nothing: 1. Below 30
    customers, few or skewed values make it too small.
    """
    whose = np.arange(len(difference)) if customer is None else customer
    unit = np.unique(whose, return_inverse=True)[1]
    customers = int(unit.max()) + 1 if len(unit) else 0
    if customers <= 1:
        return 1.0
    size = np.bincount(unit, minlength=customers)
    mean = float(difference.mean())
    residual = np.bincount(unit, difference, customers) - mean * size
    error = np.sqrt(customers / (customers - 1) * float(residual @ residual)) / len(difference)
    if error <= _ALIKE * max(abs(mean), _ALIKE):
        certain = mean < 0 if than_zero == "less" else mean != 0
        return 0.0 if certain else 1.0
    t = mean / error
    return float(
        stdtr(customers - 1, t) if than_zero == "less" else 2 * stdtr(customers - 1, -abs(t))
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values such that taking all below a level errs once or more with that chance at most.

    In the order given. Holm's step-down: the least of m by m, the next by m - 1, ..., never
    falling, 1 at most (Holm 1979).
    """
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(np.arange(len(order), 0, -1) * np.asarray(p_values)[order])
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]
