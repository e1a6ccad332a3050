"""What comes in: the newest window of the data against the windows before it.

Windows have the same length, whole weeks, so that a weekday is compared with itself; a customer who
was active in two windows counts in both.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from oferta.events.dataset import Dataset
from oferta_training.monitoring.shifts import Shift, numbers_windows, words_windows

WINDOW: Final = timedelta(days=7)
BEFORE: Final = 8
"""Windows that the newest one is compared with, at most: every phase of a month was there twice."""

SETTLED: Final = 4
"""Windows after which who is known is known: where the data begin, everybody is new."""

_NOW: Final = 0
KNOWN, NEW = "known before", "new"


@dataclass(frozen=True, slots=True)
class Volume:
    """How many there were in a window.

    Attributes:
        ends: its end, epoch seconds; the newest window is the last.
    """

    ends: float
    events: int
    customers: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """What came in lately.

    Attributes:
        last_at: of the newest event, epoch seconds.
        volumes: of the windows, the oldest first.
        shifts: of what was done, by whom, and how much.
    """

    last_at: float
    volumes: tuple[Volume, ...]
    shifts: tuple[Shift, ...]


@dataclass(frozen=True, slots=True)
class _Many:
    """How many windows before the newest, and how many customers were active in them and in it."""

    windows: int
    sizes: tuple[int, int]


def look_at_inputs(dataset: Dataset) -> Inputs | None:
    """The newest window against those before; None where events have no time, or span one window.

    Memory: a row for every customer and window, and for every customer.
    """
    end = dataset.manifest.last_time
    first = dataset.manifest.first_time
    if end is None or first is None or end - first < 2 * WINDOW:
        return None
    windows = min(BEFORE, (end - first) // WINDOW - 1)
    if windows < 1:
        return None
    events = _windowed(dataset.events(), end, windows)
    sizes = _sizes(events)
    many = _Many(windows, sizes)
    shifts = [
        _mix(events, "event_type", "what customers do", many),
        _mix(events, "channel", "through which channel", many),
        _mix(_with_category(dataset, events), "category", "with which products", many),
        *_rhythm(events, many),
    ]
    settled = min(windows, (end - first) // WINDOW - 1 - SETTLED)
    late = events.filter(pl.col("window") <= settled)
    many = _Many(settled, sizes)
    shifts += [
        _newcomers(dataset, late, key="customer_id", name="new customers", end=end, many=many),
        _newcomers(dataset, late, key="product_id", name="new products", end=end, many=many),
    ]
    return Inputs(
        end.timestamp(),
        _volumes(events, end, windows),
        tuple(one for one in shifts if one is not None),
    )


def _windowed(events: pl.LazyFrame, end: datetime, windows: int) -> pl.LazyFrame:
    """The events of the windows, each with its number: 0 is the newest."""
    ago = (pl.lit(end) - pl.col("timestamp")).dt.total_microseconds()
    number = (ago // (WINDOW // timedelta(microseconds=1))).alias("window")
    columns = ("customer_id", "product_id", "event_type", "channel", "value", "timestamp")
    return events.select(*columns, number).filter(pl.col("window").is_between(0, windows))


def _sizes(events: pl.LazyFrame) -> tuple[int, int]:
    """How many customers stand behind the windows before, each window's own, and the newest."""
    active = events.select("customer_id", "window").unique()
    counts = active.group_by(pl.col("window") == _NOW).len().collect(engine="streaming")
    by_now = dict(counts.iter_rows())
    return by_now.get(False, 0), by_now.get(True, 0)


def _mix(events: pl.LazyFrame, column: str, name: str, many: _Many) -> Shift | None:
    """The shift of a word of events. One customer's events are alike, so customers are its size."""
    counts = (
        events.group_by("window", word=pl.col(column))
        .agg(pl.len().alias("count"))
        .collect(engine="streaming")
    )
    return words_windows(name, "events", counts, windows=many.windows, sizes=many.sizes)


def _with_category(dataset: Dataset, events: pl.LazyFrame) -> pl.LazyFrame:
    """Events with the category of their product; the product itself where there are none."""
    products = dataset.products().select("product_id", "category")
    named = products.select(pl.col("category").is_not_null().any()).collect().item()
    joined = events.join(products, on="product_id", how="left")
    return joined if named else joined.with_columns(category=pl.col("product_id"))


def _rhythm(events: pl.LazyFrame, many: _Many) -> list[Shift | None]:
    """How much the active do: events a customer, and the amounts."""
    each = (
        events.group_by("customer_id", "window")
        .agg(pl.len().alias("events"), pl.col("value").mean())
        .collect(engine="streaming")
    )
    windows = [each.filter(pl.col("window") == number) for number in range(many.windows + 1)]
    amounts = [one["value"] for one in windows]
    return [
        numbers_windows(name, "customers", [one[column] for one in windows], sizes=many.sizes)
        for name, column in (("events a customer", "events"), ("amount", "value"))
        if column == "events" or any(one.count() > 0 for one in amounts)
    ]


def _newcomers(
    dataset: Dataset,
    events: pl.LazyFrame,
    *,
    key: str,
    name: str,
    end: datetime,
    many: _Many,
) -> Shift | None:
    """Which part of a window's active ones were never seen before it."""
    if many.windows < 1:
        return None
    first = dataset.events().group_by(key).agg(pl.min("timestamp").alias("first"))
    began = pl.lit(end) - (pl.col("window") + 1) * pl.lit(WINDOW)
    active = events.select(key, "window").unique().join(first, on=key)
    word = pl.when(pl.col("first") > began).then(pl.lit(NEW)).otherwise(pl.lit(KNOWN))
    counts = (
        active.group_by("window", word=word)
        .agg(pl.len().alias("count"))
        .collect(engine="streaming")
    )
    whole = int(counts["count"].sum())
    newest = int(counts.filter(pl.col("window") == _NOW)["count"].sum())
    return words_windows(
        name,
        key.removesuffix("_id") + "s",
        counts,
        windows=many.windows,
        sizes=(whole - newest, newest),
        first=(KNOWN, NEW),
    )


def _volumes(events: pl.LazyFrame, end: datetime, windows: int) -> tuple[Volume, ...]:
    counts = (
        events.group_by("window")
        .agg(pl.len().alias("events"), pl.n_unique("customer_id").alias("customers"))
        .collect(engine="streaming")
    )
    by_window = {number: (events, customers) for number, events, customers in counts.iter_rows()}
    return tuple(
        Volume((end - number * WINDOW).timestamp(), *by_window.get(number, (0, 0)))
        for number in range(windows, -1, -1)
    )
