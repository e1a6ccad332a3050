"""The cut of train that settings are tuned on: made as the test was, and never with the test."""

from dataclasses import replace

import polars as pl
from numpy.random import default_rng

from oferta.errors import SplitRefused
from oferta.evaluation.folds import Fold, Material, make_fold
from oferta.evaluation.held_out import cut_like, hold_out
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.splits import ROW, Split, split

_MOST_JUDGED = 20_000  # customers that judge a setting: the order of settings needs no more


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


class ValidationFolds:
    """The validation cut, whole and in samples of its customers, made when first asked for."""

    def __init__(self, cut: Split, material: Material, protocol: Protocol) -> None:
        # The test's candidates hold its answers, and valid is what is asked here.
        self.protocol = protocol.model_copy(update={"history": "train", "candidates": False})
        self._material = replace(material, candidates=None)
        self._cut = cut
        ids = pl.concat([cut.train["customer_id"], cut.test["customer_id"]]).unique().sort()
        draw = default_rng([protocol.seed, 0, 2]).random(len(ids))
        self._draws = pl.DataFrame({"customer_id": ids, "draw": draw}).sort("draw")
        self._folds: dict[float, Fold] = {}

    @property
    def whole(self) -> Fold:
        """All of it."""
        return self.sample(1.0)

    @property
    def customers(self) -> int:
        """How many customers it has."""
        return len(self._draws)

    def sample(self, share: float) -> Fold:
        """`share` of the customers, and of them at most 20,000 to judge; larger hold smaller."""
        if share not in self._folds:
            chosen = self._draws.filter(pl.col("draw") < share)
            test = self._cut.test.join(chosen, on="customer_id", how="semi")
            judges = chosen.join(test, on="customer_id", how="semi").head(_MOST_JUDGED)
            train = self._cut.train.join(
                chosen, on="customer_id", how="semi", maintain_order="left"
            )
            parts = replace(
                self._cut,
                train=train if share < 1 else self._cut.train,
                valid=None,
                test=test.join(judges, on="customer_id", how="semi"),
                left_out=0,
            )
            self._folds[share] = make_fold(parts, self._material, self.protocol)
        return self._folds[share]
