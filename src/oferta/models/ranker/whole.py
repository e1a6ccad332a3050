"""All products of a small catalogue at once: trees that choose one class among them.

No candidates and no cut are needed: every customer's own products are the labels, see
`oferta.models.ranker.occasions`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from oferta.interactions.histories import Histories
from oferta.models.data import TrainingData
from oferta.models.ranker.booster import Examples, Trees, grow
from oferta.models.ranker.learning import Learning
from oferta.models.ranker.occasions import (
    Occasions,
    occasions_of,
    with_newcomers,
    without,
)
from oferta.models.ranker.profile import Known, categorical_columns, profile
from oferta.scoring.live import segment_rows

_MOST = 300_000  # occasions: more make the trees of a small catalogue no better
_NEW = 30_000  # of them as if nothing had been known
_SMOOTHING = 50.0  # choices of everybody that are added to each segment's
_WATCHED = 0.2  # of the customers say when to stop
_NEVER = np.float32(-20.0)  # log of the odds of what must not be listed
_LIKELY = 0.02  # chance from which a product may complete a past


@dataclass(frozen=True, slots=True, eq=False)
class Chooser:
    """What is likely to be chosen next, of all products.

    Attributes:
        start: `(segments + 1, products) float32`, log of the share of choices by segment.
        trees: what a customer's profile adds, a class per product; None: nothing was to be learnt.
        known: what the trees are told.
        repeatable: whether what is held may be chosen.
    """

    start: NDArray[np.float32]
    trees: Trees | None
    known: Known
    repeatable: bool

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`: log of the chance that the next choice is this one."""
        scores = self._before_trees(histories).astype(np.float32)
        if self.trees is not None and len(histories):
            scores += self.trees.score(self.profile(histories))
        scores -= scores.max(axis=1, keepdims=True, initial=-np.inf)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return scores

    def profile(self, histories: Histories) -> NDArray[np.float32]:
        """What the trees see of the customers."""
        return profile(histories, self.known)

    def examples(self, occasions: Occasions, categorical: tuple[int, ...]) -> Examples:
        """What the trees learn from."""
        return Examples(
            columns=self.profile(occasions.histories),
            label=occasions.product,
            weight=occasions.weight,
            owner=occasions.owner,
            start=self._before_trees(occasions.histories).astype(np.float64),
            categorical=categorical,
        )

    def _before_trees(self, histories: Histories) -> NDArray[np.float32]:
        scores = np.asarray(self.start[segment_rows(histories, len(self.start))], np.float32)
        if not self.repeatable:
            # Left out from the start, so that no tree is spent on learning it.
            scores[histories.owners(), histories.product] = _NEVER
        return scores


def learn(data: TrainingData, learning: Learning, *, rng: Generator) -> Chooser:
    """The chooser that `data` teaches."""
    occasions = occasions_of(data, most=_MOST, rng=rng)
    newcomers = partial(with_newcomers, histories=data.histories, most=_NEW, rng=rng)
    if not data.ordered:  # where there is an order, every first step is a newcomer's
        occasions = newcomers(occasions)
    if not data.repeatable:
        occasions = occasions.of(np.flatnonzero(~_held(occasions)))
    if learning.half_life_days is not None:
        decay = np.exp2(-occasions.age_days / learning.half_life_days).astype(np.float32)
        occasions = replace(occasions, weight=occasions.weight * decay)
    chooser = Chooser(_start(occasions, data), None, Known.of(data), data.repeatable)
    if len(occasions) < 2:  # noqa: PLR2004 - nothing to tell apart
        return chooser
    categorical = categorical_columns(data.customer_features, first=chooser.known.width)
    examples = chooser.examples(occasions, categorical)
    params = _params(learning.params, chooser, len(occasions))
    draw = rng.random(int(occasions.owner.max()) + 1)[occasions.owner] < _WATCHED
    rounds = learning.rounds
    if draw.any() and not draw.all():
        rounds = grow(
            examples.of(~draw),
            params,
            rounds=rounds,
            watched=examples.of(draw),
            patience=learning.patience,
        ).count
    chooser = replace(chooser, trees=grow(examples, params, rounds=rounds))
    if not data.ordered:
        for _ in range(learning.completions):
            completed = newcomers(_completed(chooser, data.histories, rng))
            more = chooser.examples(completed, categorical)
            chooser = replace(chooser, trees=grow(more, params, rounds=rounds))
    return chooser


def _params(given: Mapping[str, Any], chooser: Chooser, rows: int) -> dict[str, Any]:
    return {
        **given,
        "objective": "multiclass",
        "num_class": chooser.start.shape[1],
        "min_data_in_leaf": int(np.clip(rows // 1000, 3, 50)),
    }


def _held(occasions: Occasions) -> NDArray[np.bool_]:
    past = occasions.histories
    owner = past.owners()
    held: NDArray[np.bool_] = np.zeros(len(occasions), np.bool_)
    held[owner[past.product == occasions.product[owner]]] = True
    return held


def _start(occasions: Occasions, data: TrainingData) -> NDArray[np.float32]:
    products, segments = len(data.products), len(data.segments)
    cell = segment_rows(occasions.histories, segments + 1) * products + occasions.product
    counts = np.bincount(cell, occasions.weight, (segments + 1) * products)
    counts = counts.reshape(segments + 1, products)
    overall = counts.sum(axis=0) + 0.5
    share = overall / overall.sum()
    counts = counts + _SMOOTHING * share
    counts[-1] = overall  # of an unknown segment: everybody
    return np.asarray(np.log(counts / counts.sum(axis=1, keepdims=True)), np.float32)


def _completed(chooser: Chooser, histories: Histories, rng: Generator) -> Occasions:
    """Every product of each past given the others and the one that is likely to be missing.

    A past of one product says nothing of what goes with it. Completed by each likely next product,
    with the chance of that as the weight, it does: of two products, whichever is missing, the same
    is said.
    """
    chance = np.exp(chooser.score(histories))
    held = (histories.owners(), histories.product)
    chance[held] = 0
    chance[np.diff(histories.indptr) == 0] = 0
    row, product = np.nonzero(chance >= _LIKELY)
    share = chance[row, product]
    share = share / np.bincount(row, share, len(histories))[row]
    longer = _with(histories.take(row), product.astype(np.int32))
    # Each entry but the added one is once the label.
    entries = np.flatnonzero(longer.product != product[longer.owners()])
    if len(entries) > _MOST:
        entries = np.sort(rng.choice(entries, _MOST, replace=False))
    of = longer.owners()[entries]
    taken = longer.take(of)
    return Occasions(
        histories=without(taken, taken.indptr[:-1] + (entries - longer.indptr[of])),
        product=longer.product[entries],
        weight=share[of].astype(np.float32),
        owner=row[of],
        age_days=np.zeros(len(entries), np.float32),
    )


def _with(histories: Histories, product: NDArray[np.int32]) -> Histories:
    # One more entry each, with the weight of one that counts once.
    at = np.append(histories.owners(), np.arange(len(histories)))
    order = np.lexsort((np.append(histories.product, product), at))

    def grown(values: NDArray[Any], value: float) -> NDArray[Any]:
        return np.append(values, np.full(len(product), value, values.dtype))[order]

    return replace(
        histories,
        indptr=histories.indptr + np.arange(len(histories) + 1),
        product=np.append(histories.product, product)[order],
        weight=grown(histories.weight, 1),
        recency=grown(histories.recency, 0),
        age_days=None if histories.age_days is None else grown(histories.age_days, np.nan),
        count=None if histories.count is None else grown(histories.count, 1),
    )
