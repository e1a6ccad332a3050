"""What the accepted rows look like: times, event types, and what a person should look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from oferta.errors import SourceRefused
from oferta.events.guards import MAX_EVENT_TYPES
from oferta.events.manifest import EventTypeEntry, Order
from oferta.events.types import BUILT_IN, event_types

ONE_CUSTOMER_SHARE: Final = 0.5
ONE_PRODUCT_SHARE: Final = 0.9
FROM_EVENTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Times:
    """When events happened, as far as the source says."""

    order: Order
    first: datetime | None
    last: datetime | None
    undated: int


def survey_times(events: pl.LazyFrame) -> Times:
    """Order comes from the time, or from `seq` where no event has a time."""
    at, seq = pl.col("timestamp"), pl.col("seq")
    row = (
        events.select(
            pl.len().alias("rows"),
            at.min().alias("first"),
            at.max().alias("last"),
            at.null_count().alias("undated"),
            seq.count().alias("ordered"),
        )
        .collect(engine="streaming")
        .row(0, named=True)
    )
    if row["undated"] < row["rows"]:
        return Times("timestamp", row["first"], row["last"], row["undated"])
    return Times("seq" if row["ordered"] else "none", None, None, 0)


def survey_event_types(
    events: pl.LazyFrame, declared: Mapping[str, float | str], *, place: Path
) -> tuple[EventTypeEntry, ...]:
    """Every type that occurs, the commonest first, then what was declared and does not occur.

    Raises:
        SourceRefused: `event_types.too_many`.
    """
    counts = events.group_by("event_type").len().collect(engine="streaming")
    if counts.height > MAX_EVENT_TYPES:
        raise SourceRefused(
            "event_types.too_many",
            place,
            f"{counts.height:,} different event types",
            remedy="Map another column to event_type, or state one for all under "
            "[events.constants].",
        )
    seen = dict(counts.sort("len", "event_type", descending=[True, False]).iter_rows())
    known = event_types(declared, seen=tuple(seen))
    return tuple(
        EventTypeEntry(
            name=name,
            meaning=known[name].meaning,
            weight=known[name].weight,
            origin="declared"
            if name in declared
            else "built in"
            if name in BUILT_IN
            else "undeclared",
            events=seen.get(name, 0),
            like=known[name].like,
        )
        for name in [*seen, *(name for name in declared if name not in seen)]
    )


def survey_warnings(
    events: pl.LazyFrame, products: pl.LazyFrame, customers: pl.LazyFrame, *, now: datetime
) -> list[str]:
    """One customer or product that is nearly all, ids that look alike, products not on sale."""
    warnings = [
        *_dominant(events, "customer_id", ONE_CUSTOMER_SHARE),
        *_dominant(events, "product_id", ONE_PRODUCT_SHARE),
        *_lookalikes(products, "product_id"),
        *_lookalikes(customers, "customer_id"),
    ]
    off = products.select(
        (pl.col("ends_at") <= now).sum().alias("ended"),
        (pl.col("starts_at") > now).sum().alias("not started"),
        pl.when(pl.col("price_minor").count() > 0)
        .then(pl.col("price_minor").null_count())
        .otherwise(0)
        .alias("without a price where others have one"),
    ).collect()
    for what, count in off.row(0, named=True).items():
        if count:
            warnings.append(f"{count:,} products {'have ' if what == 'ended' else 'are '}{what}")
    return warnings


def _dominant(events: pl.LazyFrame, column: str, share: float) -> list[str]:
    counts = events.group_by(column).len()
    row = (
        counts.select(
            pl.col("len").sum().alias("all"),
            pl.col("len").max().alias("most"),
            pl.col(column).sort_by("len").last().alias("who"),
        )
        .collect(engine="streaming")
        .row(0, named=True)
    )
    if not row["all"] or row["all"] < FROM_EVENTS or row["most"] <= share * row["all"]:
        return []
    share_text = f"{row['most'] / row['all']:.0%} of all events"
    return [f"{share_text} are of one {column} ({row['who']!r}): a machine, or a wrong column?"]


_CONFUSABLE: Final = dict(
    zip("аеорсухівАВЕКМНОРСТХΑΒΕΗΙΚΜΝΟΡΤΧο", "aeopcyxibABEKMHOPCTXABEHIKMNOPTXo", strict=True)
)
_INVISIBLE: Final = r"[\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}\u{feff}\u{ad}]"


def _lookalikes(rows: pl.LazyFrame, column: str) -> list[str]:
    """Ids that differ only in case, Unicode form, spaces, invisible signs or alphabets' look."""
    alike = (
        pl.col(column)
        .str.normalize("NFKC")
        .str.replace_all(_INVISIBLE, "")
        .str.strip_chars()
        .str.replace_many(list(_CONFUSABLE), list(_CONFUSABLE.values()))
        .str.to_lowercase()
    )
    groups = (
        rows.select(pl.col(column), alike.alias("alike"))
        .group_by("alike")
        .agg(pl.col(column).sort())
        .filter(pl.col(column).list.len() > 1)
        .sort("alike")
        .collect(engine="streaming")
    )
    if groups.is_empty():
        return []
    examples = "; ".join(
        " and ".join(ascii(name) for name in names[:3])
        for names in groups[column].head(3).to_list()
    )
    found = f"{groups.height:,} groups of {column} look alike and are kept apart"
    return [f"{found}, for example {examples}"]
