"""Events as arrays: who met which product, in which order, and what it counts for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.events.types import EventType
from oferta.interactions.idmap import IdMap

UNDATED = np.iinfo(np.int64).min
"""`time_us` of an event without a time. It sorts before every dated one."""


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
    """

    customer: NDArray[np.int32]
    product: NDArray[np.int32]
    amount: NDArray[np.float32]
    step: NDArray[np.int32]
    time_us: NDArray[np.int64]
    conversion: NDArray[np.bool_]

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
        )


def read_events(
    events: pl.LazyFrame,
    *,
    customers: IdMap,
    products: IdMap,
    types: Mapping[str, EventType],
) -> EventLog:
    """The accepted events of a dataset as arrays.

    A customer's order is that of `timestamp`; where none has a time, that of `seq`; else the order
    of the source, in which case nobody may rely on it. Events of unknown customers or products, of
    which a validated dataset has none, are left out.
    """
    frame = events.select(
        "customer_id", "product_id", "event_type", "timestamp", "seq", "quantity"
    ).collect(engine="streaming")
    kinds = pl.DataFrame(
        {
            "event_type": list(types),
            "weight": [kind.weight for kind in types.values()],
            "conversion": [kind.meaning == "conversion" for kind in types.values()],
        },
        schema={"event_type": pl.String, "weight": pl.Float64, "conversion": pl.Boolean},
    )
    rows = (
        frame.select(
            pl.Series("customer", customers.rows(frame["customer_id"])),
            pl.Series("product", products.rows(frame["product_id"])),
            "event_type",
            pl.col("timestamp").dt.epoch("us").fill_null(UNDATED).alias("time_us"),
            pl.col("seq").fill_null(0),
            pl.col("quantity").abs().fill_null(1.0),
        )
        .join(kinds, on="event_type", how="left", maintain_order="left")
        .filter(pl.col("customer") >= 0, pl.col("product") >= 0)
        .sort("customer", "time_us", "seq", maintain_order=True)
    )
    new_step = (
        pl.struct("customer", "time_us", "seq") != pl.struct("customer", "time_us", "seq").shift()
    ).fill_null(value=True)
    ordered = bool((rows["time_us"] != UNDATED).any()) or bool((rows["seq"] != 0).any())
    steps = rows.select(
        (new_step if ordered else pl.lit(value=True)).cast(pl.Int32).cum_sum().alias("step"),
        "customer",
    ).select((pl.col("step") - pl.col("step").min().over("customer")).alias("step"))
    return EventLog(
        customer=rows["customer"].to_numpy().astype(np.int32),
        product=rows["product"].to_numpy().astype(np.int32),
        amount=(rows["quantity"] * rows["weight"].fill_null(1.0)).to_numpy().astype(np.float32),
        step=steps["step"].to_numpy().astype(np.int32),
        time_us=rows["time_us"].to_numpy().astype(np.int64),
        conversion=rows["conversion"].fill_null(value=True).to_numpy().astype(np.bool_),
    )
