"""Logged decisions: what was shown, with what probability, and what came of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.errors import UnknownName
from oferta.evaluation.off_policy.problems import refuse, rows, typed
from oferta.evaluation.off_policy.tables import DECISIONS

_TOO_MANY_LEVELS: Final = 1000
"""Each level is a column of the reward model."""


@dataclass(frozen=True, slots=True)
class LoggedDecisions:
    """A checked log, one row per product shown; `frame` has the columns of `DECISIONS`.

    A row is what was shown at one position (of one, where there is no such column), and its
    probability is that of this product at this position. `context` names the columns that tell
    what was known at the time.
    """

    frame: pl.DataFrame
    context: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def probability(self) -> NDArray[np.float64]:
        """With which each row's product was shown `(rows,)`."""
        return self.frame["probability"].to_numpy()

    @property
    def reward(self) -> NDArray[np.float64]:
        """What came of each row `(rows,)`."""
        return self.frame["reward"].to_numpy()

    @property
    def unit(self) -> NDArray[np.int64]:
        """Which rows belong together `(rows,)`: one customer's, else one decision's, else none."""
        for name in ("customer_id", "decision_id"):
            if name in self.frame.columns:
                return codes(self.frame[name])
        return np.arange(len(self))


def logged_decisions(
    frame: pl.DataFrame, *, place: str = "log", context: Sequence[str] = ()
) -> LoggedDecisions:
    """The decisions of `frame`, checked.

    `context` names the columns that the reward model may use beside the position. Each must have
    been known when the decision was made: none is taken unasked, for what a log holds beside the
    reward is often what came of it.

    Raises:
        DecisionsRefused: a missing column, a cell without a value, a probability outside (0, 1],
            two rows of one decision and position; all that is wrong at once, with row counts.
        UnknownName: a context column that is not there.
    """
    log = typed(frame, DECISIONS, place=place)
    others = [name for name in frame.columns if name not in DECISIONS.names]
    for name in context:
        if name not in others:
            raise UnknownName("context column", name, others)
    chosen = (*(["position"] if "position" in frame.columns else []), *context)
    refuse(place, _faults(log, chosen))
    return LoggedDecisions(log, chosen)


def codes(column: pl.Series) -> NDArray[np.int64]:
    """The values of `column` as numbers from 0, in their order `(rows,)`."""
    return (column.rank("dense") - 1).cast(pl.Int64).to_numpy()


def _faults(log: pl.DataFrame, context: Sequence[str]) -> Iterator[str]:
    outside = int((~log["probability"].is_between(0, 1, closed="right")).sum())
    if outside:
        yield f"probability: {rows(outside)} outside (0, 1]"
    key = [name for name in DECISIONS.key if name in log.columns]
    if "decision_id" in key and (double := int(log.select(key).is_duplicated().sum())):
        yield f"{' and '.join(key)}: {rows(double)} share theirs with another row"
    for name in context:
        column = log[name]
        if not column.dtype.is_numeric() and (levels := column.n_unique()) > _TOO_MANY_LEVELS:
            yield f"context column {name}: {levels:,} different values: an id is no context"
        empty = column.null_count()
        if column.dtype.is_float():
            empty = int((~column.is_finite().fill_null(value=False)).sum())
        if empty:
            yield f"context column {name}: {rows(empty)} without a value: fill or leave it out"
