"""What becomes of what was shown: shown, clicked, asked for, accepted, by placement and model.

Told by the archived live events. An event that names its placement and release counts there; one
that does not counts for where its product was last told of to the same customer, up to two weeks
before. A customer and a product count once in every stage.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from oferta.events.archive import archive_files
from oferta.events.types import EventType, Meaning

SPAN: Final = timedelta(days=28)
RECENT: Final = timedelta(days=7)
REACH: Final = timedelta(days=14)

STAGES: Final = ("shown", "clicked", "asked", "accepted", "declined")
_ASKING: Final = frozenset({"calculator", "quote", "cart", "apply", "applied", "approved"})
_NEITHER: Final = frozenset({"later", "rejected", "arrears", "rating", "complaint"})
"""Answers to offers that say nothing of a step taken (`oferta.policy.feedback`)."""

_MEANS: Final[Mapping[Meaning, str]] = {
    "exposure": "shown",
    "interest": "clicked",
    "conversion": "accepted",
    "rejection": "declined",
}
UNKNOWN: Final = "unknown"

_COLUMNS: Final = (
    *("customer_id", "session_id", "product_id", "event_type", "timestamp"),
    *("placement", "release", "decision_id", "offer_id"),
)


@dataclass(frozen=True, slots=True)
class Funnel:
    """One placement of one model, or one offer in a placement.

    Attributes:
        name: of the model, or the offer.
        stages: how many customers and products reached each of `STAGES`.
        recent: the same of the last week alone.
    """

    placement: str
    name: str
    stages: tuple[int, ...]
    recent: tuple[int, ...]

    def rate(self, stage: str) -> float | None:
        """Which part of what was shown reached the stage; None: nothing was shown."""
        return _rate(self.stages, stage)

    def recent_rate(self, stage: str) -> float | None:
        """The same of the last week."""
        return _rate(self.recent, stage)


@dataclass(frozen=True, slots=True)
class Funnels:
    """All that was told.

    Attributes:
        lists: by placement and model.
        offers: by placement and offer: what answered a decision.
        events: live events of the span.
        placed: those of them that belong to a placement, as far as is told.
    """

    lists: tuple[Funnel, ...]
    offers: tuple[Funnel, ...]
    events: int
    placed: int


def look_at_funnels(
    archive: Path,
    *,
    now: datetime,
    types: Mapping[str, EventType],
    models: Mapping[int, str],
) -> Funnels | None:
    """The last four weeks; None where nothing is archived. `models`: of each release number.

    Memory: the events of four weeks in nine columns.

    Raises:
        polars.exceptions.PolarsError: a file is damaged.
    """
    files = [file.path for file in archive_files(archive)]
    if not files:
        return None
    stages = {name: stage for name, said in types.items() if (stage := _stage(said))}
    rows = (
        pl.scan_parquet(files, glob=False, hive_partitioning=False)
        .select(_COLUMNS)
        .filter(pl.col("timestamp") > now - SPAN, pl.col("timestamp") <= now)
        .with_columns(
            who=pl.coalesce("customer_id", "session_id"),
            stage=pl.col("event_type").replace_strict(stages, default=None, return_dtype=pl.String),
        )
        .collect(engine="streaming")
        .sort("timestamp")
    )
    placed = _placed(rows)
    named = placed.with_columns(
        name=pl.col("release").replace_strict(dict(models), default=UNKNOWN, return_dtype=pl.String)
    )
    answers = rows.filter(pl.col("decision_id").is_not_null()).with_columns(
        name=pl.coalesce("offer_id", "product_id", pl.lit(UNKNOWN)),
        placement=pl.col("placement").fill_null(UNKNOWN),
    )
    return Funnels(
        _counted(named, ("who", "product_id", "release"), now),
        _counted(answers, ("decision_id",), now),
        rows.height,
        placed.height,
    )


def _stage(said: EventType) -> str | None:
    if said.name in _NEITHER:
        return None
    if said.name in _ASKING or (said.like in _ASKING and said.meaning == "interest"):
        return "asked"
    return _MEANS.get(said.meaning)


def _placed(rows: pl.DataFrame) -> pl.DataFrame:
    """The events of lists whose placement is known, by themselves or by what came before.

    What answers a decision is told with its offer.
    """
    rows = rows.filter(pl.col("product_id").is_not_null() & pl.col("decision_id").is_null())
    own = rows.filter(pl.col("placement").is_not_null())
    others = rows.filter(pl.col("placement").is_null(), pl.col("stage") != "shown")
    before = own.select("who", "product_id", "timestamp", "placement", "release")
    followed = others.drop("placement", "release").join_asof(
        before,
        on="timestamp",
        by=["who", "product_id"],
        strategy="backward",
        tolerance=REACH,
        check_sortedness=False,
    )
    followed = followed.filter(pl.col("placement").is_not_null())
    return pl.concat([own, followed.select(own.columns)])


def _counted(rows: pl.DataFrame, once: Iterable[str], now: datetime) -> tuple[Funnel, ...]:
    rows = rows.drop_nulls("stage")
    keys = ["placement", "name", *once, "stage"]
    lately = rows.filter(pl.col("timestamp") > now - RECENT)
    whole, recent = (_stages(part.select(keys).unique()) for part in (rows, lately))
    none = (0,) * len(STAGES)
    found = [Funnel(*key, stages, recent.get(key, none)) for key, stages in whole.items()]
    return tuple(sorted(found, key=lambda one: (-one.stages[0], one.placement, one.name)))


def _stages(pairs: pl.DataFrame) -> dict[tuple[str, str], tuple[int, ...]]:
    found: dict[tuple[str, str], list[int]] = {}
    for placement, name, stage, count in pairs.group_by("placement", "name", "stage").len().rows():
        counts = found.setdefault((placement, name), [0] * len(STAGES))
        counts[STAGES.index(stage)] = count
    return {key: tuple(counts) for key, counts in found.items()}


def _rate(stages: tuple[int, ...], stage: str) -> float | None:
    shown = stages[0]
    return stages[STAGES.index(stage)] / shown if shown else None
