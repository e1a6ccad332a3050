"""The estimators where the answer is known: Open Bandit Pipeline's published synthetic setting.

Saito, Aihara, Matsutani, Narita: Open Bandit Dataset and Pipeline (NeurIPS 2021). Its example with
synthetic data prints, for 20 runs of 10,000 rounds with 30 actions, contexts of 5 dimensions and
beta = -3, how far each estimate is from the truth, as a share of it ("relative-ee"). The draws here
follow its order and generator (its release 0.5.2 of January 2022), so that a run has the same
rounds as the published run of its number, and IPS and SNIPS, which involve no reward model, come
out as published to five digits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import polars as pl
from numpy.random import Generator, RandomState
from numpy.typing import NDArray
from scipy.special import expit, softmax

from oferta.evaluation.off_policy.decisions import LoggedDecisions, logged_decisions
from oferta.evaluation.off_policy.evaluate import policy_value
from oferta.evaluation.off_policy.policy import Policy, policy_for
from oferta.progress import Progress, Silent
from oferta.scoring.blas import one_blas_thread

ACTIONS: Final = 30
DIMENSIONS: Final = 5
BETA: Final = -3.0  # below 0: the logging policy prefers what is seldom rewarded
ROUNDS: Final = 10_000
RUNS: Final = 20
FOLDS: Final = 3

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Error:
    """Relative errors of an estimator over runs."""

    mean: float
    sd: float


PUBLISHED: Final[Mapping[str, Error]] = MappingProxyType(
    {
        "ips": Error(0.009481, 0.006899),
        "snips": Error(0.006665, 0.004541),
        "dm": Error(0.074390, 0.024525),
        "dr": Error(0.006175, 0.004245),
    }
)


@dataclass(frozen=True, slots=True)
class Rounds:
    """Logged rounds: `context` `(rounds, dimensions)`, `expected` and `chance` `(rounds, actions)`.

    `expected` is the true expected reward, `chance` the logging policy, `action` and `reward`
    `(rounds,)` what it showed and what came of it.
    """

    context: Values
    expected: Values
    chance: Values
    action: NDArray[np.int64]
    reward: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class World:
    """A log, a new policy for it, and what that policy is truly worth."""

    log: LoggedDecisions
    policy: Policy
    truth: float


def world(seed: int, rounds: int = ROUNDS) -> World:
    """Run `seed` of the published experiment: a policy learnt on one log, evaluated on another."""
    # The published draws are of numpy's older generator, whose streams never change.
    draws = RandomState(seed)
    learnt_from, log = _rounds(seed, rounds, draws), _rounds(seed, rounds, draws)
    chance = _learnt_policy(learnt_from, log.context)
    numbers = pl.int_range(rounds, eager=True).cast(pl.String)
    frame = pl.DataFrame(
        {
            "decision_id": numbers,
            "product_id": log.action,
            "probability": log.chance[np.arange(rounds), log.action],
            "reward": log.reward,
            **{f"x{number}": column for number, column in enumerate(log.context.T)},
        }
    )
    table = pl.DataFrame(chance, schema=[str(action) for action in range(ACTIONS)])
    decisions = logged_decisions(frame, context=[f"x{number}" for number in range(DIMENSIONS)])
    return World(
        decisions,
        policy_for(decisions, table.with_columns(numbers.alias("decision_id"))),
        float((chance * log.expected).sum(axis=1).mean()),
    )


def relative_errors(
    runs: int, *, rng: Generator, progress: Progress, rounds: int = ROUNDS
) -> dict[str, list[float]]:
    """How far each estimate of each run is from the truth, as a share of it."""
    errors: dict[str, list[float]] = {name: [] for name in PUBLISHED}
    with progress.task("synthetic runs", total=runs) as advance, one_blas_thread():
        for seed in range(runs):
            one = world(seed, rounds)
            value = policy_value(one.log, one.policy, rng=rng, progress=Silent(), folds=FOLDS)
            for name, estimate in value.estimates.items():
                errors[name].append(abs(estimate.mean - one.truth) / one.truth)
            advance(1)
    return errors


def summary(errors: Mapping[str, Sequence[float]]) -> dict[str, Error]:
    """Mean and standard deviation (n - 1) of each estimator's errors."""
    return {
        name: Error(float(np.mean(one)), float(np.std(one, ddof=1)) if len(one) > 1 else 0.0)
        for name, one in errors.items()
    }


def _rounds(seed: int, rounds: int, draws: RandomState) -> Rounds:
    """The rounds of one log: normal contexts, logistic rewards, a softmax of beta x reward."""
    context = draws.normal(size=(rounds, DIMENSIONS))
    # A constant, then the value itself, of contexts and of one-hot actions.
    known = np.column_stack([np.ones(rounds), context])
    shown = np.column_stack([np.ones(ACTIONS), np.eye(ACTIONS)])
    world_draws = RandomState(seed)  # anew: both logs are of one world
    of_context = world_draws.uniform(-1, 1, size=known.shape[1])
    of_action = world_draws.uniform(-1, 1, size=shown.shape[1])
    of_both = world_draws.uniform(-1, 1, size=(known.shape[1], shown.shape[1]))
    logits = (known @ of_context)[:, None] + shown @ of_action + known @ of_both @ shown.T
    expected = expit((logits - logits.mean()) / logits.std())
    chance = softmax(BETA * expected, axis=1)
    at = RandomState(seed).uniform(size=rounds)[:, None]
    action = (chance.cumsum(axis=1) > at).argmax(axis=1)
    reward = draws.binomial(1, expected[np.arange(rounds), action])
    return Rounds(context, expected, chance, action, reward)


def _learnt_policy(log: Rounds, context: Values) -> Values:
    """The softmax of a classifier's chances `(rounds, actions)`.

    The classifier foresees the action shown, each round weighted by reward / probability.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - a second to import

    weight = log.reward / log.chance[np.arange(len(log.action)), log.action]
    learner = LogisticRegression(C=100, max_iter=10_000)
    learner.fit(log.context, log.action, sample_weight=weight)
    return np.asarray(softmax(learner.predict_proba(context), axis=1))
