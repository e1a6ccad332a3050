"""Attributes of customers: of several sources the newest trustworthy one is believed."""

from collections.abc import Mapping

import polars as pl

from oferta.columns import INSTANT
from oferta.profile.facts import FACTS, FactKind
from oferta.profile.json_text import json_object, json_plain, json_text
from oferta.profile.moment import Moment
from oferta.profile.settings import CUSTOMERS_SOURCE, Trust

STATED = tuple(
    name for name, fact in FACTS.items() if fact.origin == "customer" and name != "digital"
)
"""Facts that sources state; the others are computed."""

_DTYPES: Mapping[FactKind, pl.DataType] = {
    "number": pl.Float64(),
    "text": pl.String(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
}
_SECONDS = 2**36
"""More than any instant has: the rank of a source stands above them."""


def dtype_of(kind: FactKind) -> pl.DataType:
    """The type of a fact's column in a profile."""
    return _DTYPES[kind]


def stated_facts(
    customers: pl.LazyFrame,
    attributes: pl.LazyFrame | None,
    *,
    kinds: Mapping[str, FactKind],
    moment: Moment,
    trust: Trust,
) -> pl.LazyFrame:
    """One row a customer of whom anything is stated: `customer_id`, a column for each of `kinds`.

    `attributes_json` is an object: name -> value, source, observed_at of what is believed. A value
    that cannot be read as its kind is as if it had not been stated.
    """
    told = _believed(_observations(customers, attributes, kinds, moment), moment, trust)
    pieces = pl.concat(
        [
            _of_kind(told.filter(pl.col("name").is_in(names)), kind)
            for kind in _DTYPES
            if (names := [name for name, one in kinds.items() if one == kind])
        ],
        how="diagonal",
    )
    # One observation of each name is left: the greatest is the one.
    columns = [
        pl.when(pl.col("name") == name).then(pl.col(kind)).max().alias(name)
        for name, kind in kinds.items()
    ]
    inner = pl.col("attributes_json").list.sort().list.join(",")
    return (
        pieces.group_by("customer_id")
        .agg(*columns, pl.col("json").alias("attributes_json"))
        .with_columns(pl.concat_str(pl.lit("{"), inner, pl.lit("}")).alias("attributes_json"))
    )


def _observations(
    customers: pl.LazyFrame,
    attributes: pl.LazyFrame | None,
    kinds: Mapping[str, FactKind],
    moment: Moment,
) -> pl.LazyFrame:
    """`customer_id`, `name`, `value` (text), `source`, `at` of everything known by the moment."""
    found = []
    columns = [name for name in customers.collect_schema().names() if name in kinds]
    if columns:
        found.append(
            customers.select("customer_id", *(pl.col(name).cast(pl.String) for name in columns))
            .unpivot(index="customer_id", variable_name="name", value_name="value")
            .select(
                "customer_id",
                "name",
                "value",
                pl.lit(CUSTOMERS_SOURCE).alias("source"),
                pl.lit(None, INSTANT).alias("at"),
            )
        )
    if attributes is not None:
        found.append(
            attributes.filter(
                pl.col("name").is_in(list(kinds)), pl.col("observed_at") <= moment.instant
            ).select("customer_id", "name", "value", "source", pl.col("observed_at").alias("at"))
        )
    if not found:
        schema = dict.fromkeys(("customer_id", "name", "value", "source"), pl.String())
        return pl.LazyFrame(schema={**schema, "at": INSTANT})
    readable = pl.lit(value=False)
    for name, kind in kinds.items():
        readable = readable | ((pl.col("name") == name) & _read(kind).is_not_null())
    return pl.concat(found).filter(readable)


def _believed(rows: pl.LazyFrame, moment: Moment, trust: Trust) -> pl.LazyFrame:
    """Of each customer and name the one observation that is believed.

    The customers table has no time: it is fresh, and older than any other of its rank.
    """
    source = pl.col("source")
    ranks = {name: len(trust.order) - place for place, name in enumerate(trust.order)}
    rank = source.replace_strict(ranks, default=0, return_dtype=pl.Int64)
    stale_after = source.replace_strict(
        trust.stale, default=trust.stale_after_days, return_dtype=pl.Float64
    )
    age = moment.age_days(pl.col("at"))
    fresh = pl.col("at").is_null() | (age <= stale_after)
    second = pl.col("at").dt.epoch("s").fill_null(0)
    fresh_above_all = (len(trust.order) + 1) * _SECONDS
    score = pl.when(fresh).then(fresh_above_all + rank * _SECONDS).otherwise(0) + second
    # Of two values at one instant the greater text, so that the answer hangs on no order of rows.
    return (
        rows.with_columns(score.alias("score"))
        .sort("customer_id", "name", "score", "source", "value")
        .unique(["customer_id", "name"], keep="last", maintain_order=True)
    )


def _of_kind(rows: pl.LazyFrame, kind: FactKind) -> pl.LazyFrame:
    value = _read(kind)
    literal = (
        json_plain(value) if kind in {"number", "boolean"} else json_text(value.cast(pl.String))
    )
    said = json_object(
        value=literal,
        source=json_text(pl.col("source")),
        observed_at=json_text(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")),
    )
    json = pl.concat_str(json_text(pl.col("name")), pl.lit(":"), said)
    return rows.select("customer_id", "name", value.alias(kind), json.alias("json"))


def _read(kind: FactKind) -> pl.Expr:
    text = pl.col("value").str.strip_chars()
    if kind == "number":
        number = text.cast(pl.Float64, strict=False)
        return pl.when(number.is_finite()).then(number)
    if kind == "boolean":
        lower = text.str.to_lowercase()
        return (
            pl.when(lower.is_in(["true", "1", "yes"]))
            .then(pl.lit(value=True))
            .when(lower.is_in(["false", "0", "no"]))
            .then(pl.lit(value=False))
        )
    if kind == "date":
        return text.str.head(10).str.to_date("%Y-%m-%d", strict=False)
    return pl.when(text != "").then(text)
