"""What is fuzzed: every decoder and parser that meets bytes from outside, and what it may raise.

A record carries a checksum, and a fuzzer does not find one by chance: each record here is sealed
anew around the fuzzer's bytes, so that what lies behind the checksum is what is tried.
"""

import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from oferta.clock import SystemClock
from oferta.decisions.record import unpack_record
from oferta.errors import InvalidId, OfertaError, RecordCorrupt
from oferta.events.event import decode_event
from oferta.events.ingest import IngestOptions, ingest
from oferta.policy.state import decode_state
from oferta.privacy.consents import decode_consents
from oferta.profile.recent import decode_recent
from oferta.progress import Silent
from oferta.rules.invalid import RuleInvalid
from oferta.rules.kinds import Kind
from oferta.rules.language import parse
from oferta.rules.program import Program
from oferta.store import codec, head, profiles
from oferta.store.codec import Stamp
from oferta.store.decision_records import open_bundle, open_decision
from oferta_serving.problems import RequestRefused
from oferta_serving.strict import json_object, path_id, query_values

MARK = Stamp(7, 1_780_000_000.25)
PRODUCTS = 300
_FACTS = ("income", "region", "vulnerable")
_COLUMNS: dict[str, Kind] = {"income": "number", "region": "text", "vulnerable": "boolean"}


@dataclass(frozen=True)
class Target:
    """One decoder: called with any bytes, it returns or raises one of `allowed`."""

    call: Callable[[bytes], object]
    allowed: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...] = (b"",)


def attempt(target: Target, data: bytes) -> None:
    """Whatever is not allowed is the finding."""
    try:
        target.call(data)
    except target.allowed:
        return


def _sealed(kind: int, data: bytes) -> bytes:
    count = data[0] if data else 0
    return codec.seal(
        kind, MARK, count=count, body=data[2:], position_bytes=data[1] if data[1:] else 0
    )


def _row(data: bytes) -> None:
    row = codec.customer_row(
        _sealed(codec.BUCKET, data),
        int.from_bytes(data[2:10], "little"),
        expect=MARK,
        products=PRODUCTS,
    )
    if row is not None:
        assert all(0 <= item.product < PRODUCTS for item in row.suggestions)
        assert all(0 <= product < PRODUCTS for product in row.held)


def _profile(data: bytes) -> None:
    row = profiles.profile_row(
        _sealed(codec.PROFILE, data),
        int.from_bytes(data[2:10], "little"),
        expect=MARK,
        facts=_FACTS,
        products=PRODUCTS,
    )
    if row is not None:
        assert row.evidence is not None


def _similar(data: bytes) -> None:
    near = codec.neighbours(_sealed(codec.SIMILAR, data), expect=MARK, products=PRODUCTS)
    assert all(0 <= one.product < PRODUCTS for one in near)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _rule(data: bytes) -> None:
    expression = parse(_text(data), _COLUMNS, wanted=None)
    Program([expression])({"income": 1.0, "region": "north", "vulnerable": None})


def _query(data: bytes) -> None:
    query_values(data, frozenset({"n", "offset"}))


def _csv(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        (source / "events.csv").write_bytes(data)
        ingest(
            source,
            Path(folder) / "out",
            options=IngestOptions(),
            clock=SystemClock(),
            progress=Silent(),
        )


TARGETS: dict[str, Target] = {
    "record": Target(partial(codec.unseal, kind=codec.BUCKET), (RecordCorrupt,)),
    "row": Target(_row, (RecordCorrupt,)),
    "similar": Target(_similar, (RecordCorrupt,)),
    "profile": Target(_profile, (RecordCorrupt,)),
    "pointer": Target(head.read_pointer, (RecordCorrupt,), (b"1 7 - 7 1780000000 00 00",)),
    "manifest": Target(
        lambda data: head.read_manifest(_sealed(codec.MANIFEST, b"\1\0" + data)), (RecordCorrupt,)
    ),
    "state": Target(decode_state, (RecordCorrupt,), (b"[1,[],[],[],null]",)),
    "decision": Target(open_decision, (RecordCorrupt,)),
    "decision-record": Target(
        lambda data: unpack_record(zlib.compress(data)), (RecordCorrupt,), (b"{}",)
    ),
    "bundle": Target(open_bundle, (RecordCorrupt,)),
    "event": Target(decode_event, (RecordCorrupt,), (b'{"id":"a","type":"view","at":1.0}',)),
    "recent": Target(decode_recent, (RecordCorrupt,), (b"[1,[1,0],null,[]]",)),
    "consents": Target(decode_consents, (RecordCorrupt,), (b'[1,false,{"marketing":true}]',)),
    "json": Target(json_object, (RequestRefused,), (b'{"n": 5, "a": [1, {"b": null}]}',)),
    "path": Target(lambda data: path_id(data.decode("latin-1")), (RequestRefused, InvalidId)),
    "query": Target(_query, (RequestRefused,), (b"n=5&offset=2",)),
    "rule": Target(_rule, (RuleInvalid,), (b"income > 5 AND region = 'north'",)),
    "csv": Target(
        _csv,
        (OfertaError,),
        (b"customer_id,product_id,event_type,timestamp\na,b,purchase,2026-01-01T00:00:00Z\n",),
    ),
}
"""By name. `csv` goes through files, the others take microseconds."""
