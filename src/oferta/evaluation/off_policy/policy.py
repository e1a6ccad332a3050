"""The new policy: with what probability it would show each product, decision by decision."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

from oferta.evaluation.off_policy.decisions import LoggedDecisions
from oferta.evaluation.off_policy.problems import refuse, rows, some, typed
from oferta.evaluation.off_policy.tables import POLICY

_ROUNDING: Final = 1e-3
"""How far from 1 a decision's probabilities may sum: files hold rounded figures."""

_KEYS: Final[tuple[str, ...]] = ("decision_id", "position")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy against one log: `distribution[row[i], j]` is that of product j in row i of the log.

    `distribution` is `(distributions, products)` float64; the others are `(rows of the log,)`:
    `shown` the column of the product that the log showed, `of_shown` the policy's probability of
    showing it there.
    """

    products: tuple[str, ...]
    distribution: csr_array
    row: NDArray[np.int64]
    shown: NDArray[np.int64]
    of_shown: NDArray[np.float64]


def policy_for(log: LoggedDecisions, frame: pl.DataFrame, *, place: str = "policy") -> Policy:
    """The policy of `frame` for the decisions of `log`.

    `frame` is long (`product_id`, `probability`) or wide (a column of probabilities per product).
    With `decision_id` it has a distribution per decision, with `position` one per position, with
    both one per row of the log, with neither one for all. A product without a row has probability
    0 there, but every product of the log must be named.

    Raises:
        DecisionsRefused: a missing column or value, probabilities outside [0, 1] or that do not
            sum to 1, a product twice, products or decisions of the log that are missing, decisions
            that the log does not have; all that is wrong at once, with row counts.
    """
    long = typed(_as_long(frame), POLICY, place=place)
    key = [name for name in _KEYS if name in frame.columns]
    absent = [name for name in key if name not in log.frame.columns]
    refuse(place, [f"it goes by {name}, which the log does not have" for name in absent])
    refuse(place, _faults(long, key, log))
    # A constant stands for the key of a policy that is the same everywhere.
    by = [pl.col(name) for name in key] or [pl.lit(0).alias("all")]
    names = [column.meta.output_name() for column in by]
    states = long.select(by).unique(maintain_order=True).with_row_index("row")
    products = long.select("product_id").unique(maintain_order=True).with_row_index("column")
    cells = long.with_columns(by).join(states, on=names).join(products, on="product_id")
    shown = log.frame.drop("probability").with_columns(by)
    for table, on in ((states, names), (products, ["product_id"])):
        shown = shown.join(table, on=on, how="left", maintain_order="left")
    chance = cells.select("row", "column", "probability")
    shown = shown.join(chance, on=["row", "column"], how="left", maintain_order="left")
    at = (cells["row"].to_numpy(), cells["column"].to_numpy())
    return Policy(
        tuple(products["product_id"]),
        csr_array((cells["probability"].to_numpy(), at), shape=(len(states), len(products))),
        shown["row"].cast(pl.Int64).to_numpy(),
        shown["column"].cast(pl.Int64).to_numpy(),
        shown["probability"].fill_null(0.0).to_numpy(),
    )


def _as_long(frame: pl.DataFrame) -> pl.DataFrame:
    if "product_id" in frame.columns or "probability" in frame.columns:
        return frame
    key = [name for name in _KEYS if name in frame.columns]
    return frame.unpivot(index=key, variable_name="product_id", value_name="probability")


def _faults(long: pl.DataFrame, key: list[str], log: LoggedDecisions) -> Iterator[str]:
    outside = int((~long["probability"].is_between(0, 1)).sum())
    if outside:
        yield f"probability: {rows(outside)} outside [0, 1]"
    if double := int(long.select(*key, "product_id").is_duplicated().sum()):
        yield f"product_id: {rows(double)} name one that the same distribution names already"
    sums = long.group_by(key or [pl.lit(0)]).agg(pl.col("probability").sum())["probability"]
    if off := int(((sums - 1).abs() > _ROUNDING).sum()):
        low, high = np.quantile(sums.to_numpy(), (0, 1))
        yield (
            f"probability: {off:,} of {len(sums):,} distributions do not sum to 1 "
            f"(they sum to {low:.4g} to {high:.4g})"
        )
    unnamed = log.frame.join(long, on="product_id", how="anti")
    if len(unnamed):
        yield (
            f"product_id: {rows(len(unnamed))} of the log show a product that the policy does not "
            f"name ({some(unnamed['product_id'].unique().sort())}): give it 0 where it is not shown"
        )
    if key:
        without = log.frame.join(long, on=key, how="anti")
        if len(without):
            yield f"{' and '.join(key)}: {rows(len(without))} of the log have no distribution"
        foreign = long.join(log.frame, on=key, how="anti")
        if len(foreign):
            yield (
                f"{' and '.join(key)}: {rows(len(foreign))} of the policy are of none in the log "
                f"({some(foreign[key[0]].unique().sort())})"
            )
