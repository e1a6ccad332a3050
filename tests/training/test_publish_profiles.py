"""Profiles in releases: every customer's comes back, and what holds for lists holds for them."""

import asyncio
import hashlib
import json
import math
import zlib
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
from publish_worlds import CLOCK, Killed, Meddling, World, killing
from release_worlds import (
    NOON,
    chance_of,
    expected_evidence,
    expected_facts,
    expected_products,
)

from oferta.errors import PublishRefused, RecordCorrupt
from oferta.store import codec, head, keys, reading
from oferta.store.head import ManifestRecord
from oferta.store.profiles import ProfileRow
from oferta.store.release import Head
from oferta_training import release_profiles
from oferta_training.commands.publish import summary
from oferta_training.publish import Options
from oferta_training.release_checks import estimated_bytes
from oferta_training.releases import list_releases, rollback
from oferta_training.scores import MANIFEST, ScoresFolder

IDS = [f"c{index:07d}" for index in range(60)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def meddling(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.store = Meddling(world.space)
    world.publish(world.scores(profiles=True))
    return world


def read(world: World, ids: list[str]) -> tuple[Head, list[object]]:
    async def ask() -> tuple[Head, list[object]]:
        pointer = await world.store.pointer()
        assert pointer is not None
        found = await reading.load_head(world.store, world.space, pointer.release)
        rows = await reading.load_profiles(world.store, world.space, found.manifest, ids)
        return found, list(rows)

    return asyncio.run(ask())


def profile_keys(world: World, release: int) -> set[bytes]:
    found = set(world.space.profiles(release, 1))
    assert len(found) == keys.TAGS
    return found & set(world.store.records_by_key)


@pytest.mark.parametrize("per_file", [release_profiles._PER_FILE, 7])
def test_every_customer_gets_back_their_profile(
    world: World, monkeypatch: pytest.MonkeyPatch, per_file: int
):
    """However many files they waited in; with the whole list, of which four are published."""
    monkeypatch.setattr(release_profiles, "_PER_FILE", per_file)
    done = world.publish(world.scores(profiles=True, products=30, top_n=30, release_n=4))
    assert done.profiles == 60
    found, rows = read(world, [*IDS, "stranger"])
    assert found.manifest.profile_facts[-1] == "attr_hobby"
    assert (found.manifest.profile_at, found.manifest.profile_zone) == (NOON.timestamp(), "UTC")
    assert [entry.base_rate for entry in found.catalogue[:3]] == [0.5, 0.25, 0.5 / 3]
    assert rows.pop() is None
    for index, row in enumerate(rows):
        assert isinstance(row, ProfileRow)
        assert row.facts == expected_facts(index, version=1)
        assert row.evidence.decode() == expected_evidence(index, version=1)
        wanted = expected_products(index, products=30, top_n=30, version=1)
        assert row.products.tolist() == wanted
        assert row.scores.tolist() == pytest.approx(
            [1 + 1 / (1 + rank) for rank in range(len(wanted))]
        )
        if index % 5:
            chances = [chance_of(index, rank) for rank in range(len(wanted))]
            assert row.probabilities.tolist() == pytest.approx(chances)
        else:
            assert all(map(math.isnan, row.probabilities.tolist())), (
                "of a cold customer there are none"
            )
        assert row.reasons.tolist() == [index % 7] * len(wanted)
        assert row.because.tolist() == [-1, *((at + 1) % 30 for at in wanted[1:])]
    assert list(world.folder.glob("*")) == [world.folder / "scores1", world.folder / "ledger.jsonl"]


def test_customers_without_a_list_have_a_profile(world: World):
    world.publish(world.scores(profiles=True, empty=0.25))
    _, rows = read(world, IDS)
    assert all(isinstance(row, ProfileRow) for row in rows)
    assert [len(row.products) for row in rows[14:17]] == [0, 3, 4]


def test_scores_without_profiles_make_a_release_without(world: World):
    done = world.publish()
    assert (done.profiles, done.manifest.profile_buckets_per_tag) == (0, 0)
    found, rows = read(world, IDS)
    assert rows == [None] * 60
    assert found.catalogue[0].base_rate is None
    assert not profile_keys(world, 1)
    assert "profiles" not in summary(done)


def test_the_command_says_how_many_profiles_are_live(world: World):
    done = world.publish(world.scores(profiles=True))
    assert "60 customers, 9 products, model model/1, 60 profiles, " in summary(done)


def test_profiles_come_and_go_with_their_release(world: World):
    for _ in range(3):
        world.publish(world.scores(profiles=True))
    assert [len(profile_keys(world, release)) for release in (1, 2, 3)] == [0, keys.TAGS, keys.TAGS]
    expiries = {world.store.records_by_key[key][1] for key in profile_keys(world, 3)}
    assert expiries == {CLOCK.now().timestamp() + 14 * 86_400}
    (live, previous) = list_releases(world.store, world.space, now=NOON)
    assert live.row_bytes == previous.row_bytes
    assert live.row_bytes is not None
    written = sum(len(world.store.records_by_key[key][0]) for key in profile_keys(world, 3))
    assert written < live.row_bytes < written + 10**6


def test_profiles_of_a_killed_publisher_are_removed_by_the_next_one(world: World):
    with pytest.raises(Killed):
        world.publish(
            world.scores(profiles=True), options=Options(on_step=killing("write manifest"))
        )
    assert profile_keys(world, 1)
    assert world.publish().removed == (1,)
    assert not profile_keys(world, 1)


def test_a_refused_release_leaves_no_profile_behind(meddling: World):
    assert meddling.refused(meddling.scores(profiles=True, empty=0.9)).code == "quality.empty"
    assert not profile_keys(meddling, 2)


def test_a_lost_profile_stops_the_swap(meddling: World):
    meddling.store.lose = meddling.space.profile_at(2, 4095, 0)
    assert meddling.refused(meddling.scores(profiles=True)).code == "rows.missing"
    assert meddling.live() == (1, None)


def test_a_damaged_profile_stops_the_swap(meddling: World):
    meddling.store.damage = meddling.space.profile(2, 1, meddling.space.digest(IDS[17]))
    assert meddling.refused(meddling.scores(profiles=True)).code == "rows.corrupt"


def test_profiles_of_others_in_a_bucket_stop_the_swap(meddling: World):
    """Intact, and of this release: only whom it holds is wrong."""
    own = meddling.space.profile(2, 1, meddling.space.digest(IDS[17]))
    empty = next(
        key
        for key in meddling.space.profiles(1, 1)
        if codec.unseal(meddling.store.records_by_key[key][0], codec.PROFILE).count == 0
    )
    meddling.store.exchange = own, empty.replace(b":p:1:", b":p:2:")
    assert meddling.refused(meddling.scores(profiles=True)).code == "rows.corrupt"


def test_a_release_that_lost_a_profile_does_not_come_back(meddling: World):
    meddling.publish(meddling.scores(profiles=True))
    del meddling.store.records_by_key[meddling.space.profile_at(1, 77, 0)]
    with pytest.raises(PublishRefused, match="1 rows of release 1 are gone"):
        rollback(
            meddling.store,
            meddling.space,
            reason="?",
            clock=CLOCK,
            publications=meddling.publications,
        )


@pytest.mark.parametrize("fault", ["order", "fewer", "more", "others"])
def test_wide_rows_that_are_not_of_their_lists_are_refused(world: World, fault: str):
    scores = world.scores(profiles=True)
    file = scores.path / "base" / "part-00001.parquet"
    rows = pl.read_parquet(file)
    altered = {
        "order": rows.reverse(),
        "fewer": rows.head(-1),
        "more": pl.concat([rows, rows.tail(1)]),
        "others": rows.with_columns(pl.col("customer_id") + "x"),
    }[fault]
    altered.write_parquet(file)
    assert world.refused(scores).code == "scores.order"


def test_customers_who_are_left_without_a_profile_stop_the_release(world: World):
    scores = world.scores(profiles=True)
    spool = release_profiles.ProfileSpool(
        scores,
        pl.Series(IDS),
        per_tag=1,
        places=np.zeros(60, np.uint32),
        rests=np.arange(60).astype(np.uint64),
        products=9,
    )
    with closing(spool), pytest.raises(PublishRefused, match="fewer customers"):
        spool.finish()


def test_wide_rows_are_held_against_their_hashes(world: World):
    scores = world.scores(profiles=True)
    file = scores.path / "base" / "part-00002.parquet"
    pl.read_parquet(file).with_columns(pl.lit(9.0).alias("income")).write_parquet(file)
    with pytest.raises(Exception, match="is not the file that the manifest names"):
        ScoresFolder.open(scores.path)


def test_a_manifest_that_names_parts_elsewhere_is_refused(world: World):
    scores = world.scores(profiles=True)
    file = scores.path / MANIFEST
    fields = json.loads(file.read_text())
    fields["base"]["parts"][0] = "base/../../secrets"
    file.write_text(json.dumps(fields))
    with pytest.raises(Exception, match="is not a manifest of scores"):
        ScoresFolder.open(scores.path)


def test_the_check_of_the_stores_memory_knows_of_profiles(world: World):
    plain, rich = world.scores(customers=3000), world.scores(customers=3000, profiles=True)
    done = world.publish(rich)
    used = sum(len(record) for record, _ in world.store.records_by_key.values())
    overhead = len(world.store.records_by_key) * 150
    assert estimated_bytes(rich) == pytest.approx(used + overhead, rel=0.05)
    assert estimated_bytes(rich) > 1.4 * estimated_bytes(plain)
    assert done.row_bytes < estimated_bytes(rich)


def test_a_release_of_before_there_were_profiles_is_read_and_removed(world: World):
    """Its manifest, its catalogue and its announcement lack the fields."""
    world.publish()
    record, _ = world.store.records_by_key[world.space.manifest(1)]
    (part,) = world.store.records([world.space.head(1, 0)])
    assert part is not None
    plain = orjson.loads(zlib.decompress(part[codec.HEADER.size :]))
    plain["catalogue"] = [entry[:8] for entry in plain["catalogue"]]
    old_head = orjson.dumps(plain)
    fields = asdict(head.read_manifest(record))
    fields |= {"head_bytes": len(old_head), "head_sha256": hashlib.sha256(old_head).hexdigest()}
    fields["manifest"] = {
        name: value for name, value in fields["manifest"].items() if not name.startswith("profile_")
    }
    mark = codec.unseal(record, codec.MANIFEST).stamp
    old = codec.seal(codec.MANIFEST, mark, count=1, body=orjson.dumps(fields))
    found = head.read_manifest(old)
    assert found.manifest.profile_buckets_per_tag == 0
    (entry, *_) = head.read_head(
        found, [codec.seal(codec.HEAD, mark, count=0, body=zlib.compress(old_head))]
    ).catalogue
    assert (entry.product_id, entry.base_rate) == ("p000", None)
    note = orjson.loads(world.store.announced()[1])
    del note["profiles_per_tag"]
    world.store.announce(1, orjson.dumps(note))
    world.publish()
    assert world.publish().removed == (1,)
    assert world.space.manifest(1) not in world.store.records_by_key


def test_a_negative_number_of_buckets_is_no_manifest():
    manifest = head.Manifest(
        7, "m/1", "run", 1.0, 2.0, "data", 3, 1, 1, 0, "check", profile_buckets_per_tag=-1
    )
    with pytest.raises(RecordCorrupt):
        head.read_manifest(head.manifest_record(ManifestRecord(manifest, 0, 0, 0, 0, "")))
