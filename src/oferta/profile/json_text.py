"""Pieces of JSON made by Polars, one text a row, so that evidence needs no pass through Python."""

import polars as pl


def json_object(**values: pl.Expr) -> pl.Expr:
    """`{"name": value, ...}` of each row, without the names whose value is null.

    Each value is JSON already: by `json_text`, `json_plain`, or an object's or list's own.
    """
    pieces = [
        pl.when(value.is_not_null()).then(pl.concat_str(pl.lit(f'"{name}":'), value))
        for name, value in values.items()
    ]
    return pl.concat_str(
        pl.lit("{"), pl.concat_str(pieces, separator=",", ignore_nulls=True), pl.lit("}")
    )


def json_text(value: pl.Expr) -> pl.Expr:
    """Each text as a JSON string, with whatever needs it escaped; null stays null."""
    escaped = pl.struct(value.alias("v")).struct.json_encode().str.slice(5).str.head(-1)
    return pl.when(value.is_not_null()).then(escaped)


def json_plain(value: pl.Expr) -> pl.Expr:
    """Each number or truth value as JSON."""
    return value.cast(pl.String)


def json_day(value: pl.Expr) -> pl.Expr:
    """Each date as a JSON string."""
    return pl.concat_str(pl.lit('"'), value.cast(pl.String), pl.lit('"'))


def json_list(items: pl.Expr) -> pl.Expr:
    """`[a,b,...]` of each row's list of pieces."""
    return pl.concat_str(pl.lit("["), items.list.join(","), pl.lit("]"))
