"""What a release carries to follow events: written, verified, counted, removed with the rest."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from publish_worlds import CLOCK, Meddling, World
from release_worlds import NOON, neighbours
from trained_shop import Shop

from oferta.errors import PublishRefused, RecordCorrupt, ReleaseMissing
from oferta.profile.recent import RecentEvent
from oferta.scoring.live_model import NO_PAST, LiveModel, Past
from oferta.scoring.topk import ProductMask
from oferta.store import codec, head, reading
from oferta.store.pasts import pasts_in
from oferta.store.reading import Damage
from oferta.store.reading_live import load_pasts, load_scorer_parts, scorer_of
from oferta.store.release import Head
from oferta_training.live_part import SCORER
from oferta_training.publish import Options
from oferta_training.release_checks import estimated_bytes
from oferta_training.releases import Announcement, rollback
from oferta_training.scores import MANIFEST, ScoresFolder

PASTS = {"c0000003": {"p001": 1.0, "p004": 3.0}, "c0000041": {"p000": 2.0}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def scores(world: World, **said: object) -> ScoresFolder:
    return world.scores(**{"live": neighbours(9), "pasts": PASTS, **said})


async def loaded(world: World) -> tuple[Head, LiveModel]:
    pointer = await world.store.pointer()
    found = await reading.load_head(world.store, world.space, pointer.release)
    parts = await load_scorer_parts(world.store, world.space, found.manifest)
    return found, scorer_of(found, parts)


async def pasts(world: World, *ids: str) -> list[Past | Damage | None]:
    found, model = await loaded(world)
    digests = [world.space.digest(one) for one in ids]
    return await load_pasts(
        world.store, world.space, found.manifest, digests, products=model.quick.products
    )


def test_scorer_and_pasts_come_out_as_they_were_scored(world: World):
    covered = ("3-1", *[""] * 15)
    world.publish(scores(world, covered=covered))
    found, model = asyncio.run(loaded(world))
    manifest = found.manifest
    assert (manifest.scorer, manifest.past_buckets_per_tag, manifest.past_columns) == (
        "neighbours", 1, (),
    )  # fmt: skip
    assert manifest.covered == covered
    assert manifest.data_until == (NOON.timestamp() - 3 * 3600)
    assert model.rows["p004"] == 4
    assert model.length == 4
    first, second, nobody, stranger = asyncio.run(
        pasts(world, "c0000003", "c0000041", "c0000004", "somebody")
    )
    assert isinstance(first, Past)
    assert first.amounts.product.tolist() == [1, 4]
    assert first.amounts.amount.tolist() == [1.0, 3.0]
    assert second.amounts.amount.tolist() == [2.0]
    assert nobody.amounts.product.tolist() == []
    assert stranger is None
    event = RecentEvent((1, 0), "purchase", "p007", NOON.timestamp(), None, None, {})
    histories, changed = model.pasts([first, NO_PAST], [[event], []])
    assert histories.product.tolist() == [1, 4, 7]
    assert changed.tolist() == [True, False]
    np.testing.assert_allclose(histories.weight, [1, 2, 1])


def test_a_scorer_that_hears_nothing_needs_no_pasts(world: World):
    deaf = replace(
        neighbours(9),
        indptr=np.zeros(10, np.int64),
        neighbour=np.zeros(0, np.int32),
        weight=np.zeros(0, np.float32),
    )
    world.publish(scores(world, live=deaf))
    found, _ = asyncio.run(loaded(world))
    assert found.manifest.past_buckets_per_tag == 0
    assert found.manifest.scorer_parts == 1


def test_no_live_leaves_it_out(world: World):
    world.publish(scores(world), options=Options(live=False))
    found = asyncio.run(reading.load_head(world.store, world.space, 1))
    assert (found.manifest.scorer, found.manifest.scorer_parts) == ("", 0)
    assert found.manifest.data_until
    assert not any(b"}:o:" in key or b"}:v:" in key for key in world.store.records_by_key)


def test_what_a_release_carries_is_removed_with_it(world: World):
    for _ in range(3):
        world.publish(scores(world))
    kept = {key.split(b":")[2] for key in world.store.records_by_key if b"}:v:" in key}
    assert kept == {b"2", b"3"}
    kept = {key.split(b":")[3] for key in world.store.records_by_key if b"}:o:" in key}
    assert kept == {b"2", b"3"}


def test_a_refused_release_leaves_no_pasts_behind(world: World):
    world.refused(scores(world, same_first=True, empty=0.5))


@pytest.mark.parametrize("what", ["lose", "damage"])
def test_pasts_that_are_not_there_or_altered_are_not_published(world: World, what: str):
    world.store = Meddling(world.space)
    setattr(world.store, what, world.space.past(1, 1, world.space.digest("c0000003")))
    with pytest.raises(PublishRefused) as refused:
        world.publish(scores(world))
    assert refused.value.code == ("rows.missing" if what == "lose" else "rows.corrupt")


def test_pasts_in_each_others_place_are_not_published(world: World):
    world.store = Meddling(world.space)
    names = [world.space.past(1, 1, world.space.digest(one)) for one in ("c0000003", "stranger")]
    world.store.exchange = names[0], names[1]
    with pytest.raises(PublishRefused, match="customers instead of"):
        world.publish(scores(world))


def test_an_altered_scorer_is_not_published(world: World):
    world.store = Meddling(world.space)
    world.store.damage = world.space.scorer(1, 0)
    with pytest.raises(PublishRefused, match="reads back altered"):
        world.publish(scores(world))


def test_a_release_that_lost_its_scorer_is_not_rolled_back_to(world: World):
    world.publish(scores(world))
    world.publish(scores(world))
    del world.store.records_by_key[world.space.scorer(1, 0)]
    with pytest.raises(PublishRefused, match="1 rows of release 1 are gone"):
        rollback(world.store, world.space, reason="x", clock=CLOCK, publications=world.publications)


def test_a_scorer_of_another_release_or_altered_is_refused(world: World):
    world.publish(scores(world))
    found, _ = asyncio.run(loaded(world))
    parts = asyncio.run(load_scorer_parts(world.store, world.space, found.manifest))
    later = Head(replace(found.manifest, release=2), found.catalogue, found.popular, ())
    with pytest.raises(RecordCorrupt):
        scorer_of(later, parts)
    with pytest.raises(RecordCorrupt):
        scorer_of(found, [parts[0][:-1] + b"!"])
    del world.store.records_by_key[world.space.scorer(1, 0)]
    with pytest.raises(ReleaseMissing):
        asyncio.run(loaded(world))


def test_the_check_of_the_stores_memory_knows_of_pasts(world: World):
    many = {f"c{at:07d}": {f"p{n:03d}": 1.0 for n in range(9)} for at in range(3000)}
    rich = scores(world, customers=3000, pasts=many)
    world.publish(rich)
    used = sum(len(record) for record, _ in world.store.records_by_key.values())
    used += len(world.store.records_by_key) * 150
    assert estimated_bytes(rich) == pytest.approx(used, rel=0.05)
    assert estimated_bytes(rich) > 1.2 * estimated_bytes(rich, live=False)


def test_a_release_of_before_there_were_pasts_is_read_and_removed(world: World):
    """Its manifest and its announcement lack the fields."""
    world.publish()
    record, _ = world.store.records_by_key[world.space.manifest(1)]
    fields = json.loads(record[codec.HEADER.size :])
    for name in ("scorer", "scorer_parts", "past_buckets_per_tag", "covered", "data_until"):
        del fields["manifest"][name]
    mark = codec.unseal(record, codec.MANIFEST).stamp
    old = codec.seal(codec.MANIFEST, mark, count=1, body=json.dumps(fields).encode())
    manifest = head.read_manifest(old).manifest
    assert (manifest.scorer, manifest.covered, manifest.data_until) == ("", (), 0.0)
    note = json.loads(world.store.announced()[1])
    del note["scorer_parts"], note["pasts_per_tag"]
    Announcement.from_bytes(json.dumps(note).encode()).remove(world.store, world.space, 1)
    assert not world.store.announced()


@pytest.mark.parametrize("fault", ["stranger", "order", "product"])
def test_pasts_that_are_not_those_of_the_customers_are_refused(world: World, fault: str):
    made = scores(world)
    file = made.path / "live" / "part-00000.parquet"
    frame = pl.read_parquet(file)
    if fault == "stranger":
        frame = frame.with_columns(pl.col("customer_id") + "x")
    elif fault == "order":
        frame = frame.reverse()
    else:
        frame = frame.with_columns(pl.col("product") + 5)
    frame.write_parquet(file)
    assert world.refused(made).code == ("scores.products" if fault == "product" else "scores.order")


def test_the_live_part_is_held_against_its_hashes(world: World):
    made = scores(world)
    (made.path / SCORER).write_bytes(b"another")
    with pytest.raises(Exception, match="is not the file that the manifest names"):
        ScoresFolder.open(made.path)


def test_a_manifest_whose_live_part_lies_elsewhere_is_refused(world: World):
    made = scores(world)
    file = made.path / MANIFEST
    fields = json.loads(file.read_text())
    fields["live"]["parts"][0] = "live/../../secrets"
    file.write_text(json.dumps(fields))
    with pytest.raises(Exception, match="is not a manifest of scores"):
        ScoresFolder.open(made.path)


def test_buckets_hold_who_they_should(world: World):
    world.publish(scores(world))
    mark = codec.stamp(asyncio.run(loaded(world))[0].manifest)
    records = world.store.records(list(world.space.pasts(1, 1)))
    assert sum(pasts_in(each, expect=mark) for each in records) == 60


def test_who_refused_personalisation_has_no_past_in_a_release(world: World):
    made = scores(world)
    file = made.path / "customers.parquet"
    frame = pl.read_parquet(file)
    said = pl.when(pl.col("customer_id") == "c0000003").then(statement=False)
    frame.with_columns(said.alias("personalisation")).write_parquet(file)
    world.publish(made)
    refused, other = asyncio.run(pasts(world, "c0000003", "c0000041"))
    assert isinstance(refused, Past)
    assert not len(refused.amounts.product)
    assert len(other.amounts.product)


def test_a_trained_models_release_makes_its_own_lists_of_its_own_pasts(world: World, shop: Shop):
    """What training scored is what serving would score of the past that the release carries."""
    world.publish(shop.scores)
    found, model = asyncio.run(loaded(world))
    ids = shop.scores.customer_rows()["customer_id"].to_list()
    known = asyncio.run(pasts(world, *ids))
    rows = world.rows(ids)
    at = shop.scores.created_at.timestamp()
    sold = np.array([found.catalogue[place].offerable(at) for place in model.places.tolist()])
    compared = 0
    for past, row in zip(known, rows, strict=True):
        assert isinstance(past, Past)
        if not len(past.amounts.product):
            continue
        histories, _ = model.pasts([past], [[]])
        barred = np.flatnonzero(np.isin(model.places, row.held)).astype(np.int32)
        mask = ProductMask(sold, np.array([0, len(barred)]), barred)
        best, because = model.lists(histories, mask)
        listed = [
            (model.places[product], -1 if named < 0 else model.places[named])
            for product, named in zip(best.products[0], because[0], strict=True)
            if product >= 0
        ]
        assert listed == [
            (one.product, -1 if one.because is None else one.because) for one in row.suggestions
        ]
        compared += 1
    assert compared > 50
    assert found.manifest.scorer == model.quick.kind
