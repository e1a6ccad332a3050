"""A release's live model as bytes: named arrays in parts, each sealed, the whole by its SHA-256.

The arrays are in the safetensors format, which holds nothing but numbers. What they are is looked
at before any of them is used: names, types, lengths and bounds.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from oferta.errors import ArtefactInvalid, RecordCorrupt
from oferta.scoring.fresh import Weighing
from oferta.scoring.live import LiveScorer
from oferta.scoring.live_model import LiveModel
from oferta.scoring.packed import pack_live, unpack_live
from oferta.scoring.quick import quick
from oferta.scoring.reasons import REASONS, Reason
from oferta.scoring.stored import take_array
from oferta.store import codec
from oferta.store.head import PART_BYTES
from oferta.store.release import CatalogueEntry, Manifest

MAX_BYTES: Final = 1 << 30

_NAMES: Final = frozenset(
    (
        *("products", "cold", "precision", "alpha", "attributes"),
        *("indptr", "neighbour", "weight", "base", "step"),
        *("places", "note"),
    )
)
_SATURATIONS: Final = ("none", "log", "binary")
_MALFORMED: Final = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """What a release carries of its model; see `LiveModel`."""

    scorer: LiveScorer
    reason: Reason
    length: int
    weighing: Weighing
    places: NDArray[np.int32]

    def to_bytes(self) -> bytes:
        """The arrays, and the rest as an array of JSON."""
        note = orjson.dumps(
            {
                "reason": self.reason,
                "length": self.length,
                "weights": dict(self.weighing.weights),
                "half_life_days": self.weighing.half_life_days,
                "saturation": self.weighing.saturation,
                "now_us": self.weighing.now_us,
            }
        )
        arrays = {
            **pack_live(self.scorer),
            "places": self.places,
            "note": np.frombuffer(note, np.uint8),
        }
        return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def seal_parts(packed: bytes, mark: codec.Stamp) -> list[bytes]:
    """The records of the parts of `Carried.to_bytes`."""
    return [
        codec.seal(codec.SCORER, mark, count=index, body=packed[start : start + PART_BYTES])
        for index, start in enumerate(range(0, len(packed), PART_BYTES))
    ]


def digest_of(packed: bytes) -> str:
    """What a manifest knows the scorer by: its SHA-256, hexadecimal."""
    return hashlib.sha256(packed).hexdigest()


def read_scorer(
    manifest: Manifest, parts: Sequence[bytes], catalogue: Sequence[CatalogueEntry]
) -> LiveModel:
    """The live model whose parts these are, ready for use: milliseconds to some tenths of a second.

    Raises:
        RecordCorrupt: a part is altered or of another release, or what they make is no live model
            of a release with this catalogue.
    """
    mark, packed = codec.stamp(manifest), bytearray()
    for index, part in enumerate(parts):
        if codec.unseal(part, codec.SCORER, expect=mark).count != index:
            raise RecordCorrupt("the parts of a scorer are out of order")
        packed += part[codec.HEADER.size :]
    whole = bytes(packed)
    if len(whole) != manifest.scorer_bytes or digest_of(whole) != manifest.scorer_sha256:
        raise RecordCorrupt("the scorer is not the one its manifest names")
    try:
        return _live_model(load(whole), catalogue)
    except (SafetensorError, ArtefactInvalid, *_MALFORMED) as error:
        raise RecordCorrupt("the scorer does not have the shape of one") from error


def _live_model(
    arrays: Mapping[str, NDArray[Any]], catalogue: Sequence[CatalogueEntry]
) -> LiveModel:
    odd = arrays.keys() - _NAMES
    if odd:
        raise RecordCorrupt("the scorer has arrays that no scorer has")
    note: dict[str, Any] = orjson.loads(take_array(arrays, "note", np.uint8, 1).tobytes())
    places = take_array(arrays, "places", np.int32, 1)
    prepared = quick(unpack_live(arrays))
    half_life, length = note["half_life_days"], int(note["length"])
    weights = {str(name): float(weight) for name, weight in note["weights"].items()}
    now_us = None if note["now_us"] is None else int(note["now_us"])
    if (
        len(places) != prepared.products
        or not len(places)
        or places.min() < -1
        or places.max() >= len(catalogue)
        or length < 1
        or note["reason"] not in REASONS
        or note["saturation"] not in _SATURATIONS
        or not all(math.isfinite(weight) for weight in weights.values())
        or not (half_life is None or 0 < half_life < math.inf)
    ):
        raise RecordCorrupt("the scorer's numbers are impossible")
    return LiveModel(
        quick=prepared,
        reason=note["reason"],
        length=length,
        weighing=Weighing(weights, half_life, note["saturation"], now_us),
        places=places,
        rows={
            catalogue[place].product_id: row
            for row, place in enumerate(places.tolist())
            if place >= 0
        },
    )
