"""Customers' pasts as bytes: what new events are added to when somebody asks.

A bucket of pasts is a record of `codec`: after its header, `count` customers in columns:

    rests u64[count], entries[count], rows of the first, of the second, ...

    entry: segment u16, end of its rows u32
    row:   product, amount f32, then of `COLUMNS` those that the manifest names

Products are rows of the live scorer, 2 or 3 bytes wide. A release leaves away what its scorer never
asks: `had` where nothing fades and it is the amount, `back` where nothing was taken back, `recency`
and `time` where steps do not count.

Nothing here raises anything but `RecordCorrupt` on bad bytes.
"""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oferta.errors import RecordCorrupt
from oferta.interactions.amounts import UNDATED, Amounts
from oferta.scoring.live_model import Past
from oferta.store import codec
from oferta.store.codec import Stamp

COLUMNS: Final = {"had": "<f4", "back": "<f4", "recency": "<u2", "time": "<i8"}
"""What a row may have beside product and amount, in this order."""

PRODUCTS_KEPT: Final = 256
"""Products kept of one customer: their newest where steps count, else those they had most of."""

_ENTRY: Final = struct.Struct("<HI")
ENTRY_BYTES: Final = _ENTRY.size
_ENTRIES: Final = np.dtype([("segment", "<u2"), ("end", "<u4")])
_LONGEST: Final = np.iinfo(np.uint16).max
_NARROW: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class PastColumns:
    """Customers' pasts in the order of their buckets.

    Attributes:
        places: `(customers,) uint32`, ascending: number of the customer's bucket.
        rests: `(customers,) uint64`: what tells customers of one bucket apart.
        segments: `(customers,) int32`: the model's, -1 for none.
        counts: `(customers,) int64`: rows of each.
        rows: all rows, one customer after another, in `past_dtype`.
    """

    places: NDArray[np.uint32]
    rests: NDArray[np.uint64]
    segments: NDArray[np.int32]
    counts: NDArray[np.int64]
    rows: NDArray[np.void]


def past_dtype(columns: Collection[str], position_bytes: int) -> "np.dtype[np.void]":
    """The layout of one row, without padding."""
    product = ("product", "<u2") if position_bytes == _NARROW else ("product", "u1", 3)
    more = [(name, kind) for name, kind in COLUMNS.items() if name in columns]
    return np.dtype([product, ("amount", "<f4"), *more])


def columns_for(amounts: Amounts, *, fades: bool, ordered: bool) -> tuple[str, ...]:
    """Which of `COLUMNS` a release needs for these pasts.

    Args:
        amounts: of all customers.
        fades: whether old events count less.
        ordered: whether the scorer looks at steps.
    """
    needed = {
        "had": fades,
        "back": bool((amounts.back < 0).any()),
        "recency": ordered,
        "time": ordered,
    }
    return tuple(name for name in COLUMNS if needed[name])


def capped(amounts: Amounts, *, ordered: bool, limit: int = PRODUCTS_KEPT) -> Amounts:
    """At most `limit` products of each customer: the newest, or those they had most of."""
    counts = np.diff(amounts.indptr)
    if not len(counts) or counts.max() <= limit:
        return amounts
    owners = amounts.owners()
    first = amounts.recency.astype(np.float64) if ordered else -amounts.amount
    order = np.lexsort((amounts.product, first, owners))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(amounts.indptr[:-1], counts)
    return amounts.where(rank < limit)


def pack_rows(
    amounts: Amounts, columns: Collection[str], *, position_bytes: int
) -> NDArray[np.void]:
    """All rows of `amounts`, in its order."""
    rows = np.empty(len(amounts.product), past_dtype(columns, position_bytes))
    codec.set_positions(rows, "product", amounts.product.astype(np.uint32), position_bytes)
    values = {
        "had": amounts.had,
        "back": amounts.back,
        "recency": np.minimum(amounts.recency, _LONGEST),
        "time": amounts.time_us,
    }
    rows["amount"] = amounts.amount
    for name in columns:
        rows[name] = values[name]
    return rows


def pack_past_buckets(
    mark: Stamp, columns: PastColumns, *, first: int, last: int, position_bytes: int
) -> Iterator[bytes]:
    """The buckets `[first, last)`; a bucket of nobody is a record too.

    So a bucket that is not there is always a loss, and never just a stranger's.
    """
    bounds = np.searchsorted(columns.places, np.arange(first, last + 1))
    ends = np.concatenate(([0], np.cumsum(columns.counts)))
    entries = np.empty(len(columns.places), _ENTRIES)
    entries["segment"] = np.where(columns.segments < 0, codec.NO_SEGMENT, columns.segments)
    entries["end"] = ends[1:] - np.repeat(ends[bounds[:-1]], np.diff(bounds))
    rests, entry_bytes = columns.rests.astype("<u8").tobytes(), entries.tobytes()
    size = columns.rows.dtype.itemsize
    rows, rows_at = columns.rows.tobytes(), (ends[bounds] * size).tolist()
    for index, (low, high) in enumerate(
        zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ):
        body = b"".join(
            (
                rests[low * codec.REST_BYTES : high * codec.REST_BYTES],
                entry_bytes[low * _ENTRY.size : high * _ENTRY.size],
                rows[rows_at[index] : rows_at[index + 1]],
            )
        )
        yield codec.seal(
            codec.PAST, mark, count=high - low, body=body, position_bytes=position_bytes
        )


def past_row(
    record: bytes, rest: int, *, expect: Stamp, columns: Collection[str], products: int
) -> Past | None:
    """One customer's past of a bucket, or None when the customer is not in it.

    Args:
        record: the bucket.
        rest: what `keys.rest` makes of the customer's hash.
        expect: the stamp of the release being read.
        columns: of the rows, from its manifest.
        products: how many the scorer has.

    Raises:
        RecordCorrupt: the record is not an intact bucket of pasts of this release.
    """
    opened = codec.unseal(record, codec.PAST, expect=expect)
    position_bytes, count = codec.position_bytes_of(opened, products), opened.count
    dtype = past_dtype(columns, position_bytes)
    rows_at = _rows_at(record, count, dtype.itemsize)
    index = codec.find(record, rest, count) if count else None
    if index is None:
        return None
    at = codec.HEADER.size + count * codec.REST_BYTES + index * _ENTRY.size
    start = _ENTRY.unpack_from(record, at - _ENTRY.size)[1] if index else 0
    segment, end = _ENTRY.unpack_from(record, at)
    if not start <= end <= (len(record) - rows_at) // dtype.itemsize:
        raise RecordCorrupt("the entries of a bucket overlap")
    rows = np.frombuffer(record, dtype, end - start, rows_at + start * dtype.itemsize)
    return Past(_amounts(rows, columns, products), -1 if segment == codec.NO_SEGMENT else segment)


def pasts_in(record: bytes, *, expect: Stamp) -> int:
    """How many customers an intact bucket of pasts holds.

    Raises:
        RecordCorrupt: the record is not an intact bucket of pasts of this release.
    """
    return codec.unseal(record, codec.PAST, expect=expect).count


def _rows_at(record: bytes, count: int, size: int) -> int:
    """Where the rows begin, after the last entry said how many there are."""
    rows_at = codec.HEADER.size + count * (codec.REST_BYTES + _ENTRY.size)
    said = 0
    if count and len(record) >= rows_at:
        said = _ENTRY.unpack_from(record, rows_at - _ENTRY.size)[1]
    if len(record) != rows_at + said * size:
        raise RecordCorrupt(f"{count} pasts in {len(record)} bytes")
    return rows_at


def _amounts(rows: NDArray[np.void], columns: Collection[str], products: int) -> Amounts:
    product = rows["product"].astype(np.int32)
    if product.ndim > 1:
        product = product[:, 0] | product[:, 1] << 8 | product[:, 2] << 16
    amount = rows["amount"].astype(np.float64)
    had = rows["had"].astype(np.float64) if "had" in columns else amount
    back = rows["back"].astype(np.float64) if "back" in columns else np.zeros(len(rows))
    if len(rows) and not (
        product.max() < products
        and (np.diff(product) > 0).all()
        and np.isfinite(amount + had + back).all()
        and min(amount.min(), had.min(), -back.max()) >= 0
    ):
        raise RecordCorrupt("the rows of a past are none of the release")
    nothing = np.zeros(len(rows), np.int32)
    return Amounts(
        indptr=np.array([0, len(rows)], np.int64),
        product=product,
        amount=amount,
        had=had,
        back=back,
        recency=rows["recency"].astype(np.int32) if "recency" in columns else nothing,
        time_us=rows["time"] if "time" in columns else np.full(len(rows), UNDATED),
    )
