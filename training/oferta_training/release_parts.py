"""The parts of a scores folder as numbers, one part of text in memory at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.errors import PublishRefused
from oferta.scoring.reasons import REASONS
from oferta.store.packing import NOTHING
from oferta_training.scores import ScoresFolder

STEP = "read scores"


@dataclass(frozen=True, slots=True, eq=False)
class ListPart:
    """The lists of one part, one after another.

    Attributes:
        name: of the part.
        customers: `(lists,) int64`: whose, ascending positions among all customers.
        counts: `(lists,) int64`: suggestions of each.
        products: `(suggestions,) uint32`: positions in the catalogue.
        scores: `(suggestions,) float32`, finite.
        chances: `(suggestions,) float32`, NaN for none.
        reasons: `(suggestions,) uint8`: positions in `REASONS`.
        because: `(suggestions,) uint32`: positions in the catalogue, `NOTHING` for none.
        rows: how many the part has in all.
    """

    name: str
    customers: NDArray[np.int64]
    counts: NDArray[np.int64]
    products: NDArray[np.uint32]
    scores: NDArray[np.float32]
    chances: NDArray[np.float32]
    reasons: NDArray[np.uint8]
    because: NDArray[np.uint32]
    rows: int

    def first(self, n: int) -> "ListPart":
        """The same with lists of `n` at most."""
        if not len(self.counts) or int(self.counts.max()) <= n:
            return self
        starts = np.cumsum(self.counts) - self.counts
        kept = np.arange(len(self.products)) - np.repeat(starts, self.counts) < n
        return ListPart(
            self.name,
            self.customers,
            np.minimum(self.counts, n),
            self.products[kept],
            self.scores[kept],
            self.chances[kept],
            self.reasons[kept],
            self.because[kept],
            self.rows,
        )


def list_parts(
    scores: ScoresFolder, customers: pl.Series, positions: pl.Enum, *, longest: int
) -> Iterator[ListPart]:
    """The parts in order, of every list the first `longest`.

    Args:
        scores: the folder.
        customers: ids of all customers, ascending.
        positions: the catalogue's product ids in order.
        longest: what comes after it is not even looked at.

    Raises:
        PublishRefused: as `release_lists.read_lists`.
    """
    index = customers.to_frame("customer_id").with_row_index("at")
    last = -1
    for name in scores.parts:
        part = _part(scores, name, index, positions, longest)
        if len(part.customers):
            if part.customers[0] <= last:
                raise PublishRefused("scores.order", STEP, "parts are not in order of customers")
            last = int(part.customers[-1])
        yield part


def _part(
    scores: ScoresFolder, name: str, index: pl.DataFrame, positions: pl.Enum, longest: int
) -> ListPart:
    frame = scores.part(name).drop("model")
    rows = len(frame)
    runs = frame["customer_id"].rle().struct.unnest()
    customers = runs.join(
        index, left_on="value", right_on="customer_id", how="left", maintain_order="left"
    )["at"]
    if customers.null_count():
        raise PublishRefused("scores.order", STEP, f"{name} has customers who were not scored")
    at = customers.to_numpy().astype(np.int64)
    counts = runs["len"].to_numpy().astype(np.int64)
    if np.any(np.diff(at) <= 0):
        raise PublishRefused("scores.order", STEP, f"{name} is not in order of customers")
    ranks = np.arange(rows) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    if not np.array_equal(ranks, frame["rank"].to_numpy()):
        raise PublishRefused("scores.order", STEP, f"{name} has ranks that are not 1, 2, 3...")
    frame = frame.filter(pl.col("rank") <= longest)
    scored = frame["score"].to_numpy()
    if not np.isfinite(scored).all():
        raise PublishRefused("scores.values", STEP, f"{name} has a score that is no number")
    because = frame["because"]
    return ListPart(
        name=name,
        customers=at,
        counts=np.minimum(counts, longest),
        products=_codes(frame["product_id"], positions, "scores.products", name),
        scores=scored,
        chances=frame["probability"].fill_null(np.nan).to_numpy(),
        reasons=_codes(frame["reason"], pl.Enum(REASONS), "scores.values", name).astype(np.uint8),
        because=_codes(because, positions, "scores.products", name, absent=because.null_count()),
        rows=rows,
    )


def _codes(
    texts: pl.Series, known: pl.Enum, code: str, name: str, *, absent: int = 0
) -> NDArray[np.uint32]:
    found = texts.cast(known, strict=False).to_physical().cast(pl.UInt32)
    if found.null_count() != absent:
        raise PublishRefused(
            code, STEP, f"{name} has a {texts.name} that the catalogue or this version lacks"
        )
    return found.fill_null(int(NOTHING)).to_numpy()
