"""What is known of a customer as one row of numbers: for trees."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oferta.features.customers import CustomerFeatures
from oferta.interactions.histories import Histories
from oferta.models.data import TrainingData
from oferta.scoring.live import segment_rows

_NEAR_DAYS = 30.0  # an age is told as 30 / (30 + days): 1 now, 0 where the product was never met
_PLAIN = 4  # columns of a customer before the attributes


@dataclass(frozen=True, slots=True)
class Known:
    """What the data told when trees were grown: the same columns are made ever after.

    Attributes:
        products, segments: how many there are.
        attributes: of customers; `codes` are the rows of their vocabulary.
        ordered: whether pasts have an order.
        aged: whether they tell days.
    """

    products: int
    segments: int
    attributes: int
    codes: int
    ordered: bool
    aged: bool

    @staticmethod
    def of(data: TrainingData) -> "Known":
        """What `data` tells."""
        past = data.histories
        return Known(
            products=len(data.products),
            segments=len(data.segments),
            attributes=0 if past.features is None else past.features.shape[1],
            codes=0 if data.customer_features is None else len(data.customer_features),
            ordered=data.ordered,
            aged=data.ordered and past.age_days is not None,
        )

    @property
    def width(self) -> int:
        """Columns of `profile` before those of `customer_columns`."""
        return self.products * (1 + self.ordered + self.aged)


def profile(histories: Histories, known: Known) -> NDArray[np.float32]:
    """`(customers, columns) float32`.

    Columns: the weight of each product; where the data has an order, how near in steps and in days
    each product was met (1 just now, towards 0, 0 never); then `customer_columns`.
    """
    blocks = [_spread(histories, histories.weight, known.products)]
    if known.ordered:
        blocks.append(_spread(histories, 1 / (1 + histories.recency), known.products))
    if known.aged:
        days = np.full(len(histories.product), np.inf, np.float32)
        if histories.age_days is not None:
            days = np.nan_to_num(histories.age_days, nan=np.inf)
        blocks.append(_spread(histories, _NEAR_DAYS / (_NEAR_DAYS + days), known.products))
    return np.hstack([*blocks, customer_columns(histories, known)])


def customer_columns(histories: Histories, known: Known) -> NDArray[np.float32]:
    """`(customers, 4 + attributes) float32`, NaN where not known.

    The past's length and what it counts in all; days since its last event; the segment; the codes
    of the attributes.
    """
    count = histories.weight if histories.count is None else histories.count
    segment = segment_rows(histories, known.segments + 1)
    codes = np.full((len(histories), known.attributes), -1, np.int32)
    if histories.features is not None and histories.features.shape == codes.shape:
        codes = histories.features
    there = (codes >= 0) & (codes < known.codes)
    return np.hstack(
        [
            np.diff(histories.indptr)[:, None],
            np.bincount(histories.owners(), count, len(histories))[:, None],
            _last_days(histories)[:, None],
            np.where(segment == known.segments, np.nan, segment)[:, None],
            np.where(there, codes, np.nan),
        ]
    ).astype(np.float32)


def categorical_columns(features: CustomerFeatures | None, *, first: int) -> tuple[int, ...]:
    """Which columns have no order, those of `customer_columns` being `first` and after."""
    codings = () if features is None else features.codings
    own = first + _PLAIN
    return (
        own - 1,  # the segment
        *(own + place for place, coding in enumerate(codings) if coding.kind == "category"),
    )


def _last_days(histories: Histories) -> NDArray[np.float32]:
    last = np.full(len(histories), np.inf, np.float32)
    if histories.age_days is not None:
        days = np.nan_to_num(histories.age_days, nan=np.inf)
        np.minimum.at(last, histories.owners(), days)
    return np.where(np.isfinite(last), last, np.float32(np.nan))


def _spread(
    histories: Histories, values: NDArray[np.floating], products: int
) -> NDArray[np.float32]:
    block = np.zeros((len(histories), products), np.float32)
    block[histories.owners(), histories.product] = values
    return block
