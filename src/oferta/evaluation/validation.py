"""The cut of train that settings are tuned on: made as the test was, and never with the test."""

import polars as pl
from numpy.random import default_rng

from oferta.errors import SplitRefused
from oferta.evaluation.folds import Material
from oferta.evaluation.held_out import cut_like, hold_out
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.splits import ROW, Split, split


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
    try:
        made, cut = hold_out(
            train, cut_like(protocol.cut, first), target=material.target, seed=protocol.seed
        )
    except SplitRefused:
        raise SplitRefused(protocol.split, "train has nothing to tune on", possible=()) from None
    return made, f"{cut} of train"
