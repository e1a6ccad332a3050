"""From many events of one customer and product to one number: how much, how lately."""

from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from oferta.interactions.events import UNDATED, EventLog
from oferta.interactions.histories import Histories
from oferta.settings import Settings

_DAY_US = 86_400_000_000
_NOTHING = 1e-9  # a sum that only rounding keeps from zero is a return


class Weighting(Settings):
    """How events become weights. A job states these under `[interactions]`."""

    weights: dict[str, float] = Field(default_factory=dict)
    """Weight by event type; a type not named here keeps its built-in or declared weight."""

    half_life_days: float | None = Field(default=None, gt=0)
    """Days after which an event counts half; None: for ever the same."""

    saturation: Literal["none", "log", "binary"] = "log"
    """What repeats add: all (`none`), ever less (`log`: log2(1 + amount), so that one stays one),
    nothing (`binary`)."""


def histories_of(
    log: EventLog,
    weighting: Weighting,
    *,
    n_customers: int,
    now_us: int | None,
    segment: NDArray[np.int32] | None = None,
) -> Histories:
    """The pasts that `log` tells, one row per customer of the id map, empty ones included.

    The weight of a (customer, product) is the saturated sum of its events' amounts, each decayed
    by its age at `now_us`; a pair whose sum is not positive (returned, only shown) has no entry.
    Events without a time are as old as the oldest one that has one.
    """
    amount = log.amount.astype(np.float64) * _decay(log.time_us, weighting.half_life_days, now_us)
    pairs = (
        pl.DataFrame({"c": log.customer, "p": log.product, "a": amount, "s": log.step})
        .with_columns((pl.col("s").max().over("c") - pl.col("s")).alias("recency"))
        .group_by("c", "p")
        .agg(pl.col("a").sum(), pl.col("recency").min())
        .filter(pl.col("a") > _NOTHING)
        .sort("c", "p")
    )
    counts = np.bincount(pairs["c"].to_numpy(), minlength=n_customers)
    return Histories(
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        product=pairs["p"].to_numpy().astype(np.int32),
        weight=_saturate(pairs["a"].to_numpy(), weighting.saturation).astype(np.float32),
        recency=pairs["recency"].to_numpy().astype(np.int32),
        known=np.arange(n_customers, dtype=np.int32),
        segment=np.full(n_customers, -1, np.int32) if segment is None else segment,
    )


def _decay(
    time_us: NDArray[np.int64], half_life_days: float | None, now_us: int | None
) -> NDArray[np.float64]:
    dated = time_us != UNDATED
    if half_life_days is None or now_us is None or not dated.any():
        return np.ones(len(time_us))
    known = np.where(dated, time_us, time_us[dated].min())
    age_days = np.maximum(now_us - known, 0) / _DAY_US
    return np.asarray(np.exp2(-age_days / half_life_days))


def _saturate(amount: NDArray[np.float64], saturation: str) -> NDArray[np.float64]:
    if saturation == "binary":
        return np.ones_like(amount)
    return np.log2(1.0 + amount) if saturation == "log" else amount
