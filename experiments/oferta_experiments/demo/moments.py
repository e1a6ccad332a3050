"""Customers at a moment of the contract clock, found by their profiles."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl

TRIED: Final = 60
"""Customers asked about until one gets what the moment is about."""

_OPEN: Final = (
    pl.col("consent_personalisation").fill_null(value=False)
    & ~pl.col("in_arrears").fill_null(value=False)
    & ~pl.col("vulnerable").fill_null(value=False)
    & pl.col("income").is_not_null()
    & pl.col("market_value").is_not_null()
    & pl.col("risk_tier").is_in(["A", "B", "C"])
)
"""Who may be told of offers at all, and of whom enough is known to show something."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment: whom it concerns, where they are asked, and what shows that it is about them.

    Attributes:
        title: as a heading, with `{days}`.
        who: over facts and `days`.
        day: the date whose distance is `days`; None: there is none.
        offers: one of them comes first for a customer who shows the moment.
        context: fields of the placement's context that `days` answers.
    """

    title: str
    channel: str
    placement: str
    who: pl.Expr
    day: str | None = None
    offers: frozenset[str] = frozenset()
    context: tuple[str, ...] = ()


MOMENTS: Final = (
    Moment(
        "the balloon falls due in {days} days",
        "app",
        "contract",
        pl.col("days").is_between(15, 90)
        & pl.col("contract_kind").is_in(["balloon", "residual_value"]),
        "balloon_due",
        frozenset({"balloon-refinance", "balloon-refinance-part"}),
    ),
    Moment(
        "the insurance renews in {days} days",
        "app",
        "renewal",
        pl.col("days").is_between(5, 44) & (pl.col("vehicle_condition") == "new"),
        "insurance_renewal",
        frozenset({"comprehensive-renewal", "comprehensive-plus", "electric-cover"}),
        context=("days_left",),
    ),
    Moment(
        "the warranty ends in {days} days",
        "app",
        "home",
        pl.col("days").is_between(5, 59) & (pl.col("vehicle_condition") == "new"),
        "warranty_end",
        frozenset({"warranty-extension", "care-package", "battery-warranty"}),
    ),
)
"""The three that the demo shows, in order."""

WISHING: Final = Moment(
    "wishes a loan that is too high a month",
    "web",
    "calculator",
    (pl.col("income") - pl.col("spending")).is_between(900, 1400)
    & (pl.col("instalments") <= 200)  # noqa: PLR2004 - room for one more
    & ~pl.col("has_finance"),
)
"""For the counter-offer: some room in the budget, but not for everything."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A customer: id, days until the moment, and facts by name."""

    customer_id: str
    days: int | None
    facts: dict[str, Any]


def candidates(scores: Path, moment: Moment, *, today: date) -> Iterator[Candidate]:
    """Customers at the moment, by ascending id, at most `TRIED` of them.

    `scores`: the scores folder that was published: its `base/` has everybody's facts.
    """
    days = (
        pl.lit(None, pl.Int64)
        if moment.day is None
        else (pl.col(moment.day) - pl.lit(today)).dt.total_days()
    )
    found = (
        pl.scan_parquet(str(scores / "base" / "*.parquet"))
        .drop("evidence", "probability", "score", strict=False)
        .with_columns(days.alias("days"))
        .filter(_OPEN, moment.who)
        .sort("customer_id")
        .head(TRIED)
        .collect()
    )
    for row in found.iter_rows(named=True):
        yield Candidate(row["customer_id"], row["days"], row)


def latest_scores(home: Path) -> Path:
    """The scores folder under the state folder that was finished last."""
    manifests = (home / "scores").rglob("manifest.json")
    return max(manifests, key=lambda manifest: manifest.stat().st_mtime_ns).parent
