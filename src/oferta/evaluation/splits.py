"""Cutting events into train, valid and test.

Windows are half-open, `[start, end)`: a test window holds its first instant and not its last. The
last window ends just after the data's last event, so that event is in it. With events at 00:00 on
1, 2 and 3 January, `time:1d` puts only the last into the test: the window starts a microsecond
after 2 January 00:00, and whatever happened before is train.

>>> import polars as pl
>>> from datetime import UTC, datetime
>>> from numpy.random import default_rng
>>> from oferta.evaluation.cuts import parse_cut
>>> events = pl.DataFrame({
...     "customer_id": ["ann", "ann", "bob"], "product_id": ["card", "loan", "card"],
...     "event_type": "purchase", "seq": None, "quantity": 1.0,
...     "timestamp": [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)],
... }, schema_overrides={"seq": pl.Int64, "timestamp": pl.Datetime("us", "UTC")})
>>> made = split(events, parse_cut("time:1d"), target=frozenset({"purchase"}), rng=default_rng(7))
>>> made.train["product_id"].to_list(), made.test["product_id"].to_list()
(['card', 'loan'], ['card'])
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import polars as pl
from numpy.random import Generator

from oferta.columns import EVENTS
from oferta.errors import SplitRefused, UnknownName
from oferta.evaluation.cuts import ColdCut, ColumnCut, Cut, LeaveOneOut, RandomCut, TimeCut

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_PAIR = ("customer_id", "product_id")
_KNOWN_PARTS = ("train", "valid", "test")
ROW = "__row"
"""The column of an event's number in its source. No source has a column that begins so."""

_PART = "__part"
_NOT_PARTS = {ROW, *EVENTS.names}


@dataclass(frozen=True, slots=True)
class Split:
    """Events in three parts. No event is in two of them.

    Attributes:
        train: what models learn from. Events without a time of a dated data set are here.
        valid: what a `column` cut calls `valid`; None elsewhere.
        test: events of the target types only: what is to be foreseen.
        starts_at: the first instant of a time cut's test window; None elsewhere.
        left_out: events in no part: later than the test, other values of the column, or events of
            other types inside the test.
        ranked: the ids of the products that alone are ranked; None: all.
    """

    train: pl.DataFrame
    valid: pl.DataFrame | None
    test: pl.DataFrame
    starts_at: datetime | None
    left_out: int
    ranked: pl.Series | None = None

    def before(self, parts: Literal["train", "train+valid"]) -> pl.DataFrame:
        """The events of train, or of train and valid."""
        if parts == "train" or self.valid is None:
            return self.train
        return pl.concat([self.train, self.valid])

    def counts(self) -> Mapping[str, int]:
        """Rows by part."""
        valid = 0 if self.valid is None else len(self.valid)
        return {
            "train": len(self.train),
            "valid": valid,
            "test": len(self.test),
            "left_out": self.left_out,
        }


def split(
    events: pl.DataFrame, cut: Cut, *, target: frozenset[str], rng: Generator, fold: int = 0
) -> Split:
    """`events` (columns of `oferta.columns.EVENTS`, and the cut's own) as `cut` says.

    `fold` moves a time window back by that many windows; random cuts differ by their `rng`.

    Raises:
        SplitRefused: the data cannot give this cut: nothing to test, or nothing to learn from.
        UnknownName: a `column` cut names a column that is not there.
    """
    if isinstance(cut, TimeCut):
        part, starts_at = _by_time(events, cut, fold)
    elif isinstance(cut, ColumnCut):
        part, starts_at = _by_column(events, cut, fold), None
    elif isinstance(cut, LeaveOneOut):
        part, starts_at = _leave_one_out(events, cut, target, rng, fold), None
    elif isinstance(cut, ColdCut):
        part, starts_at = _cold(events, cut, target, rng), None
    else:
        part, starts_at = _at_random(events, cut, target, rng), None
    return _parts(events, part, cut, target, starts_at)


def possible_splits(events: pl.DataFrame) -> list[str]:
    """The cuts that these events can give."""
    possible: list[str] = []
    first, last = events["timestamp"].min(), events["timestamp"].max()
    if isinstance(first, datetime) and isinstance(last, datetime) and last - first > _DAY:
        span = last - first
        days = 28 if span > 56 * _DAY else max(1, span.days // 5)
        possible.append(f"time:{days}d")
    for name in sorted(set(events.columns) - _NOT_PARTS):
        values = set(events[name].cast(pl.String).unique())
        if "train" in values:
            possible += [f"column:{name}"] * ("test" in values)
            possible += [f"column:{name}=valid"] * ("valid" in values)
    if (
        events.group_by("customer_id")
        .agg(pl.col("product_id").n_unique())
        .filter(pl.col("product_id") > 1)
        .height
    ):
        possible += ["leave-one-out:last"] * is_ordered(events)
        possible += ["leave-one-out:random", "random:0.2"]
    return possible


def is_ordered(events: pl.DataFrame) -> bool:
    """Whether a customer's events have an order to rely on: a time, or a `seq`."""
    return any(events[name].null_count() < len(events) for name in ("timestamp", "seq"))


def _by_time(events: pl.DataFrame, cut: TimeCut, fold: int) -> tuple[pl.Expr, datetime]:
    last = events["timestamp"].max()
    if not isinstance(last, datetime):
        raise SplitRefused(str(cut), "no event has a time", possible=possible_splits(events))
    end = last + _TICK - fold * cut.window
    start = end - cut.window
    time = pl.col("timestamp")
    part = (
        pl.when(time.is_null() | (time < start))
        .then(pl.lit("train"))
        .when(time < end)
        .then(pl.lit("test"))
    )
    return part, start


def _by_column(events: pl.DataFrame, cut: ColumnCut, fold: int) -> pl.Expr:
    if cut.column not in events.columns:
        raise UnknownName("column", cut.column, events.columns)
    if fold:
        raise SplitRefused(str(cut), "a column gives one fold", possible=possible_splits(events))
    value = pl.col(cut.column).cast(pl.String)
    parts = pl.when(value == cut.test_value).then(pl.lit("test")).when(value == "train").then(value)
    return parts.when(value == "valid").then(value)


def _leave_one_out(
    events: pl.DataFrame, cut: LeaveOneOut, target: frozenset[str], rng: Generator, fold: int
) -> pl.Expr:
    wanted = _drawable(events, target).filter(
        pl.col("product_id").n_unique().over("customer_id") > 1
    )
    if cut.which == "random":
        pairs = wanted.select(_PAIR).unique().sort(_PAIR)
        drawn = pairs.with_columns(pl.Series("draw", rng.random(len(pairs)))).filter(
            pl.col("draw") == pl.col("draw").min().over("customer_id")
        )
        return _is_in(events, _PAIR, drawn).replace_strict({True: "test", False: "train"})
    if not is_ordered(events):
        raise SplitRefused(
            str(cut), "events have neither time nor seq", possible=possible_splits(events)
        )
    if fold:
        raise SplitRefused(
            str(cut), "a customer has one last event", possible=possible_splits(events)
        )
    order = ("timestamp", "seq", ROW)
    last = (
        wanted.sort(order, nulls_last=False)
        .group_by("customer_id")
        .agg(pl.col("product_id").last().alias("p"), *(pl.col(name).last() for name in order))
    )
    ahead = events.select("customer_id", "product_id", *order).join(
        last, on="customer_id", how="left", maintain_order="left", suffix="_test"
    )
    same_instant = pl.col("timestamp").eq_missing(pl.col("timestamp_test")) & pl.col(
        "seq"
    ).eq_missing(pl.col("seq_test"))
    later = (pl.col("timestamp") > pl.col("timestamp_test")) | (
        pl.col("timestamp").eq_missing(pl.col("timestamp_test"))
        & (pl.col("seq") > pl.col("seq_test"))
    )
    tested = pl.col(f"{ROW}_test").is_not_null()
    dated = pl.any_horizontal(pl.col("timestamp", "seq").is_not_null())
    labels = ahead.select(
        pl.when(pl.col(ROW) == pl.col(f"{ROW}_test"))
        .then(pl.lit("test"))
        # The rest of the basket, or the same purchase told twice, would give the answer away. Of
        # customers whose events have no order at all, only the latter.
        .when(tested & (later | (same_instant & (dated | (pl.col("product_id") == pl.col("p"))))))
        .then(None)
        .otherwise(pl.lit("train"))
    )
    return pl.lit(labels.to_series())


def _at_random(
    events: pl.DataFrame, cut: RandomCut, target: frozenset[str], rng: Generator
) -> pl.Expr:
    pairs = _drawable(events, target).select(_PAIR).unique().sort(_PAIR)
    chosen = rng.permutation(len(pairs))[: round(cut.share * len(pairs))]
    return _is_in(events, _PAIR, pairs[chosen]).replace_strict({True: "test", False: "train"})


def _cold(events: pl.DataFrame, cut: ColdCut, target: frozenset[str], rng: Generator) -> pl.Expr:
    column = "product_id" if cut.of == "products" else "customer_id"
    ids = _wanted(events, target).select(column).unique().sort(column)
    chosen = rng.permutation(len(ids))[: round(cut.share * len(ids))]
    return _is_in(events, (column,), ids[chosen]).replace_strict({True: "test", False: "train"})


def _is_in(events: pl.DataFrame, keys: tuple[str, ...], chosen: pl.DataFrame) -> pl.Expr:
    marked = events.select(keys).join(
        chosen.select(*keys, pl.lit(value=True).alias("in")),
        on=keys,
        how="left",
        maintain_order="left",
    )
    return pl.lit(marked["in"].fill_null(value=False))


def _wanted(events: pl.DataFrame, target: frozenset[str]) -> pl.DataFrame:
    return events.filter(pl.col("event_type").is_in(list(target)))


def _drawable(events: pl.DataFrame, target: frozenset[str]) -> pl.DataFrame:
    """Target events that may become test: in dated data, those of pairs whose rows all have one."""
    wanted = _wanted(events, target)
    if events["timestamp"].null_count() in {0, len(events)}:
        return wanted
    return wanted.filter(pl.col("timestamp").is_not_null().all().over(_PAIR))


def _parts(
    events: pl.DataFrame,
    part: pl.Expr,
    cut: Cut,
    target: frozenset[str],
    starts_at: datetime | None,
) -> Split:
    labelled = events.with_columns(part.alias(_PART))
    by_part = {name: labelled.filter(pl.col(_PART) == name).drop(_PART) for name in _KNOWN_PARTS}
    test = _wanted(by_part["test"], target)
    for name, rows in (("train", by_part["train"]), ("test", test)):
        if not len(rows):
            raise SplitRefused(
                str(cut), f"no event would be {name}", possible=possible_splits(events)
            )
    valid = by_part["valid"] if len(by_part["valid"]) else None
    used = len(by_part["train"]) + len(test) + (0 if valid is None else len(valid))
    of_products = isinstance(cut, ColdCut) and cut.of == "products"
    return Split(
        train=by_part["train"],
        valid=valid,
        test=test,
        starts_at=starts_at,
        left_out=len(events) - used,
        ranked=test["product_id"].unique() if of_products else None,
    )
