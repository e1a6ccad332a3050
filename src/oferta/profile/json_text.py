"""Pieces of JSON made by Polars, one text a row, so that evidence needs no pass through Python."""

import polars as pl


def json_object(**values: pl.Expr) -> pl.Expr:
    """`{"name": value, ...}` of each row, without the names whose value is null."""
    text = pl.struct([value.alias(name) for name, value in values.items()]).struct.json_encode()
    # Inside a text every quotation mark is escaped, so this cannot match there.
    return text.str.replace_all(r'"[a-z_]+":null,?', "").str.replace(",}", "}", literal=True)


def json_text(value: pl.Expr) -> pl.Expr:
    """Each text as a JSON string."""
    return pl.struct(value.alias("v")).struct.json_encode().str.slice(5).str.head(-1)


def json_list(items: pl.Expr) -> pl.Expr:
    """`[a,b,...]` of each group's pieces."""
    return pl.format("[{}]", items.str.join(","))
