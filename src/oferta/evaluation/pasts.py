"""What is known of customers when their lists are made."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.events.types import EventType
from oferta.features.known import Features
from oferta.interactions.histories import Histories
from oferta.interactions.idmap import IdMap
from oferta.interactions.segments import Segments
from oferta.interactions.weighting import Weighting
from oferta.models.build import training_data
from oferta.models.data import TrainingData

_NO_FEATURES = Features()


@dataclass(frozen=True, slots=True)
class Reading:
    """How events become pasts: the same for fitting and for scoring.

    Attributes:
        products: everything that may be ranked.
        types: every type of event by name.
        weighting: what events count for.
        everybody: all customers of the data.
        segments: of `everybody`.
        features: of `everybody` and of the products.
        repeatable: whether lists may hold what the customer has.
    """

    products: IdMap
    types: Mapping[str, EventType]
    weighting: Weighting
    everybody: IdMap
    segments: Segments
    features: Features = _NO_FEATURES
    repeatable: bool = False

    def data(
        self, events: pl.DataFrame, *, customers: IdMap | None = None, now: datetime | None = None
    ) -> TrainingData:
        """`events` as training data; `customers` None: those who have events.

        `now` is what decay counts back from; None: the last event.
        """
        ids = IdMap.of(events["customer_id"]) if customers is None else customers
        now_us = None if now is None else round(now.timestamp() * 1e6)
        rows = self.everybody.rows(ids.ids)
        made = training_data(
            events.lazy(),
            customers=ids,
            products=self.products,
            types=self.types,
            weighting=self.weighting,
            now_us=now_us,
            segments=Segments(self.segments.labels, _codes_at(rows, self.segments.codes)),
            features=self.features.of_customers(rows),
        )
        return replace(made, repeatable=self.repeatable)


def _codes_at(rows: NDArray[np.int32], codes: NDArray[np.int32]) -> NDArray[np.int32]:
    taken = codes[np.maximum(rows, 0)]
    taken[rows < 0] = -1
    return taken


def latest(events: pl.DataFrame) -> datetime | None:
    """The time of the last event that has one."""
    last = events["timestamp"].max()
    return last if isinstance(last, datetime) else None


def pasts(
    events: pl.DataFrame, units: pl.DataFrame, *, reading: Reading, now: datetime | None
) -> Histories:
    """One past for each of `units` (`customer_id`, `time`, in order), from `events`.

    Where a unit has a time, its past is what happened strictly before; `known` is -1 there if that
    left anything out, else the row in the map of `units`' distinct customers.
    """
    customers = IdMap.of(units["customer_id"])
    of_them = events.join(units.select("customer_id"), on="customer_id", how="semi")
    whole = reading.data(of_them, customers=customers, now=now).histories
    base = whole.take(customers.rows(units["customer_id"]))
    numbered = units.select("customer_id", "time").with_row_index("unit")
    late = knowing_too_much(of_them.lazy(), numbered)
    if not len(late):
        return base
    key = pl.col("unit").cast(pl.String).str.zfill(10)  # in the order of the numbers
    before = strictly_before(late, of_them.lazy()).with_columns(key.alias("customer_id")).collect()
    redone = reading.data(before, customers=IdMap.of(late.select(key).to_series()), now=now)
    order = np.arange(len(units))
    order[late["unit"].to_numpy()] = len(units) + np.arange(len(late))
    taken = _concat(base, redone.histories).take(order)
    known = base.known.copy()
    known[late["unit"].to_numpy()] = -1
    return replace(taken, known=known, segment=base.segment, features=base.features)


def knowing_too_much(events: pl.LazyFrame, units: pl.DataFrame) -> pl.DataFrame:
    """Those of `units` in order whose customer's `events` go on at or after their `time`."""
    timed = units.filter(pl.col("time").is_not_null())
    if not len(timed):
        return timed
    last = events.group_by("customer_id").agg(pl.col("timestamp").max().alias("last"))
    late = timed.join(last.collect(engine="streaming"), on="customer_id", maintain_order="left")
    return late.filter(pl.col("last") >= pl.col("time")).select(units.columns)


def strictly_before(units: pl.DataFrame, events: pl.LazyFrame) -> pl.LazyFrame:
    """The events of each unit's customer before its `time`, with the columns of `units`."""
    known = events.collect_schema().names()
    columns = [name for name in known if name not in units.columns]
    joined = units.lazy().join(events.select("customer_id", *columns), on="customer_id")
    return joined.filter(pl.col("timestamp").is_null() | (pl.col("timestamp") < pl.col("time")))


def _concat(first: Histories, second: Histories) -> Histories:
    joined = {
        field.name: np.concatenate([one, other])
        for field in fields(Histories)
        if (one := getattr(first, field.name)) is not None
        and (other := getattr(second, field.name)) is not None
    }
    joined["indptr"] = np.concatenate([first.indptr, first.indptr[-1] + second.indptr[1:]])
    return Histories(**joined)
