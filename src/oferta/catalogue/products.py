"""The product table as sellers mean it: what is on sale at an instant, and what may be sold again.

`starts_at` is the first instant of sale and `ends_at` the first instant after it: `[start, end)`.
"""

from datetime import datetime
from typing import Final, Literal

import polars as pl

Status = Literal["active", "hidden", "paused", "archived"]

STATUSES: Final[tuple[Status, ...]] = ("active", "hidden", "paused", "archived")
"""Only active products are offered; a product without a status is active."""


def status() -> pl.Expr:
    """The status of each product, text."""
    return pl.col("status").fill_null("active").alias("status")


def repeatable() -> pl.Expr:
    """Whether a customer who has the product may be offered it again; true unless stated."""
    return pl.col("repeatable").fill_null(value=True).alias("repeatable")


def on_sale(at: datetime) -> pl.Expr:
    """Whether `at`, an aware instant, lies in `[starts_at, ends_at)`; an absent end is open."""
    starts = pl.col("starts_at").is_null() | (pl.col("starts_at") <= at)
    ends = pl.col("ends_at").is_null() | (pl.col("ends_at") > at)
    return (starts & ends).alias("on_sale")


def offerable(at: datetime) -> pl.Expr:
    """Whether each product may be offered to anyone at all at the aware instant `at`."""
    return ((status() == "active") & on_sale(at)).alias("offerable")
