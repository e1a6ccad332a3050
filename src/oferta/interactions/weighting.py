"""From many events of one customer and product to one number: how much, how lately."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from oferta.events.types import EventType, event_types
from oferta.interactions.amounts import DAY_US, UNDATED, Amounts, Saturation, weighed
from oferta.interactions.events import EventLog
from oferta.interactions.histories import Histories
from oferta.settings import Settings


class Weighting(Settings):
    """How events become weights. A job states these under `[interactions]`."""

    weights: dict[str, float] = Field(default_factory=dict)
    """Weight by event type; a type not named here keeps its built-in or declared weight."""

    half_life_days: float | None = Field(default=None, gt=0)
    """Days after which an event counts half; None: for ever the same."""

    saturation: Saturation = "log"
    """What repeats add: all (`none`), ever less (`log`: log2(1 + amount), so that one stays one),
    nothing (`binary`)."""

    def apply(self, types: Mapping[str, EventType]) -> dict[str, EventType]:
        """`types` with the weights stated here; types named only here are added."""
        named = event_types(self.weights)
        return {**types, **{name: _reweighted(types, named[name]) for name in self.weights}}


def _reweighted(types: Mapping[str, EventType], named: EventType) -> EventType:
    # A type that is known keeps its meaning, whoever declared it.
    known = types.get(named.name)
    return named if known is None else EventType(named.name, known.meaning, named.weight)


def histories_of(
    log: EventLog,
    weighting: Weighting,
    *,
    n_customers: int,
    now_us: int | None,
    segment: NDArray[np.int32] | None = None,
    features: NDArray[np.int32] | None = None,
) -> Histories:
    """The pasts that `log` tells, one row per customer of the id map, empty ones included.

    See `amounts_of` and `weighed`. Cost: 20 million events in some seconds and 3 GB.
    """
    return weighed(
        amounts_of(log, weighting, n_customers=n_customers, now_us=now_us),
        saturation=weighting.saturation,
        now_us=now_us,
        known=np.arange(n_customers, dtype=np.int32),
        segment=np.full(n_customers, -1, np.int32) if segment is None else segment,
        features=features,
    )


def amounts_of(
    log: EventLog, weighting: Weighting, *, n_customers: int, now_us: int | None
) -> Amounts:
    """What each customer of the id map had of each product, decayed to `now_us`.

    A pair that was only shown has no entry; one of which all was taken back, or more, has one.
    Recency counts the customer's steps with positive events, so what was merely shown makes nothing
    older. Events without a time are as old as the oldest one that has one.
    """
    positive = log.amount > 0
    decay = _decay(log.time_us, weighting.half_life_days, now_us)
    pairs = (
        pl.DataFrame(
            {
                "c": log.customer,
                "p": log.product,
                "back": np.where(positive, 0, log.amount),
                "had": np.where(positive, log.amount, 0),
                "a": np.where(positive, log.amount * decay, 0),
                "r": _recency(log, positive),
                "t": np.where(positive, log.time_us, UNDATED),
            }
        )
        .group_by("c", "p")
        .agg(pl.col("a", "had", "back").sum(), pl.col("r").min(), pl.col("t").max())
        .filter((pl.col("had") > 0) | (pl.col("back") < 0))
        .sort("c", "p")
    )
    counts = np.bincount(pairs["c"].to_numpy(), minlength=n_customers)
    return Amounts(
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        product=pairs["p"].to_numpy().astype(np.int32),
        amount=pairs["a"].to_numpy(),
        had=pairs["had"].to_numpy().astype(np.float64),
        back=pairs["back"].to_numpy().astype(np.float64),
        recency=pairs["r"].to_numpy().astype(np.int32),
        time_us=pairs["t"].to_numpy(),
    )


def _recency(log: EventLog, positive: NDArray[np.bool_]) -> NDArray[np.int32]:
    # Steps ago, among the customer's steps that have a positive event; huge for other events.
    recency = np.full(len(log), np.iinfo(np.int32).max, np.int32)
    customer, step = log.customer[positive], log.step[positive]
    if not len(customer):
        return recency
    last = np.append(np.diff(customer) != 0, True)
    new = last.copy()
    new[:-1] |= np.diff(step) != 0
    # Counted from the end of each customer: how many steps begin after this event's.
    after = np.cumsum(new[::-1], dtype=np.int32)[::-1]
    ends = np.flatnonzero(last)
    of_last = np.repeat(after[ends], np.diff(ends, prepend=-1))
    recency[positive] = after - of_last
    return recency


def _decay(
    time_us: NDArray[np.int64], half_life_days: float | None, now_us: int | None
) -> NDArray[np.float64]:
    dated = time_us != UNDATED
    if half_life_days is None or now_us is None or not dated.any():
        return np.ones(len(time_us))
    known = np.where(dated, time_us, time_us[dated].min())
    age_days = np.maximum(now_us - known, 0) / DAY_US
    return np.asarray(np.exp2(-age_days / half_life_days))
