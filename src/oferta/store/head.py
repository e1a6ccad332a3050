"""Pointer, manifest and head as bytes.

The chain of trust: the pointer names the manifest record by its SHA-256, the manifest names the
head by its SHA-256, and gives the stamp that every row must carry.
"""

import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from oferta.errors import RecordCorrupt
from oferta.scoring.reasons import REASONS
from oferta.store import codec
from oferta.store.contract import Pointer
from oferta.store.release import CatalogueEntry, Head, Manifest, PopularList, Suggestion

PART_BYTES: Final = 256 * 1024
"""One part is one answer of Redis within a reader's deadline, on a slow network too."""

MAX_HEAD_BYTES: Final = 1 << 30

_LISTS: Final = ("profile_facts", "past_columns", "covered")

_POSITION: Final = re.compile(r"([0-9]{1,20}-[0-9]{1,20})?")

_MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True)
class ManifestRecord:
    """A manifest together with what is needed to read, check and remove the rest of its release.

    Attributes:
        manifest: what was published.
        rows: how many buckets and similar rows were written.
        row_bytes: their bytes, without Redis's own.
        head_parts, head_bytes, head_sha256: of the head; bytes before compression.
    """

    manifest: Manifest
    rows: int
    row_bytes: int
    head_parts: int
    head_bytes: int
    head_sha256: str


def pointer_text(pointer: Pointer, previous: int | None) -> bytes:
    """The pointer as it is stored. Redis's script writes the very same text."""
    text = (
        f"1 {pointer.release} {'-' if previous is None else previous} {pointer.fence} "
        f"{pointer_instant(pointer.swapped_at)} {pointer.manifest}"
    ).encode()
    return text + b" " + hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


def pointer_instant(swapped_at: float) -> int:
    """Microseconds since the epoch: what the stored pointer holds."""
    return round(swapped_at * 1e6)


def read_pointer(record: bytes) -> Pointer:
    """The pointer that `pointer_text` wrote.

    Raises:
        RecordCorrupt: anything else.
    """
    text, _, checksum = record.rpartition(b" ")
    if hashlib.sha1(text, usedforsecurity=False).hexdigest().encode() != checksum:
        raise RecordCorrupt("what lies at the pointer's key is no pointer")
    try:
        schema, release, previous, fence, swapped_at, manifest = text.decode("ascii").split(" ")
        if schema != "1":
            raise RecordCorrupt(f"pointer of schema {schema}, this version reads 1")
        return Pointer(
            int(release),
            None if previous == "-" else int(previous),
            int(fence),
            int(swapped_at) / 1e6,
            manifest,
        )
    except ValueError as error:
        raise RecordCorrupt("what lies at the pointer's key is no pointer") from error


def manifest_record(record: ManifestRecord) -> bytes:
    """The manifest as it is stored."""
    return codec.seal(
        codec.MANIFEST,
        codec.stamp(record.manifest),
        count=1,
        body=orjson.dumps(asdict(record)),
    )


def manifest_digest(record: bytes) -> str:
    """What the pointer knows the manifest by: the SHA-256 of its record, hexadecimal."""
    return hashlib.sha256(record).hexdigest()


def read_manifest(record: bytes) -> ManifestRecord:
    """The manifest that `manifest_record` wrote.

    Raises:
        RecordCorrupt: anything else.
    """
    opened = codec.unseal(record, codec.MANIFEST)
    try:
        fields: dict[str, Any] = orjson.loads(record[codec.HEADER.size :])
        stored = fields["manifest"]
        lists = {name: tuple(map(str, stored.get(name, ()))) for name in _LISTS}
        manifest = Manifest(**{**stored, **lists})
        found = ManifestRecord(**{**fields, "manifest": manifest})
        counts = [found.rows, found.row_bytes, found.head_parts, found.head_bytes]
        counts += [manifest.customers, manifest.products, manifest.similar, manifest.release]
        counts += [manifest.profile_buckets_per_tag, manifest.past_buckets_per_tag]
        counts += [manifest.scorer_parts, manifest.scorer_bytes]
        if (
            min(counts) < 0
            or manifest.buckets_per_tag < 1
            or found.head_bytes > MAX_HEAD_BYTES
            or codec.stamp(manifest) != opened.stamp
            or not all(_POSITION.fullmatch(said) for said in manifest.covered)
        ):
            raise RecordCorrupt("the manifest's counts are impossible")
    except _MALFORMED as error:
        raise RecordCorrupt("the manifest does not have the shape of one") from error
    return found


def pack_head(head: Head) -> tuple[list[bytes], int, str]:
    """The head's parts, its bytes before compression and its SHA-256.

    The manifest is not in it: it is a record of its own.
    """
    plain = orjson.dumps(
        {
            "catalogue": [
                [
                    entry.product_id,
                    entry.name,
                    entry.category,
                    entry.price_minor,
                    entry.starts_at,
                    entry.ends_at,
                    entry.status,
                    entry.repeatable,
                    entry.base_rate,
                    entry.family,
                ]
                for entry in head.catalogue
            ],
            "popular": _list_fields(head.popular),
            "segments": [_list_fields(each) for each in head.segments],
        }
    )
    packed = zlib.compress(plain, 6)
    mark = codec.stamp(head.manifest)
    parts = [
        codec.seal(codec.HEAD, mark, count=index, body=part)
        for index, part in enumerate(_split(packed))
    ]
    return parts, len(plain), hashlib.sha256(plain).hexdigest()


def read_head(record: ManifestRecord, parts: Sequence[bytes]) -> Head:
    """The head that `pack_head` packed.

    Raises:
        RecordCorrupt: a part is missing, altered, of another release, or in another's place.
    """
    mark = codec.stamp(record.manifest)
    packed = bytearray()
    for index, part in enumerate(parts):
        if codec.unseal(part, codec.HEAD, expect=mark).count != index:
            raise RecordCorrupt("the parts of a head are out of order")
        packed += part[codec.HEADER.size :]
    try:
        plain = zlib.decompressobj().decompress(bytes(packed), record.head_bytes + 1)
    except zlib.error as error:
        raise RecordCorrupt("the head cannot be decompressed") from error
    if hashlib.sha256(plain).hexdigest() != record.head_sha256:
        raise RecordCorrupt("the head is not the one its manifest names")
    try:
        fields: dict[str, Any] = orjson.loads(plain)
        catalogue = tuple(CatalogueEntry(*entry) for entry in fields["catalogue"])
        if len(catalogue) != record.manifest.products:
            raise RecordCorrupt("the catalogue has not as many products as its manifest says")
        return Head(
            record.manifest,
            catalogue,
            _read_list(fields["popular"], len(catalogue)),
            tuple(_read_list(each, len(catalogue)) for each in fields["segments"]),
        )
    except _MALFORMED as error:
        raise RecordCorrupt("the head does not have the shape of one") from error


def _split(packed: bytes) -> Iterator[bytes]:
    for start in range(0, len(packed), PART_BYTES):
        yield packed[start : start + PART_BYTES]


def _list_fields(each: PopularList) -> list[Any]:
    return [
        each.segment,
        [
            [item.product, item.score, REASONS.index(item.reason), item.because]
            for item in each.suggestions
        ],
    ]


def _read_list(fields: list[Any], products: int) -> PopularList:
    segment, items = fields
    suggestions = tuple(
        Suggestion(product, score, REASONS[reason], because)
        for product, score, reason, because in items
    )
    if not all(0 <= item.product < products for item in suggestions):
        raise RecordCorrupt("a popular product is not in the catalogue")
    return PopularList(segment, suggestions)
