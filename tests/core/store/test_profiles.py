"""Profile records: what comes back is what went in, and nothing but `RecordCorrupt` of damage."""

import asyncio
import math
import struct
from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from release_worlds import NOON, SECRET

from oferta.clock import FixedClock
from oferta.errors import RecordCorrupt
from oferta.scoring.reasons import REASONS
from oferta.store import codec, keys, profile_packing, profiles, reading
from oferta.store.codec import Stamp
from oferta.store.keys import KeySpace
from oferta.store.memory import MemoryStore
from oferta.store.packing import NOTHING
from oferta.store.profile_packing import PackedProfile
from oferta.store.profiles import ProfileRow
from oferta.store.reading import Damage
from oferta.store.release import Manifest

MARK = Stamp(7, 1_780_000_000.25)
FEW, MANY = 300, 70_000  # products: positions of 2 and of 3 bytes
FACTS = ("region", "income", "has_finance", "contract_end", "attr_hobby")
SPACE = KeySpace(SECRET)

Propensity = tuple[int, float, float, int, int | None]
Known = tuple[list[float | str | bool | None], bytes, list[Propensity]]


def packed(rest: int, known: Known, products: int) -> PackedProfile:
    values, evidence, rows = known
    because = [int(NOTHING) if each is None else each for *_, each in rows]
    propensities = profile_packing.pack_propensities(
        np.array([row[0] for row in rows], np.uint32),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[2] for row in rows], np.float32),
        reasons=np.array([row[3] for row in rows], np.uint8),
        because=np.array(because, np.uint32),
        position_bytes=codec.width(products),
    )
    return PackedProfile(
        rest,
        profile_packing.pack_facts(values),
        profile_packing.pack_evidence(evidence),
        propensities.tobytes(),
    )


def bucket_of(customers: dict[int, Known], products: int) -> bytes:
    rows = [packed(rest, known, products) for rest, known in customers.items()]
    return profile_packing.pack_profiles(MARK, rows, position_bytes=codec.width(products))


def read(record: bytes, rest: int, products: int = FEW, mark: Stamp = MARK) -> ProfileRow | None:
    return profiles.profile_row(record, rest, expect=mark, facts=FACTS, products=products)


def told(row: ProfileRow | None) -> Known:
    assert row is not None
    rows = zip(
        row.products.tolist(),
        row.probabilities.tolist(),
        row.scores.tolist(),
        row.reasons.tolist(),
        [None if each < 0 else each for each in row.because.tolist()],
        strict=True,
    )
    return [row.facts.get(name) for name in FACTS], row.evidence, list(rows)


@st.composite
def buckets(draw: st.DrawFn) -> tuple[int, dict[int, Known]]:
    products = draw(st.sampled_from([1, FEW, 65_535, 65_536, MANY]))
    position = st.integers(0, products - 1)
    figure = st.floats(width=32, allow_nan=False)
    propensity = st.tuples(
        position, figure, figure, st.integers(0, len(REASONS) - 1), st.none() | position
    )
    number = st.floats(allow_nan=False, allow_infinity=False)
    # Half of a pair of surrogates is no text: it never gets past the source's decoding.
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
    values = st.tuples(*[st.none() | text | number | st.booleans()] * len(FACTS)).map(list)
    known = st.tuples(values, st.binary(max_size=80), st.lists(propensity, max_size=6))
    rests = st.integers(0, 2**64 - 1)
    return products, draw(st.dictionaries(rests, known, max_size=5))


SAMPLE: dict[int, Known] = {
    11: (
        ["north", 2500.0, True, 20_600.0, None],
        b'{"income":{"value":2500,"source":"crm"}}',
        [(5, 0.125, -1.5, 0, None), (299, 0.5, 2.25, 2, 5)],
    ),
    2**63 + 5: ([None, 1.0, None, None, "chess"], b"{}", []),
}


@given(buckets())
def test_every_customer_of_a_bucket_comes_back(bucket: tuple[int, dict[int, Known]]):
    products, customers = bucket
    record = bucket_of(customers, products)
    assert profiles.profiles_in(record, expect=MARK) == len(customers)
    for rest, known in customers.items():
        assert told(read(record, rest, products)) == known
    for stranger in {0, 2**64 - 1, 12345} - set(customers):
        assert read(record, stranger, products) is None


def test_a_chance_that_is_not_known_stays_unknown():
    record = bucket_of({3: ([], b"", [(1, math.nan, 0.5, 4, None)])}, FEW)
    row = read(record, 3)
    assert row is not None
    assert math.isnan(row.probabilities[0])
    assert row.scores.tolist() == [0.5]


def test_the_record_is_the_one_that_earlier_versions_wrote():
    """Any change of these bytes needs another schema: stored releases would not be readable."""
    columns = [packed(rest, known, FEW) for rest, known in SAMPLE.items()]
    # How well zlib deflates differs by its version: one byte stands for each evidence here.
    fixed = [each._replace(evidence=bytes([number])) for number, each in enumerate(columns)]
    record = profile_packing.pack_profiles(MARK, fixed, position_bytes=2)
    written = (
        b"OFRT" + bytes([1, 5, 2, 0]),  # schema, kind, width
        struct.pack("<QdII", 7, 1_780_000_000.25, 2, 0x7D131D84),  # release, time, count, CRC-32
        struct.pack("<QQ", 11, 2**63 + 5),
        struct.pack("<IIIIII", 29, 30, 56, 84, 85, 85),
        b'["north",2500.0,true,20600.0]' + b"\x00",
        struct.pack("<HffBH", 5, 0.125, -1.5, 0, 0xFFFF),
        struct.pack("<HffBH", 299, 0.5, 2.25, 2, 5),
        b'[null,1.0,null,null,"chess"]' + b"\x01",
    )
    assert record == b"".join(written)


@given(st.data())
def test_any_changed_bit_is_noticed(data: st.DataObject):
    record = bucket_of(SAMPLE, FEW)
    bit = data.draw(st.integers(0, len(record) * 8 - 1))
    damaged = bytearray(record)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(RecordCorrupt):
        read(bytes(damaged), 11)


@given(st.integers(0, 300))
def test_any_truncation_is_noticed(cut: int):
    record = bucket_of(SAMPLE, FEW)
    with pytest.raises(RecordCorrupt):
        read(record[: min(cut, len(record) - 1)], 11)


@settings(max_examples=300)
@given(
    count=st.integers(0, 2**32 - 1) | st.integers(0, 3),
    width=st.sampled_from([0, 2, 3, 255]),
    head=st.sampled_from([b"", (11).to_bytes(8, "little")]),
    body=st.binary(max_size=160),
)
def test_a_right_checksum_over_a_wrong_shape_is_still_corrupt_or_harmless(
    count: int, width: int, head: bytes, body: bytes
):
    record = codec.seal(codec.PROFILE, MARK, count=count, body=head + body, position_bytes=width)
    try:
        row = read(record, 11)
        assert row is None or row.evidence is not None
    except RecordCorrupt:
        return


@pytest.mark.parametrize(
    "ends",
    [(8, 4, 12), (4, 12, 8), (4, 8, 20), (2**32 - 1, 2**32 - 1, 12)],
    ids=["back", "back again", "too far", "wrapped"],
)
def test_entries_that_overlap_are_corrupt(ends: tuple[int, int, int]):
    """With a right checksum and the right size in all: the first of two customers is asked for."""
    rests = struct.pack("<QQ", 11, 12)
    body = rests + struct.pack("<IIIIII", *ends, 16, 16, 16) + bytes(16)
    record = codec.seal(codec.PROFILE, MARK, count=2, body=body, position_bytes=2)
    with pytest.raises(RecordCorrupt, match="overlap"):
        read(record, 11)


def test_evidence_that_would_fill_the_memory_is_refused():
    bomb = packed(1, ([], bytes(1 << 25), []), FEW)
    row = read(profile_packing.pack_profiles(MARK, [bomb], position_bytes=2), 1)
    assert row is not None
    with pytest.raises(RecordCorrupt, match="does not end"):
        row.evidence  # noqa: B018 - a property that reads


def test_a_record_of_another_release_kind_or_catalogue_is_refused():
    record = bucket_of(SAMPLE, FEW)
    others = [
        lambda: read(record, 11, mark=replace(MARK, release=8)),
        lambda: read(record, 11, products=MANY),
        lambda: read(record, 11, products=200),  # position 299
        lambda: codec.customer_row(record, 11, expect=MARK, products=FEW),
        lambda: profiles.profile_row(record, 11, expect=MARK, facts=FACTS[:2], products=FEW),
    ]
    for asked in others:
        with pytest.raises(RecordCorrupt):
            asked()


def test_profiles_are_read_in_one_round_trip_and_damage_is_told_from_strangers():
    manifest = Manifest(
        7, "m/1", "run", 1.0, MARK.created_at, "data", 3, FEW, 1, 0, "check",
        profile_buckets_per_tag=2, profile_facts=FACTS,
    )  # fmt: skip
    ids = ["ann", "bob", "cec", "ann"]
    store = MemoryStore(SPACE, FixedClock(NOON))
    for customer in ("ann", "bob", "cec"):
        digest = SPACE.digest(customer)
        record = bucket_of({keys.rest(digest): ([customer], b"{}", [])}, FEW)
        store.put([(reading.profile_key(SPACE, manifest, digest), record)], ttl_s=60)
    key = reading.profile_key(SPACE, manifest, SPACE.digest("bob"))
    record, expiry = store.records_by_key[key]
    store.records_by_key[key] = (record[:-1] + b"?", expiry)
    asked: list[int] = []

    class Counting(MemoryStore):
        async def fetch(self, keys: list[bytes]) -> list[bytes | None]:
            asked.append(len(keys))
            return await store.fetch(keys)

    reader = Counting(SPACE, FixedClock(NOON))
    found = asyncio.run(reading.load_profiles(reader, SPACE, manifest, [*ids, "dan"]))
    assert asked == [4], "each key once, all at once"
    assert [row.facts["region"] for row in (found[0], found[2], found[3])] == ["ann", "cec", "ann"]
    assert found[1] is Damage.CORRUPT
    assert found[4] is Damage.MISSING, "a bucket that is not there is a loss"
    none = replace(manifest, profile_buckets_per_tag=0)
    assert asyncio.run(reading.load_profiles(reader, SPACE, none, ids)) == [None] * 4
    assert len(asked) == 1, "a release without profiles is not asked for any"


def test_places_agree_for_one_customer_and_for_many():
    ids = [f"c{index}" for index in range(200)]
    digests = SPACE.digests(ids)
    names = list(SPACE.profiles(7, 3))
    for place, customer in zip(keys.places(digests, 3).tolist(), ids, strict=True):
        assert names[place] == SPACE.profile(7, 3, SPACE.digest(customer))
    assert not set(names) & set(SPACE.buckets(7, 3))
    assert list(SPACE.profiles(7, 0)) == []
    digest = SPACE.digest("c1")
    tag = SPACE.bucket(7, 1, digest).split(b"}")[0]
    assert SPACE.profile(7, 3, digest).startswith(tag), "one slot of a cluster holds both"


def test_facts_are_a_list_without_names():
    assert orjson.loads(profile_packing.pack_facts(["a", None, 1.0, None, None])) == [
        "a",
        None,
        1.0,
    ]
    assert profile_packing.pack_facts([]) == b"[]"
