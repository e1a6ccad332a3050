"""Chances in place of scores: fitting the map on rows that no model saw, and judging what it says.

A *slot* is a place in a list: a test row and a product listed for it. Slots are the pairs that
chances are shown of, so they are what maps are fitted on and judged by. In a catalogue of up to
256 products all pairs of a row and a product that its list may hold are slots, too (`every`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from oferta.interactions.histories import Histories
from oferta.interactions.lists import Lists
from oferta.models.data import TrainingData
from oferta.models.protocol import FittedRecommender, Recommender
from oferta.models.recommend import block_size
from oferta.progress import Progress
from oferta.scoring.calibration import CalibrationMap
from oferta.scoring.topk import ProductMask, top_k

Method = Literal["isotonic", "platt", "auto", "own"]

SMALL = 256
"""Products up to which every allowed pair is judged, and recall is told by product."""

_ROWS = 20_000  # to fit a map on; more change it little
_FEW = 1000  # chosen slots below which steps would follow chance: a curve of two numbers then
_BINS = 10
_LOGS = np.linspace(-16, 0, 1601)  # lines between these are off by a hundred-thousandth of a chance
_CERTAIN = 1e-6  # chances nearer to 0 or 1 count as this far away in the log loss


class Scorer(Protocol):
    """Anything that scores pasts."""

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`, freshly made."""
        ...


@runtime_checkable
class StatesChances(Protocol):
    """A fitted model whose scores may be logs of chances."""

    @property
    def states_chances(self) -> bool:
        """Whether they are."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Rows to state chances for.

    Attributes:
        histories: a past per row.
        test: what each row chose.
        removed: what its list must not hold.
        candidates: what alone may be listed for each row; None: every product.
        ranked: `(products,) bool`, what alone may be listed for any row; None: every product.
    """

    histories: Histories
    test: Lists
    removed: Lists
    candidates: Lists | None = None
    ranked: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.histories)


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Scores of slots, and whether each product was chosen: `(slots,) float32` and `bool`."""

    score: NDArray[np.float32]
    chosen: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bin:
    """Slots of about the same stated chance: its mean, the share that was chosen, how many."""

    stated: float
    observed: float
    count: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """What stated chances are worth.

    Attributes:
        ece: expected calibration error: mean over bins, by their slots, of the distance between
            the mean stated chance and the share that was chosen.
        brier: mean squared distance of the chance from 1 (chosen) or 0.
        log_loss: mean of -log of the chance that was given to what happened, in nats.
        bins: ten of as many slots each, from the lowest chance; equal chances are never parted.
        count: slots in all.
    """

    ece: float
    brier: float
    log_loss: float
    bins: tuple[Bin, ...]
    count: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "ece": self.ece,
            "brier": self.brier,
            "log_loss": self.log_loss,
            "count": self.count,
            "bins": [
                {"stated": one.stated, "observed": one.observed, "count": one.count}
                for one in self.bins
            ],
        }


def calibration_of(
    recipe: Recommender,
    fitted: FittedRecommender,
    data: TrainingData,
    *,
    method: Method,
    k: int,
    seed: int,
    progress: Progress,
) -> CalibrationMap | None:
    """The map from the scores of `fitted` to chances, from a cut of `data` that no model saw.

    Its recipe is fitted on what is before the cut and the map on what it then lists; a recipe that
    learns from a cut itself makes one inside. `k`: slots of a list, in catalogues of more than 256
    products. None where the data can not be cut, or nothing listed was chosen. Cost: one more fit.
    Method `own` needs neither: the chances are those that the model states; None where it does not.
    """
    if method == "own":
        states = isinstance(fitted, StatesChances) and fitted.states_chances
        return CalibrationMap(_LOGS, np.exp(_LOGS)) if states else None
    held_out = data.held_out()
    if held_out is None:
        return None
    rng = default_rng([seed, 5])
    inner = recipe.fit(held_out.data, rng=default_rng(seed), progress=progress)
    given = Asked(held_out.histories, held_out.test, held_out.removed, ranked=held_out.ranked)
    asked = _some(given, rng)
    small = len(data.products) <= SMALL
    return map_of(slots_of(inner, asked, k=None if small else k), method=method)


def map_of(slots: Slots, *, method: Method) -> CalibrationMap | None:
    """The map that `slots` teach; None where all or none of them was chosen."""
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - slow to import
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    score, chosen = slots.score.astype(np.float64), slots.chosen
    positives = int(chosen.sum())
    if positives in {0, len(chosen)}:
        return None
    if method == "platt" or (method == "auto" and positives < _FEW):
        middle, spread = float(score.mean()), max(float(score.std()), 1e-12)
        curve = LogisticRegression(C=1e6).fit((score[:, None] - middle) / spread, chosen)
        slope = max(float(curve.coef_[0, 0]), 0.0) / spread
        return CalibrationMap.logistic(slope, float(curve.intercept_[0]) - slope * middle)
    steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(score, chosen)
    knots, first = np.unique(steps.X_thresholds_.astype(np.float64), return_index=True)
    # No finite number of rows makes certain: what was never seen may be chosen one day.
    edge = 0.5 / len(score)
    return CalibrationMap(knots, np.clip(steps.y_thresholds_[first], edge, 1 - edge))


def slots_of(model: Scorer, asked: Asked, *, k: int | None) -> Slots:
    """The slots of lists of `k`; None: of all pairs that a list may hold."""
    scores, chosen = [], []
    for start, block in _blocks(model, asked):
        wanted = _marked(asked.test, start, block.shape)
        if k is None:
            allowed = block > -np.inf
            scores.append(block[allowed])
            chosen.append(wanted[allowed])
        else:
            listed = top_k(block, k)
            rows = np.broadcast_to(np.arange(len(block))[:, None], listed.products.shape)
            there = listed.products >= 0
            scores.append(listed.scores[there])
            chosen.append(wanted[rows[there], listed.products[there]])
    if not scores:
        return Slots(np.zeros(0, np.float32), np.zeros(0, np.bool_))
    return Slots(np.concatenate(scores), np.concatenate(chosen))


def reliability(stated: NDArray[np.floating], chosen: NDArray[np.bool_]) -> Reliability:
    """What the chances `stated` `(slots,)` are worth, given what was `chosen`.

    Raises:
        ValueError: no slots.
    """
    if not len(stated):
        raise ValueError("no slot to judge chances by")
    exact = np.asarray(stated, np.float64)
    order = np.argsort(exact, kind="stable")
    ranked = exact[order]
    # Equal chances share a bin: the one that the first of them falls into.
    place = np.searchsorted(ranked, ranked, side="left") * _BINS // len(ranked)
    happened = chosen[order].astype(np.float64)
    bins = tuple(
        Bin(float(ranked[inside].mean()), float(happened[inside].mean()), int(inside.sum()))
        for inside in (place == number for number in np.unique(place))
    )
    sure = np.clip(exact, _CERTAIN, 1 - _CERTAIN)
    return Reliability(
        ece=sum(one.count * abs(one.stated - one.observed) for one in bins) / len(exact),
        brier=float(np.mean((exact - chosen) ** 2)),
        log_loss=float(-np.mean(np.where(chosen, np.log(sure), np.log1p(-sure)))),
        bins=bins,
        count=len(exact),
    )


def _some(asked: Asked, rng: Generator) -> Asked:
    if len(asked) <= _ROWS:
        return asked
    rows = np.sort(rng.choice(len(asked), _ROWS, replace=False))
    return replace(
        asked,
        histories=asked.histories.take(rows),
        test=asked.test.take(rows),
        removed=asked.removed.take(rows),
    )


def _blocks(model: Scorer, asked: Asked) -> Iterator[tuple[int, NDArray[np.float32]]]:
    # Scores of a block of rows, minus infinity where the list may not hold the product.
    if not len(asked):
        return
    width = model.score(asked.histories.slice(0, 1)).shape[1]
    listable = np.ones(width, np.bool_) if asked.ranked is None else asked.ranked
    mask = ProductMask(listable, asked.removed.indptr, asked.removed.product)
    size = block_size(width)
    for start in range(0, len(asked), size):
        stop = min(start + size, len(asked))
        block = model.score(asked.histories.slice(start, stop))
        mask.slice(start, stop).apply(block)
        if asked.candidates is not None:
            block[~_marked(asked.candidates, start, block.shape)] = -np.inf
        yield start, block


def _marked(lists: Lists, start: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    marked = np.zeros(shape, np.bool_)
    indptr = lists.indptr[start : start + shape[0] + 1]
    owner = np.repeat(np.arange(shape[0]), np.diff(indptr))
    marked[owner, lists.product[indptr[0] : indptr[-1]]] = True
    return marked
