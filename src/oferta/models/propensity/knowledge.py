"""What is known of customers at one instant: what chances are read from."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.amounts import UNDATED
from oferta.interactions.events import EventLog
from oferta.interactions.histories import Histories
from oferta.interactions.ranges import indices_of_ranges
from oferta.models.data import TrainingData

_DAY_US = 86_400_000_000
_RECENT_DAYS = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """One number for some pairs of a customer and a product.

    Attributes:
        keys: `(pairs,) int64`, ascending: customer x products + product.
        values: `(pairs,) float32`.
        products: how many there are.
    """

    keys: NDArray[np.int64]
    values: NDArray[np.float32]
    products: int

    @staticmethod
    def of(
        customer: NDArray[np.integer],
        product: NDArray[np.integer],
        value: NDArray[np.floating],
        *,
        products: int,
        keep: Literal["least", "most", "sum"],
    ) -> "Pairs":
        """Of rows `(n,)` each, in any order; of a pair's values the one to keep, or their sum."""
        keys = customer.astype(np.int64) * products + product
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        how = {"least": np.minimum, "most": np.maximum, "sum": np.add}[keep]
        values = np.asarray(value, np.float32)[order]
        kept = how.reduceat(values, starts) if len(starts) else values
        return Pairs(keys[starts], kept.astype(np.float32), products)

    def of_rows(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """`(rows, products) float32`: of the customers at `rows`, NaN where there is no number."""
        first = np.asarray(rows, np.int64) * self.products
        low = np.searchsorted(self.keys, first)
        lengths = np.searchsorted(self.keys, first + self.products) - low
        at = indices_of_ranges(low, lengths)
        wide = np.full((len(rows), self.products), np.nan, np.float32)
        owner = np.repeat(np.arange(len(rows)), lengths)
        wide[owner, self.keys[at] % self.products] = self.values[at]
        return wide


@dataclass(frozen=True, slots=True, eq=False)
class Knowledge:
    """What was known of `n` customers at one instant.

    Attributes:
        histories: their pasts, as the model that scores them knows them.
        bought: days since the last conversion.
        met: days since the last event of interest.
        recent: such events of the last 30 days.
        ends: days until the customer's latest contract of the product ends; negative: since.
        facts: `(n, facts) float32`, NaN where one is not known.
        base: `(products,) float32`: the share of customers with a past who converted it in the
            horizon before.
    """

    histories: Histories
    bought: Pairs
    met: Pairs
    recent: Pairs
    ends: Pairs
    facts: NDArray[np.float32]
    base: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.histories)


def knowledge_of(
    data: TrainingData,
    *,
    histories: Histories,
    now_us: int,
    horizon_us: int,
    ends: Pairs,
    facts: NDArray[np.float32],
) -> Knowledge:
    """What the events of `data`, all of them before `now_us`, tell of its customers."""
    events, products = data.events, len(data.products)
    dated = events.time_us != UNDATED
    bought = events.where(dated & events.conversion & (events.amount > 0))
    met = events.where(dated & ~events.conversion & (events.amount > 0))
    age = _age_days(met, now_us)
    late = age < _RECENT_DAYS
    last = bought.where(bought.time_us >= now_us - horizon_us)
    pairs = np.unique(last.customer.astype(np.int64) * products + last.product)
    customers = max(int((np.diff(data.histories.indptr) > 0).sum()), 1)
    # Half a customer more: a product that nobody has bought yet may be bought all the same.
    share = (np.bincount(pairs % products, minlength=products) + 0.5) / (customers + 1)
    return Knowledge(
        histories=histories,
        bought=Pairs.of(
            bought.customer,
            bought.product,
            _age_days(bought, now_us),
            products=products,
            keep="least",
        ),
        met=Pairs.of(met.customer, met.product, age, products=products, keep="least"),
        recent=Pairs.of(
            met.customer[late],
            met.product[late],
            np.ones(int(late.sum()), np.float32),
            products=products,
            keep="sum",
        ),
        ends=ends,
        facts=facts,
        base=share.astype(np.float32),
    )


def _age_days(events: EventLog, now_us: int) -> NDArray[np.float32]:
    return ((now_us - events.time_us) / _DAY_US).astype(np.float32)
