"""A bucket without one of its customers is the bucket that would have been made without them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oferta.errors import RecordCorrupt
from oferta.scoring.reasons import REASONS
from oferta.store import codec
from oferta.store.codec import Stamp
from oferta.store.erasing.removing import list_removed, past_removed, profile_removed
from oferta.store.packing import pack_rows
from oferta.store.pasts import PastColumns, pack_past_buckets, past_dtype
from oferta.store.profile_packing import PackedProfile, pack_profiles
from oferta.store.release import CustomerRow, Suggestion

MARK = Stamp(7, 1_800_000_000.5)

suggestions = st.lists(
    st.builds(
        Suggestion,
        st.integers(0, 8),
        st.sampled_from([0.0, 0.5, 1.0]),
        st.sampled_from(REASONS),
        st.one_of(st.none(), st.integers(0, 8)),
    ),
    max_size=4,
).map(tuple)
rows = st.builds(
    CustomerRow,
    st.one_of(st.none(), st.integers(0, 3)),
    suggestions,
    st.lists(st.integers(0, 8), max_size=3).map(tuple),
    st.booleans(),
)
buckets = st.dictionaries(st.integers(0, 2**64 - 1), rows, min_size=1, max_size=6)


@given(bucket=buckets, products=st.sampled_from([9, 70_000]), data=st.data())
def test_lists(bucket: dict[int, CustomerRow], products: int, data: st.DataObject):
    gone = data.draw(st.sampled_from(sorted(bucket)))
    left = {rest: row for rest, row in bucket.items() if rest != gone}
    record = pack_rows(MARK, bucket, products=products)
    assert list_removed(record, gone) == pack_rows(MARK, left, products=products)
    assert list_removed(pack_rows(MARK, left, products=products), gone) is None


texts = st.binary(max_size=9)


@given(
    people=st.lists(
        st.builds(PackedProfile, st.integers(0, 2**64 - 1), texts, texts, texts),
        min_size=1,
        max_size=6,
        unique_by=lambda one: one.rest,
    ),
    data=st.data(),
)
def test_profiles(people: list[PackedProfile], data: st.DataObject):
    gone = data.draw(st.sampled_from(people))
    left = [one for one in people if one != gone]
    record = pack_profiles(MARK, people, position_bytes=2)
    assert profile_removed(record, gone.rest) == pack_profiles(MARK, left, position_bytes=2)


def past_bucket(people: dict[int, int], columns: tuple[str, ...]) -> bytes:
    """A bucket of customers by their rests, each with so many rows that name the rest."""
    counts = np.array(list(people.values()), np.int64)
    packed = np.zeros(int(counts.sum()), past_dtype(columns, 2))
    packed["amount"] = np.repeat(np.array(list(people), np.uint64) % 97, counts)
    made = PastColumns(
        places=np.zeros(len(people), np.uint32),
        rests=np.array(list(people), np.uint64),
        segments=np.arange(len(people), dtype=np.int32) - 1,
        counts=counts,
        rows=packed,
    )
    (record,) = pack_past_buckets(MARK, made, first=0, last=1, position_bytes=2)
    return record


@given(
    people=st.dictionaries(st.integers(0, 2**64 - 1), st.integers(0, 4), min_size=1, max_size=6),
    columns=st.sampled_from([(), ("had",), ("had", "back", "recency", "time")]),
    data=st.data(),
)
def test_pasts(people: dict[int, int], columns: tuple[str, ...], data: st.DataObject):
    gone = data.draw(st.sampled_from(sorted(people)))
    record = past_removed(past_bucket(people, columns), gone)
    assert record is not None
    left = {rest: count for rest, count in people.items() if rest != gone}
    opened = codec.unseal(record, codec.PAST, expect=MARK)
    assert opened.count == len(left)
    entries = codec.HEADER.size + 8 * len(left)
    rows_at = entries + 6 * len(left)
    found = np.frombuffer(record, past_dtype(columns, 2), offset=rows_at)["amount"]
    expected = np.repeat(np.array(list(left), np.uint64) % 97, list(left.values()))
    assert found.tolist() == expected.tolist()
    ends = np.frombuffer(record, [("segment", "<u2"), ("end", "<u4")], len(left), entries)["end"]
    assert ends.tolist() == np.cumsum(list(left.values())).tolist()


@pytest.mark.parametrize("removed", [list_removed, profile_removed, past_removed])
@given(noise=st.binary(max_size=120), damage=st.integers(0, 60))
def test_bytes_that_are_no_bucket_are_refused(removed, noise: bytes, damage: int):  # noqa: ANN001 - three functions
    record = bytearray(pack_rows(MARK, {5: CustomerRow(None, ())}, products=9))
    record[damage % len(record)] ^= 1
    for data in (noise, bytes(record)):
        with pytest.raises(RecordCorrupt):
            removed(data, 5)
