"""Records as bytes: what a reader checks before it believes a byte of them.

Every record starts with the same 32 bytes, little-endian:

    magic 4s, schema u8, kind u8, width u8, 0, release u64, created_at f64, count u32, CRC-32 u32

The checksum covers all other bytes of the record. Redis does not checksum the values of its
append-only file: without ours a flipped bit would be served.

A bucket holds `count` customers in columns, so that one is found and read without the others:

    rests u64[count], entries[count], items, held products

    entry: segment u16, low f32, high f32, end of its items u32, end of its held products u32
    item:  product, score u16, reason u8, because

The top bit of an entry's segment says that the customer is cold: nothing was known of their past.
One number of a segment says that they had refused personalisation: their entry has nothing in it.

Products are positions in the release's catalogue, 2 bytes each up to 65,535 products, else 3. A
score is a step of 1/65535 between the list's low and high: its error is below
(high - low) / 131,070, whatever the model's scale, and order survives.

Nothing here raises anything but `RecordCorrupt` on bad bytes.
"""

import math
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oferta.errors import RecordCorrupt
from oferta.scoring.reasons import REASONS
from oferta.store.release import CustomerRow, Manifest, Neighbour, Suggestion

MAGIC: Final = b"OFRT"
SCHEMA: Final = 1
HEADER: Final = struct.Struct("<4sBBBxQdII")
ENTRY: Final = struct.Struct("<HffII")
SCORE_STEPS: Final = 65535
COLD: Final = 0x8000  # of an entry's segment: nothing was known of the customer's past
NO_SEGMENT: Final = 0x7FFF
CLOSED: Final = 0x7FFE  # in place of a segment: the customer had refused personalisation
MAX_PRODUCTS: Final = 0xFFFFFF

BUCKET: Final = 1
SIMILAR: Final = 2
MANIFEST: Final = 3
HEAD: Final = 4
PROFILE: Final = 5
PAST: Final = 6
SCORER: Final = 7

_NONE: Final = frozenset({NO_SEGMENT, CLOSED})
_CRC_AT: Final = HEADER.size - 4
_REASONS: Final = len(REASONS)
REST_BYTES: Final = 8
_RANGE: Final = struct.Struct("<ff")
_ITEM: Final = {2: struct.Struct("<HHBH"), 3: struct.Struct("<3sHB3s")}
_PAIR: Final = {2: struct.Struct("<HH"), 3: struct.Struct("<3sH")}


@dataclass(frozen=True, slots=True)
class Stamp:
    """What all records of one release carry; a record of any other release is refused."""

    release: int
    created_at: float  # epoch seconds


def stamp(manifest: Manifest) -> Stamp:
    """The stamp of the release that `manifest` describes."""
    return Stamp(manifest.release, manifest.created_at)


def width(products: int) -> int:
    """Bytes of a product's position in a catalogue of so many products: 2 or 3."""
    # The largest number of each width stands for "no product".
    return 2 if products < 1 << 16 else 3


def seal(kind: int, mark: Stamp, *, count: int, body: bytes, position_bytes: int = 0) -> bytes:
    """The record of `body`: header, checksum, body."""
    head = HEADER.pack(
        MAGIC, SCHEMA, kind, position_bytes, mark.release, mark.created_at, count, 0
    )[:_CRC_AT]
    return head + zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "little") + body


@dataclass(frozen=True, slots=True)
class Opened:
    """A record whose header and checksum are right. `body` starts at `HEADER.size`."""

    record: bytes
    stamp: Stamp
    count: int
    position_bytes: int


def unseal(record: bytes, kind: int, *, expect: Stamp | None = None) -> Opened:
    """Check a record's header and checksum.

    Raises:
        RecordCorrupt: anything but an intact record of this kind (and of this release).
    """
    if len(record) < HEADER.size:
        raise RecordCorrupt(f"record of {len(record)} bytes, its header alone has {HEADER.size}")
    magic, schema, found, position_bytes, release, created_at, count, checksum = HEADER.unpack_from(
        record
    )
    if magic != MAGIC:
        raise RecordCorrupt("not a record of oferta")
    view = memoryview(record)
    if zlib.crc32(view[HEADER.size :], zlib.crc32(view[:_CRC_AT])) != checksum:
        raise RecordCorrupt("checksum differs: the record was altered after it was written")
    if schema != SCHEMA:
        raise RecordCorrupt(f"record of schema {schema}, this version reads {SCHEMA}")
    if found != kind:
        raise RecordCorrupt(f"record of kind {found} where kind {kind} belongs")
    mark = Stamp(release, created_at)
    if expect is not None and mark != expect:
        raise RecordCorrupt(f"record of release {release} where release {expect.release} belongs")
    return Opened(record, mark, count, position_bytes)


def customer_row(
    record: bytes, rest: int, *, expect: Stamp, products: int, limit: int | None = None
) -> CustomerRow | None:
    """One customer's row of a bucket, or None when the customer is not in it.

    The other customers of the bucket are not decoded: about 4 us for the checksum of 3 kB, then
    under 1 us a suggestion.

    Args:
        record: the bucket.
        rest: what `keys.rest` makes of the customer's hash.
        expect: the stamp of the release being read.
        products: how many products its catalogue has.
        limit: how many suggestions to decode at most; None for all.

    Raises:
        RecordCorrupt: the record is not an intact bucket of this release.
    """
    opened = unseal(record, BUCKET, expect=expect)
    position_bytes, count = position_bytes_of(opened, products), opened.count
    entries_at = HEADER.size + count * REST_BYTES
    items_at = entries_at + count * ENTRY.size
    item = _ITEM[position_bytes]
    if count == 0 or len(record) < items_at:
        if len(record) != items_at:
            raise RecordCorrupt(f"bucket of {count} customers in {len(record)} bytes")
        return None
    *_, items, held = ENTRY.unpack_from(record, items_at - ENTRY.size)
    held_at = items_at + items * item.size
    if len(record) != held_at + held * position_bytes:
        raise RecordCorrupt(f"bucket of {count} customers in {len(record)} bytes")
    index = find(record, rest, count)
    if index is None:
        return None
    first_item = first_held = 0
    if index:
        *_, first_item, first_held = ENTRY.unpack_from(
            record, entries_at + (index - 1) * ENTRY.size
        )
    segment, low, high, last_item, last_held = ENTRY.unpack_from(
        record, entries_at + index * ENTRY.size
    )
    if not (first_item <= last_item <= items and first_held <= last_held <= held):
        raise RecordCorrupt("the entries of a bucket overlap")
    cold, segment = bool(segment & COLD), segment & ~COLD
    if limit is not None:
        last_item = min(last_item, first_item + limit)
    return CustomerRow(
        segment=None if segment in _NONE else segment,
        suggestions=_suggestions(
            record[items_at + first_item * item.size : items_at + last_item * item.size],
            _scale(low, high),
            position_bytes,
            products,
        ),
        held=_positions(
            record[held_at + first_held * position_bytes : held_at + last_held * position_bytes],
            position_bytes,
            products,
        ),
        cold=cold,
        closed=segment == CLOSED,
    )


def neighbours(record: bytes, *, expect: Stamp, products: int) -> tuple[Neighbour, ...]:
    """The products similar to one product, best first.

    Raises:
        RecordCorrupt: the record is not an intact similar row of this release.
    """
    opened = unseal(record, SIMILAR, expect=expect)
    position_bytes = position_bytes_of(opened, products)
    pair = _PAIR[position_bytes]
    start = HEADER.size + _RANGE.size
    if len(record) != start + opened.count * pair.size:
        raise RecordCorrupt(f"{opened.count} similar products in {len(record)} bytes")
    low, step = _scale(*_RANGE.unpack_from(record, HEADER.size))
    found = tuple(
        Neighbour(_position(product), low + step * score)
        for product, score in pair.iter_unpack(record[start:])
    )
    if found and max(near.product for near in found) >= products:
        raise RecordCorrupt("a similar product is not in the catalogue")
    return found


def similar_body(low: float, high: float, pairs: bytes) -> bytes:
    """The body of a similar row whose (product, score) pairs are packed already."""
    return _RANGE.pack(low, high) + pairs


def customers_in(record: bytes, *, expect: Stamp) -> int:
    """How many customers an intact bucket holds.

    Raises:
        RecordCorrupt: the record is not an intact bucket of this release.
    """
    return unseal(record, BUCKET, expect=expect).count


def find(record: bytes, rest: int, count: int) -> int | None:
    """Which of a bucket's `count` customers, whose rests come first in its body, is the wanted."""
    start, end = HEADER.size, HEADER.size + count * REST_BYTES
    wanted = rest.to_bytes(REST_BYTES, "little")
    at = record.find(wanted, start, end)
    while at >= 0 and (at - start) % REST_BYTES:  # a match across two neighbours
        at = record.find(wanted, at + 1, end)
    return None if at < 0 else (at - start) // REST_BYTES


def set_positions(
    packed: NDArray[np.void], name: str, positions: NDArray[np.uint32], position_bytes: int
) -> None:
    """Write `positions`, `(rows,)`, into a field of packed rows; all ones stay all ones."""
    if position_bytes == 2:  # noqa: PLR2004 - one of the two widths
        packed[name] = positions.astype(np.uint16)
    else:
        packed[name] = positions.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3]


def _suggestions(
    items: bytes, scale: tuple[float, float], position_bytes: int, products: int
) -> tuple[Suggestion, ...]:
    low, step = scale
    nothing = (1 << 8 * position_bytes) - 1
    unpacked: Iterable[tuple[int, int, int, int]] = _ITEM[position_bytes].iter_unpack(items)
    if position_bytes != 2:  # noqa: PLR2004 - positions of 2 bytes are numbers already
        unpacked = [(_position(a), b, c, _position(d)) for a, b, c, d in unpacked]
    found = []
    # The inner loop of every answer: 20 times a customer, so nothing is called that need not be.
    for product, score, code, because in unpacked:
        if product >= products or code >= _REASONS or nothing != because >= products:
            raise RecordCorrupt("a suggestion refers to no product or reason of the release")
        found.append(
            Suggestion(
                product, low + step * score, REASONS[code], None if because == nothing else because
            )
        )
    return tuple(found)


def _positions(held: bytes, position_bytes: int, products: int) -> tuple[int, ...]:
    found: tuple[int, ...]
    if position_bytes == 2:  # noqa: PLR2004 - one of the two widths
        found = struct.unpack(f"<{len(held) // 2}H", held)
    else:
        found = tuple(
            _position(held[at : at + position_bytes]) for at in range(0, len(held), position_bytes)
        )
    if found and max(found) >= products:
        raise RecordCorrupt("a held product is not in the catalogue")
    return found


def _position(found: int | bytes) -> int:
    return found if isinstance(found, int) else int.from_bytes(found, "little")


def position_bytes_of(opened: Opened, products: int) -> int:
    """Bytes of a product's position in the record.

    Raises:
        RecordCorrupt: not those of a catalogue of so many products.
    """
    if opened.position_bytes != width(products):
        raise RecordCorrupt(
            f"positions of {opened.position_bytes} bytes in a catalogue of {products} products"
        )
    return opened.position_bytes


def _scale(low: float, high: float) -> tuple[float, float]:
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise RecordCorrupt("the range of a list's scores is no range")
    return low, (high - low) / SCORE_STEPS
