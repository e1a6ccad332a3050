"""Publishers that are killed, overtaken, or left without an answer."""

from pathlib import Path

import pytest
from publish_worlds import CLOCK, Killed, Meddling, World, killing
from release_worlds import NOON, expected_products

from oferta.errors import FencedOut, PublishRefused, StoreUnavailable
from oferta.store.keys import TAGS
from oferta.store.memory import MemoryStore
from oferta_training import publish as publishing
from oferta_training.publications import Entry, PublicationLog
from oferta_training.publish import Options, Step
from oferta_training.releases import list_releases, rollback


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def meddling(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.store = Meddling(world.space)
    world.publish()
    return world


def test_an_answer_lost_after_the_swap_is_found_out(meddling: World):
    meddling.store.lose_answer = True
    assert meddling.publish().manifest.release == 2
    assert meddling.live() == (2, 1)


def test_a_swap_of_unknown_outcome_removes_nothing(meddling: World):
    """The server may carry it out later: then its rows had better be there."""
    meddling.store.lose_swap = True
    with pytest.raises(StoreUnavailable, match="unknown"):
        meddling.publish()
    assert meddling.store.count(meddling.space.buckets(2, 1)) == TAGS
    meddling.store.lose_swap = False
    assert meddling.publish().removed == (2,)


def test_a_paused_publisher_that_wakes_late_is_fenced_out(world: World):
    world.publish()

    def overtake(step: Step) -> None:
        if step == "swap":
            world.publish()

    with pytest.raises(FencedOut):
        world.publish(options=Options(on_step=overtake))
    assert world.live() == (3, 1)
    assert [each.number for each in list_releases(world.store, world.space, now=NOON)] == [3, 1]
    assert len(world.rows([f"c{index:07d}" for index in range(60)])) == 60


def test_a_publisher_whose_rows_a_faster_one_removed_is_fenced_out_too(world: World):
    def overtake(step: Step) -> None:
        if step == "verify":
            world.publish()

    with pytest.raises(FencedOut):
        world.publish(options=Options(on_step=overtake))
    assert world.live() == (2, None)


def test_a_rollback_that_wakes_after_a_publish_does_not_undo_it(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """Its release is no longer the previous one, and may be gone."""
    world.publish()
    world.publish()
    reserve = world.store.reserve_fence

    def reserve_late(*, above: int = 0) -> int:
        monkeypatch.setattr(world.store, "reserve_fence", reserve)
        with pytest.raises(
            Killed
        ):  # before it cleans up: what it put up for removal is still there
            world.publish(options=Options(on_step=killing("clean up")))
        return reserve(above=above)

    monkeypatch.setattr(world.store, "reserve_fence", reserve_late)
    with pytest.raises(FencedOut):
        rollback(world.store, world.space, reason="r", clock=CLOCK, publications=world.publications)
    assert world.live() == (3, 2)


@pytest.mark.parametrize("step", publishing.STEPS)
def test_killed_at_any_step_the_live_release_is_whole_and_the_next_run_cleans_up(
    world: World, step: Step
):
    world.publish(world.scores(version=1))

    with pytest.raises(Killed):
        world.publish(world.scores(version=2), options=Options(on_step=killing(step)))
    swapped = publishing.STEPS.index(step) > publishing.STEPS.index("swap")
    rows = world.rows([f"c{index:07d}" for index in range(60)])
    version = 2 if swapped else 1
    for index, row in enumerate(rows):
        places = expected_products(index, products=9, top_n=4, version=version)
        assert [item.product for item in row.suggestions] == places
    last = world.publish().manifest.release
    kept = {each.number for each in list_releases(world.store, world.space, now=NOON)}
    assert kept == ({2, last} if swapped else {1, last})
    of_a_release = TAGS + 2 + 1 + 1
    assert len(world.store.records_by_key) == 2 * of_a_release + 1
    fences = [
        entry.fence for _, entry in world.publications.entries() if entry.action != "publishing"
    ]
    assert fences == ([1, 2, last] if swapped else [1, last]), "every swap is on record"


def test_an_emptied_store_never_gives_a_number_out_again(world: World):
    for _ in range(3):
        world.publish()
    world.store = MemoryStore(world.space, CLOCK)
    assert world.publish().manifest.release == 4


def test_a_torn_line_of_the_log_swallows_no_other(tmp_path: Path):
    publications = PublicationLog(tmp_path / "ledger.jsonl", CLOCK)
    publications.append(Entry("published", 1, 1))
    with publications.path.open("ab") as file:
        file.write(b'{"at": "2026-')
    publications.append(Entry("published", 2, 5))
    assert [entry.release for _, entry in publications.entries()] == [1, 2]
    assert publications.last_fence() == 5
    assert publications.knows(5)
    assert not publications.knows(3)


def test_rollback_is_refused_without_a_previous_release_or_without_its_rows(world: World):
    def code() -> str:
        with pytest.raises(PublishRefused) as refused:
            rollback(
                world.store, world.space, reason="r", clock=CLOCK, publications=world.publications
            )
        return refused.value.code

    assert code() == "rollback.none"
    world.publish()
    assert code() == "rollback.none"
    world.publish()
    key = world.space.bucket_at(1, 77, 0)
    row = world.store.records_by_key.pop(key)
    assert code() == "rollback.gone"
    world.store.records_by_key[key] = row
    del world.store.records_by_key[world.space.manifest(1)]
    assert code() == "rollback.gone"
    assert world.live() == (2, 1)
