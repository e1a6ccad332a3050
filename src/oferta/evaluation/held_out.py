"""A cut of train that looks like the test's: what settings and second stages are learnt on."""

from datetime import datetime, timedelta

import polars as pl
from numpy.random import default_rng

from oferta.errors import SplitRefused
from oferta.evaluation.cuts import ColumnCut, Cut, LeaveOneOut, RandomCut, TimeCut
from oferta.evaluation.pasts import latest
from oferta.evaluation.splits import Split, is_ordered, split

_DRAW = 1  # sets the draws of these cuts apart from those of the test
_HOUR = timedelta(hours=1)


def cut_like(cut: Cut, parts: Split) -> Cut:
    """`cut`; where it is a column's, what the test of `parts` looks most like."""
    return _likeness(parts) if isinstance(cut, ColumnCut) else cut


def hold_out(
    train: pl.DataFrame, cut: Cut, *, target: frozenset[str], seed: int, depth: int = 0
) -> tuple[Split, Cut]:
    """A part of `train` set aside by `cut`, and the cut that was made.

    Where train is too small for it, a fifth of its pairs is drawn. `depth` sets the draws of a
    cut of a cut apart.

    Raises:
        SplitRefused: train has nothing to set aside.
    """
    for attempt in (cut, RandomCut(0.2)):
        try:
            draws = default_rng([seed, 0, _DRAW, depth] if depth else [seed, 0, _DRAW])
            return split(train, attempt, target=target, rng=draws), attempt
        except SplitRefused:
            continue
    raise SplitRefused(str(cut), "train has nothing to validate on", possible=())


def _likeness(parts: Split) -> Cut:
    start, end, last = parts.test["timestamp"].min(), latest(parts.test), latest(parts.train)
    if isinstance(start, datetime) and end is not None and last is not None and last <= start:
        # In whole hours, rounded up: the name then says exactly what was cut.
        return TimeCut(max(-((start - end) // _HOUR), 1) * _HOUR)
    pairs = parts.test.select("customer_id", "product_id").unique()
    if len(pairs) == pairs["customer_id"].n_unique():
        return LeaveOneOut("last" if is_ordered(parts.train) else "random")
    whole = parts.train.select("customer_id", "product_id").unique()
    return RandomCut(round(len(pairs) / (len(pairs) + len(whole)), 3))
