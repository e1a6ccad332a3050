"""What a scores folder keeps so that a release can follow what customers do after it was made.

    live/scorer.safetensors      the model's live scorer, and how events are counted for it
    live/part-00000.parquet ...  the customers' pasts, ascending by customer over the parts

A customer without a past or a segment has no row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.interactions.amounts import Amounts
from oferta.interactions.weighting import Weighting, amounts_of
from oferta.models.data import TrainingData
from oferta.scoring.fresh import Weighing
from oferta.scoring.live import LiveScorer
from oferta.scoring.quick import Quick
from oferta.scoring.reasons import Reason
from oferta.store.pasts import capped, columns_for
from oferta.store.scorer import Carried

FOLDER: Final = "live"
SCORER: Final = f"{FOLDER}/scorer.safetensors"

_PART_CUSTOMERS: Final = 200_000
_VALUES: Final = {
    "amount": pl.Float32(),
    "had": pl.Float32(),
    "back": pl.Float32(),
    "recency": pl.Int32(),
    "time": pl.Int64(),
}


@dataclass(frozen=True, slots=True)
class LivePart:
    """What the manifest of a scores folder says of its live part.

    Attributes:
        scorer: shape of the live scorer.
        products: how many products it scores.
        columns: what pasts hold beside product and amount (`store.pasts`).
        entries: rows of all pasts.
        parts: names of the files of pasts.
        data_until: epoch seconds of the latest event; None where events have no times.
    """

    scorer: str
    products: int
    columns: tuple[str, ...]
    entries: int
    parts: tuple[str, ...]
    data_until: float | None

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all its files in the folder."""
        return (SCORER, *self.parts)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> "LivePart":
        """What `as_json` gave.

        Raises:
            KeyError, TypeError, ValueError: anything else, or a file outside of the folder.
        """
        parts = tuple(str(name) for name in fields["parts"])
        if any(Path(name).parts[:-1] != (FOLDER,) for name in parts):
            raise ValueError("a part outside the folder")
        until = fields["data_until"]
        return cls(
            str(fields["scorer"]),
            int(fields["products"]),
            tuple(str(name) for name in fields["columns"]),
            int(fields["entries"]),
            parts,
            None if until is None else float(until),
        )

    def pasts(self, folder: Path) -> Iterator[pl.DataFrame]:
        """The parts: `customer_id`, `segment`, and lists `product`, `amount` and the columns."""
        for name in self.parts:
            yield pl.read_parquet(folder / name)


def write_live(
    folder: Path,
    scorer: LiveScorer,
    data: TrainingData,
    *,
    reason: Reason,
    length: int,
    weights: Mapping[str, float],
    weighting: Weighting,
    places: NDArray[np.int32],
    segment: NDArray[np.int32],
) -> LivePart:
    """Write the live part of the scores folder `folder`.

    Args:
        folder: the scores folder.
        scorer: over the products of `data`.
        data: whose customers are scored.
        reason: the model's own.
        length: of the lists that a release publishes.
        weights: of every event type, by name, as the job has them.
        weighting: the job's.
        places: `(products,)`: positions in the catalogue, -1 for none.
        segment: `(customers,)`: the model's codes, -1 for none.
    """
    quick, now_us = Quick(scorer), data.events.last_us
    weighing = Weighing(dict(weights), weighting.half_life_days, weighting.saturation, now_us)
    carried = Carried(scorer, reason, length, weighing, places)
    (folder / FOLDER).mkdir()
    (folder / SCORER).write_bytes(carried.to_bytes())
    amounts = Amounts.nothing(len(data.customers))
    if quick.hears:
        amounts = amounts_of(data.events, weighting, n_customers=len(data.customers), now_us=now_us)
        amounts = capped(amounts, ordered=quick.ordered)
    fades = weighting.half_life_days is not None
    columns = columns_for(amounts, fades=fades, ordered=quick.ordered)
    parts = []
    for number, start in enumerate(range(0, len(amounts), _PART_CUSTOMERS)):
        rows = np.arange(start, min(start + _PART_CUSTOMERS, len(amounts)))
        name = f"{FOLDER}/part-{number:05d}.parquet"
        frame = _frame(amounts.take(rows), columns, data.customers.ids[rows], segment[rows])
        frame.write_parquet(folder / name)
        parts.append(name)
    return LivePart(
        scorer=quick.kind,
        products=quick.products,
        columns=columns,
        entries=len(amounts.product),
        parts=tuple(parts),
        data_until=None if now_us is None else now_us / 1e6,
    )


def _frame(
    amounts: Amounts, columns: tuple[str, ...], ids: pl.Series, segment: NDArray[np.int32]
) -> pl.DataFrame:
    values: dict[str, NDArray[Any]] = {
        "amount": amounts.amount,
        "had": amounts.had,
        "back": amounts.back,
        "recency": amounts.recency,
        "time": amounts.time_us,
    }
    kept = ("amount", *columns)
    flat = pl.DataFrame(
        {
            "at": amounts.owners().astype(np.uint32),
            "product": amounts.product,
            **{name: pl.Series(values[name]).cast(_VALUES[name]) for name in kept},
        }
    )
    lists = flat.group_by("at", maintain_order=True).agg("product", *kept)
    who = pl.DataFrame({"customer_id": ids, "segment": segment}).with_row_index("at")
    return (
        who.join(lists, on="at", how="left", maintain_order="left")
        .filter(pl.col("product").is_not_null() | (pl.col("segment") >= 0))
        .with_columns(pl.col("product", *kept).fill_null([]))
        .drop("at")
    )
