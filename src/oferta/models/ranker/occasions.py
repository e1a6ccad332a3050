"""Occasions to learn from: a past, and the product that somebody with it chose.

One cut of the data shows few choices where customers hold two products each. These take all: every
step of a customer given the steps before it, or, where the data has no order, every product of a
customer given the others.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from oferta.interactions.amounts import UNDATED
from oferta.interactions.events import EventLog
from oferta.interactions.histories import Histories
from oferta.interactions.ranges import indices_of_ranges
from oferta.interactions.weighting import histories_of
from oferta.models.data import TrainingData

_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Occasions:
    """Choices and what was known before them.

    Attributes:
        histories: the past of each occasion.
        product: `(occasions,) int32`, what was chosen.
        weight: `(occasions,) float32`.
        owner: `(occasions,)`, the customer, ascending.
        age_days: `(occasions,) float32`, how long ago; 0 where no time is known.
    """

    histories: Histories
    product: NDArray[np.int32]
    weight: NDArray[np.float32]
    owner: NDArray[np.int64]
    age_days: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.product)

    def of(self, rows: NDArray[np.integer]) -> "Occasions":
        """Those at `rows`."""
        return Occasions(
            histories=self.histories.take(rows),
            product=self.product[rows],
            weight=self.weight[rows],
            owner=self.owner[rows],
            age_days=self.age_days[rows],
        )


def occasions_of(data: TrainingData, *, most: int, rng: Generator) -> Occasions:
    """Up to `most` occasions of `data`, drawn where there are more."""
    return _steps(data, most, rng) if data.ordered else all_but_one(data.histories, most, rng)


def all_but_one(histories: Histories, most: int, rng: Generator) -> Occasions:
    """Every product of a past given the others."""
    entries = _some(len(histories.product), most, rng)
    owner = histories.owners()[entries]
    taken = histories.take(owner)
    position = taken.indptr[:-1] + (entries - histories.indptr[owner])
    count = len(entries)
    return Occasions(
        histories=without(taken, position),
        product=histories.product[entries],
        weight=np.ones(count, np.float32),
        owner=owner,
        age_days=np.zeros(count, np.float32),
    )


def with_newcomers(
    occasions: Occasions, histories: Histories, *, most: int, rng: Generator
) -> Occasions:
    """`occasions` and up to `most` more: products of `histories` as if nothing had been known.

    Where data has no order, only a past of one product less that one is empty; a new customer is
    not like those who hold one product.
    """
    several = np.repeat(np.diff(histories.indptr) > 1, np.diff(histories.indptr))
    entries = np.flatnonzero(several)
    drawn = entries[_some(len(entries), most, rng)]
    owner, base = histories.owners()[drawn], occasions.histories
    nothing = histories.take(owner)
    joined = Occasions(
        histories=replace(
            base,
            indptr=np.append(base.indptr, np.full(len(drawn), base.indptr[-1])),
            known=np.append(base.known, np.full(len(drawn), -1, np.int32)),
            segment=np.append(base.segment, nothing.segment),
            features=None
            if base.features is None or nothing.features is None
            else np.concatenate([base.features, nothing.features]),
        ),
        product=np.append(occasions.product, histories.product[drawn]),
        # Those drawn stand for all.
        weight=np.append(
            occasions.weight,
            np.full(len(drawn), len(entries) / max(len(drawn), 1), np.float32),
        ),
        owner=np.append(occasions.owner, owner),
        age_days=np.append(occasions.age_days, np.zeros(len(drawn), np.float32)),
    )
    return joined.of(np.argsort(joined.owner, kind="stable"))


def without(histories: Histories, position: NDArray[np.integer]) -> Histories:
    """The pasts less one entry each: those at `position`, one of each past."""
    keep = np.ones(len(histories.product), np.bool_)
    keep[position] = False
    return replace(
        histories,
        indptr=histories.indptr - np.arange(len(histories) + 1),
        product=histories.product[keep],
        weight=histories.weight[keep],
        recency=histories.recency[keep],
        known=np.full(len(histories), -1, np.int32),
        age_days=None if histories.age_days is None else histories.age_days[keep],
        count=None if histories.count is None else histories.count[keep],
    )


def _steps(data: TrainingData, most: int, rng: Generator) -> Occasions:
    events = data.events
    chosen = (events.amount > 0) & events.conversion
    if not chosen.any():
        chosen = events.amount > 0
    picked = np.flatnonzero(chosen)
    picked = picked[_first_of_each(events, picked)]
    picked = picked[_some(len(picked), most, rng)]
    owner, step = events.customer[picked].astype(np.int64), events.step[picked]
    # An occasion's log: the events of its customer that came strictly before.
    begins = np.searchsorted(events.customer, owner)
    key = owner * (int(events.step.max(initial=0)) + 2)
    at = np.searchsorted(
        events.customer.astype(np.int64) * (int(events.step.max(initial=0)) + 2) + events.step,
        key + step,
    )
    source = indices_of_ranges(begins, at - begins)
    row = np.repeat(np.arange(len(picked), dtype=np.int32), at - begins)
    now = events.time_us[picked]
    time = events.time_us[source]
    end = events.last_us
    if end is not None:
        # Every occasion is told as if it were now: a past is as old as it was then.
        shift = np.where(now == UNDATED, 0, end - now)
        time = np.where(time == UNDATED, UNDATED, time + shift[row])
    log = EventLog(
        customer=row,
        product=events.product[source],
        amount=events.amount[source],
        step=events.step[source],
        time_us=time,
        conversion=events.conversion[source],
        ordered=True,
    )
    past = data.histories
    histories = histories_of(
        log,
        data.weighting,
        n_customers=len(picked),
        now_us=end,
        segment=past.segment[owner],
        features=None if past.features is None else past.features[owner],
    )
    age = np.zeros(len(picked), np.float32)
    if end is not None:
        age = np.where(now == UNDATED, 0, (end - now.astype(np.float64)) / _DAY_US)
    return Occasions(
        histories=replace(histories, known=np.full(len(picked), -1, np.int32)),
        product=events.product[picked],
        weight=np.ones(len(picked), np.float32),
        owner=owner,
        age_days=age.astype(np.float32),
    )


def _first_of_each(events: EventLog, picked: NDArray[np.int64]) -> NDArray[np.int64]:
    # A product chosen twice at one step is one choice.
    cells = np.stack([events.customer[picked], events.step[picked], events.product[picked]])
    _, first = np.unique(cells, axis=1, return_index=True)
    return np.sort(first)


def _some(count: int, most: int, rng: Generator) -> NDArray[np.int64]:
    if count <= most:
        return np.arange(count)
    return np.sort(rng.choice(count, most, replace=False))
