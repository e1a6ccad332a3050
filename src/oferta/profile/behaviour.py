"""What a customer did and wished: activity in counts and days, and the last wish."""

from collections.abc import Mapping

import polars as pl

from oferta.columns import WISHES
from oferta.events.types import EventType, Meaning
from oferta.profile.json_text import json_day, json_object, json_plain, json_text
from oferta.profile.moment import DAY_US, Moment
from oferta.profile.settings import ProfileSettings

CONTACTS = ("contacts", "digital_contacts", "personal_contacts")
"""What customers sought within `digital_days`, where its channel is known: not what was shown."""

_MONTH_DAYS = 30
_DIGITAL = ("app", "web")
_PERSONAL = ("branch", "dealer", "call_centre", "phone")


def activity_facts(
    events: pl.LazyFrame,
    *,
    types: Mapping[str, EventType],
    moment: Moment,
    settings: ProfileSettings,
) -> pl.LazyFrame:
    """One row a customer with events up to the moment: what they did, in counts and days.

    Beside the facts: `CONTACTS` and `first_bought`.

    Events without a time count as conversions ever, and as nothing else.
    """
    at, kind = pl.col("timestamp"), pl.col("event_type")
    conversions = types_that_mean(types, "conversion")
    applied = kind.is_in([*types_like(types, "apply"), *conversions])
    calculator = kind.is_in(types_like(types, "calculator"))
    month = moment.age_days(at) < _MONTH_DAYS
    shown = kind.is_in(types_that_mean(types, "exposure"))
    sought = ~shown & (moment.age_days(at) < settings.digital_days)
    rows = events.filter(at.is_null() | (at <= moment.instant)).select(
        "customer_id",
        at.alias("at"),
        pl.col("channel").is_not_null().alias("channelled"),
        pl.when(pl.col("channel").is_in(_DIGITAL)).then(at).alias("digital_at"),
        (sought & pl.col("channel").is_not_null()).alias("contacts"),
        (sought & pl.col("channel").is_in(_DIGITAL)).alias("digital_contacts"),
        (sought & pl.col("channel").is_in(_PERSONAL)).alias("personal_contacts"),
        kind.is_in(conversions).alias("bought"),
        pl.when(kind.is_in(conversions)).then(at).alias("bought_at"),
        (kind.is_in(types_like(types, "quote")) & month).alias("quote"),
        (calculator & month).alias("calculator"),
        pl.when(calculator).then(at).alias("calculator_at"),
        pl.when(applied).then(at).alias("applied_at"),
    )
    grouped = rows.group_by("customer_id").agg(
        pl.col("at").max(),
        pl.col("channelled").any(),
        pl.col("digital_at").max(),
        *(pl.col(name).sum() for name in CONTACTS),
        pl.col("bought").sum().cast(pl.Float64).alias("purchases"),
        pl.col("bought_at").min().alias("first_bought"),
        pl.col("quote").sum().cast(pl.Float64).alias("quotes_30d"),
        pl.col("calculator").sum().cast(pl.Float64).alias("calculator_30d"),
        pl.col("calculator_at").max(),
        pl.col("applied_at").max(),
    )
    digital = moment.age_days(pl.col("digital_at")) < settings.digital_days
    open_calculation = pl.col("applied_at").is_null() | (
        pl.col("applied_at") < pl.col("calculator_at")
    )
    return grouped.select(
        "customer_id",
        moment.day(pl.col("at")).alias("last_active"),
        pl.when(pl.col("channelled")).then(digital.fill_null(value=False)).alias("digital"),
        *CONTACTS,
        "purchases",
        moment.day(pl.col("first_bought")).alias("first_bought"),
        "quotes_30d",
        "calculator_30d",
        moment.day(pl.when(open_calculation).then(pl.col("calculator_at"))).alias(
            "calculator_last"
        ),
    )


def wish_facts(
    events: pl.LazyFrame, *, moment: Moment, settings: ProfileSettings
) -> pl.LazyFrame | None:
    """One row a customer who wished something: every wish, `wished_at` and `wish_json`.

    The latest wish; what it leaves open is taken from earlier ones of the `wish_days` before it.
    None where events carry no wishes.
    """
    known = events.collect_schema()
    names = [name for name in WISHES if name in known.names()]
    if not names:
        return None
    at = pl.col("timestamp")
    rows = (
        events.filter(
            at <= moment.instant, pl.any_horizontal([pl.col(n).is_not_null() for n in names])
        )
        .select("customer_id", at.alias("at"), *(_wish(name) for name in names))
        .filter(pl.any_horizontal([pl.col(n).is_not_null() for n in names]))
    )
    grouped = rows.group_by("customer_id").agg(
        pl.col("at").max(),
        *(_latest(name).alias(name) for name in names),
        *(
            pl.when(pl.col(name).is_not_null()).then(pl.col("at")).max().alias(f"{name}:at")
            for name in names
        ),
    )
    limit = int(settings.wish_days * DAY_US)
    near = (
        pl.when((pl.col("at") - pl.col(f"{name}:at")).dt.total_microseconds() <= limit)
        .then(pl.col(name))
        .alias(name)
        for name in names
    )
    absent = [pl.lit(None, dtype).alias(n) for n, dtype in WISHES.items() if n not in names]
    day = moment.day(pl.col("at"))
    return (
        grouped.select("customer_id", day.alias("wished_at"), *near)
        .with_columns(absent)
        .with_columns(
            json_object(
                at=json_day(pl.col("wished_at")),
                **{
                    name.removeprefix("wished_"): _literal(name, dtype)
                    for name, dtype in WISHES.items()
                },
            ).alias("wish_json")
        )
    )


def _literal(name: str, dtype: pl.DataType) -> pl.Expr:
    return json_text(pl.col(name)) if dtype == pl.String else json_plain(pl.col(name))


def _wish(name: str) -> pl.Expr:
    if WISHES[name] == pl.String:
        text = pl.col(name).cast(pl.String).str.strip_chars()
        return pl.when(text != "").then(text).alias(name)
    number = pl.col(name).cast(pl.Float64, strict=False)
    return pl.when(number.is_finite() & (number >= 0)).then(number).alias(name)


def _latest(name: str) -> pl.Expr:
    """The value of the latest row that has one; of several at one instant the greatest."""
    known = pl.when(pl.col(name).is_not_null()).then(pl.col("at"))
    return pl.col(name).sort_by(known, pl.col(name)).last()


def types_like(types: Mapping[str, EventType], built_in: str) -> list[str]:
    """The types that are this built-in one, whatever a source calls them."""
    return [one.name for one in types.values() if one.like == built_in]


def types_that_mean(types: Mapping[str, EventType], meaning: Meaning) -> list[str]:
    """The types of this meaning."""
    return [one.name for one in types.values() if one.meaning == meaning]
