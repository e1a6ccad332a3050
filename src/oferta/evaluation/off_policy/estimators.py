"""What a policy would have earned, four ways, from what another policy showed.

Row i of a log: `r_i` its reward, `a_i` what was shown, with probability `p_i`; the new policy would
have shown it with probability `pi(a_i | x_i)`, so that its weight is `w_i = pi(a_i | x_i) / p_i`.
`q(x, a)` is a reward model's expected reward. Every estimator gives one value per row, `(rows,)`
float64, whose plain mean is the estimate: one bootstrap of means then serves them all, and the
difference to the logged rewards is paired.

Sources: Dudik, Langford, Li: Doubly Robust Policy Evaluation and Learning (ICML 2011) for IPS, DM
and DR; Strehl, Langford, Li, Kakade: Learning from Logged Implicit Exploration Data (NIPS 2010) for
IPS; Swaminathan, Joachims: The Self-Normalized Estimator for Counterfactual Learning (NIPS 2015)
for SNIPS; Saito, Aihara, Matsutani, Narita: Open Bandit Dataset and Pipeline (NeurIPS 2021) for all
four on real logs.
"""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def ips(reward: Values, weight: Values) -> Values:
    """Inverse propensity score: `w_i r_i`. Unbiased where `p_i` is right; its variance is large.

    >>> ips(np.array([1.0, 0.0]), np.array([0.5, 1.5])).mean()
    np.float64(0.25)
    """
    return weight * reward


def snips(reward: Values, weight: Values) -> Values:
    """Self-normalised IPS: `sum_i w_i r_i / sum_i w_i`; biased by O(1/n), steadier than IPS.

    A ratio is no mean of rows; these rows are its linearisation, `v + (w_i / mean(w)) (r_i - v)`
    with `v` the ratio: their mean is `v` itself, and their spread gives its variance to first
    order (the delta method for a ratio: Owen, Monte Carlo theory, methods and examples, 2013,
    section 9.2). All weights 0: the value is 0.

    >>> snips(np.array([1.0, 0.0]), np.array([0.5, 1.5])).mean()
    np.float64(0.25)
    >>> snips(np.array([1.0, 1.0]), np.array([0.5, 0.7])).mean()  # IPS says 0.6
    np.float64(1.0)
    """
    mean = weight.mean()
    if mean == 0:
        return np.zeros_like(reward)
    value = (weight * reward).sum() / weight.sum()
    return np.asarray(value + weight / mean * (reward - value))


def dm(expected: Values) -> Values:
    """Direct method: `sum_a pi(a | x_i) q(x_i, a)`, as given. As good as the reward model."""
    return expected


def dr(reward: Values, weight: Values, *, of_shown: Values, expected: Values) -> Values:
    """Doubly robust: `sum_a pi(a | x_i) q(x_i, a) + w_i (r_i - q(x_i, a_i))`.

    Unbiased where `p_i` is right, whatever the reward model that did not see row i; the better the
    model, the less the weights matter. `of_shown` is `q(x_i, a_i)`, `expected` what `dm` gives.

    >>> one = np.array([1.0, 0.0]), np.array([0.5, 1.5])
    >>> dr(*one, of_shown=np.zeros(2), expected=np.zeros(2)).mean() == ips(*one).mean()
    np.True_
    """
    return expected + weight * (reward - of_shown)
