"""Many rows to records at once: columns in, bytes out, no work per suggestion.

The layout is `codec`'s. Customers come sorted by bucket, so each section of a bucket is one slice
of one array's bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oferta.scoring.reasons import REASONS
from oferta.store import codec
from oferta.store.codec import Stamp
from oferta.store.release import CustomerRow

_ENTRY = np.dtype(
    [("segment", "<u2"), ("low", "<f4"), ("high", "<f4"), ("items", "<u4"), ("held", "<u4")]
)

NOTHING = np.uint32(0xFFFFFFFF)
"""In `because`: no product."""


@dataclass(frozen=True, slots=True)
class Items:
    """Lists one after another in the item layout, and each list's range."""

    packed: NDArray[np.void]  # (suggestions,)
    low: NDArray[np.float32]  # (lists,)
    high: NDArray[np.float32]  # (lists,)


@dataclass(frozen=True, slots=True)
class Columns:
    """Customers' rows as columns, in the order of their buckets.

    Attributes:
        places: `(customers,) uint32`, ascending: number of the customer's bucket.
        rests: `(customers,) uint64`: what tells customers of one bucket apart.
        segments: `(customers,) uint16`; `codec.NO_SEGMENT` for none, `codec.CLOSED` for who
            refused personalisation: the largest ones.
        cold: `(customers,) bool`: nothing was known of their past.
        starts, counts: `(customers,) int64`: where in `items` each one's list starts, its length.
        low, high: `(customers,) float32`: the ranges of their scores.
        items: lists one after another, in any order.
        held_counts: `(customers,) int64`: how many held products each has.
        held: `(held,) uint32`: positions of those products.
    """

    places: NDArray[np.uint32]
    rests: NDArray[np.uint64]
    segments: NDArray[np.uint16]
    cold: NDArray[np.bool_]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    items: NDArray[np.void]
    held_counts: NDArray[np.int64]
    held: NDArray[np.uint32]


def pack_items(
    products: NDArray[np.uint32],
    scores: NDArray[np.float32],
    reasons: NDArray[np.uint8],
    because: NDArray[np.uint32],
    *,
    counts: NDArray[np.int64],
    position_bytes: int,
) -> Items:
    """Lists one after another, each `counts` long, packed; all arrays `(suggestions,)`."""
    packed = np.empty(len(products), item_dtype(position_bytes))
    low, high, steps = _quantised(scores, counts)
    packed["score"] = steps
    packed["reason"] = reasons
    codec.set_positions(packed, "product", products, position_bytes)
    codec.set_positions(packed, "because", because, position_bytes)
    return Items(packed, low, high)


def pack_buckets(
    mark: Stamp, columns: Columns, *, first: int, last: int, position_bytes: int
) -> Iterator[tuple[int, bytes]]:
    """The buckets `[first, last)` with their numbers; a bucket without customers is a record too.

    So a bucket that cannot be found is always a loss, and never just a stranger's.
    """
    item_bytes = columns.items.dtype.itemsize
    bounds = np.searchsorted(columns.places, np.arange(first, last + 1)).tolist()
    item_ends = np.concatenate(([0], np.cumsum(columns.counts)))
    held_ends = np.concatenate(([0], np.cumsum(columns.held_counts)))
    starts = np.asarray(bounds[:-1])
    per_bucket = np.diff(bounds)
    entries = np.empty(len(columns.places), _ENTRY)
    entries["segment"] = np.where(columns.cold, columns.segments | codec.COLD, columns.segments)
    entries["low"] = columns.low
    entries["high"] = columns.high
    entries["items"] = item_ends[1:] - np.repeat(item_ends[starts], per_bucket)
    entries["held"] = held_ends[1:] - np.repeat(held_ends[starts], per_bucket)
    rests = columns.rests.astype("<u8").tobytes()
    entry_bytes = entries.tobytes()
    # A slice per customer: gathering the suggestions themselves would move 7 bytes at a time.
    items = columns.items.view(np.uint8).data
    item_from = (columns.starts * item_bytes).tolist()
    item_to = ((columns.starts + columns.counts) * item_bytes).tolist()
    held = _positions_bytes(columns.held, position_bytes)
    held_at = (held_ends[bounds] * position_bytes).tolist()
    for index, number in enumerate(range(first, last)):
        low, high = bounds[index], bounds[index + 1]
        body = b"".join(
            (
                rests[low * 8 : high * 8],
                entry_bytes[low * _ENTRY.itemsize : high * _ENTRY.itemsize],
                *[items[item_from[each] : item_to[each]] for each in range(low, high)],
                held[held_at[index] : held_at[index + 1]],
            )
        )
        yield (
            number,
            codec.seal(
                codec.BUCKET, mark, count=high - low, body=body, position_bytes=position_bytes
            ),
        )


def pack_similar(
    mark: Stamp,
    products: NDArray[np.uint32],
    scores: NDArray[np.float32],
    *,
    counts: NDArray[np.int64],
    position_bytes: int,
) -> Iterator[bytes]:
    """One record for each of the lists of similar products, `counts` long, one after another."""
    low, high, steps = _quantised(scores, counts)
    position = ("product", "<u2") if position_bytes == 2 else ("product", "u1", 3)  # noqa: PLR2004
    pairs = np.empty(len(products), np.dtype([position, ("score", "<u2")]))
    pairs["score"] = steps
    codec.set_positions(pairs, "product", products, position_bytes)
    ends = np.concatenate(([0], np.cumsum(counts))).tolist()
    for index, count in enumerate(counts.tolist()):
        body = codec.similar_body(
            float(low[index]), float(high[index]), pairs[ends[index] : ends[index + 1]].tobytes()
        )
        yield codec.seal(codec.SIMILAR, mark, count=count, body=body, position_bytes=position_bytes)


def pack_rows(mark: Stamp, rows: dict[int, CustomerRow], *, products: int) -> bytes:
    """One bucket of a few customers by their rests: for tools and tests, not for whole bases."""
    position_bytes = codec.width(products)
    order = sorted(rows)
    suggestions = [item for rest in order for item in rows[rest].suggestions]
    counts = np.array([len(rows[rest].suggestions) for rest in order], np.int64)
    items = pack_items(
        np.array([item.product for item in suggestions], np.uint32),
        np.array([item.score for item in suggestions], np.float32),
        np.array([REASONS.index(item.reason) for item in suggestions], np.uint8),
        np.array(
            [NOTHING if item.because is None else item.because for item in suggestions], np.uint32
        ),
        counts=counts,
        position_bytes=position_bytes,
    )
    segments = [_segment(rows[rest]) for rest in order]
    columns = Columns(
        places=np.zeros(len(order), np.uint32),
        rests=np.array(order, np.uint64),
        segments=np.array(segments, np.uint16),
        cold=np.array([rows[rest].cold for rest in order], np.bool_),
        starts=np.cumsum(counts) - counts,
        counts=counts,
        low=items.low,
        high=items.high,
        items=items.packed,
        held_counts=np.array([len(rows[rest].held) for rest in order], np.int64),
        held=np.array([held for rest in order for held in rows[rest].held], np.uint32),
    )
    ((_, record),) = pack_buckets(mark, columns, first=0, last=1, position_bytes=position_bytes)
    return record


def _segment(row: CustomerRow) -> int:
    if row.closed:
        return codec.CLOSED
    return codec.NO_SEGMENT if row.segment is None else row.segment


def _quantised(
    scores: NDArray[np.float32], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint16]]:
    low = np.zeros(len(counts), np.float32)
    high = np.zeros(len(counts), np.float32)
    filled = counts > 0
    starts = (np.cumsum(counts) - counts)[filled]
    if len(starts):
        low[filled] = np.minimum.reduceat(scores, starts)
        high[filled] = np.maximum.reduceat(scores, starts)
    # The span of two large floats may be too large for one; a factor is small enough again.
    span = high.astype(np.float64) - low
    factor = np.divide(codec.SCORE_STEPS, span, out=np.zeros_like(span), where=span > 0)
    steps = scores - np.repeat(low, counts).astype(np.float64)
    steps *= np.repeat(factor, counts)
    return low, high, np.rint(steps, out=steps).astype(np.uint16)


def item_dtype(position_bytes: int) -> "np.dtype[np.void]":
    """The layout of one suggestion, without padding."""
    if position_bytes == 2:  # noqa: PLR2004 - one of the two widths
        return np.dtype(
            [("product", "<u2"), ("score", "<u2"), ("reason", "u1"), ("because", "<u2")]
        )
    return np.dtype(
        [("product", "u1", 3), ("score", "<u2"), ("reason", "u1"), ("because", "u1", 3)]
    )


def _positions_bytes(positions: NDArray[np.uint32], position_bytes: int) -> bytes:
    raw = positions.astype("<u4").view(np.uint8).reshape(-1, 4)
    return raw[:, :position_bytes].tobytes()
