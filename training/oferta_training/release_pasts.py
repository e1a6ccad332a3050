"""From the live part of a scores folder to packed pasts, in the order of their buckets.

Memory: the rows themselves, 6 to 26 bytes a product that somebody has, and 30 bytes a customer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.errors import PublishRefused
from oferta.interactions.amounts import UNDATED, Amounts
from oferta.interactions.ranges import indices_of_ranges
from oferta.store import codec, keys, pasts
from oferta.store.codec import Stamp
from oferta.store.pasts import PastColumns
from oferta.store.scorer import MAX_BYTES, digest_of, seal_parts
from oferta_training.live_part import SCORER, LivePart
from oferta_training.release_parts import STEP
from oferta_training.scores import ScoresFolder

_CHUNK = 1 << 16  # customers laid out at a time


@dataclass(frozen=True, slots=True, eq=False)
class LiveBuild:
    """What a release needs to follow events. Customers are in ascending order of id.

    Attributes:
        part: what the scores say of it.
        scorer: the packed scorer.
        per_tag: buckets of pasts a tag; 0: there are none.
        places, rests: `(customers,)`: where each customer's past goes.
        order: `(customers,)`: the customers by place, then rest.
        segments: `(customers,) int32`: the model's, -1 for none.
        counts: `(customers,) int64`: rows of each.
        rows: all rows, in the order of customers.
        position_bytes: of a product in them.
    """

    part: LivePart
    scorer: bytes
    per_tag: int
    places: NDArray[np.uint32]
    rests: NDArray[np.uint64]
    order: NDArray[np.int64]
    segments: NDArray[np.int32]
    counts: NDArray[np.int64]
    rows: NDArray[np.void]
    position_bytes: int

    @property
    def digest(self) -> str:
        """What the manifest knows the scorer by."""
        return digest_of(self.scorer)

    @property
    def records(self) -> int:
        """How many buckets of pasts there are."""
        return keys.TAGS * self.per_tag

    def scorer_parts(self, mark: Stamp) -> list[bytes]:
        """The sealed parts of the scorer."""
        return seal_parts(self.scorer, mark)

    def customers_per_bucket(self) -> NDArray[np.int64]:
        """`(buckets,)`: how many customers each bucket must hold."""
        return np.bincount(self.places, minlength=self.records)

    def buckets(self, mark: Stamp) -> Iterator[bytes]:
        """All buckets of pasts in order; may be asked for again."""
        places = self.places[self.order]
        starts = np.cumsum(self.counts) - self.counts
        step = max(1, self.records * _CHUNK // max(len(places), 1))
        for first in range(0, self.records, step):
            last = min(first + step, self.records)
            low, high = np.searchsorted(places, (first, last))
            chosen = self.order[low:high]
            columns = PastColumns(
                places=places[low:high],
                rests=self.rests[chosen],
                segments=self.segments[chosen],
                counts=self.counts[chosen],
                rows=self.rows[indices_of_ranges(starts[chosen], self.counts[chosen])],
            )
            yield from pasts.pack_past_buckets(
                mark, columns, first=first, last=last, position_bytes=self.position_bytes
            )


def live_build(
    scores: ScoresFolder,
    customers: pl.Series,
    *,
    per_tag: int,
    places: NDArray[np.uint32],
    rests: NDArray[np.uint64],
    closed: NDArray[np.bool_],
) -> LiveBuild | None:
    """The live part of `scores`, laid out; None where they have none.

    Args:
        scores: the folder.
        customers: ids of all customers, ascending.
        per_tag: buckets of pasts a tag.
        places: `(customers,)`: number of the bucket of each customer's past.
        rests: `(customers,)`: what tells customers of one bucket apart.
        closed: `(customers,)`: who refused personalisation: their pasts are empty.

    Raises:
        PublishRefused: `scores.order`: pasts of customers who were not scored, or out of order;
            `scorer.too_large`: for a release.
    """
    part = scores.live
    if part is None:
        return None
    scorer = (scores.path / SCORER).read_bytes()
    if len(scorer) > MAX_BYTES:
        raise PublishRefused(
            "scorer.too_large",
            STEP,
            f"the live scorer has {len(scorer) >> 20} MiB, and a release takes {MAX_BYTES >> 20} "
            "at most: publish with --no-live",
        )
    width = codec.width(part.products)
    segments = np.full(len(customers), -1, np.int32)
    counts = np.zeros(len(customers), np.int64)
    index = customers.to_frame("customer_id").with_row_index("place")
    last, rows = -1, []
    for read in part.pasts(scores.path):
        frame = read
        at = (
            frame.select("customer_id")
            .join(index, on="customer_id", how="left", maintain_order="left")["place"]
            .cast(pl.Int64)
        )
        owners = at.to_numpy()
        if at.null_count() or (len(at) and (owners[0] <= last or (np.diff(owners) <= 0).any())):
            raise PublishRefused("scores.order", STEP, "pasts are not in order of customers")
        last = int(owners[-1]) if len(owners) else last
        if closed[owners].any():
            frame, owners = frame.filter(~closed[owners]), owners[~closed[owners]]
        segments[owners] = frame["segment"].to_numpy()
        counts[owners] = frame["product"].list.len().to_numpy()
        rows.append(_rows(frame, part, width))
    return LiveBuild(
        part,
        scorer,
        per_tag if part.entries or (segments >= 0).any() else 0,
        places,
        rests,
        np.lexsort((rests, places)),
        segments,
        counts,
        np.concatenate(rows) if rows else np.zeros(0, pasts.past_dtype(part.columns, width)),
        width,
    )


def estimated_bytes(scores: ScoresFolder) -> int:
    """About how many bytes the live part of a release takes, without Redis's own."""
    part = scores.live
    if part is None:
        return 0
    row = int(pasts.past_dtype(part.columns, codec.width(part.products)).itemsize)
    customers = scores.customers * (codec.REST_BYTES + pasts.ENTRY_BYTES)
    return part.entries * row + customers + (scores.path / SCORER).stat().st_size


def _rows(frame: pl.DataFrame, part: LivePart, width: int) -> NDArray[np.void]:
    """All rows of a part, one customer after another."""
    flat = frame.select("product", "amount", *part.columns).explode(
        "product", "amount", *part.columns, empty_as_null=False
    )
    size = len(flat)
    nothing, never = np.zeros(size), np.full(size, UNDATED)

    def column(name: str, otherwise: NDArray[Any]) -> NDArray[Any]:
        return flat[name].to_numpy() if name in part.columns else otherwise

    if size and not 0 <= int(flat["product"].min()) <= int(flat["product"].max()) < part.products:  # type: ignore[arg-type]  # a whole number
        raise PublishRefused("scores.products", STEP, "a past has a product that the scorer lacks")
    amounts = Amounts(
        indptr=np.array([0, size]),
        product=flat["product"].to_numpy(),
        amount=flat["amount"].to_numpy(),
        had=column("had", nothing),
        back=column("back", nothing),
        recency=column("recency", nothing.astype(np.int32)),
        time_us=column("time", never),
    )
    return pasts.pack_rows(amounts, part.columns, position_bytes=width)
