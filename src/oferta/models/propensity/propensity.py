"""Learning chances from windows of the past, and stating them of today.

A *window* is an instant of the past and what was chosen within the horizon after it. Every customer
with a past takes part with every product, whether they chose anything or not: a chance is that of
choosing this product within the horizon at all, and not of it being the next choice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from oferta.interactions.lists import Lists
from oferta.models.propensity.columns import (
    CATEGORICAL,
    OF_A_PAIR,
    Described,
    log_odds,
    pair_columns,
)
from oferta.models.propensity.facts import FactCoding
from oferta.models.propensity.knowledge import Knowledge
from oferta.models.protocol import FittedRecommender
from oferta.models.ranker.booster import Examples, Trees, grow

MOST_PRODUCTS: Final = 256
"""In a larger catalogue most pairs are never seen chosen."""

_CUSTOMERS = 8_000  # of a window: more make the trees little better
_OTHERS = 30  # pairs that were not chosen are drawn, so many for each that was
_WATCHED = 0.2  # of the customers say when to stop
_ROUNDS, _PATIENCE = 200, 15
_BLOCK = 500  # customers at a time: tens of MB
_LINED = 1_000  # customers of a window whom the line is fitted on, with all products
_LEAST = 1e-7  # the nearest to 0 and 1 that a float32 can tell from them
_PRIOR = (0.05, 0.1)  # standard deviations of the line's slope and offset
_PARAMS: Final = {
    "objective": "binary",
    "learning_rate": 0.1,
    "num_leaves": 15,
    "num_threads": 1,
    "lambda_l2": 5.0,
    "cat_smooth": 50.0,
    "cat_l2": 30.0,
    "min_data_in_leaf": 50,
    "max_bin": 127,
}


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What was known at an instant, and what was chosen within the horizon after it.

    Attributes:
        known: of the customers who had a past then.
        fitted: the model that scores them, fitted on what was before.
        chosen: what each of them then chose.
    """

    known: Knowledge
    fitted: FittedRecommender
    chosen: Lists


@dataclass(frozen=True, slots=True, eq=False)
class Propensity:
    """What states chances. Immutable; safe to share between threads.

    Attributes:
        trees: what the pair's numbers add to the log odds of its product's base rate.
        described: the products, in the rows of the model that scores them.
        coding: of the facts.
        horizon_days: how far the chances look ahead.
        line: slope and offset of the log odds that are stated over those that trees give.
    """

    trees: Trees
    described: Described
    coding: FactCoding
    horizon_days: float
    line: tuple[float, float] = (1.0, 0.0)

    def chances(
        self, known: Knowledge, scores: NDArray[np.float32], *, rows: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """`(customers, products) float32` of the customers at `rows`, ascending.

        `scores`: `(customers, products)` of the model, all of them finite. Of a customer without a
        past there is none: NaN.
        """
        said = np.empty(scores.shape, np.float32)
        slope, offset = self.line
        for low in range(0, len(scores), _BLOCK):
            some = slice(low, low + _BLOCK)
            columns = pair_columns(known, scores[some], self.described, rows=rows[some])
            added = self.trees.score(columns.reshape(-1, columns.shape[2]))
            odds = log_odds(known.base) + added.reshape(columns.shape[:2])
            said[some] = expit(slope * odds + offset)
        said[np.diff(known.histories.indptr)[rows] == 0] = np.nan
        return said


def learn(
    windows: Sequence[Window],
    described: Described,
    coding: FactCoding,
    *,
    horizon_days: float,
    seed: int,
    rng: Generator,
) -> Propensity | None:
    """What the windows teach; None where too little was chosen in them.

    A fifth of the customers is set aside: they say how many trees there are, and how far to trust
    them. Trees learn from a sample of what was not chosen, so they know too well that it was not,
    and state somewhat more of all the rest.
    """
    watched = [rng.random(len(window.known)) < _WATCHED for window in windows]
    both = list(zip(windows, watched, strict=True))
    examples = _joined([_drawn(window, described, ~mask, rng) for window, mask in both])
    aside = _joined([_drawn(window, described, mask, rng) for window, mask in both])
    if not (examples.label.any() and aside.label.any()):
        return None
    categorical = (*CATEGORICAL, *(len(OF_A_PAIR) + place for place in coding.categorical))
    trees = grow(
        replace(examples, categorical=categorical),
        {**_PARAMS, "seed": seed},
        rounds=_ROUNDS,
        watched=replace(aside, categorical=categorical),
        patience=_PATIENCE,
    )
    raw = Propensity(trees, described, coding, horizon_days)
    return replace(raw, line=_line_of(raw, both))


def stated(
    propensity: Propensity, window: Window, *, rows: NDArray[np.integer] | None = None
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Chances in the window, and what was chosen: `(customers, products)` both, in blocks.

    `rows`: of these customers; None: of all.
    """
    asked = np.arange(len(window.known)) if rows is None else rows
    for some, scores in _scores(window, asked):
        said = propensity.chances(window.known, scores, rows=some)
        yield said, _marked(window.chosen, some, scores.shape[1])


def _scores(
    window: Window, rows: NDArray[np.integer]
) -> Iterator[tuple[NDArray[np.integer], NDArray[np.float32]]]:
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK]
        yield some, window.fitted.score(window.known.histories.take(some))


def _line_of(
    propensity: Propensity, windows: Sequence[tuple[Window, NDArray[np.bool_]]]
) -> tuple[float, float]:
    """Slope and offset that all pairs of the customers set aside ask for.

    A logistic curve over log odds (Platt 1999) whose slope is held near 1 and offset near 0 by
    normal priors, as few choices would bend it by chance.
    """
    odds, chosen = [], []
    for window, mask in windows:
        rows = np.flatnonzero(mask & (np.diff(window.known.histories.indptr) > 0))[:_LINED]
        for said, marked in stated(propensity, window, rows=rows):
            odds.append(log_odds(np.clip(said, _LEAST, 1 - _LEAST)).ravel())
            chosen.append(marked.ravel())
    every, happened = np.concatenate(odds), np.concatenate(chosen).astype(np.float64)

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = line[0] * every + line[1]
        off = expit(z) - happened
        away = (line - (1, 0)) / np.square(_PRIOR)
        value = float(np.logaddexp(0, z).sum() - z @ happened + away @ (line - (1, 0)) / 2)
        return value, np.array([off @ every, off.sum()]) + away

    found = minimize(loss, (1.0, 0.0), jac=True, method="BFGS")
    return float(found.x[0]), float(found.x[1])


def _drawn(
    window: Window, described: Described, customers: NDArray[np.bool_], rng: Generator
) -> Examples:
    """Every pair that was chosen, and of the others so many that they weigh what they are."""
    share = min(1.0, _CUSTOMERS / max(int(customers.sum()), 1))
    taking = customers & (rng.random(len(customers)) < share)
    count = int(taking[window.chosen.owners()].sum())
    others = max(int(taking.sum()) * len(described) - count, 1)
    odds = min(1.0, _OTHERS * max(count, 1) / others)
    columns, label, owner = [], [], []
    for rows, scores in _scores(window, np.flatnonzero(taking)):
        marked = _marked(window.chosen, rows, scores.shape[1])
        at, product = np.nonzero(marked | (rng.random(scores.shape) < odds))
        columns.append(pair_columns(window.known, scores, described, rows=rows)[at, product])
        label.append(marked[at, product])
        owner.append(rows[at])
    width = len(OF_A_PAIR) + window.known.facts.shape[1]
    chosen = np.concatenate([np.zeros(0, np.bool_), *label])
    return Examples(
        columns=np.concatenate([np.zeros((0, width), np.float32), *columns]),
        label=chosen.astype(np.int32),
        weight=np.where(chosen, 1, 1 / odds).astype(np.float32),
        owner=np.concatenate([np.zeros(0, np.int64), *owner]),
    )


def _joined(several: Sequence[Examples]) -> Examples:
    sizes = [int(each.owner.max(initial=-1)) + 1 for each in several]
    offsets = np.cumsum([0, *sizes[:-1]])
    columns = np.concatenate([each.columns for each in several])
    return Examples(
        columns=columns,
        label=np.concatenate([each.label for each in several]),
        weight=np.concatenate([each.weight for each in several]),
        owner=np.concatenate(
            [each.owner + offset for each, offset in zip(several, offsets, strict=True)]
        ),
        start=columns[:, OF_A_PAIR.index("base")].astype(np.float64),
    )


def _marked(lists: Lists, rows: NDArray[np.integer], products: int) -> NDArray[np.bool_]:
    """`(rows, products)`: what each of the rows chose."""
    own = lists.take(rows)
    marked = np.zeros((len(rows), products), np.bool_)
    marked[own.owners(), own.product] = True
    return marked
