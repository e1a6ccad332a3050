"""The cut of train that settings are tuned on: made as the test was, and never with the test."""

from datetime import datetime, timedelta

import polars as pl
from numpy.random import default_rng

from oferta.errors import SplitRefused
from oferta.evaluation.cuts import ColumnCut, Cut, LeaveOneOut, RandomCut, TimeCut
from oferta.evaluation.folds import Material
from oferta.evaluation.pasts import latest
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.splits import ROW, Split, is_ordered, split

_DRAW = 1  # sets the draws of the validation cut apart from those of the test cut
_HOUR = timedelta(hours=1)


def validation_split(material: Material, protocol: Protocol) -> tuple[Split, str]:
    """The validation cut and its name.

    Where a column says what is `valid`, that. Else the events that are train in every fold are cut
    the way the test was: the window before the test's, another product of each customer, another
    share of the pairs. A column cut without `valid` is imitated by what its test looks like. Where
    train is too small for such a cut, a fifth of its pairs is drawn.

    Raises:
        SplitRefused: train has nothing to validate on.
    """
    folds = [
        split(
            material.events,
            protocol.cut,
            target=material.target,
            rng=default_rng([protocol.seed, fold]),
            fold=fold,
        )
        for fold in range(protocol.folds)
    ]
    first = folds[0]
    if first.valid is not None:
        asked = first.valid.filter(pl.col("event_type").is_in(list(material.target)))
        if len(asked):
            kept = Split(first.train, None, asked, None, len(first.valid) - len(asked))
            return kept, "the column's valid"
    train = first.train
    for other in folds[1:]:
        train = train.join(other.train.select(ROW), on=ROW, how="semi", maintain_order="left")
    cut = _likeness(first) if isinstance(protocol.cut, ColumnCut) else protocol.cut
    for attempt in (cut, RandomCut(0.2)):
        try:
            made = split(
                train, attempt, target=material.target, rng=default_rng([protocol.seed, 0, _DRAW])
            )
        except SplitRefused:
            continue
        return made, f"{attempt} of train"
    raise SplitRefused(protocol.split, "train has nothing to tune on", possible=())


def _likeness(parts: Split) -> Cut:
    """The cut that the column's test part looks most like."""
    start, end, last = parts.test["timestamp"].min(), latest(parts.test), latest(parts.train)
    if isinstance(start, datetime) and end is not None and last is not None and last <= start:
        # In whole hours, rounded up: the name then says exactly what was cut.
        return TimeCut(max(-((start - end) // _HOUR), 1) * _HOUR)
    pairs = parts.test.select("customer_id", "product_id").unique()
    if len(pairs) == pairs["customer_id"].n_unique():
        return LeaveOneOut("last" if is_ordered(parts.train) else "random")
    whole = parts.train.select("customer_id", "product_id").unique()
    return RandomCut(round(len(pairs) / (len(pairs) + len(whole)), 3))
