"""What customers had of products, added up but not yet a weight. numpy only.

A sum can be added to: training makes these of all events, serving adds the events that came since.
Both make weights of them here, so that a past means the same in either place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.histories import Histories
from oferta.interactions.ranges import indices_of_ranges

Saturation = Literal["none", "log", "binary"]

UNDATED: Final = np.iinfo(np.int64).min
"""`time_us` of what has no time. It sorts before every dated one."""

DAY_US: Final = 86_400_000_000
_NOTHING: Final = 1e-6  # a share that only rounding keeps from zero is a return


@dataclass(frozen=True, slots=True, eq=False)
class Amounts:
    """Sums of `n` customers over the products that they ever had, or gave back, something of.

    The entries of customer `u` are `indptr[u]:indptr[u + 1]`, ascending by product.

    Attributes:
        indptr: `(n + 1,) int64`.
        product: `(entries,) int32`, rows of the product map.
        amount: `(entries,) float64`: of events that gave something, each decayed by its age.
        had: `(entries,) float64`, not negative: the same, not decayed.
        back: `(entries,) float64`, 0 or below: what was taken back, not decayed.
        recency: `(entries,) int32`: how many of the customer's steps ago something was given last.
        time_us: `(entries,) int64`: when that was, epoch microseconds, `UNDATED` where unknown.
    """

    indptr: NDArray[np.int64]
    product: NDArray[np.int32]
    amount: NDArray[np.float64]
    had: NDArray[np.float64]
    back: NDArray[np.float64]
    recency: NDArray[np.int32]
    time_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def owners(self) -> NDArray[np.int64]:
        """`(entries,)`: for each entry, the row of the customer whose it is."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def take(self, rows: NDArray[np.integer]) -> "Amounts":
        """The customers at `rows`, in that order."""
        starts, lengths = self.indptr[rows], self.indptr[rows + 1] - self.indptr[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return replace(self._at(indices_of_ranges(starts, lengths)), indptr=indptr)

    def where(self, keep: NDArray[np.bool_]) -> "Amounts":
        """The entries of `keep`, a mask; customers stay, perhaps with none."""
        kept = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
        return replace(self._at(np.flatnonzero(keep)), indptr=kept[self.indptr])

    def _at(self, entries: NDArray[np.int64]) -> "Amounts":
        return Amounts(self.indptr, *(column[entries] for column in self.columns()))

    @staticmethod
    def concat(several: Sequence["Amounts"]) -> "Amounts":
        """All customers of `several`, in order."""
        if len(several) == 1:
            return several[0]
        counts = [np.diff(each.indptr) for each in several]
        columns = zip(*(each.columns() for each in several), strict=True)
        joined = [np.concatenate(column) for column in columns]
        indptr = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
        return Amounts(indptr, *joined)

    def columns(self) -> tuple[NDArray[Any], ...]:
        """The arrays of the entries, in the order of the attributes."""
        return self.product, self.amount, self.had, self.back, self.recency, self.time_us

    @staticmethod
    def nothing(n: int) -> "Amounts":
        """`n` customers who never had anything."""
        whole, real = np.zeros(0, np.int32), np.zeros(0)
        return Amounts(np.zeros(n + 1, np.int64), whole, real, real, real, whole, np.zeros(0, int))


def weighed(
    amounts: Amounts,
    *,
    saturation: Saturation,
    now_us: int | None,
    known: NDArray[np.int32],
    segment: NDArray[np.int32],
    features: NDArray[np.int32] | None = None,
) -> Histories:
    """The pasts that `amounts` come to.

    The weight is the saturated amount times the share of what was had that was not taken back: of
    two bought and one returned half stays, however old the two are. Of what nothing stays there is
    no entry.

    Args:
        amounts: one row a customer.
        saturation: what repeats add, as `interactions.weighting` says.
        now_us: the instant to which amounts were decayed; None: nothing has a time.
        known: as in `Histories`.
        segment: likewise.
        features: likewise.
    """
    stays = amounts.had + amounts.back
    np.divide(stays, amounts.had, out=stays, where=amounts.had > 0)
    left = amounts.where(stays > _NOTHING)
    return Histories(
        indptr=left.indptr,
        product=left.product,
        weight=_saturated(left.amount * stays[stays > _NOTHING], saturation).astype(np.float32),
        recency=left.recency,
        known=known,
        segment=segment,
        features=features,
        age_days=_age_days(left.time_us, now_us),
        count=(left.had + left.back).astype(np.float32),
    )


def _age_days(time_us: NDArray[np.int64], now_us: int | None) -> NDArray[np.float32]:
    if now_us is None:
        return np.full(len(time_us), np.nan, np.float32)
    age = np.maximum(now_us - time_us.astype(np.float64), 0) / DAY_US
    return np.where(time_us == UNDATED, np.nan, age).astype(np.float32)


def _saturated(amount: NDArray[np.float64], saturation: Saturation) -> NDArray[np.float64]:
    if saturation == "binary":
        return np.ones_like(amount)
    return np.log2(1.0 + amount) if saturation == "log" else amount
