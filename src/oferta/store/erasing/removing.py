"""Buckets without one of their customers: the others' bytes stay exactly as they were."""

import struct
from typing import Final

from oferta.errors import RecordCorrupt
from oferta.store import codec
from oferta.store.profiles import ENDS

_ITEM_BYTES: Final = {2: 7, 3: 9}
"""Bytes of a suggestion, by those of a position: product, score u16, reason u8, because."""

_PAST: Final = struct.Struct("<HI")  # of a past: segment, end of its rows


def list_removed(record: bytes, rest: int) -> bytes | None:
    """A bucket of lists without the customer; None where they are not in it.

    Raises:
        RecordCorrupt: it is no intact bucket of lists.
    """
    opened = codec.unseal(record, codec.BUCKET)
    count, width = opened.count, opened.position_bytes
    index = codec.find(record, rest, count) if count else None
    if index is None:
        return None
    if width not in _ITEM_BYTES:
        raise RecordCorrupt(f"a bucket with positions of {width} bytes")
    entries_at = codec.HEADER.size + count * codec.REST_BYTES
    items_at = entries_at + count * codec.ENTRY.size
    entries = list(codec.ENTRY.iter_unpack(record[entries_at:items_at]))
    items = _Column(record, items_at, [entry[3] * _ITEM_BYTES[width] for entry in entries])
    held = _Column(record, items.end, [entry[4] * width for entry in entries])
    if held.end != len(record):
        raise RecordCorrupt(f"bucket of {count} customers in {len(record)} bytes")
    fewer_items = items.size(index) // _ITEM_BYTES[width]
    fewer_held = held.size(index) // width
    kept = [
        (segment, low, high, last - fewer_items * (at > index), end - fewer_held * (at > index))
        for at, (segment, low, high, last, end) in enumerate(entries)
        if at != index
    ]
    body = b"".join(
        (
            _rests(record, count, index),
            *(codec.ENTRY.pack(*entry) for entry in kept),
            items.without(index),
            held.without(index),
        )
    )
    return codec.seal(codec.BUCKET, opened.stamp, count=count - 1, body=body, position_bytes=width)


def profile_removed(record: bytes, rest: int) -> bytes | None:
    """A bucket of profiles without the customer; None where they are not in it.

    Raises:
        RecordCorrupt: it is no intact bucket of profiles.
    """
    return columns_removed(record, rest, kind=codec.PROFILE, ends=ENDS)


def columns_removed(record: bytes, rest: int, *, kind: int, ends: struct.Struct) -> bytes | None:
    """A bucket without the customer, of a kind whose customers lie one after another.

    Its layout: rests, then of each customer the `ends` of their columns, then their columns. The
    last end of a customer is where the next one's columns begin.

    Raises:
        RecordCorrupt: it is no intact bucket of this kind.
    """
    opened = codec.unseal(record, kind)
    count = opened.count
    index = codec.find(record, rest, count) if count else None
    if index is None:
        return None
    entries_at = codec.HEADER.size + count * codec.REST_BYTES
    bodies_at = entries_at + count * ends.size
    entries = list(ends.iter_unpack(record[entries_at:bodies_at]))
    bodies = _Column(record, bodies_at, [entry[-1] for entry in entries])
    if bodies.end != len(record):
        raise RecordCorrupt(f"bucket of {count} customers in {len(record)} bytes")
    fewer = bodies.size(index)
    kept = [
        tuple(end - fewer * (at > index) for end in entry)
        for at, entry in enumerate(entries)
        if at != index
    ]
    body = b"".join(
        (
            _rests(record, count, index),
            *(ends.pack(*entry) for entry in kept),
            bodies.without(index),
        )
    )
    return codec.seal(
        kind, opened.stamp, count=count - 1, body=body, position_bytes=opened.position_bytes
    )


def past_removed(record: bytes, rest: int) -> bytes | None:
    """A bucket of pasts without the customer; None where they are not in it.

    How large a row is, only the manifest says; but all rows are of one size.

    Raises:
        RecordCorrupt: it is no intact bucket of pasts.
    """
    opened = codec.unseal(record, codec.PAST)
    count = opened.count
    index = codec.find(record, rest, count) if count else None
    if index is None:
        return None
    entries_at = codec.HEADER.size + count * codec.REST_BYTES
    rows_at = entries_at + count * _PAST.size
    entries = list(_PAST.iter_unpack(record[entries_at:rows_at]))
    total = entries[-1][1]
    size, over = divmod(len(record) - rows_at, total) if total else (0, len(record) - rows_at)
    if over:
        raise RecordCorrupt(f"{count} pasts in {len(record)} bytes")
    rows = _Column(record, rows_at, [end * size for _, end in entries])
    fewer = rows.size(index) // size if size else 0
    kept = [
        (segment, end - fewer * (at > index))
        for at, (segment, end) in enumerate(entries)
        if at != index
    ]
    body = b"".join(
        (
            _rests(record, count, index),
            *(_PAST.pack(*entry) for entry in kept),
            rows.without(index),
        )
    )
    return codec.seal(
        codec.PAST, opened.stamp, count=count - 1, body=body, position_bytes=opened.position_bytes
    )


class _Column:
    """What customers have one after another, by where each one's ends."""

    __slots__ = ("_ends", "_record", "_start", "end")

    def __init__(self, record: bytes, start: int, ends: list[int]) -> None:
        self._record = record
        self._start = start
        self._ends = [0, *ends]
        self.end = start + self._ends[-1]
        if self._ends != sorted(self._ends):
            raise RecordCorrupt("the entries of a bucket overlap")

    def size(self, index: int) -> int:
        return self._ends[index + 1] - self._ends[index]

    def without(self, index: int) -> bytes:
        low, high = self._ends[index : index + 2]
        start = self._start
        return self._record[start : start + low] + self._record[start + high : self.end]


def _rests(record: bytes, count: int, index: int) -> bytes:
    start, size = codec.HEADER.size, codec.REST_BYTES
    at = start + index * size
    return record[start:at] + record[at + size : start + count * size]
