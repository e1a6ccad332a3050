"""Small worlds to evaluate on: events written as rows, models that say what they are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.random import Generator, default_rng

from oferta.columns import EVENTS
from oferta.errors import FitFailed, ModelTooLarge
from oferta.evaluation.limits import Limits
from oferta.evaluation.splits import ROW
from oferta.events.types import EventType, event_types
from oferta.models.data import DataShape, TrainingData
from oferta.models.popularity import FittedPopularity, Popularity
from oferta.models.protocol import Cost
from oferta.progress import Progress

START = datetime(2024, 1, 1, tzinfo=UTC)
Row = tuple[Any, ...]


def day(number: float) -> datetime:
    """Midnight of day `number`, counted from 0."""
    return START + timedelta(days=number)


def frame(rows: Sequence[Row], *columns: str) -> pl.DataFrame:
    """Events: customer, product, then `columns`; purchases unless told otherwise."""
    names = ("customer_id", "product_id", *columns)
    schema = {
        **EVENTS.schema(),
        **{name: pl.String() for name in columns if name not in EVENTS.names},
    }
    made = pl.DataFrame(
        [dict(zip(names, row, strict=True)) for row in rows],
        schema={name: dtype for name, dtype in schema.items() if name in names},
    )
    missing = [
        pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in names
    ]
    return (
        made.with_columns(missing)
        .with_columns(pl.col("event_type").fill_null("purchase"))
        .with_row_index(ROW)
    )


@dataclass(frozen=True)
class World:
    """Data to evaluate on, made of frames."""

    rows: pl.DataFrame
    names: dict[str, float] = field(default_factory=dict)

    @property
    def event_types(self) -> dict[str, EventType]:
        return event_types(self.names, seen=tuple(self.rows["event_type"].unique()))

    def events(self) -> pl.LazyFrame:
        return self.rows.drop(ROW).lazy()

    def products(self) -> pl.LazyFrame:
        return self.rows.select("product_id").unique().lazy()

    def customers(self) -> pl.LazyFrame:
        return self.rows.select("customer_id").unique().lazy()


class Bursting(Popularity):
    """Popularity that finds, once it begins, that it would not fit into memory."""

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedPopularity:
        del data, rng, progress
        raise ModelTooLarge("bursting", 2 << 30, 1 << 30, remedy="Use another.")


class Failing(Popularity):
    """Popularity that fails to be fitted where its half-life is of one day, or always."""

    always: bool = False
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"half_life_days": (None, 1.0, 5.0)}

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedPopularity:
        if self.always or self.half_life_days == 1:
            raise FitFailed("failing", "grew without bound")
        return super().fit(data, rng=rng, progress=progress)


class Declared(Popularity):
    """Popularity that declares the cost it is told to."""

    seconds: float = 0.0
    bytes: int = 0

    def cost(self, shape: DataShape) -> Cost:
        del shape
        return Cost(self.seconds, self.bytes)


def limits(seconds: float = 1e6, free_bytes: int = 1 << 40) -> Limits:
    """Limits that do not bind, with a clock that ticks once a look."""
    ticks = iter(range(10**9))
    return Limits(seconds, free_bytes, lambda: float(next(ticks)) * 1e-6)


def shop(customers: int = 60, products: int = 25, *, seed: int = 3) -> World:
    """Purchases of two kinds of customer over 100 days: each kind buys its own half, mostly."""
    rng = default_rng(seed)
    rows: list[Row] = []
    for customer in range(customers):
        half = products // 2
        for _ in range(int(rng.integers(3, 12))):
            own = rng.random() < 0.85
            offset = 0 if (customer % 2 == 0) == own else half
            product = offset + int(half * rng.random() ** 2)
            rows.append((f"c{customer:03}", f"p{product:02}", day(float(rng.random() * 100))))
    return World(frame(rows, "timestamp"))


def crowd(customers: int, *, each: int = 4, products: int = 8) -> World:
    """Many customers, `each` purchases of each at random over 100 days."""
    rng = default_rng(1)
    n = customers * each
    made = pl.DataFrame(
        {
            "customer_id": np.char.add("c", np.repeat(np.arange(customers), each).astype(str)),
            "product_id": np.char.add("p", rng.integers(products, size=n).astype(str)),
            "seconds": rng.integers(100 * 86_400, size=n),
        }
    )
    time = pl.lit(START) + pl.duration(seconds=pl.col("seconds"))
    empty = frame([]).drop(ROW, "customer_id", "product_id", "event_type", "timestamp")
    return World(
        made.select(
            "customer_id",
            "product_id",
            pl.lit("purchase").alias("event_type"),
            time.dt.cast_time_unit("us").alias("timestamp"),
            *(pl.lit(None, dtype).alias(name) for name, dtype in empty.schema.items()),
        ).with_row_index(ROW)
    )
