"""The scorer and the pasts of a release as bytes: round trips, and what is refused."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from oferta.errors import RecordCorrupt
from oferta.interactions.amounts import UNDATED, Amounts
from oferta.scoring.fold_in import FoldIn
from oferta.scoring.fresh import Weighing
from oferta.scoring.live import EmbeddingScorer, NeighbourScorer
from oferta.scoring.live_model import Past
from oferta.store import codec, keys
from oferta.store.codec import Stamp
from oferta.store.pasts import (
    COLUMNS,
    PastColumns,
    capped,
    columns_for,
    pack_past_buckets,
    pack_rows,
    past_dtype,
    past_row,
    pasts_in,
)
from oferta.store.release import CatalogueEntry, Manifest
from oferta.store.scorer import Carried, digest_of, read_scorer, seal_parts

MARK = Stamp(7, 1_780_000_000.0)
WIDTH = 30
CATALOGUE = [
    CatalogueEntry(f"p{at}", None, None, None, None, None, "active", repeatable=True)
    for at in range(9)
]
rng = np.random.default_rng(5)


def amounts(customers: int, *, products: int = WIDTH) -> Amounts:
    counts = rng.integers(0, min(products, 12), customers)
    size = int(counts.sum())
    had = rng.random(size) + 0.5
    return Amounts(
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        product=np.concatenate(
            [np.sort(rng.choice(products, count, replace=False)) for count in counts]
        ).astype(np.int32),
        amount=(had * 0.5).astype(np.float32).astype(np.float64),
        had=had.astype(np.float32).astype(np.float64),
        back=np.where(rng.random(size) < 0.2, -0.25, 0.0),
        recency=rng.integers(0, 90_000, size).astype(np.int32),
        time_us=np.where(rng.random(size) < 0.1, UNDATED, rng.integers(0, 2**50, size)),
    )


def packed(
    past: Amounts, columns: tuple[str, ...], *, products: int
) -> tuple[list[bytes], dict[int, int]]:
    """Buckets of four, and where each customer went."""
    width = codec.width(products)
    places = (np.arange(len(past)) // 4).astype(np.uint32)
    rests = rng.permutation(len(past)).astype(np.uint64) * 1000
    columns_ = PastColumns(
        places=places,
        rests=rests,
        segments=(np.arange(len(past)) % 3 - 1).astype(np.int32),
        counts=np.diff(past.indptr),
        rows=pack_rows(past, columns, position_bytes=width),
    )
    last = int(places[-1]) + 2
    records = list(pack_past_buckets(MARK, columns_, first=0, last=last, position_bytes=width))
    return records, {int(rest): at for at, rest in enumerate(rests)}


@pytest.mark.parametrize("products", [WIDTH, 70_000])
@pytest.mark.parametrize("columns", [(), ("had", "back"), tuple(COLUMNS)], ids=str)
def test_a_past_comes_back_as_it_was(products: int, columns: tuple[str, ...]) -> None:
    past = amounts(21, products=products)
    records, owners = packed(past, columns, products=products)
    assert [pasts_in(each, expect=MARK) for each in records] == [4, 4, 4, 4, 4, 1, 0]
    for rest, at in owners.items():
        found = past_row(records[at // 4], rest, expect=MARK, columns=columns, products=products)
        assert found is not None
        assert found.segment == at % 3 - 1
        wanted = past.take(np.array([at]))
        np.testing.assert_array_equal(found.amounts.product, wanted.product)
        np.testing.assert_array_equal(found.amounts.amount, wanted.amount)
        had = wanted.had if "had" in columns else wanted.amount
        np.testing.assert_array_equal(found.amounts.had, had)
        np.testing.assert_array_equal(found.amounts.back, wanted.back * ("back" in columns))
        if "time" in columns:
            np.testing.assert_array_equal(found.amounts.time_us, wanted.time_us)
            np.testing.assert_array_equal(found.amounts.recency, np.minimum(wanted.recency, 65_535))
    assert past_row(records[0], 12_345, expect=MARK, columns=columns, products=products) is None
    assert past_row(records[-1], 0, expect=MARK, columns=columns, products=products) is None


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_no_past(at: int, bit: int) -> None:
    (record, *_), owners = packed(amounts(4), (), products=WIDTH)
    damaged = bytearray(record)
    damaged[at % len(record)] ^= 1 << bit
    with pytest.raises(RecordCorrupt):
        past_row(bytes(damaged), next(iter(owners)), expect=MARK, columns=(), products=WIDTH)


@given(
    body=st.binary(max_size=200),
    count=st.integers(0, 5),
    columns=st.sets(st.sampled_from(sorted(COLUMNS))),
)
def test_sealed_nonsense_is_no_past(body: bytes, count: int, columns: set[str]) -> None:
    """Checksums are right, and nothing but `RecordCorrupt` may come of it."""
    record = codec.seal(codec.PAST, MARK, count=count, body=body, position_bytes=2)
    for rest in (0, int.from_bytes(body[:8], "little")):
        try:
            found = past_row(record, rest, expect=MARK, columns=columns, products=WIDTH)
        except RecordCorrupt:
            continue
        assert found is None or found.amounts.product.max(initial=0) < WIDTH


def test_entries_that_overlap_are_no_pasts() -> None:
    """Two customers, of whom the first claims more rows than there are, the second a negative."""
    rests = (1).to_bytes(8, "little") + (2).to_bytes(8, "little")
    entries = struct.pack("<HIHI", 0, 3, 0, 2)
    rows = np.zeros(2, past_dtype((), 2)).tobytes()
    record = codec.seal(codec.PAST, MARK, count=2, body=rests + entries + rows, position_bytes=2)
    for rest in (1, 2):
        with pytest.raises(RecordCorrupt, match="overlap"):
            past_row(record, rest, expect=MARK, columns=(), products=WIDTH)


def test_a_past_of_another_release_or_catalogue_is_refused() -> None:
    (record, *_), owners = packed(amounts(4), (), products=WIDTH)
    rest = next(iter(owners))
    with pytest.raises(RecordCorrupt, match="release 7 where release 8"):
        past_row(record, rest, expect=Stamp(8, MARK.created_at), columns=(), products=WIDTH)
    with pytest.raises(RecordCorrupt, match="positions of 2 bytes"):
        past_row(record, rest, expect=MARK, columns=(), products=70_000)


def test_long_pasts_keep_what_is_newest_or_what_there_is_most_of() -> None:
    past = Amounts(
        indptr=np.array([0, 1, 5]),
        product=np.array([9, 1, 2, 3, 4], np.int32),
        amount=np.array([1.0, 4, 3, 1, 2]),
        had=np.array([1.0, 4, 3, 1, 2]),
        back=np.zeros(5),
        recency=np.array([0, 3, 2, 0, 1], np.int32),
        time_us=np.zeros(5, np.int64),
    )
    assert capped(past, ordered=True, limit=2).product.tolist() == [9, 3, 4]
    assert capped(past, ordered=False, limit=2).product.tolist() == [9, 1, 2]
    assert capped(past, ordered=False, limit=4) is past


def test_a_release_keeps_only_what_its_scorer_asks() -> None:
    past = amounts(6)
    assert columns_for(past, fades=True, ordered=True) == tuple(COLUMNS)
    without = replace(past, back=np.zeros_like(past.back))
    assert columns_for(without, fades=False, ordered=False) == ()


def neighbours() -> NeighbourScorer:
    return NeighbourScorer(
        indptr=np.array([0, 2, 2, 3]),
        neighbour=np.array([1, 2, 0], np.int32),
        weight=np.array([0.5, 0.25, 1.0], np.float32),
        base=rng.random((2, 3)).astype(np.float32),
        step_decay=0.5,
        binary=False,
    )


def embedding() -> EmbeddingScorer:
    products = rng.random((3, 4)).astype(np.float32)
    return EmbeddingScorer(
        products, rng.random((2, 4)).astype(np.float32), FoldIn(np.eye(4, dtype=np.float32), 2.0)
    )


def carried(scorer: NeighbourScorer | EmbeddingScorer, **said: object) -> Carried:
    weighing = Weighing({"view": 0.1, "return": -1.0}, 30.0, "log", 1_700_000_000_000_000)
    fields = {"places": np.array([8, -1, 0], np.int32), "length": 20, "weighing": weighing}
    return Carried(scorer, "bought_together", **{**fields, **said})  # type: ignore[arg-type]  # of any kind


def manifest(whole: bytes) -> Manifest:
    return Manifest(
        7, "m/1", "r", 0.0, MARK.created_at, "d", 4, len(CATALOGUE), 1, 0, "",
        scorer="neighbours",
        scorer_parts=len(seal_parts(whole, MARK)),
        scorer_bytes=len(whole),
        scorer_sha256=digest_of(whole),
    )  # fmt: skip


@pytest.mark.parametrize("scorer", [neighbours(), embedding()], ids=["neighbours", "embedding"])
def test_a_scorer_comes_back_as_it_was(
    scorer: NeighbourScorer | EmbeddingScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oferta.store.scorer.PART_BYTES", 100)
    one = carried(scorer)
    whole = one.to_bytes()
    parts = seal_parts(whole, MARK)
    assert len(parts) > 3
    model = read_scorer(manifest(whole), parts, CATALOGUE)
    assert type(model.quick.scorer) is type(scorer)
    assert (model.reason, model.length) == ("bought_together", 20)
    assert model.weighing.weights == one.weighing.weights
    assert (model.weighing.half_life_days, model.weighing.now_us) == (30.0, 1_700_000_000_000_000)
    assert model.rows == {"p8": 0, "p0": 2}
    past = Amounts(*(np.array(v) for v in ([0, 1], [0], [1.0], [1.0], [0.0], [0], [0])))
    histories, _ = model.pasts([Past(past, -1)], [[]])
    np.testing.assert_allclose(model.quick.score(histories), scorer.score(histories))
    for wrong in (parts[::-1], parts[:-1], [*parts, parts[0]]):
        with pytest.raises(RecordCorrupt):
            read_scorer(manifest(whole), wrong, CATALOGUE)


@pytest.mark.parametrize(
    "said",
    [
        {"places": np.array([9, 0, 1], np.int32)},
        {"places": np.array([0, 1], np.int32)},
        {"places": np.array([-2, 0, 1], np.int32)},
        {"reason": "because I say so"},
        {"length": 0},
        {"weighing": Weighing({}, -1.0, "log", None)},
        {"weighing": Weighing({}, None, "much", None)},  # type: ignore[arg-type]  # the fault
    ],
    ids=str,
)
def test_an_impossible_scorer_is_refused(said: dict[str, object]) -> None:
    whole = replace(carried(neighbours()), **said).to_bytes()  # type: ignore[arg-type]  # of any kind
    with pytest.raises(RecordCorrupt):
        read_scorer(manifest(whole), seal_parts(whole, MARK), CATALOGUE)


@pytest.mark.parametrize(
    "meddled",
    [
        {"weird": np.zeros(3, np.float32)},
        {"weight": np.zeros(3, np.float64)},
        {"neighbour": np.array([1, 2, 3], np.int32)},
        {"note": np.zeros(3, np.uint8)},
        {"note": np.frombuffer(b"[]", np.uint8)},
    ],
    ids=str,
)
def test_arrays_that_are_none_of_a_scorer_are_refused(meddled: dict[str, np.ndarray]) -> None:
    whole = save({**load(carried(neighbours()).to_bytes()), **meddled})
    with pytest.raises(RecordCorrupt):
        read_scorer(manifest(whole), seal_parts(whole, MARK), CATALOGUE)


def test_a_scorer_sealed_for_the_release_but_not_named_by_its_manifest_is_refused() -> None:
    whole, another = (carried(neighbours(), length=length).to_bytes() for length in (20, 30))
    assert len(whole) == len(another)
    with pytest.raises(RecordCorrupt, match="not the one its manifest names"):
        read_scorer(manifest(whole), seal_parts(another, MARK), CATALOGUE)


def test_bytes_that_are_no_arrays_are_refused() -> None:
    for whole in (b"", b"\x00" * 8, b"\xff" * 64, carried(neighbours()).to_bytes()[:-3]):
        with pytest.raises(RecordCorrupt):
            read_scorer(manifest(whole), seal_parts(whole, MARK), CATALOGUE)


def test_as_many_share_a_key_as_of_profiles() -> None:
    assert keys.past_buckets_per_tag(1_000_000) == keys.profile_buckets_per_tag(1_000_000)
