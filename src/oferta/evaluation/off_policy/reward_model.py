"""What reward to expect of each product, learnt from the log and never from the row it judges."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack
from scipy.special import expit

from oferta.evaluation.off_policy.decisions import LoggedDecisions
from oferta.evaluation.off_policy.policy import Policy
from oferta.evaluation.off_policy.problems import refuse
from oferta.progress import Progress
from oferta.scoring.blas import one_blas_thread

_BLOCK_CELLS: Final = 4_000_000
"""Expected rewards held at once: 32 MB."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Expected:
    """Expected rewards per row of a log: of what it showed, and under the policy `(rows,)`."""

    of_shown: Values
    under_policy: Values
    model: str


def cross_fitted(
    log: LoggedDecisions, policy: Policy, *, folds: int, rng: Generator, progress: Progress
) -> Expected:
    """Expected rewards by a linear model of context and product, fitted per fold.

    Each fold's rows are foreseen by a model of the other folds; the rows of one customer (or of one
    decision) are in one fold, so no model judges what it learnt from (Chernozhukov et al. 2018,
    Double/debiased machine learning, section 3). The model is a logistic regression where every
    reward is 0 or 1, else a ridge regression, both with scikit-learn's L2 penalty of 1: numbers
    standardised, texts and the product one-hot, no interactions. Cost: per fold a fit on the rows,
    then rows x products additions.

    Raises:
        DecisionsRefused: fewer than two customers (or decisions): nothing to learn from.
    """
    fold = _folds(log.unit, folds, rng)
    if not fold.any():
        refuse("log", ["all rows are of one customer or decision: nothing is left to learn from"])
    context = _design(log)
    binary = bool(np.isin(log.reward, (0, 1)).all())
    of_shown, under_policy = np.empty(len(log)), np.empty(len(log))
    task = progress.task("reward model", total=int(fold.max()) + 1)
    with task as advance, one_blas_thread():
        for number in range(int(fold.max()) + 1):
            rest = fold != number
            model = _fit(context[rest], policy, rest, log.reward[rest], binary=binary)
            for block in _blocks(np.flatnonzero(~rest), len(policy.products)):
                expected = model.expected(context[block])
                of_shown[block] = expected[np.arange(len(block)), policy.shown[block]]
                chances = policy.distribution[policy.row[block]]
                under_policy[block] = chances.multiply(expected).sum(axis=1)
            advance(1)
    named = ", ".join((*log.context, "product_id"))
    kind = "logistic" if binary else "ridge"
    return Expected(of_shown, under_policy, f"{kind} regression on {named}, {folds} folds")


@dataclass(frozen=True, slots=True)
class _Linear:
    """A reward that is a sum of a part of the context and a part of the product."""

    of_context: Values
    of_product: Values
    binary: bool

    def expected(self, context: Values) -> Values:
        """The expected reward of every product `(rows, products)`."""
        sums = (context @ self.of_context)[:, None] + self.of_product
        return np.asarray(expit(sums)) if self.binary else sums


def _fit(
    context: Values, policy: Policy, rows: NDArray[np.bool_], reward: Values, *, binary: bool
) -> _Linear:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - a second to import
    from sklearn.linear_model import LogisticRegression, Ridge  # noqa: PLC0415

    width, products = context.shape[1], len(policy.products)
    if binary and reward.min() == reward.max():  # no regression separates one class
        certain = np.full(products, np.inf if reward[0] else -np.inf)
        return _Linear(np.zeros(width), certain, binary)
    at = (np.arange(len(reward)), policy.shown[rows])
    product = csr_array((np.ones(len(reward)), at), shape=(len(reward), products))
    features = hstack([csr_array(context), product], format="csr")
    model = LogisticRegression(max_iter=1000) if binary else Ridge()
    with warnings.catch_warnings():
        # A fit that stopped early costs precision, not truth: DR holds for any model.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, reward)
    slope = np.ravel(model.coef_)
    return _Linear(slope[:width], slope[width:] + np.ravel(model.intercept_), binary)


def _design(log: LoggedDecisions) -> Values:
    """The context as numbers `(rows, features)`: standardised, or one column per text."""
    columns = [np.empty((len(log), 0))]
    for name in log.context:
        column = log.frame[name]
        if column.dtype.is_numeric():
            values = column.cast(pl.Float64).to_numpy()
            spread = values.std()
            if spread:
                columns.append(((values - values.mean()) / spread)[:, None])
        else:
            columns.append(column.cast(pl.String).to_dummies().to_numpy().astype(np.float64))
    return np.hstack(columns)


def _folds(unit: NDArray[np.int64], folds: int, rng: Generator) -> NDArray[np.int64]:
    """The fold of each row `(rows,)`: units at random, folds as even as can be."""
    order = rng.permutation(int(unit.max()) + 1)
    return np.asarray((order % folds)[unit])


def _blocks(rows: NDArray[np.int64], products: int) -> Iterator[NDArray[np.int64]]:
    step = max(1, _BLOCK_CELLS // products)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
