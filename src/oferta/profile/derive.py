"""Facts that hang on the day they are asked for, by one text for a base and for one customer."""

from datetime import date

import polars as pl

from oferta.profile.facts import FACTS, FORMULAS

EPOCH = date(1970, 1, 1)

DATES = tuple(name for name, fact in FACTS.items() if fact.kind == "date")


def day_number(day: date) -> int:
    """Whole days since 1970."""
    return (day - EPOCH).days


def with_stage(facts: pl.LazyFrame, *, today: date) -> pl.LazyFrame:
    """`facts` with `stage` as of `today`; all other columns stay as they are."""
    known = [name for name in DATES if name in facts.collect_schema().names()]
    return (
        facts.with_columns(pl.col(name).alias(f"date:{name}") for name in known)
        .with_columns(
            *(pl.col(name).to_physical().cast(pl.Float64) for name in known),
            pl.lit(float(day_number(today))).alias("today"),
        )
        .with_columns(pl.sql_expr(FORMULAS["stage"]).alias("stage"))
        .with_columns(pl.col(f"date:{name}").alias(name) for name in known)
        .drop("today", *(f"date:{name}" for name in known))
    )
