"""Rules over a whole base, in Polars: the reference for what a rule means."""

from collections.abc import Mapping

import polars as pl

from oferta.rules.kinds import Kind
from oferta.rules.language import Expression
from oferta.rules.text import for_polars

_DTYPE: Mapping[Kind, type[pl.DataType]] = {
    "number": pl.Float64,
    "date": pl.Float64,
    "text": pl.String,
    "boolean": pl.Boolean,
}


def to_polars(expression: Expression) -> pl.Expr:
    """The expression over a frame of `rule_columns`; dates are Float64 whole days.

    An expression of constants alone gives one value, which `with_columns` repeats.
    """
    return pl.sql_expr(for_polars(expression.tree)).cast(_DTYPE[expression.kind])


def rule_columns(frame: pl.LazyFrame | pl.DataFrame, columns: Mapping[str, Kind]) -> pl.LazyFrame:
    """`frame` with the declared columns as rules expect them; other columns stay as they are.

    Numbers become Float64, dates Float64 whole days since 1970; what is not finite becomes null. A
    declared column that the frame does not have is null for everybody.
    """
    lazy = frame.lazy()
    schema = lazy.collect_schema()
    made = []
    for name, kind in columns.items():
        dtype = schema.get(name)
        if dtype is None:
            made.append(pl.lit(None, dtype=_DTYPE[kind]).alias(name))
            continue
        column = pl.col(name)
        if kind == "date" and dtype.is_temporal():
            column = column.cast(pl.Date).cast(pl.Int32)
        column = column.cast(_DTYPE[kind])
        if kind in {"number", "date"}:
            column = pl.when(column.is_finite()).then(column)
        made.append(column.alias(name))
    return lazy.with_columns(made)
