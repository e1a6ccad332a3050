"""How likely it is that anybody chooses a product: all that is known of those who are unknown."""

from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.evaluation.cuts import Cut, TimeCut
from oferta.events.dataset import Dataset
from oferta.interactions.holdings import held_pairs

_HORIZON = timedelta(days=90)  # where the job's split states no window


class MeanChances:
    """The mean of calibrated chances, product by product, over the customers who have one."""

    def __init__(self, products: int) -> None:
        self._sums = np.zeros(products)
        self._counts = np.zeros(products, np.int64)

    def add(self, products: NDArray[np.int32], chances: NDArray[np.float32]) -> None:
        """Take lists, `(customers, k)` both: rows of products, -1 at the end; NaN is no chance."""
        there = (products >= 0) & ~np.isnan(chances)
        n = len(self._sums)
        self._sums += np.bincount(products[there], chances[there], minlength=n)
        self._counts += np.bincount(products[there], minlength=n)

    def rates(self) -> NDArray[np.float64]:
        """`(products,)`, NaN where nobody has a chance."""
        rates = np.full(len(self._sums), np.nan)
        known = self._counts > 0
        rates[known] = self._sums[known] / self._counts[known]
        return rates


def horizon_of(cut: Cut) -> timedelta:
    """How far the chances of a job that is judged by `cut` look ahead."""
    return cut.window if isinstance(cut, TimeCut) else _HORIZON


def conversion_shares(dataset: Dataset, horizon: timedelta) -> pl.DataFrame:
    """`product_id, share`: of all customers, who converted it in the last `horizon` of the data.

    Where no event has a time, who ever did. Products that nobody converted are not in it.
    """
    events = dataset.events()
    last = events.select(pl.col("timestamp").max()).collect().item()
    if last is not None:
        events = events.filter(pl.col("timestamp") > last - horizon)
    customers = int(dataset.customers().select(pl.len()).collect().item())
    return (
        held_pairs(events, dataset.event_types)
        .group_by("product_id")
        .agg((pl.len() / max(customers, 1)).alias("share"))
        .collect(engine="streaming")
    )
