"""Publishing, rolling back, listing: over the memory store, whose records a test can damage."""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from release_worlds import NOON, SECRET, expected_products, write_scores

from oferta.clock import FixedClock
from oferta.errors import FencedOut, PublishRefused, SourceRefused, StoreUnavailable
from oferta.store import reading
from oferta.store.contract import Capacity, Pointer
from oferta.store.keys import TAGS, KeySpace
from oferta.store.memory import MemoryStore
from oferta.store.reading import Damage
from oferta.store.release import Neighbour
from oferta_training import publish as publishing
from oferta_training import release_checks
from oferta_training.ledger import Entry, Ledger
from oferta_training.publish import Options, Published, Step, publish
from oferta_training.releases import list_releases, rollback
from oferta_training.scores import ScoresFolder

CLOCK = FixedClock(NOON + timedelta(hours=1))


class World:
    """A store, a ledger, and as many scores as a test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.space = KeySpace(SECRET)
        self.store = MemoryStore(self.space, CLOCK)
        self.ledger = Ledger(folder / "ledger.jsonl", CLOCK)
        self.made = 0

    def scores(self, **settings: object) -> ScoresFolder:
        self.made += 1
        settings = {"version": self.made, **settings}
        return write_scores(self.folder / f"scores{self.made}", **settings)

    def publish(
        self, scores: ScoresFolder | None = None, *, options: Options | None = None
    ) -> Published:
        return publish(
            scores or self.scores(),
            self.store,
            self.space,
            clock=CLOCK,
            ledger=self.ledger,
            options=options,
        )

    def refused(self, scores: ScoresFolder, **options: str) -> PublishRefused:
        before = dict(self.store.records_by_key)
        with pytest.raises(PublishRefused) as refused:
            self.publish(scores, options=Options(**options))
        assert self.store.records_by_key == before, "a refused release left something behind"
        return refused.value

    def rows(self, ids: Sequence[str]) -> list[object]:
        async def read() -> list[object]:
            pointer = await self.store.pointer()
            assert pointer is not None
            found = await reading.load_head(
                self.store, self.space, pointer.release, digest=pointer.manifest
            )
            return list(await reading.load_rows(self.store, self.space, found.manifest, ids))

        return asyncio.run(read())

    def live(self) -> tuple[int, int | None] | None:
        pointer = self.store.live()
        return None if pointer is None else (pointer.release, pointer.previous)

    def actions(self) -> list[str]:
        return [entry.action for _, entry in self.ledger.entries()]


class Killed(BaseException):
    """As good as kill -9: nothing of ours catches it."""


def killing(step: Step) -> Callable[[Step], None]:
    """An observer that ends its publisher as `step` begins."""

    def kill(at: Step) -> None:
        if at == step:
            raise Killed

    return kill


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
    done = rollback(world.store, world.space, reason="bad", clock=CLOCK, ledger=world.ledger)
    assert (done.manifest.release, done.replaced, world.live()) == (1, 2, (1, 2))
    changed = {key for key, record in world.store.records_by_key.items() if written[key] != record}
    assert changed == {world.space.pointer()}
    rollback(world.store, world.space, reason="not so bad", clock=CLOCK, ledger=world.ledger)
    assert world.live() == (2, 1)
    assert world.publish().manifest.release == 5, "a rollback uses up a fence"
    assert world.live() == (5, 2)
    assert world.actions()[-4:] == ["rolling back", "rolled back", "publishing", "published"]


def test_rollback_is_refused_without_a_previous_release_or_without_its_rows(world: World):
    def code() -> str:
        with pytest.raises(PublishRefused) as refused:
            rollback(world.store, world.space, reason="r", clock=CLOCK, ledger=world.ledger)
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


def test_a_lost_or_damaged_row_is_told_from_a_stranger(world: World):
    world.publish()
    digest = world.space.digest("c0000001")
    key = world.space.bucket(1, 1, digest)
    record, expiry = world.store.records_by_key[key]
    world.store.records_by_key[key] = (record[:-1] + bytes([record[-1] ^ 4]), expiry)
    assert world.rows(["c0000001", "stranger"]) == [Damage.CORRUPT, None]
    del world.store.records_by_key[key]
    assert world.rows(["c0000001", "stranger"]) == [Damage.MISSING, None]


class Meddling(MemoryStore):
    """A store to which something happens while a publisher works."""

    def __init__(self, space: KeySpace) -> None:
        super().__init__(space, CLOCK)
        self.lose: bytes | None = None
        self.damage: bytes | None = None
        self.room = Capacity("noeviction", 0, None, "7.0.15")
        self.lose_answer = False
        self.lose_swap = False

    def put(self, records: Iterable[tuple[bytes, bytes]], *, ttl_s: int) -> int:
        written = super().put(records, ttl_s=ttl_s)
        if self.lose in self.records_by_key:
            del self.records_by_key[self.lose]
        if self.damage in self.records_by_key:
            record, expiry = self.records_by_key[self.damage]
            self.records_by_key[self.damage] = (record[:40] + b"!" + record[41:], expiry)
        return written

    def capacity(self) -> Capacity:
        return self.room

    def swap(self, pointer: Pointer, *, replacing: int | None = None) -> bool:
        if self.lose_swap:
            raise StoreUnavailable("connection reset")
        swapped = super().swap(pointer, replacing=replacing)
        if self.lose_answer:
            raise StoreUnavailable("connection reset")
        return swapped


@pytest.fixture
def meddling(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.store = Meddling(world.space)
    world.publish()
    return world


def test_a_lost_row_stops_the_swap(meddling: World):
    meddling.store.lose = meddling.space.bucket_at(2, 4095, 0)
    assert meddling.refused(meddling.scores()).code == "rows.missing"
    assert meddling.live() == (1, None)


def test_rows_are_counted_even_where_only_a_sample_is_read_back(
    meddling: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(release_checks, "FULL_VERIFY_CUSTOMERS", 1)
    meddling.publish()
    meddling.store.lose = meddling.space.bucket_at(3, 4095, 0)
    assert meddling.refused(meddling.scores()).code == "rows.missing"


def test_a_damaged_row_stops_the_swap(meddling: World):
    ids = [f"c{index:07d}" for index in range(60)]
    digest = meddling.space.digest(ids[17])
    meddling.store.damage = meddling.space.bucket(2, 1, digest)
    assert meddling.refused(meddling.scores()).code == "rows.corrupt"


def test_a_damaged_head_stops_the_swap(meddling: World):
    meddling.store.damage = meddling.space.head(2, 0)
    assert meddling.refused(meddling.scores()).code == "manifest.differs"


@pytest.mark.parametrize(
    ("room", "code"),
    [
        (Capacity("allkeys-lru", 0, None, "7.0.15"), "store.policy"),
        (Capacity("volatile-ttl", 0, 10**9, "7.0.15"), "store.policy"),
        (Capacity("noeviction", 10**9 - 10**5, 10**9, "7.0.15"), "store.capacity"),
    ],
)
def test_a_store_that_would_lose_rows_is_refused_before_anything_is_written(
    meddling: World, room: Capacity, code: str
):
    meddling.store.room = room
    refused = meddling.refused(meddling.scores())
    assert (refused.code, refused.step) == (code, "pre-flight")
    meddling.store.room = Capacity("noeviction", 0, 10**9, "7.0.15")
    meddling.publish()


def test_too_few_replicas_are_refused(meddling: World):
    with pytest.raises(PublishRefused) as refused:
        meddling.publish(options=Options(replicas=1))
    assert refused.value.code == "store.replicas"


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


def test_scores_of_an_older_dataset_are_refused(world: World):
    world.publish(world.scores(dataset_at=NOON - timedelta(hours=2)))
    older = world.scores(dataset_at=NOON - timedelta(hours=3))
    assert world.refused(older, override="because").code == "skew.catalogue"
    world.publish(world.scores(dataset_at=NOON - timedelta(hours=2)))


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"empty": 0.5}, "quality.empty"),
        ({"same_first": True}, "quality.top_share"),
        ({"customers": 40}, "quality.shrank"),
    ],
)
def test_a_collapse_of_quality_needs_a_persons_reason(
    world: World, settings: dict[str, object], code: str
):
    world.publish()
    refused = world.refused(world.scores(**settings))
    assert (refused.code, refused.step) == (code, "verify")
    done = world.publish(world.scores(**settings), options=Options(override="a smaller campaign"))
    assert done.overridden == (code,)
    (_, entry) = world.ledger.entries()[-1]
    assert entry.reason == f"override of {code}: a smaller campaign"
    assert world.publish(world.scores(**settings)).overridden == (), "what is live is the measure"


@pytest.mark.parametrize(
    "settings",
    [
        {"statuses": {"p004": "hidden"}},
        {"statuses": {"p004": "archived"}},
        {"ends_at": {"p004": NOON}},
        {"held": {"c0000030": ["p003", "p004"]}},  # whose list is p004, p005, p006, p007
    ],
)
def test_a_product_that_policy_excludes_is_never_published(
    world: World, settings: dict[str, object]
):
    refused = world.refused(world.scores(version=1, **settings), override="please")
    assert refused.code == "policy.violated"


def test_held_products_of_others_and_later_ends_are_no_violation(world: World):
    world.publish(
        world.scores(
            version=1,
            held={"c0000030": ["p003", "p008"], "c0000031": ["p005"]},
            ends_at={"p004": NOON + timedelta(seconds=1)},
        )
    )


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
        rollback(world.store, world.space, reason="r", clock=CLOCK, ledger=world.ledger)
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
    fences = [entry.fence for _, entry in world.ledger.entries() if entry.action != "publishing"]
    assert fences == ([1, 2, last] if swapped else [1, last]), "every swap is on record"


def test_an_emptied_store_never_gives_a_number_out_again(world: World):
    for _ in range(3):
        world.publish()
    world.store = MemoryStore(world.space, CLOCK)
    assert world.publish().manifest.release == 4


@pytest.mark.parametrize(
    ("table", "change", "code"),
    [
        ("part-00000.parquet", pl.col("rank") + 1, "scores.order"),
        ("part-00000.parquet", pl.col("customer_id").reverse(), "scores.order"),
        ("part-00000.parquet", pl.lit("c9").alias("customer_id"), "scores.order"),
        ("part-00000.parquet", pl.lit("p9").alias("product_id"), "scores.products"),
        ("part-00000.parquet", pl.lit("p9").alias("because"), "scores.products"),
        ("part-00000.parquet", pl.lit("a whim").alias("reason"), "scores.values"),
        ("part-00000.parquet", pl.lit(float("nan"), pl.Float32).alias("score"), "scores.values"),
        ("part-00000.parquet", pl.lit(float("inf"), pl.Float32).alias("score"), "scores.values"),
        ("customers.parquet", pl.col("customer_id").reverse(), "scores.order"),
        ("customers.parquet", pl.lit("c1").alias("customer_id"), "scores.order"),
        ("products.parquet", pl.lit("p000").alias("product_id"), "scores.products"),
        ("popular.parquet", pl.lit("p9").alias("product_id"), "scores.products"),
        ("similar.parquet", pl.lit("p9").alias("similar_id"), "scores.products"),
    ],
)
def test_scores_that_contradict_themselves_are_refused(
    world: World, table: str, change: pl.Expr, code: str
):
    scores = world.scores()
    file = scores.path / table
    pl.read_parquet(file).with_columns(change).write_parquet(file)
    assert world.refused(scores).code == code


def test_parts_in_another_order_are_refused(world: World):
    scores = world.scores()
    assert world.refused(replace(scores, parts=scores.parts[::-1])).code == "scores.order"


def test_an_unfinished_altered_or_foreign_folder_is_not_read(world: World):
    scores = world.scores()

    def code() -> str:
        with pytest.raises(SourceRefused) as refused:
            ScoresFolder.open(scores.path)
        return refused.value.code

    manifest = (scores.path / "manifest.json").read_bytes()
    part = (scores.path / "part-00001.parquet").read_bytes()
    (scores.path / "part-00001.parquet").write_bytes(part[:-9] + b"x" + part[-8:])
    assert code() == "scores.altered"
    (scores.path / "part-00001.parquet").unlink()
    assert code() == "scores.altered"
    (scores.path / "part-00001.parquet").write_bytes(part)
    ScoresFolder.open(scores.path)
    for text in ("", "[]", "{}", json.dumps({**json.loads(manifest), "parts": ["../x"]})):
        (scores.path / "manifest.json").write_text(text)
        assert code() == "scores.manifest"
    (scores.path / "manifest.json").unlink()
    assert code() == "scores.unfinished"


def test_a_release_without_any_customer_or_list_can_be_published(world: World):
    done = world.publish(world.scores(customers=0))
    assert (done.manifest.customers, done.manifest.empty_share) == (0, 0.0)
    assert world.rows(["anyone"]) == [None]


def test_a_torn_line_of_the_ledger_swallows_no_other(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.jsonl", CLOCK)
    ledger.append(Entry("published", 1, 1))
    with ledger.path.open("ab") as file:
        file.write(b'{"at": "2026-')
    ledger.append(Entry("published", 2, 5))
    assert [entry.release for _, entry in ledger.entries()] == [1, 2]
    assert ledger.last_fence() == 5
    assert ledger.knows(5)
    assert not ledger.knows(3)
