"""A dataset as it would have been at an instant of the past, as far as it can be told today.

Tables hold what is known now. A contract that was settled early ends on that day, and nobody knew
it the day before: until then it was to end when it was planned to. What cannot be told of the past
at all is left away: vehicles are those that customers still have.
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from oferta.events.dataset import Dataset


@dataclass(frozen=True, slots=True)
class PastDataset(Dataset):
    """`Dataset` as of `instant`: nothing in it happened, or was known, at or after that."""

    instant: datetime

    @staticmethod
    def of(dataset: Dataset, instant: datetime) -> "PastDataset":
        """What `dataset` was at the aware `instant`."""
        return PastDataset(dataset.path, dataset.manifest, instant, left_out=dataset.left_out)

    def events(self) -> pl.LazyFrame:
        """Those before the instant, and those without a time."""
        at = pl.col("timestamp")
        return Dataset.events(self).filter(at.is_null() | (at < self.instant))

    def vehicles(self) -> pl.LazyFrame | None:
        """None: which vehicles customers had, and not have, is not told."""
        return None

    def contracts(self) -> pl.LazyFrame | None:
        """Those begun before the instant, as they were planned then."""
        rows = Dataset.contracts(self)
        if rows is None:
            return None
        later = pl.col("as_of").is_null() | (pl.col("as_of") >= self.instant)
        # A contract that was over by then was over then, too, whenever that was written down.
        open_then = pl.col("ends_at").is_null() | (pl.col("ends_at") > self.instant)
        months = pl.format("{}mo", pl.col("term_months"))
        planned = pl.coalesce(pl.col("starts_at").dt.offset_by(months), "ends_at")
        unsaid = pl.when(~later)
        return rows.filter(pl.col("starts_at") < self.instant).with_columns(
            pl.when(open_then).then(planned).otherwise("ends_at").alias("ends_at"),
            pl.when(open_then & pl.col("final_due").is_not_null())
            .then(planned)
            .otherwise("final_due")
            .alias("final_due"),
            pl.when(open_then & later).then(pl.lit("active")).otherwise("status").alias("status"),
            pl.lit(None, pl.String).alias("vehicle_id"),
            *(unsaid.then(name).alias(name) for name in ("payoff", "next_due", "days_in_arrears")),
        )

    def consent(self) -> pl.LazyFrame | None:
        """What was said before the instant."""
        rows = Dataset.consent(self)
        return None if rows is None else rows.filter(pl.col("at") < self.instant)

    def attributes(self) -> pl.LazyFrame | None:
        """What was observed before the instant."""
        rows = Dataset.attributes(self)
        return None if rows is None else rows.filter(pl.col("observed_at") < self.instant)
