"""A customer's past with the events that came since: what training would have made of all of them.

Everything is added up before it is weighed (`interactions.amounts`), so order and number of the
releases in between change nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.amounts import DAY_US, UNDATED, Amounts, Saturation, weighed
from oferta.interactions.histories import Histories
from oferta.profile.recent import RecentEvent

_CONVERSION: Final = 1.0  # the weight of a type that nobody declared
_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """How a release's model counts events: as the job that trained it did.

    Attributes:
        weights: by event type, negative for what takes back; a type that is not there weighs 1.
        half_life_days: after which an event counts half; None: for ever the same.
        saturation: what repeats add.
        now_us: the instant to which the release's amounts are decayed, epoch microseconds; None
            where its data have no times.
    """

    weights: Mapping[str, float]
    half_life_days: float | None
    saturation: Saturation
    now_us: int | None

    def amount(self, event: RecentEvent) -> float:
        """Quantity times weight, negative for what is taken back, as `interactions.events`."""
        weight = self.weights.get(event.type, _CONVERSION)
        amount = (1.0 if event.quantity is None else event.quantity) * weight
        return float(np.float32(-abs(amount) if weight < 0 else amount))


@dataclass(frozen=True, slots=True, eq=False)
class _Deeds:
    """Events of all customers, one after another, that give or take something."""

    owner: NDArray[np.int64]
    product: NDArray[np.int64]
    amount: NDArray[np.float64]
    time_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.owner)


def with_events(
    past: Amounts,
    events: Sequence[Sequence[RecentEvent]],
    *,
    rows: Mapping[str, int],
    segment: NDArray[np.int32],
    weighing: Weighing,
    products: int,
    ordered: bool,
) -> tuple[Histories, NDArray[np.bool_]]:
    """The pasts after `events`, and `(customers,)` whether these changed anything.

    A past is decayed to the newest event of its customer, or to the release's own instant where
    that is later: so it is the same whenever it is asked for.

    Args:
        past: what the release knows, a row a customer; empty for one it does not have.
        events: of each customer, what the release does not know of.
        rows: row of each product that the scorer has, by id; others are no taste of anybody's.
        segment: `(customers,)`, -1 for unknown.
        weighing: how the release counts.
        products: how many the scorer has.
        ordered: whether the scorer looks at steps; if not, all recencies are 0.
    """
    deeds = _deeds(events, rows, weighing)
    changed = np.zeros(len(past), np.bool_)
    changed[deeds.owner] = True
    return weighed(
        _sum(past, deeds, weighing, products=products, ordered=ordered),
        saturation=weighing.saturation,
        now_us=None,  # ages in days are no concern of a live scorer
        known=np.full(len(past), -1, np.int32),
        segment=segment,
    ), changed


def _deeds(
    events: Sequence[Sequence[RecentEvent]], rows: Mapping[str, int], weighing: Weighing
) -> _Deeds:
    found = [
        (owner, row, amount, round(event.at * 1e6))
        for owner, each in enumerate(events)
        for event in each
        if event.product is not None
        and (row := rows.get(event.product)) is not None
        and (amount := weighing.amount(event))
    ]
    return _Deeds(
        np.array([owner for owner, *_ in found], np.int64),
        np.array([row for _, row, *_ in found], np.int64),
        np.array([amount for *_, amount, _ in found], np.float64),
        np.array([time_us for *_, time_us in found], np.int64),
    )


def _sum(
    past: Amounts, deeds: _Deeds, weighing: Weighing, *, products: int, ordered: bool
) -> Amounts:
    owners = past.owners()
    amount, decayed = _decayed(past, owners, deeds, weighing)
    given = deeds.amount > 0
    nothing = np.zeros(len(deeds), np.int32)
    recency = [np.zeros_like(past.recency), nothing]
    if ordered:
        recency = list(_recencies(past, deeds, given))
    cells = np.concatenate(
        [owners * products + past.product, deeds.owner * products + deeds.product]
    )
    order = np.argsort(cells, kind="stable")
    cells = cells[order]
    starts = np.flatnonzero(np.diff(cells, prepend=-1))

    def added(old: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.add.reduceat(np.concatenate([old, new])[order], starts)

    if not len(cells):
        return past
    times = np.concatenate([past.time_us, np.where(given, deeds.time_us, UNDATED)])
    cells = cells[starts]
    counts = np.bincount(cells // products, minlength=len(past))
    return Amounts(
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        product=(cells % products).astype(np.int32),
        amount=added(amount, np.where(given, decayed, 0)),
        had=added(past.had, np.where(given, deeds.amount, 0)),
        back=added(past.back, np.where(given, 0, deeds.amount)),
        recency=np.minimum.reduceat(np.concatenate(recency)[order], starts),
        time_us=np.maximum.reduceat(times[order], starts),
    )


def _decayed(
    past: Amounts, owners: NDArray[np.int64], deeds: _Deeds, weighing: Weighing
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The amounts of the past and of the deeds at each customer's own instant."""
    if weighing.half_life_days is None:
        return past.amount, deeds.amount
    half_life_us = weighing.half_life_days * DAY_US
    first, newest = np.full(len(past), _NEVER), np.full(len(past), UNDATED)
    np.minimum.at(first, deeds.owner, deeds.time_us)
    np.maximum.at(newest, deeds.owner, deeds.time_us)
    # What has no time is as old as the oldest event that has one.
    made = np.where(first == _NEVER, 0, first)
    if weighing.now_us is not None:
        made = np.full(len(past), weighing.now_us)
    now = np.maximum(made, newest)
    age = (now - made).astype(np.float64)
    since = (now[deeds.owner] - deeds.time_us).astype(np.float64)
    return (
        past.amount * np.exp2(-age / half_life_us)[owners],
        deeds.amount * np.exp2(-since / half_life_us),
    )


def _recencies(
    past: Amounts, deeds: _Deeds, given: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Steps ago, of the past's entries and of the deeds; huge for what only takes back.

    Of the past the last step of each product is known and no other: an event that came in late is
    put between those.
    """
    old = past.recency.copy()
    new = np.full(len(deeds), np.iinfo(np.int32).max, np.int32)
    for owner in np.unique(deeds.owner[given]):
        mine = slice(int(past.indptr[owner]), int(past.indptr[owner + 1]))
        own = np.flatnonzero(given & (deeds.owner == owner))
        when, known = deeds.time_us[own], past.time_us[mine]
        # A few of each: sets take a tenth of the time of arrays.
        steps = np.array(sorted({*when.tolist()} - {*known.tolist()}), np.int64)
        # What was only given back is no step, and infinitely old.
        shift = np.where(past.had[mine] > 0, len(steps) - np.searchsorted(steps, known, "right"), 0)
        old[mine] += shift.astype(np.int32)
        later = known[None, :] > when[:, None]
        behind = np.where(later, past.recency[mine].astype(np.int64) + 1, 0).max(axis=1, initial=0)
        new[own] = behind + len(steps) - np.searchsorted(steps, when, side="right")
    return old, new
