"""Purchase intent: what shows interest, decayed, with the events that it rests on."""

from collections.abc import Mapping

import polars as pl

from oferta.events.types import EventType
from oferta.profile.behaviour import types_that_mean
from oferta.profile.json_text import json_day, json_list, json_object, json_plain, json_text
from oferta.profile.moment import Moment
from oferta.profile.settings import Intent


def intent_facts(
    events: pl.LazyFrame,
    kinds: pl.DataFrame,
    *,
    types: Mapping[str, EventType],
    moment: Moment,
    settings: Intent,
) -> pl.LazyFrame:
    """One row a customer with fresh interest: `intent`, `intent_family`, `intent_json`.

    For the formula see `oferta.profile.settings.Intent`; the family is that of the greatest sum.
    """
    at, kind = pl.col("timestamp"), pl.col("event_type")
    age = moment.age_days(at)
    interest = {t.name: t.weight for t in types.values() if t.meaning == "interest"}
    conversions = types_that_mean(types, "conversion")
    window = (
        events.filter(
            at <= moment.instant,
            age < settings.window_days,
            kind.is_in([*interest, *conversions]),
        )
        .select("customer_id", "product_id", "event_type", at.alias("at"), age.alias("age"))
        .join(kinds.lazy().select("product_id", "family"), on="product_id", how="left")
    )
    bought = (
        window.filter(pl.col("event_type").is_in(conversions), pl.col("family").is_not_null())
        .group_by("customer_id", "family")
        .agg(pl.col("at").max().alias("bought_at"))
    )
    weight = pl.col("event_type").replace_strict(interest, default=0.0, return_dtype=pl.Float64) * (
        0.5 ** (pl.col("age") / settings.half_life_days)
    )
    by_type = (
        window.filter(pl.col("event_type").is_in(list(interest)))
        .join(bought, on=["customer_id", "family"], how="left")
        .filter(pl.col("bought_at").is_null() | (pl.col("at") > pl.col("bought_at")))
        .group_by("customer_id", "family", "event_type")
        .agg(
            weight.sum().alias("weight"),
            pl.len().alias("count"),
            pl.col("at").max(),
            pl.col("product_id").sort_by("at", "product_id").last().alias("product"),
        )
    )
    piece = json_object(
        type=json_text(pl.col("event_type")),
        count=json_plain(pl.col("count")),
        last=json_day(moment.day(pl.col("at"))),
        product=json_text(pl.col("product")),
        weight=json_plain(pl.col("weight").round(4)),
    )
    # Sorted before it is grouped: sorting within each group takes four times as long.
    by_family = (
        by_type.select("customer_id", "family", "event_type", "weight", piece.alias("json"))
        .sort(
            "customer_id", "family", "weight", "event_type", descending=[False, False, True, False]
        )
        .group_by("customer_id", "family", maintain_order=True)
        .agg(pl.col("weight").sum(), pl.col("json"))
    )
    top = (
        by_family.sort("customer_id", "weight", "family", nulls_last=False)
        .unique("customer_id", keep="last", maintain_order=True)
        .rename({"family": "intent_family"})
    )
    # Rounded, since a sum of floats hangs on the order of its rows in its last digits.
    intent = (1 - (-pl.col("weight")).exp()).round(6)
    return top.with_columns(intent.alias("intent")).select(
        "customer_id",
        "intent",
        "intent_family",
        json_object(
            value=json_plain(pl.col("intent").round(4)),
            family=json_text(pl.col("intent_family")),
            events=json_list(pl.col("json").list.head(settings.evidence)),
        ).alias("intent_json"),
    )
