"""The weights of a blend: chosen by what they list, with a guard against choosing by chance."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from oferta.interactions.histories import Histories
from oferta.models.data import Validation

LAST = np.float32(-1e30)
"""The score of no product. Finite, so that a weight of 0 makes 0 of it."""

K = 10  # the length of list that weights are chosen for
_DEPTH = 50  # products of each model's list that may come into the blend's first ten
_UNITS = 20  # weights are multiples of a twentieth

Scores = Callable[[Histories], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Per row the products that any model lists, and what every model says of each.

    Attributes:
        scores: `(rows, width, models) float32`, by their spread; `LAST` where a row has
            fewer.
        wanted: `(rows, width) bool`, whether it was chosen.
        size: `(rows,) int64`, how many products were chosen, listed or not.
    """

    scores: NDArray[np.float32]
    wanted: NDArray[np.bool_]
    size: NDArray[np.int64]

    def ndcg(self, weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """`(rows,)`: NDCG of the first ten by `weights`; the ideal list is cut there, too."""
        blended = self.scores @ weights.astype(np.float32)
        k = min(K, blended.shape[1])
        best = np.argsort(-blended, axis=1, kind="stable")[:, :k]
        gain = 1 / np.log2(np.arange(2, K + 2))
        hits = np.take_along_axis(self.wanted, best, axis=1)
        ideal = np.concatenate([[0.0], np.cumsum(gain)])[np.minimum(self.size, K)]
        return np.asarray((hits @ gain[:k]) / np.maximum(ideal, 1e-12))

    def rows(self, chosen: NDArray[np.bool_]) -> "Candidates":
        """Those of some rows, a mask."""
        return Candidates(self.scores[chosen], self.wanted[chosen], self.size[chosen])


def spread(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(customers, 1) float32`: the standard deviation of each customer's scores; 1 where it is 0.

    Dividing by it makes the scores of different models, and of short and long pasts, alike.
    """
    found = scores.std(axis=1, keepdims=True)
    return np.asarray(np.where(found > 0, found, 1), np.float32)


def candidates_of(
    models: Mapping[str, Scores], validation: Validation, *, most: int, block: int, rng: Generator
) -> Candidates:
    """The candidates of at most `most` of the validation's rows, drawn, `block` rows at a time."""
    rows = np.arange(len(validation.test))
    if len(rows) > most:
        rows = np.sort(rng.choice(len(rows), most, replace=False))
    parts = [
        _candidates(models, validation, rows[start : start + block])
        for start in range(0, len(rows), block)
    ]
    width = max(part.scores.shape[1] for part in parts)
    scores = np.full((len(rows), width, len(models)), LAST, np.float32)
    wanted = np.zeros((len(rows), width), np.bool_)
    at = 0
    for part in parts:
        scores[at : at + len(part.size), : part.scores.shape[1]] = part.scores
        wanted[at : at + len(part.size), : part.scores.shape[1]] = part.wanted
        at += len(part.size)
    return Candidates(scores, wanted, np.concatenate([part.size for part in parts]))


def _candidates(
    models: Mapping[str, Scores], validation: Validation, rows: NDArray[np.int64]
) -> Candidates:
    histories = validation.histories.take(rows)
    raw = [score(histories) for score in models.values()]
    said = [scores / spread(scores) for scores in raw]
    products = said[0].shape[1]
    forbidden = _mask(validation.removed.indptr, validation.removed.product, rows, products)
    if validation.ranked is not None:
        forbidden |= ~validation.ranked
    wanted = _mask(validation.test.indptr, validation.test.product, rows, products)
    depth = min(_DEPTH, products)
    listed = np.zeros(forbidden.shape, np.bool_)
    for scores in said:
        allowed = np.where(forbidden, -np.inf, scores)
        top = np.argpartition(-allowed, depth - 1, axis=1)[:, :depth]
        np.put_along_axis(listed, top, values=True, axis=1)
    listed &= ~forbidden
    width = max(int(listed.sum(axis=1).max(initial=0)), 1)
    # The listed products of each row, in their order, then others that do not count.
    order = np.argsort(~listed, axis=1, kind="stable")[:, :width]
    counts = np.take_along_axis(listed, order, axis=1)
    stacked = np.stack([np.take_along_axis(scores, order, axis=1) for scores in said], axis=2)
    stacked[~counts] = LAST
    return Candidates(
        stacked,
        np.take_along_axis(wanted, order, axis=1) & counts,
        np.diff(validation.test.indptr)[rows],
    )


def _mask(
    indptr: NDArray[np.int64], product: NDArray[np.int32], rows: NDArray[np.int64], width: int
) -> NDArray[np.bool_]:
    mask = np.zeros((len(rows), width), np.bool_)
    for at, row in enumerate(rows):
        mask[at, product[indptr[row] : indptr[row + 1]]] = True
    return mask


def choose_weights(candidates: Candidates, *, rng: Generator) -> NDArray[np.float64]:
    """`(models,)`: weights that sum to 1.

    Each half of the rows chooses weights, and the best single model; both are judged on the other
    half. Where weights do not win there, the best single model on all rows is chosen alone; where
    they do, the mean of the two halves' weights.
    """
    models = candidates.scores.shape[2]
    alone = np.eye(models)
    first = rng.random(len(candidates.size)) < 0.5  # noqa: PLR2004 - a half
    found, gain = [], 0.0
    for half in (first, ~first):
        chosen = _greedy(candidates.rows(half))
        single = alone[_best_alone(candidates.rows(half))]
        other = candidates.rows(~half)
        gain += float(other.ndcg(chosen).sum() - other.ndcg(single).sum())
        found.append(chosen)
    if gain <= 0:
        return np.asarray(alone[_best_alone(candidates)])
    return np.asarray(np.mean(found, axis=0))


def _best_alone(candidates: Candidates) -> int:
    models = candidates.scores.shape[2]
    return int(np.argmax([candidates.ndcg(one).sum() for one in np.eye(models)]))


def _greedy(candidates: Candidates) -> NDArray[np.float64]:
    """Units of weight given one by one to the model that gains most (Caruana et al. 2004)."""
    models = candidates.scores.shape[2]
    units = np.zeros(models)
    units[_best_alone(candidates)] = 1
    best, best_value = units.copy(), float(candidates.ndcg(units).sum())
    for _ in range(_UNITS - 1):
        values = [float(candidates.ndcg(units + one).sum()) for one in np.eye(models)]
        units[int(np.argmax(values))] += 1
        if max(values) > best_value:
            best, best_value = units.copy(), max(values)
    return np.asarray(best / best.sum())
