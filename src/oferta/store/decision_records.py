"""States, decisions and bundles as records: sealed like those of a release, with a checksum each.

The header of a state is its mark: it carries the state's version and the checksum of all its bytes,
so two states with one mark are one state. A script compares it without reading the rest.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from oferta.errors import RecordCorrupt
from oferta.store import codec
from oferta.store.codec import Stamp
from oferta.store.decisions import NO_MARK

STATE: Final = 16
DECISION: Final = 17
BUNDLE: Final = 18

_MAX_PLAIN: Final = 1 << 26  # bytes once inflated: a record that claims more is none of ours


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as it is stored.

    Attributes:
        at: epoch seconds.
        bundle: version of the bundle of files that it was made with.
        notes: what else its answer said, by name.
        record: all that a replay needs, as `oferta.decisions.record` packs it.
    """

    at: float
    bundle: str
    notes: Mapping[str, str]
    record: bytes


def seal_state(state: bytes, *, version: int, at: float) -> bytes:
    """The record of a customer's state of this version, made at the instant `at`."""
    return codec.seal(STATE, Stamp(version, at), count=1, body=state)


def mark_of(record: bytes | None) -> bytes:
    """What a stored state is known by; that of no state, where there is none."""
    return NO_MARK if record is None else record[: codec.HEADER.size]


def open_state(record: bytes) -> bytes:
    """The state in its record.

    Raises:
        RecordCorrupt: it is no intact state.
    """
    codec.unseal(record, STATE)
    return record[codec.HEADER.size :]


def seal_decision(decision: StoredDecision, *, release: int) -> bytes:
    """The record of a decision that was made with this release."""
    about = orjson.dumps({"bundle": decision.bundle, "notes": dict(decision.notes)})
    body = len(about).to_bytes(4, "little") + about + decision.record
    return codec.seal(DECISION, Stamp(release, decision.at), count=1, body=body)


def open_decision(record: bytes) -> StoredDecision:
    """The decision in its record.

    Raises:
        RecordCorrupt: it is no intact decision.
    """
    opened = codec.unseal(record, DECISION)
    about_at = codec.HEADER.size + 4
    record_at = about_at + int.from_bytes(record[about_at - 4 : about_at], "little")
    try:
        about = orjson.loads(record[about_at:record_at])
        bundle, notes = about["bundle"], about["notes"]
        said = {str(name): str(value) for name, value in notes.items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise RecordCorrupt("a decision does not say what it was made with") from error
    return StoredDecision(opened.stamp.created_at, str(bundle), said, record[record_at:])


def seal_bundle(files: Mapping[str, str], *, at: float) -> bytes:
    """The record of files by their names: policy, catalogue and rate cards as they were."""
    body = zlib.compress(orjson.dumps(dict(files), option=orjson.OPT_SORT_KEYS))
    return codec.seal(BUNDLE, Stamp(0, at), count=len(files), body=body)


def open_bundle(record: bytes) -> dict[str, str]:
    """The files of a bundle by their names.

    Raises:
        RecordCorrupt: it is no intact bundle.
    """
    opened = codec.unseal(record, BUNDLE)
    try:
        files = orjson.loads(_inflated(record))
    except orjson.JSONDecodeError as error:
        raise RecordCorrupt("a bundle is not JSON") from error
    if not isinstance(files, dict) or len(files) != opened.count:
        raise RecordCorrupt("a bundle has not the files that its header counts")
    return {str(name): str(text) for name, text in files.items()}


def _inflated(record: bytes) -> bytes:
    reader = zlib.decompressobj()
    try:
        plain = reader.decompress(record[codec.HEADER.size :], _MAX_PLAIN)
    except zlib.error as error:
        raise RecordCorrupt("a record cannot be inflated") from error
    if not reader.eof:
        raise RecordCorrupt("a record does not end")
    return plain
