"""Derived facts of a whole base, in Polars."""

from collections.abc import Mapping
from datetime import date

import polars as pl

from oferta.profile.facts import STORED, FactKind
from oferta.profile.formulas import (
    TIER,
    TODAY,
    VALUE,
    ValueTiers,
    day_number,
    formulas,
    kinds_of,
    tier_expression,
    value_expression,
)
from oferta.rules.frames import rule_columns, to_polars


def with_formulas(
    frame: pl.LazyFrame | pl.DataFrame,
    *,
    today: date,
    tiers: ValueTiers | None,
    attributes: Mapping[str, FactKind],
) -> pl.LazyFrame:
    """See `oferta.profile.derive.with_derived`."""
    stored: dict[str, FactKind] = {**kinds_of(STORED), **attributes}
    rows = rule_columns(frame, stored).with_columns(pl.lit(float(day_number(today))).alias(TODAY))
    rows = rows.with_columns(to_polars(formula).alias(name) for name, formula in formulas().items())
    if tiers is None:
        return rows.with_columns(pl.lit(None, pl.String).alias(TIER))
    valued = rows.with_columns(to_polars(value_expression(tiers, attributes)).alias(VALUE))
    return valued.with_columns(to_polars(tier_expression(tiers)).alias(TIER)).drop(VALUE)


def with_stage(facts: pl.LazyFrame, *, today: date) -> pl.LazyFrame:
    """`facts` with `stage` as of `today`; all other columns stay as they are."""
    stage = formulas()["stage"]
    used = sorted(stage.columns - {TODAY})
    return (
        facts.with_columns(pl.col(name).alias(f"as is:{name}") for name in used)
        .pipe(rule_columns, kinds_of(used))
        .with_columns(pl.lit(float(day_number(today))).alias(TODAY))
        .with_columns(to_polars(stage).alias("stage"))
        .with_columns(pl.col(f"as is:{name}").alias(name) for name in used)
        .drop(TODAY, *(f"as is:{name}" for name in used))
    )
