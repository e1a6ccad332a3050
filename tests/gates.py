"""Scorecards and facts of made-up test rows, for guards to judge."""

import numpy as np
import polars as pl
from numpy.random import default_rng
from numpy.typing import NDArray

from oferta.evaluation.intervals import Interval
from oferta.evaluation.scorecard import Scorecard
from oferta_training.facts import Facts

METRIC = "ndcg@10"


def card(
    values: NDArray[np.float64],
    *,
    model: str = "made-up",
    coverage: float = 0.5,
    fit_s: float = 1.0,
    recommend_s: float = 1.0,
) -> Scorecard:
    """A scorecard with these values of the metric, one a row."""
    mean = float(values.mean())
    return Scorecard(
        model=model,
        settings={},
        customers=len(values),
        rows=len(values),
        fit_s=fit_s,
        recommend_s=recommend_s,
        metrics={
            METRIC: Interval(mean, mean, mean),
            "coverage@10": Interval(coverage, coverage, coverage),
        },
        folds=(),
        values={METRIC: values},
    )


def facts_of(
    rows: int,
    *,
    customers: int | None = None,
    regions: int = 1,
    cold: float = 0.0,
    seed: int = 1,
) -> Facts:
    """Rows that the customers share in turn; each lives in one of the regions, in turn."""
    rng = default_rng(seed)
    people = customers or rows
    ids = [f"c{one:05}" for one in range(people)]
    past = rng.integers(1, 30, rows) * (rng.random(rows) >= cold)
    return Facts(
        metric=METRIC,
        customer_id=pl.Series([ids[row % people] for row in range(rows)]),
        past=past.astype(np.int32),
        customers=pl.DataFrame(
            {"customer_id": ids, "region": [f"region {one % regions}" for one in range(people)]}
        ),
    )
