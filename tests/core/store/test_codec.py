"""Records: what comes back is what went in, and nothing but `RecordCorrupt` comes of damage."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oferta.errors import RecordCorrupt
from oferta.scoring.reasons import REASONS
from oferta.store import codec, head, packing
from oferta.store.codec import Stamp
from oferta.store.contract import Pointer
from oferta.store.head import ManifestRecord
from oferta.store.release import (
    CatalogueEntry,
    CustomerRow,
    Head,
    Manifest,
    PopularList,
    Suggestion,
)

MARK = Stamp(7, 1_780_000_000.25)
FEW, MANY = 300, 70_000  # products: positions of 2 and of 3 bytes


@st.composite
def rows(draw: st.DrawFn, products: int) -> CustomerRow:
    position = st.integers(0, products - 1)
    scores = st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False)
    suggestion = st.builds(
        Suggestion, position, scores, st.sampled_from(REASONS), st.none() | position
    )
    return CustomerRow(
        draw(st.none() | st.integers(0, codec.CLOSED - 1)),
        tuple(draw(st.lists(suggestion, max_size=8))),
        tuple(draw(st.lists(position, max_size=4))),
        draw(st.booleans()),
    )


@st.composite
def buckets(draw: st.DrawFn) -> tuple[int, dict[int, CustomerRow]]:
    products = draw(st.sampled_from([1, FEW, 65_535, 65_536, MANY]))
    return products, draw(
        st.dictionaries(st.integers(0, 2**64 - 1), rows(products), min_size=0, max_size=5)
    )


def sample_bucket() -> tuple[bytes, dict[int, CustomerRow]]:
    row = CustomerRow(
        3,
        (Suggestion(5, 0.75, "popular", None), Suggestion(299, 0.5, "often_follows", 5)),
        (7, 8),
        cold=True,
    )
    bucket = {
        11: row,
        2**63 + 5: replace(row, segment=None, suggestions=row.suggestions[:1], held=(), cold=False),
    }
    return packing.pack_rows(MARK, bucket, products=FEW), bucket


@given(buckets())
def test_every_customer_of_a_bucket_comes_back(bucket: tuple[int, dict[int, CustomerRow]]):
    products, customers = bucket
    record = packing.pack_rows(MARK, customers, products=products)
    assert codec.customers_in(record, expect=MARK) == len(customers)
    for rest, row in customers.items():
        found = codec.customer_row(record, rest, expect=MARK, products=products)
        assert found is not None
        assert (found.segment, found.held, found.cold) == (row.segment, row.held, row.cold)
        facts = [(item.product, item.reason, item.because) for item in row.suggestions]
        assert [(item.product, item.reason, item.because) for item in found.suggestions] == facts
        scores = np.array([item.score for item in row.suggestions])
        if len(scores):
            again = np.array([item.score for item in found.suggestions])
            allowed = (scores.max() - scores.min()) / 131_000 + np.abs(scores).max() * 1e-12
            assert np.abs(again - scores).max() <= allowed
    for stranger in {0, 2**64 - 1, 12345} - set(customers):
        assert codec.customer_row(record, stranger, expect=MARK, products=products) is None


def test_scores_keep_their_order():
    scores = np.sort(np.random.default_rng(3).random(200))[::-1] * 1e-3
    row = CustomerRow(
        None, tuple(Suggestion(i, float(score), "popular", None) for i, score in enumerate(scores))
    )
    record = packing.pack_rows(MARK, {1: row}, products=FEW)
    found = codec.customer_row(record, 1, expect=MARK, products=FEW)
    assert found is not None
    again = [item.score for item in found.suggestions]
    assert again == sorted(again, reverse=True)
    assert len(set(again)) > 150


def test_a_limit_decodes_no_more_than_asked():
    record, bucket = sample_bucket()
    found = codec.customer_row(record, 11, expect=MARK, products=FEW, limit=1)
    assert found == replace(bucket[11], suggestions=bucket[11].suggestions[:1])


def test_a_hash_that_lies_across_two_neighbours_is_nobodys():
    """The search is bytewise: a match must start at a customer, not inside one."""
    row = CustomerRow(None, (), ())
    record = packing.pack_rows(MARK, {0x0102030405060708: row, 0x1112131415161718: row}, products=5)
    across = int.from_bytes(
        (0x0102030405060708).to_bytes(8, "little")[4:]
        + (0x1112131415161718).to_bytes(8, "little")[:4],
        "little",
    )
    assert codec.customer_row(record, across, expect=MARK, products=5) is None
    assert codec.customer_row(record, 0x1112131415161718, expect=MARK, products=5) == row


@given(st.data())
def test_any_changed_bit_is_noticed(data: st.DataObject):
    record, _ = sample_bucket()
    bit = data.draw(st.integers(0, len(record) * 8 - 1))
    damaged = bytearray(record)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(RecordCorrupt):
        codec.customer_row(bytes(damaged), 11, expect=MARK, products=FEW)


@given(st.data())
def test_any_truncation_is_noticed(data: st.DataObject):
    record, _ = sample_bucket()
    cut = data.draw(st.integers(0, len(record) - 1))
    with pytest.raises(RecordCorrupt):
        codec.customer_row(record[:cut], 11, expect=MARK, products=FEW)


READERS = {
    "bucket": lambda record: codec.customer_row(record, 11, expect=MARK, products=FEW),
    "similar": lambda record: codec.neighbours(record, expect=MARK, products=FEW),
    "manifest": head.read_manifest,
    "pointer": head.read_pointer,
    "head": lambda record: head.read_head(sample_head()[0], [record]),
}


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=200))
def test_random_bytes_are_never_a_record(reader: str, record: bytes):
    with pytest.raises(RecordCorrupt):
        READERS[reader](record)


@settings(max_examples=300)
@given(
    kind=st.sampled_from([codec.BUCKET, codec.SIMILAR, codec.MANIFEST, codec.HEAD]),
    count=st.integers(0, 2**32 - 1) | st.integers(0, 3),
    width=st.sampled_from([0, 2, 3, 255]),
    body=st.binary(max_size=160),
)
def test_a_right_checksum_over_a_wrong_shape_is_still_corrupt_or_harmless(
    kind: int, count: int, width: int, body: bytes
):
    """Whoever could write such a record: a reader gets an answer or `RecordCorrupt`."""
    record = codec.seal(kind, MARK, count=count, body=body, position_bytes=width)
    for reader in READERS.values():
        try:
            reader(record)
        except RecordCorrupt:
            continue


def test_a_record_of_another_release_kind_schema_or_catalogue_is_refused():
    record, _ = sample_bucket()
    others = [
        lambda: codec.customer_row(record, 11, expect=replace(MARK, release=8), products=FEW),
        lambda: codec.customer_row(record, 11, expect=replace(MARK, created_at=1.0), products=FEW),
        lambda: codec.customer_row(record, 11, expect=MARK, products=MANY),
        lambda: codec.customer_row(record, 11, expect=MARK, products=200),  # position 299
        lambda: codec.neighbours(record, expect=MARK, products=FEW),
    ]
    for read in others:
        with pytest.raises(RecordCorrupt):
            read()


def test_similar_products_come_back():
    records = list(
        packing.pack_similar(
            MARK,
            np.array([4, 2, 69_999], np.uint32),
            np.array([0.5, 0.25, 9.0], np.float32),
            counts=np.array([2, 0, 1]),
            position_bytes=codec.width(MANY),
        )
    )
    found = [codec.neighbours(record, expect=MARK, products=MANY) for record in records]
    assert [[(near.product, near.score) for near in each] for each in found] == [
        [(4, 0.5), (2, 0.25)],
        [],
        [(69_999, 9.0)],
    ]


def sample_head(
    products: int = 4, name: str = "Gold card"
) -> tuple[ManifestRecord, Head, list[bytes]]:
    manifest = Manifest(7, "m/1", "run", 1.0, MARK.created_at, "data", 3, products, 1, 0, "check")
    catalogue = tuple(
        CatalogueEntry(
            f"p{at}", f"{name[at:]} {at}", None, 100, None, 2_000_000_000, "active", at != 2
        )
        for at in range(products)
    )
    popular = PopularList(None, (Suggestion(1, 2.5, "popular", None),))
    segment = PopularList("new", (Suggestion(0, 1.5, "popular_in_segment", None),))
    whole = Head(manifest, catalogue, popular, (segment,))
    parts, size, digest = head.pack_head(whole)
    return ManifestRecord(manifest, 1, 10, len(parts), size, digest), whole, parts


def test_a_head_comes_back():
    record, whole, parts = sample_head()
    assert head.read_head(record, parts) == whole
    assert head.read_manifest(head.manifest_record(record)) == record


def test_a_large_head_is_split_and_its_parts_cannot_be_mixed_up():
    letters = np.random.default_rng(5).integers(97, 123, 500_000).astype(np.uint8).tobytes()
    record, whole, parts = sample_head(9, letters.decode())
    assert len(parts) > 1, "the sample is too small to be split"
    assert max(map(len, parts)) <= head.PART_BYTES + codec.HEADER.size
    assert head.read_head(record, parts) == whole
    for wrong in (parts[:-1], parts[::-1], [*parts, parts[0]], []):
        with pytest.raises(RecordCorrupt):
            head.read_head(record, wrong)


@given(st.data())
def test_a_damaged_manifest_or_head_is_noticed(data: st.DataObject):
    record, _, (part,) = sample_head()
    manifest = head.manifest_record(record)
    for whole, read in ((manifest, head.read_manifest), (part, READERS["head"])):
        bit = data.draw(st.integers(0, len(whole) * 8 - 1))
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RecordCorrupt):
            read(bytes(damaged))


@given(
    st.builds(
        Pointer,
        st.integers(0, 2**53),
        st.none() | st.integers(0, 2**53),
        st.integers(0, 2**53),
        st.integers(0, 4_000_000_000_000_000).map(lambda us: us / 1e6),
        st.text("0123456789abcdef", min_size=64, max_size=64),
    )
)
def test_a_pointer_comes_back(pointer: Pointer):
    assert head.read_pointer(head.pointer_text(pointer, pointer.previous)) == pointer


def test_who_refused_personalisation_has_a_row_that_says_so_and_nothing_else() -> None:
    rows = {
        7: CustomerRow(None, (), closed=True),
        9: CustomerRow(None, (Suggestion(1, 0.5, "popular", None),), held=(2,)),
        11: CustomerRow(3, (), cold=True),
    }
    record = packing.pack_rows(MARK, rows, products=10)
    for number, row in rows.items():
        assert codec.customer_row(record, number, expect=MARK, products=10) == row
