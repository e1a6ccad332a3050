"""A policy's value from a log: every estimate, how sure it is, and whether it may be believed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.random import Generator

from oferta.evaluation.intervals import Interval, bootstrap
from oferta.evaluation.off_policy import estimators
from oferta.evaluation.off_policy.decisions import LoggedDecisions
from oferta.evaluation.off_policy.policy import Policy
from oferta.evaluation.off_policy.reward_model import cross_fitted
from oferta.evaluation.off_policy.support import Support, require, support
from oferta.progress import Progress

FOLDS: Final = 5
"""Enough that a model learns from four fifths of the log, few enough that it is fitted quickly."""


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """What a policy would have earned per row of a log, beside what the log's own policy earned.

    `estimates` and `gains` go by `ips`, `snips`, `dm`, `dr`; a gain is an estimate less `logged`,
    paired row by row. All intervals are of 95 %.
    """

    estimates: Mapping[str, Interval]
    gains: Mapping[str, Interval]
    logged: Interval
    support: Support
    reward_model: str

    @property
    def verdict(self) -> str:
        """One sentence: better, worse, or not distinguishable from the logged policy."""
        gain = self.gains["dr"]
        if gain.low > 0:
            said = "better than the logged policy"
        elif gain.high < 0:
            said = "worse than the logged policy"
        else:
            said = "not distinguishable from the logged policy"
        return (
            f"The new policy is {said}: {gain.mean:+.4g} a row by DR "
            f"(95 % interval {gain.low:+.4g} to {gain.high:+.4g})."
        )

    def as_json(self) -> dict[str, Any]:
        """Everything as plain types."""
        return {
            "estimates": {
                name: {**asdict(value), "gain": asdict(self.gains[name])}
                for name, value in self.estimates.items()
            },
            "logged": asdict(self.logged),
            "support": {**asdict(self.support), "ess_share": self.support.ess_share},
            "reward_model": self.reward_model,
            "verdict": self.verdict,
        }


def policy_value(
    log: LoggedDecisions,
    policy: Policy,
    *,
    rng: Generator,
    progress: Progress,
    folds: int = FOLDS,
) -> PolicyValue:
    """What `policy` would have earned per row of `log`, by IPS, SNIPS, DM and DR.

    Intervals are by bootstrap over customers (or decisions, or rows: what the log names first), at
    the reward model as fitted; DM's therefore knows nothing of the model's bias.

    Raises:
        PolicyUnsupported: the effective sample size is under 1 % of the rows, or the mean weight
            outside [0.9, 1.1].
        DecisionsRefused: nothing to learn a reward model from.
    """
    weight = policy.of_shown / log.probability
    found = support(weight)
    require(found)
    reward = log.reward
    model = cross_fitted(log, policy, folds=folds, rng=rng, progress=progress)
    values = {
        "ips": estimators.ips(reward, weight),
        "snips": estimators.snips(reward, weight),
        "dm": estimators.dm(model.under_policy),
        "dr": estimators.dr(reward, weight, of_shown=model.of_shown, expected=model.under_policy),
    }
    columns = np.stack([*values.values(), reward], axis=1)
    gains = columns[:, :-1] - reward[:, None]
    *estimates, logged = bootstrap(columns, rng=rng, customer=log.unit)
    return PolicyValue(
        dict(zip(values, estimates, strict=True)),
        dict(zip(values, bootstrap(gains, rng=rng, customer=log.unit), strict=True)),
        logged,
        found,
        model.model,
    )
