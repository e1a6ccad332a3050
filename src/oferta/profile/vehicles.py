"""Vehicles as of a moment: mileage brought forward, and what each is worth."""

import polars as pl

from oferta.profile.depreciation import left_of_price
from oferta.profile.json_text import json_day, json_list, json_object, json_plain, json_text
from oferta.profile.moment import YEAR_DAYS, Moment
from oferta.profile.settings import Vehicles

_SOON = 0.25
"""Years of age below which a reading tells nothing of a year's mileage."""
_TOLD = 6


def known_vehicles(
    vehicles: pl.LazyFrame,
    contracts: pl.LazyFrame | None,
    *,
    moment: Moment,
    settings: Vehicles,
) -> pl.LazyFrame:
    """The vehicles registered by the moment (or at an unknown time), with mileage and worth then.

    `km`, `plan_km`, `worth`: Float64; `estimated`: Boolean, whether the worth is the curve's.
    Mileage: the reading, plus what its own average adds since; where that is not known, what the
    contract's plan or the use adds. Worth: a valuation of the last `valuation_days` brought forward
    by the depreciation curve, else the price paid by the curve from the age when it was bought: new
    is none, used is told by the first contract of it.
    """
    age = moment.age_days(pl.col("registered_at")) / YEAR_DAYS
    read = pl.col("mileage_at") <= moment.instant
    at_reading = (pl.col("mileage_at") - pl.col("registered_at")).dt.total_days() / YEAR_DAYS
    own = pl.when(at_reading >= _SOON).then(pl.col("mileage_km") / at_reading)
    usual = pl.col("use").replace_strict(
        settings.km_year, default=settings.otherwise_km_year, return_dtype=pl.Float64
    )
    yearly = pl.coalesce(own, pl.col("mileage_plan_km_year"), usual)
    since_reading = moment.age_days(pl.col("mileage_at")) / YEAR_DAYS
    km = (
        pl.when(pl.col("mileage_at").is_null() & pl.lit(moment.latest))
        .then(pl.col("mileage_km"))
        .when(read)
        .then(pl.col("mileage_km") + yearly * since_reading)
    )
    plan = pl.when(pl.col("condition") == "new").then(pl.col("mileage_plan_km_year") * age)
    rows = vehicles.filter(
        pl.col("registered_at").is_null() | (pl.col("registered_at") <= moment.instant)
    )
    if contracts is None:
        rows = rows.with_columns(pl.lit(None, pl.Datetime("us", "UTC")).alias("bought_at"))
    else:
        bought = (
            contracts.filter(pl.col("vehicle_id").is_not_null())
            .group_by("vehicle_id")
            .agg(pl.col("starts_at").min().alias("bought_at"))
        )
        rows = rows.join(bought, on="vehicle_id", how="left")
    return rows.with_columns(
        age.alias("age"), km.alias("km"), plan.alias("plan_km"), yearly.alias("yearly")
    ).with_columns(*_worth(moment, settings))


def _worth(moment: Moment, settings: Vehicles) -> tuple[pl.Expr, pl.Expr]:
    def left(age: pl.Expr, km: pl.Expr) -> pl.Expr:
        return left_of_price(
            age, km, body=pl.col("body"), fuel=pl.col("fuel"), curve=settings.depreciation
        )

    age, km = pl.col("age"), pl.col("km")
    undated = 0.0 if moment.latest else None
    ago = (moment.age_days(pl.col("valued_at")) / YEAR_DAYS).fill_null(pl.lit(undated, pl.Float64))
    valid = (ago >= 0) & (ago * YEAR_DAYS <= settings.valuation_days)
    valued = pl.when(valid).then(
        pl.col("market_value")
        * (left(age, km) / left(age - ago, km - pl.col("yearly") * ago)).fill_null(1.0)
    )
    new = pl.col("condition") == "new"
    bought_age = (
        pl.when(new).then(0.0).otherwise(age - moment.age_days(pl.col("bought_at")) / YEAR_DAYS)
    )
    unknown = pl.lit(None, pl.Float64)
    by_curve = pl.col("price") * (left(age, km) / left(bought_age, unknown)).clip(upper_bound=1.0)
    worth = pl.coalesce(valued, pl.when(bought_age.is_not_null()).then(by_curve))
    return worth.alias("worth"), pl.when(worth.is_not_null()).then(valued.is_null()).alias(
        "estimated"
    )


def leading_vehicles(
    vehicles: pl.LazyFrame, leading: pl.LazyFrame | None, *, moment: Moment, settings: Vehicles
) -> pl.LazyFrame:
    """Of each customer the leading contract's vehicle, else the newest, as facts; and `vehicle_id`.

    `leading` gives `customer_id` and `leading_vehicle`.
    """
    rows = vehicles
    if leading is None:
        rows = rows.with_columns(pl.lit(value=False).alias("leads"))
    else:
        rows = rows.join(
            leading.select("customer_id", "leading_vehicle"), on="customer_id", how="left"
        ).with_columns(
            (pl.col("vehicle_id") == pl.col("leading_vehicle"))
            .fill_null(value=False)
            .alias("leads")
        )
    months = settings.factory_warranty_months
    registered = moment.book_day(pl.col("registered_at"))
    warranty = registered.dt.offset_by(f"{months}mo").dt.offset_by("-1d")
    return (
        rows.sort(
            "customer_id",
            "leads",
            "registered_at",
            "vehicle_id",
            descending=[False, True, True, False],
            nulls_last=True,
        )
        .unique("customer_id", keep="first", maintain_order=True)
        .select(
            "customer_id",
            "vehicle_id",
            pl.lit(value=True).alias("has_vehicle"),
            pl.col("make").alias("vehicle_make"),
            pl.col("body").alias("vehicle_body"),
            pl.col("fuel").alias("vehicle_fuel"),
            pl.col("condition").alias("vehicle_condition"),
            registered.alias("vehicle_registered"),
            pl.col("use").alias("vehicle_use"),
            pl.col("km").round(0).alias("mileage_km"),
            pl.col("plan_km").round(0).alias("mileage_plan_km"),
            pl.col("worth").round(2).alias("market_value"),
            pl.col("estimated").alias("market_value_estimated"),
            (warranty if months else pl.lit(None, pl.Date)).alias("factory_warranty_end"),
        )
    )


def vehicle_evidence(vehicles: pl.LazyFrame, *, moment: Moment) -> pl.LazyFrame:
    """`customer_id`, `vehicles_json`: the vehicles of each customer, the newest first."""
    texts = ("vehicle_id", "make", "model", "body", "fuel", "condition", "use")
    piece = json_object(
        **{name: json_text(pl.col(name)) for name in texts},
        registered=json_day(moment.book_day(pl.col("registered_at"))),
        mileage_km=json_plain(pl.col("km").round(0)),
        market_value=json_plain(pl.col("worth").round(2)),
        market_value_estimated=json_plain(pl.col("estimated")),
    )
    # Sorted before it is grouped: sorting within each group takes four times as long.
    return (
        vehicles.select("customer_id", "vehicle_id", "registered_at", piece.alias("vehicles_json"))
        .sort(
            "customer_id",
            "registered_at",
            "vehicle_id",
            descending=[False, True, False],
            nulls_last=True,
        )
        .group_by("customer_id", maintain_order=True)
        .agg("vehicles_json")
        .with_columns(json_list(pl.col("vehicles_json").list.head(_TOLD)).alias("vehicles_json"))
    )
