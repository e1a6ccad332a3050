"""Profiles as bytes: the facts, the evidence and the propensities that a decision is made of.

A bucket of profiles is a record of `codec`: after its header, `count` customers in columns, so that
one is found and read without the others:

    rests u64[count], entries[count], then of each customer: facts, evidence, propensities

    entry:      end of its facts u32, of its evidence u32, of its propensities u32
    facts:      JSON list of values in the order of the manifest's `profile_facts`; unknown: null
    evidence:   JSON, deflated (RFC 1950): asked for far more seldom than the rest
    propensity: product, probability f32 (NaN: none), score f32, reason u8, because

Ends count from the first customer's facts. Products are positions in the release's catalogue, 2 or
3 bytes wide as in lists, and the largest such number stands for "no product". Propensities are in
the order of the customer's whole list, best first.

Nothing here raises anything but `RecordCorrupt` on bad bytes.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from oferta.errors import RecordCorrupt
from oferta.scoring.reasons import REASONS
from oferta.store import codec
from oferta.store.codec import Stamp

ENDS: Final = struct.Struct("<III")
_MAX_EVIDENCE: Final = 1 << 24  # bytes once inflated: a record that claims more is no profile
_NARROW: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class ProfileRow:
    """What a release knows of one customer.

    Attributes:
        facts: by name, unknown ones left out; dates are whole days since 1970, numbers floats.
        products: `(n,) uint32`: positions in the catalogue, best first.
        probabilities: `(n,) float32`: calibrated chances; NaN where there is none.
        scores: `(n,) float32`: what the model ranks by.
        reasons: `(n,) uint8`: positions in `oferta.scoring.reasons.REASONS`.
        because: `(n,) int32`: position of the product that the reason names, -1 for none.
        deflated_evidence: `evidence` as it is stored.
    """

    facts: dict[str, float | str | bool]
    products: NDArray[np.uint32]
    probabilities: NDArray[np.float32]
    scores: NDArray[np.float32]
    reasons: NDArray[np.uint8]
    because: NDArray[np.int32]
    deflated_evidence: bytes

    @property
    def evidence(self) -> bytes:
        """JSON: where the facts come from.

        Raises:
            RecordCorrupt: it cannot be inflated.
        """
        reader = zlib.decompressobj()
        try:
            plain = reader.decompress(self.deflated_evidence, _MAX_EVIDENCE)
        except zlib.error as error:
            raise RecordCorrupt("the evidence of a profile cannot be inflated") from error
        if not reader.eof:
            raise RecordCorrupt("the evidence of a profile does not end")
        return plain


def propensity_dtype(position_bytes: int) -> "np.dtype[np.void]":
    """The layout of one propensity, without padding."""
    figures = [("probability", "<f4"), ("score", "<f4"), ("reason", "u1")]
    if position_bytes == _NARROW:
        return np.dtype([("product", "<u2"), *figures, ("because", "<u2")])
    return np.dtype([("product", "u1", 3), *figures, ("because", "u1", 3)])


def profile_row(
    record: bytes, rest: int, *, expect: Stamp, facts: Sequence[str], products: int
) -> ProfileRow | None:
    """One customer's profile of a bucket, or None when the customer is not in it.

    Args:
        record: the bucket.
        rest: what `keys.rest` makes of the customer's hash.
        expect: the stamp of the release being read.
        facts: names of the facts, from its manifest.
        products: how many products its catalogue has.

    Raises:
        RecordCorrupt: the record is not an intact bucket of profiles of this release.
    """
    opened, bodies_at, size = _opened(record, expect=expect)
    position_bytes = codec.position_bytes_of(opened, products)
    index = codec.find(record, rest, opened.count) if opened.count else None
    if index is None:
        return None
    ends_at = codec.HEADER.size + opened.count * codec.REST_BYTES + index * ENDS.size
    (start,) = struct.unpack_from("<I", record, ends_at - 4) if index else (0,)
    after_facts, after_evidence, end = ENDS.unpack_from(record, ends_at)
    if not start <= after_facts <= after_evidence <= end <= size:
        raise RecordCorrupt("the entries of a bucket overlap")
    names = _facts(record[bodies_at + start : bodies_at + after_facts], facts)
    columns = _propensities(
        record[bodies_at + after_evidence : bodies_at + end], position_bytes, products
    )
    evidence = record[bodies_at + after_facts : bodies_at + after_evidence]
    return ProfileRow(names, *columns, deflated_evidence=evidence)


def profiles_in(record: bytes, *, expect: Stamp) -> int:
    """How many customers an intact bucket of profiles holds.

    Raises:
        RecordCorrupt: the record is not an intact bucket of profiles of this release.
    """
    return _opened(record, expect=expect)[0].count


def _opened(record: bytes, *, expect: Stamp) -> tuple[codec.Opened, int, int]:
    """The record, where its customers' columns begin, and how many bytes they have."""
    opened = codec.unseal(record, codec.PROFILE, expect=expect)
    bodies_at = codec.HEADER.size + opened.count * (codec.REST_BYTES + ENDS.size)
    size = len(record) - bodies_at
    said = 0
    if opened.count and size >= 0:
        (said,) = struct.unpack_from("<I", record, bodies_at - 4)
    if size != said:
        raise RecordCorrupt(f"{opened.count} profiles in {len(record)} bytes")
    return opened, bodies_at, size


def _facts(column: bytes, names: Sequence[str]) -> dict[str, float | str | bool]:
    try:
        values = orjson.loads(column)
    except orjson.JSONDecodeError as error:
        raise RecordCorrupt("the facts of a profile are not JSON") from error
    if not isinstance(values, list) or len(values) > len(names):
        raise RecordCorrupt("the facts of a profile are not those of its manifest")
    pairs = zip(names, values, strict=False)  # values of unknown facts at the end are left away
    return {name: value for name, value in pairs if value is not None}


def _propensities(
    column: bytes, position_bytes: int, products: int
) -> tuple[
    NDArray[np.uint32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.uint8],
    NDArray[np.int32],
]:
    dtype = propensity_dtype(position_bytes)
    if len(column) % dtype.itemsize:
        raise RecordCorrupt("the propensities of a profile are cut off")
    packed = np.frombuffer(column, dtype)
    chosen = _positions(packed["product"], position_bytes)
    because = _positions(packed["because"], position_bytes)
    because[because == (1 << 8 * position_bytes) - 1] = -1
    reasons = packed["reason"]
    if len(packed) and not (
        chosen.max() < products and because.max() < products and reasons.max() < len(REASONS)
    ):
        raise RecordCorrupt("a propensity refers to no product or reason of the release")
    return chosen.astype(np.uint32), packed["probability"], packed["score"], reasons, because


def _positions(stored: NDArray[np.integer], position_bytes: int) -> NDArray[np.int32]:
    if position_bytes == _NARROW:
        return stored.astype(np.int32)
    wide = stored.astype(np.int32)
    return wide[:, 0] | wide[:, 1] << 8 | wide[:, 2] << 16
