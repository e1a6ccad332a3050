"""From an attribute's values to codes: categories as they are, numbers and dates in bins."""

from itertools import pairwise
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.settings import Settings

Kind = Literal["category", "number"]

_FEW_NUMBERS = 12  # distinct whole numbers up to which each is a category of its own
_MISSING = -1


class Coding(Settings):
    """One attribute's values as codes from 0; -1 where the value is missing.

    Attributes:
        column: the attribute.
        kind: `category`, or `number` (dates count as days).
        values: the categories, in the order of their text.
        other: whether values that are no category share one more code, the last.
        edges: inner edges of the bins, ascending; bin `i` is `[edges[i - 1], edges[i])`.
    """

    column: str
    kind: Kind
    values: tuple[str, ...] = ()
    other: bool = False
    edges: tuple[float, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What each code means, for people."""
        if self.kind == "number":
            ends = ("", *(f"{edge:g}" for edge in self.edges), "")
            return tuple(f"{self.column} in [{low}, {high})" for low, high in pairwise(ends))
        stated = tuple(f"{self.column}={value}" for value in self.values)
        return (*stated, f"{self.column}=other") if self.other else stated

    def codes(self, values: pl.Series) -> NDArray[np.int32]:
        """`(rows,)`: the code of each value; -1 where there is none for it."""
        if self.kind == "number":
            numbers = _numbers(values).to_numpy()
            codes = np.searchsorted(np.asarray(self.edges), numbers, side="right")
            return np.where(np.isnan(numbers), _MISSING, codes).astype(np.int32)
        known = {value: code for code, value in enumerate(self.values)}
        texts = _texts(values)
        rest = len(self.values) if self.other else _MISSING
        found = texts.replace_strict(known, default=rest, return_dtype=pl.Int32)
        return found.set(texts.is_null(), _MISSING).to_numpy().astype(np.int32)


def coding_of(values: pl.Series, *, fewest: int, bins: int) -> Coding:
    """How the values of one attribute are coded.

    Texts, truth values and few whole numbers are categories; those of fewer than `fewest` rows
    share the code `other`. Other numbers and dates fall into `bins` of about as many rows each.
    """
    column = values.name
    numeric = values.dtype.is_numeric() or values.dtype.is_temporal()
    whole = values.dtype.is_integer() and values.n_unique() <= _FEW_NUMBERS
    if numeric and not whole:
        numbers = _numbers(values).drop_nans().to_numpy()
        inner = np.arange(1, bins) / bins
        edges = np.quantile(numbers, inner, method="nearest") if len(numbers) else np.zeros(0)
        return Coding(column=column, kind="number", edges=tuple(np.unique(edges).tolist()))
    counts = _texts(values).drop_nulls().value_counts().sort(column)
    often = counts.filter(pl.col("count") >= fewest)[column]
    return Coding(
        column=column,
        kind="category",
        values=tuple(often.to_list()),
        other=len(often) < len(counts),
    )


def _numbers(values: pl.Series) -> pl.Series:
    if values.dtype.is_temporal():
        days = values.cast(pl.Datetime("us")).dt.epoch("us") / 86_400_000_000
        return days.cast(pl.Float64).fill_null(float("nan"))
    return values.cast(pl.Float64).fill_null(float("nan"))


def _texts(values: pl.Series) -> pl.Series:
    texts = values.cast(pl.String).str.strip_chars()
    return texts.set(texts == "", None)
