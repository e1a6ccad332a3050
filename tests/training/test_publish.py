"""Publishing, rolling back, listing: over the memory store."""

import asyncio
from pathlib import Path

import pytest
from publish_worlds import CLOCK, World
from release_worlds import NOON, expected_products

from oferta.store import reading
from oferta.store.keys import TAGS
from oferta.store.reading import Damage
from oferta.store.release import Neighbour
from oferta_training.releases import list_releases, rollback


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_every_customer_gets_back_what_was_scored(world: World):
    scores = world.scores(held={"c0000003": ["p001", "p999", "p002"], "c0000007": ["p008"]})
    done = world.publish(scores)
    assert (done.manifest.customers, done.manifest.products, done.manifest.similar) == (60, 9, 2)
    ids = [f"c{index:07d}" for index in range(60)]
    wanted = {
        key[0]: part.sort("rank")
        for key, part in scores.lists().collect().partition_by("customer_id", as_dict=True).items()
    }
    for index, row in enumerate(world.rows(ids)):
        frame = wanted[ids[index]]
        places = expected_products(index, products=9, top_n=4, version=1)
        assert [item.product for item in row.suggestions] == places
        assert [item.reason for item in row.suggestions] == frame["reason"].to_list()
        because = [None if name is None else int(name[1:]) for name in frame["because"]]
        assert [item.because for item in row.suggestions] == because
        assert [item.score for item in row.suggestions] == pytest.approx(
            frame["score"].to_list(), abs=2e-5
        )
        assert row.segment == (1, 0, None)[index % 3]  # old, new, none; segments are in order
        assert row.cold == (index % 5 == 0)
    assert world.rows(["c0000003", "c0000007", "c0000008"])[0].held == (1, 2), "p999 is no product"
    assert world.rows(["stranger"]) == [None]


def test_a_release_holds_the_ranks_that_the_job_publishes_however_many_were_scored(world: World):
    """Small catalogues are scored whole: for exports, not for Redis."""
    scores = world.scores(products=40, top_n=40, release_n=4)
    assert scores.suggestions == 30 * (40 + 39)
    done = world.publish(scores)
    for index, row in enumerate(world.rows([f"c{index:07d}" for index in range(60)])):
        places = expected_products(index, products=40, top_n=40, version=1)
        assert [item.product for item in row.suggestions] == places[:4]
        assert row.suggestions[0].score == pytest.approx(2, abs=2e-5)
        assert row.suggestions[3].score == pytest.approx(1.25, abs=2e-5)
    small = world.publish(world.scores(products=40, top_n=4, customers=60))
    assert abs(done.row_bytes - small.row_bytes) <= 30 * 7, "a suggestion more for every second"


def test_head_and_similar_products_are_published(world: World):
    world.publish(world.scores(statuses={"p008": "hidden"}, top_n=1, products=9, customers=1))

    async def read() -> None:
        head = await reading.load_head(world.store, world.space, 1)
        assert [entry.product_id for entry in head.catalogue] == [f"p{at:03d}" for at in range(9)]
        assert (head.catalogue[8].status, head.catalogue[3].name) == ("hidden", "Product p003")
        assert [item.product for item in head.popular.suggestions] == [0, 2]
        assert [(each.segment, len(each.suggestions)) for each in head.segments] == [("old", 1)]
        similar = await reading.load_similar(world.store, world.space, head.manifest, 0)
        assert similar == (Neighbour(1, pytest.approx(0.9)), Neighbour(3, pytest.approx(0.3)))
        assert await reading.load_similar(world.store, world.space, head.manifest, 5) is None

    asyncio.run(read())


def test_the_previous_release_is_kept_and_older_ones_are_removed(world: World):
    assert [world.publish().removed for _ in range(4)] == [(), (), (1,), (2,)]
    assert world.live() == (4, 3)
    states = [
        (each.number, each.state) for each in list_releases(world.store, world.space, now=NOON)
    ]
    assert states == [(4, "live"), (3, "previous")]
    of_a_release = TAGS + 2 + 1 + 1  # buckets, similar rows, head, manifest
    assert len(world.store.records_by_key) == 2 * of_a_release + 1  # and the pointer


def test_publishing_the_same_scores_again_is_a_new_release(world: World):
    scores = world.scores()
    assert [world.publish(scores).manifest.release for _ in range(2)] == [1, 2]


def test_rollback_needs_no_rewrite_and_can_be_undone(world: World):
    world.publish()
    world.publish()
    written = dict(world.store.records_by_key)
    done = rollback(
        world.store, world.space, reason="bad", clock=CLOCK, publications=world.publications
    )
    assert (done.manifest.release, done.replaced, world.live()) == (1, 2, (1, 2))
    changed = {key for key, record in world.store.records_by_key.items() if written[key] != record}
    assert changed == {world.space.pointer()}
    rollback(
        world.store, world.space, reason="not so bad", clock=CLOCK, publications=world.publications
    )
    assert world.live() == (2, 1)
    assert world.publish().manifest.release == 5, "a rollback uses up a fence"
    assert world.live() == (5, 2)
    assert world.actions()[-4:] == ["rolling back", "rolled back", "publishing", "published"]


def test_a_lost_or_damaged_row_is_told_from_a_stranger(world: World):
    world.publish()
    digest = world.space.digest("c0000001")
    key = world.space.bucket(1, 1, digest)
    record, expiry = world.store.records_by_key[key]
    world.store.records_by_key[key] = (record[:-1] + bytes([record[-1] ^ 4]), expiry)
    assert world.rows(["c0000001", "stranger"]) == [Damage.CORRUPT, None]
    del world.store.records_by_key[key]
    assert world.rows(["c0000001", "stranger"]) == [Damage.MISSING, None]
