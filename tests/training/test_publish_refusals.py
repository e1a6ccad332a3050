"""What stops a publish before anything of it goes live."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from publish_worlds import Meddling, World
from release_worlds import NOON

from oferta.errors import PublishRefused, SourceRefused
from oferta.store.contract import Capacity
from oferta_training import release_checks
from oferta_training.publish import Options
from oferta_training.scores import ScoresFolder


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


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


def test_a_damaged_similar_row_stops_the_swap(meddling: World):
    meddling.store.damage = meddling.space.similar(2, 4)
    assert meddling.refused(meddling.scores()).code == "rows.corrupt"


def test_a_similar_row_of_another_product_stops_the_swap(meddling: World):
    """Intact, and of this release: only what it holds is wrong."""
    meddling.store.exchange = meddling.space.similar(2, 4), meddling.space.similar(2, 0)
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


def test_scores_of_an_older_dataset_are_refused(world: World):
    world.publish(world.scores(dataset_at=NOON - timedelta(hours=2)))
    older = world.scores(dataset_at=NOON - timedelta(hours=3))
    refused = world.refused(older)
    assert (refused.code, refused.step) == ("skew.catalogue", "pre-flight")
    assert "`oferta rollback --reason" in str(refused), "a command that can be typed as it is"
    assert world.actions()[-1] == "published", "nothing of it was written"
    world.publish(world.scores(dataset_at=NOON - timedelta(hours=2)))


def test_a_person_may_publish_an_older_dataset_with_a_reason(world: World):
    world.publish(world.scores(dataset_at=NOON - timedelta(hours=2)))
    older = world.scores(dataset_at=NOON - timedelta(hours=3), empty=0.5)
    done = world.publish(older, options=Options(override="the new file was wrong"))
    assert done.overridden == ("skew.catalogue", "quality.empty")
    (_, entry) = world.publications.entries()[-1]
    assert entry.reason == "override of skew.catalogue, quality.empty: the new file was wrong"


def test_datasets_of_different_models_have_no_order(world: World):
    """The grocer's demo may follow a newer insurance file: neither is older than the other."""
    world.publish(world.scores(dataset_at=NOON - timedelta(hours=2)))
    other = world.scores(name="grocer", dataset_at=NOON - timedelta(hours=3))
    assert world.publish(other).overridden == ()


@pytest.mark.parametrize(
    ("settings", "code"), [({"empty": 0.5}, "quality.empty"), ({"customers": 0}, "quality.nobody")]
)
def test_the_first_release_has_limits_too(world: World, settings: dict[str, object], code: str):
    assert world.refused(world.scores(**settings)).code == code
    done = world.publish(world.scores(**settings), options=Options(override="a trial"))
    assert done.overridden == (code,)


def test_the_first_release_is_compared_with_nothing(world: World):
    assert world.publish(world.scores(same_first=True)).overridden == ()


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
    (_, entry) = world.publications.entries()[-1]
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
    done = world.publish(world.scores(customers=0), options=Options(override="a trial"))
    assert (done.manifest.customers, done.manifest.empty_share) == (0, 0.0)
    assert world.rows(["anyone"]) == [None]
