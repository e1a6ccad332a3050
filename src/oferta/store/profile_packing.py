"""Profiles to records: columns in, bytes out. The layout is `profiles`'s.

Customers come sorted by bucket, each with one run of bytes: facts, evidence and propensities.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from oferta.store import codec
from oferta.store.codec import Stamp
from oferta.store.profiles import ENDS, propensity_dtype

FactValues = Sequence[float | str | bool | None]

_LEVEL: Final = 1  # of deflate: level 6 takes thrice the time for a tenth of the bytes


@dataclass(frozen=True, slots=True, eq=False)
class ProfileColumns:
    """Customers' profiles as columns, in the order of their buckets.

    Attributes:
        places: `(customers,) uint32`, ascending: number of the customer's bucket.
        rests: `(customers,) uint64`: what tells customers of one bucket apart.
        lengths: `(customers, 3) uint32`: bytes of facts, evidence and propensities.
        starts: `(customers,) int64`: where in `data` each one's bytes begin.
        data: all their bytes, in any order of customers.
    """

    places: NDArray[np.uint32]
    rests: NDArray[np.uint64]
    lengths: NDArray[np.uint32]
    starts: NDArray[np.int64]
    data: bytes


class PackedProfile(NamedTuple):
    """One customer's three columns as they are stored, and what tells them apart in a bucket."""

    rest: int
    facts: bytes
    evidence: bytes
    propensities: bytes


def pack_facts(values: FactValues) -> bytes:
    """The facts' column; what is unknown at the end is left away."""
    known = len(values)
    while known and values[known - 1] is None:
        known -= 1
    return orjson.dumps(values[:known])


def pack_evidence(evidence: bytes) -> bytes:
    """The evidence's column."""
    return zlib.compress(evidence, _LEVEL)


def pack_propensities(
    products: NDArray[np.uint32],
    probabilities: NDArray[np.float32],
    scores: NDArray[np.float32],
    *,
    reasons: NDArray[np.uint8],
    because: NDArray[np.uint32],
    position_bytes: int,
) -> NDArray[np.void]:
    """Propensities of many customers, `(propensities,)` as the arguments; `because` all ones: none.

    A customer's column is the bytes of a slice.
    """
    packed = np.empty(len(products), propensity_dtype(position_bytes))
    packed["probability"], packed["score"], packed["reason"] = probabilities, scores, reasons
    codec.set_positions(packed, "product", products, position_bytes)
    codec.set_positions(packed, "because", because, position_bytes)
    return packed


def pack_profile_buckets(
    mark: Stamp, columns: ProfileColumns, *, first: int, last: int, position_bytes: int
) -> Iterator[bytes]:
    """The buckets `[first, last)`; a bucket of nobody is a record too.

    So a bucket that is not there is always a loss, and never just a stranger's.
    """
    bounds = np.searchsorted(columns.places, np.arange(first, last + 1)).tolist()
    sizes = columns.lengths.sum(axis=1, dtype=np.int64)
    before = np.concatenate(([0], np.cumsum(sizes)))
    ends = np.cumsum(columns.lengths, axis=1, dtype=np.int64) + before[:-1, None]
    ends -= np.repeat(before[bounds[:-1]], np.diff(bounds))[:, None]
    end_bytes = ends.astype("<u4").tobytes()
    rests = columns.rests.astype("<u8").tobytes()
    starts, stops = columns.starts.tolist(), (columns.starts + sizes).tolist()
    for low, high in pairwise(bounds):
        bodies = [columns.data[starts[at] : stops[at]] for at in range(low, high)]
        yield codec.seal(
            codec.PROFILE,
            mark,
            count=high - low,
            body=b"".join(
                (
                    rests[low * codec.REST_BYTES : high * codec.REST_BYTES],
                    end_bytes[low * ENDS.size : high * ENDS.size],
                    *bodies,
                )
            ),
            position_bytes=position_bytes,
        )


def pack_profiles(mark: Stamp, profiles: Sequence[PackedProfile], *, position_bytes: int) -> bytes:
    """One bucket of a few customers: for tools and tests, not for whole bases."""
    lengths = [[len(column) for column in each[1:]] for each in profiles]
    sizes = np.array(lengths, np.int64).reshape(-1, 3).sum(axis=1)
    columns = ProfileColumns(
        places=np.zeros(len(profiles), np.uint32),
        rests=np.array([each.rest for each in profiles], np.uint64),
        lengths=np.array(lengths, np.uint32).reshape(-1, 3),
        starts=np.cumsum(sizes) - sizes,
        data=b"".join(column for each in profiles for column in each[1:]),
    )
    (record,) = pack_profile_buckets(mark, columns, first=0, last=1, position_bytes=position_bytes)
    return record
