"""Events as arrays: who met which product, in which order, and what it counts for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.events.types import EventType
from oferta.interactions.amounts import UNDATED
from oferta.interactions.idmap import IdMap


@dataclass(frozen=True, slots=True)
class EventLog:
    """Events in rows of the id maps, sorted by customer, then in the customer's own order.

    Attributes:
        customer, product: `(events,) int32`.
        amount: `(events,) float32`, quantity times the weight of the event's type; negative for a
            reversal, 0 for exposures and rejections.
        step: `(events,) int32`, the customer's steps from 0; events of one instant share a step.
        time_us: `(events,) int64`, epoch microseconds, `UNDATED` where unknown.
        conversion: `(events,) bool`, whether the event is what evaluation asks to foresee.
        ordered: whether steps say anything; if not, they are all 0.
    """

    customer: NDArray[np.int32]
    product: NDArray[np.int32]
    amount: NDArray[np.float32]
    step: NDArray[np.int32]
    time_us: NDArray[np.int64]
    conversion: NDArray[np.bool_]
    ordered: bool = True

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def dated(self) -> bool:
        """Whether any event has a time."""
        return bool((self.time_us != UNDATED).any())

    @property
    def last_us(self) -> int | None:
        """The latest time, or None where no event has one."""
        return int(self.time_us.max()) if len(self) and self.dated else None

    def where(self, keep: NDArray[np.bool_]) -> "EventLog":
        """The events of `keep`, a mask; steps keep their numbers."""
        return EventLog(
            customer=self.customer[keep],
            product=self.product[keep],
            amount=self.amount[keep],
            step=self.step[keep],
            time_us=self.time_us[keep],
            conversion=self.conversion[keep],
            ordered=self.ordered,
        )


def read_events(
    events: pl.LazyFrame,
    *,
    customers: IdMap,
    products: IdMap,
    types: Mapping[str, EventType],
) -> EventLog:
    """The accepted events of a dataset as arrays.

    A customer's order is that of `timestamp`, within an instant that of `seq`. Where the data has
    neither, all of a customer's events are one step and `ordered` is false. Events of unknown
    customers or products, of which a validated dataset has none, are left out. Columns that only
    some datasets have (`timestamp`, `seq`, `quantity`) may be missing. Memory: some 70 bytes an
    event at the peak.
    """
    known = events.collect_schema().names()
    kinds = pl.LazyFrame(
        {
            "event_type": list(types),
            "weight": [kind.weight for kind in types.values()],
            "conversion": [kind.meaning == "conversion" for kind in types.values()],
        },
        schema={"event_type": pl.String, "weight": pl.Float64, "conversion": pl.Boolean},
    )
    quantity = pl.col("quantity").fill_null(1.0)
    weight = pl.col("weight").fill_null(1.0)
    # Ids become rows inside the streaming plan, so that no column of strings is ever whole.
    rows = (
        events.with_columns(
            pl.lit(None, dtype).alias(name)
            for name, dtype in _OPTIONAL.items()
            if name not in known
        )
        .select("customer_id", "product_id", "event_type", *_OPTIONAL)
        .with_row_index("source")
        .join(customers.frame("customer_id", "customer").lazy(), on="customer_id")
        .join(products.frame("product_id", "product").lazy(), on="product_id")
        .join(kinds, on="event_type", how="left")
        .select(
            "source",
            "customer",
            "product",
            pl.col("timestamp").dt.epoch("us").fill_null(UNDATED).alias("time_us"),
            pl.col("seq").fill_null(0),
            # A negative quantity takes back; so does a reversal, whichever sign its quantity has.
            pl.when(weight < 0)
            .then(-(quantity * weight).abs())
            .otherwise(quantity * weight)
            .cast(pl.Float32)
            .alias("amount"),
            (pl.col("conversion").fill_null(value=True) & (quantity > 0)).alias("conversion"),
        )
        .collect(engine="streaming")
        .sort("customer", "time_us", "seq", "source")
    )
    customer = rows["customer"].to_numpy().astype(np.int32)
    time_us, seq = rows["time_us"].to_numpy(), rows["seq"].to_numpy()
    ordered = bool((time_us != UNDATED).any()) or bool((seq != 0).any())
    return EventLog(
        customer=customer,
        product=rows["product"].to_numpy().astype(np.int32),
        amount=rows["amount"].to_numpy(),
        step=_steps(customer, time_us, seq),
        time_us=time_us.astype(np.int64),
        conversion=rows["conversion"].to_numpy(),
        ordered=ordered,
    )


_OPTIONAL = {
    "timestamp": pl.Datetime("us", "UTC"),
    "seq": pl.Int64(),
    "quantity": pl.Float64(),
}


def _steps(
    customer: NDArray[np.int32], time_us: NDArray[np.int64], seq: NDArray[np.int64]
) -> NDArray[np.int32]:
    first = np.ones(len(customer), bool)
    first[1:] = np.diff(customer) != 0
    new = first.copy()
    new[1:] |= (np.diff(time_us) != 0) | (np.diff(seq) != 0)
    step = np.cumsum(new, dtype=np.int32)
    return np.asarray(step - np.maximum.accumulate(np.where(first, step, 0)), np.int32)
