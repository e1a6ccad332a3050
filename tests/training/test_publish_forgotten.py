"""Whoever is forgotten while a release is made is in none of its rows when it goes live."""

import asyncio
from collections.abc import Collection
from pathlib import Path

import pytest
from publish_worlds import World
from release_worlds import expected_products

from oferta.errors import PublishRefused
from oferta.privacy.score_rows import ScoreRows, erase_from_scores
from oferta.store.reading import load_head, load_profiles
from oferta_training.forgotten import scores_without
from oferta_training.publish import Options, Step
from oferta_training.scores import ScoresFolder

GONE, STAYS = "c0000007", "c0000008"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def profile_of(world: World, customer_id: str) -> object:
    async def read() -> object:
        pointer = await world.store.pointer()
        assert pointer is not None
        head = await load_head(world.store, world.space, pointer.release)
        (row,) = await load_profiles(world.store, world.space, head.manifest, [customer_id])
        return row

    return asyncio.run(read())


@pytest.mark.parametrize("step", ["pre-flight", "write rows", "verify"])
def test_forgotten_at_any_step_before_the_swap_they_have_no_row(world: World, step: Step):
    forgotten: list[str] = []

    def ask_to_be(at: Step) -> None:
        if at == step:
            forgotten.append(GONE)

    def among(customer_ids: Collection[str]) -> list[str]:
        return [one for one in forgotten if one in customer_ids]

    options = Options(on_step=ask_to_be, forgotten=among)
    world.publish(world.scores(profiles=True), options=options)
    gone, stays = world.rows([GONE, STAYS])
    assert gone is None
    assert profile_of(world, GONE) is None
    assert profile_of(world, STAYS) is not None
    chosen = expected_products(8, products=9, top_n=4, version=1)
    assert [one.product for one in stays.suggestions] == chosen


def test_scores_that_waited_are_published_without_them_and_stay_whole(world: World):
    scores = world.scores(profiles=True)
    left = scores_without(scores, lambda ids: [one for one in ids if one == GONE])
    assert left.customers == scores.customers - 1
    assert left.suggestions == scores.suggestions - 3
    assert ScoresFolder.open(scores.path) == left
    assert GONE.encode() not in b"".join(
        path.read_bytes() for path in scores.path.rglob("*") if path.is_file()
    )
    world.publish(left)
    assert world.rows([GONE]) == [None]


def test_scores_are_as_old_as_they_were(world: World):
    scores = world.scores()
    manifest = scores.path / "manifest.json"
    before = manifest.stat().st_mtime_ns
    assert erase_from_scores(scores.path, GONE) == 1 + 3
    assert manifest.stat().st_mtime_ns == before
    assert erase_from_scores(scores.path, GONE) == 0


def test_a_release_whose_rows_cannot_be_read_does_not_go_live(world: World):
    options = Options(forgotten=lambda _ids: [GONE])

    def damage(at: Step) -> None:
        if at == "verify":
            release = max(world.store.announced())
            key = world.space.bucket(release, 1, world.space.digest(GONE))
            record, expiry = world.store.records_by_key[key]
            world.store.records_by_key[key] = (record[:-1] + b"!", expiry)

    with pytest.raises(PublishRefused) as refused:
        world.publish(options=Options(on_step=damage, forgotten=options.forgotten))
    assert refused.value.code == "rows.corrupt"


def test_scores_tell_everybody_in_them(tmp_path: Path):
    world = World(tmp_path)
    world.folder = tmp_path / "scores"
    scores = world.scores(customers=5)
    assert ScoreRows(tmp_path).customers() == set(scores.customer_rows()["customer_id"])
