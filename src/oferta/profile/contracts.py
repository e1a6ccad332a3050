"""Contracts as of a moment: which run, what is owed, and the clock that follows from them."""

import polars as pl

from oferta.profile.json_text import json_day, json_list, json_object, json_plain, json_text
from oferta.profile.moment import Moment
from oferta.profile.payoff import payoff_today
from oferta.profile.products import is_finance
from oferta.profile.settings import ProfileSettings

_TOLD = 12
"""So many contracts of one customer stand in the evidence, the running ones first."""


def known_contracts(
    contracts: pl.LazyFrame, kinds: pl.DataFrame, *, moment: Moment, settings: ProfileSettings
) -> pl.LazyFrame:
    """The contracts begun by the moment, with `family`, `role`, `sold_as` and their state then.

    `runs`, `finance`, `late` (in arrears): Boolean; `late_days`, `owed`: Float64; `owed_estimated`.
    What a row says of its status, payoff and arrears counts only from its `as_of` on (less
    `books_days`), or, without one, from where the data ends: before that the dates alone decide. A
    contract in arrears runs on after its end.
    """
    told = (moment.age_days(pl.col("as_of")) >= -settings.books_days).fill_null(value=moment.latest)
    status = pl.when(told).then(pl.col("status"))
    days = pl.when(told).then(pl.col("days_in_arrears")).cast(pl.Float64)
    late = (status == "arrears").fill_null(value=False) | (days > settings.grace_days).fill_null(
        value=False
    )
    over = (pl.col("ends_at") <= moment.instant).fill_null(value=False)
    closed = status.is_in(["ended", "settled"]).fill_null(value=False)
    runs = ~closed & (~over | late)
    stated = pl.when(told).then(pl.col("payoff")).is_not_null()
    return (
        contracts.filter(pl.col("starts_at") <= moment.instant)
        .join(kinds.lazy(), on="product_id", how="left")
        .with_columns(is_finance().alias("finance"))
        .with_columns(
            runs.alias("runs"),
            (runs & late).alias("late"),
            days.alias("late_days"),
            pl.when(runs & pl.col("finance"))
            .then(payoff_today(moment, told=told).round(2))
            .alias("owed"),
            (~stated).alias("owed_estimated"),
        )
    )


def leading_contracts(contracts: pl.LazyFrame, *, moment: Moment) -> pl.LazyFrame:
    """Of each customer the running finance contract with the most still owed, as its facts.

    Not the one that ends first: a loan for winter tyres would hide the balloon of the car.

    Columns: `customer_id`, `leading_contract`, `leading_vehicle` (id or null), `contract_*`,
    `payoff`, `balloon_amount`, `balloon_due`.
    """
    end = moment.last_day(pl.col("ends_at"))
    final = pl.when(pl.col("final_amount") > 0).then(pl.col("final_amount"))
    due = pl.coalesce(moment.book_day(pl.col("final_due")), end)
    return (
        contracts.filter(pl.col("runs") & pl.col("finance"))
        .with_columns(pl.coalesce("owed", "amount", pl.lit(0.0)).alias("weight"))
        .sort(
            "customer_id",
            "weight",
            "ends_at",
            "contract_id",
            descending=[False, True, False, False],
            nulls_last=True,
        )
        .unique("customer_id", keep="first", maintain_order=True)
        .select(
            "customer_id",
            pl.col("contract_id").alias("leading_contract"),
            pl.col("vehicle_id").alias("leading_vehicle"),
            pl.col("repayment").alias("contract_kind"),
            pl.col("product_id").alias("contract_product"),
            moment.book_day(pl.col("starts_at")).alias("contract_start"),
            end.alias("contract_end"),
            pl.col("term_months").cast(pl.Float64).alias("contract_months"),
            pl.col("rate").alias("contract_rate"),
            pl.col("instalment").alias("contract_instalment"),
            pl.col("owed").alias("payoff"),
            final.alias("balloon_amount"),
            pl.when(final.is_not_null()).then(due).alias("balloon_due"),
        )
    )


def contract_facts(
    contracts: pl.LazyFrame, leading: pl.LazyFrame, *, moment: Moment
) -> pl.LazyFrame:
    """One row a customer with contracts: counts, arrears, renewals, what is held, and evidence.

    `leading` gives `customer_id` and `vehicle_id`: a warranty or service plan of another vehicle is
    not the customer's clock.
    """
    runs, role = pl.col("runs"), pl.col("role")
    here = pl.col("vehicle_id").is_null() | (
        pl.col("vehicle_id") == pl.col("the_vehicle")
    ).fill_null(value=True)
    last_day = moment.last_day(pl.col("ends_at"))
    renewal = pl.coalesce(moment.book_day(pl.col("ends_at")), _anniversary(moment))
    one = pl.col("finance") & runs
    rows = contracts.join(
        leading.select("customer_id", pl.col("vehicle_id").alias("the_vehicle")),
        on="customer_id",
        how="left",
    ).select(
        "customer_id",
        runs,
        one.alias("owing"),
        (runs & pl.col("late")).alias("late"),
        pl.when(runs).then(pl.col("late_days")).alias("late_days"),
        pl.when(one).then(pl.col("instalment")).alias("ours"),
        moment.book_day(pl.col("starts_at")).alias("start"),
        pl.when(runs & (role == "motor_insurance")).then(renewal).alias("insurance_renewal"),
        pl.when(here & (role == "warranty")).then(last_day).alias("extended_warranty_end"),
        pl.when(here & (role == "service_plan")).then(last_day).alias("service_plan_end"),
        pl.when(runs & ~pl.col("finance")).then(pl.col("sold_as")).alias("held"),
        "starts_at",
        "contract_id",
        _evidence(moment).alias("contracts_json"),
    )
    # Sorted before it is grouped: sorting within each group takes four times as long.
    in_order = rows.sort(
        "customer_id", "runs", "starts_at", "contract_id", descending=[False, True, True, False]
    )
    grouped = in_order.group_by("customer_id", maintain_order=True).agg(
        pl.col("owing").any().alias("has_finance"),
        pl.col("runs").sum().cast(pl.Float64).alias("contracts_active"),
        (~pl.col("runs")).sum().cast(pl.Float64).alias("contracts_ended"),
        pl.col("late").any().alias("in_arrears"),
        # Late by the books' word alone, for nobody knows how long: null.
        pl.when(pl.col("late").any() | (pl.col("late_days").count() > 0))
        .then(pl.col("late_days").max())
        .otherwise(0.0)
        .alias("days_in_arrears"),
        pl.when(pl.col("ours").count() > 0).then(pl.col("ours").sum()).alias("ours"),
        pl.col("start").min().alias("first_contract"),
        pl.col("insurance_renewal").min(),
        pl.col("extended_warranty_end").max(),
        pl.col("service_plan_end").max(),
        pl.col("held").drop_nulls().unique().alias("held"),
        pl.col("contracts_json"),
    )
    return grouped.with_columns(
        json_list(pl.col("contracts_json").list.head(_TOLD)).alias("contracts_json")
    )


def _anniversary(moment: Moment) -> pl.Expr:
    """The next yearly return of an open-ended contract's first day, today included."""
    start = moment.book_day(pl.col("starts_at"))
    years = moment.today.year - start.dt.year()
    this_year = start.dt.offset_by(pl.format("{}y", years))
    next_year = start.dt.offset_by(pl.format("{}y", years + 1))
    return pl.when(this_year >= moment.today).then(this_year).otherwise(next_year)


def _evidence(moment: Moment) -> pl.Expr:
    return json_object(
        contract_id=json_text(pl.col("contract_id")),
        product_id=json_text(pl.col("product_id")),
        family=json_text(pl.col("family")),
        kind=json_text(pl.col("repayment")),
        vehicle_id=json_text(pl.col("vehicle_id")),
        active=json_plain(pl.col("runs")),
        start=json_day(moment.book_day(pl.col("starts_at"))),
        end=json_day(moment.last_day(pl.col("ends_at"))),
        months=json_plain(pl.col("term_months")),
        amount=json_plain(pl.col("amount")),
        rate=json_plain(pl.col("rate")),
        instalment=json_plain(pl.col("instalment")),
        payoff=json_plain(pl.col("owed")),
        payoff_estimated=json_plain(
            pl.when(pl.col("owed").is_not_null()).then(pl.col("owed_estimated"))
        ),
        final_amount=json_plain(pl.col("final_amount")),
        final_due=json_day(moment.book_day(pl.col("final_due"))),
        next_due=json_day(moment.book_day(pl.col("next_due"))),
        days_in_arrears=json_plain(pl.when(pl.col("late")).then(pl.col("late_days"))),
    )
