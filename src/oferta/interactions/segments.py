"""Customers in groups by what is known of them: `age=45-54 · income=50-74K`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.errors import UnknownName
from oferta.interactions.idmap import IdMap

_SEPARATOR = " · "


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Which segment each customer is in.

    Attributes:
        labels: in the order of their text.
        codes: `(customers,) int32`, positions in `labels`; -1: no attribute is known, or the
            segment would be smaller than the minimum.
    """

    labels: tuple[str, ...]
    codes: NDArray[np.int32]

    @staticmethod
    def none(n_customers: int) -> "Segments":
        """No segments: everybody has code -1."""
        return Segments((), np.full(n_customers, -1, np.int32))


def segments_of(
    frame: pl.DataFrame,
    columns: Sequence[str],
    *,
    customers: IdMap,
    min_size: int = 50,
) -> Segments:
    """The segments that the attributes `columns` of a customers frame make.

    A customer's segment is the combination of their values; an attribute that is null or empty is
    left out of the label. Customers of the map without a row in the frame have none.

    Raises:
        UnknownName: a column that the frame does not have.
    """
    for column in columns:
        if column not in frame.columns:
            raise UnknownName("customer attribute", column, frame.columns)
    if not columns:
        return Segments.none(len(customers))
    rows = customers.rows(frame["customer_id"])
    parts = [
        pl.when(pl.col(column).cast(pl.String).str.strip_chars() != "").then(
            pl.concat_str(pl.lit(f"{column}="), pl.col(column).cast(pl.String).str.strip_chars())
        )
        for column in columns
    ]
    labelled = (
        frame.select(
            pl.Series("row", rows),
            pl.concat_str(parts, separator=_SEPARATOR, ignore_nulls=True).alias("label"),
        )
        .filter(pl.col("row") >= 0, pl.col("label") != "")
        .unique("row", keep="last", maintain_order=True)
    )
    large = (
        labelled.group_by("label").len().filter(pl.col("len") >= min_size).sort("label")["label"]
    )
    coded = labelled.join(
        large.to_frame().with_row_index("code"), on="label", how="inner", maintain_order="left"
    )
    codes = np.full(len(customers), -1, np.int32)
    codes[coded["row"].to_numpy()] = coded["code"].to_numpy().astype(np.int32)
    return Segments(tuple(large.to_list()), codes)
