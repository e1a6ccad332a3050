"""Scores under the state folder: whole while others are made, found again for what they are of."""

import fcntl
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from release_worlds import write_scores
from trained_shop import NOW, Shop
from typer.testing import CliRunner

from oferta.clock import FixedClock
from oferta.models.saved import load
from oferta.progress import Silent
from oferta_training import registry
from oferta_training.batch import Scoring, score_everyone
from oferta_training.cli import app
from oferta_training.score import newest_scores, score, scores_for
from oferta_training.scores import ScoresFolder


@pytest.fixture
def home(shop: Shop, tmp_path: Path) -> Path:
    """A state folder of its own for tests that add scores."""
    copied = tmp_path / "home"
    shutil.copytree(shop.home, copied)
    shutil.rmtree(copied / "scores")
    return copied


def make(home: Path) -> ScoresFolder:
    return score(home, model="shop", dataset=None, clock=FixedClock(NOW), progress=Silent())


def kept(home: Path) -> set[str]:
    return {folder.name for folder in (home / "scores").iterdir()}


def test_scoring_again_leaves_the_scores_that_are_there_alone(home: Path) -> None:
    """At the same instant even: a reader of the first goes on reading."""
    first = make(home)
    before = {file.name: file.stat().st_mtime_ns for file in first.path.iterdir()}
    second = make(home)
    assert second.path != first.path
    assert {file.name: file.stat().st_mtime_ns for file in first.path.iterdir()} == before
    assert ScoresFolder.open(second.path) == second
    assert newest_scores(home) == second.path


def test_scoring_that_fails_leaves_nothing_behind(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(home)

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail)
    with pytest.raises(OSError, match="no space"):
        make(home)
    assert kept(home) == {first.path.name}
    assert newest_scores(home) == first.path


def test_drafts_of_dead_runs_are_no_scores_and_are_removed_and_those_of_live_runs_are_not(
    home: Path,
) -> None:
    first = make(home)
    for name in (".draft-dead", ".draft-live"):
        shutil.copytree(first.path, home / "scores" / name)
    assert newest_scores(home) == first.path, "the drafts are whole but for their names"
    live = os.open(home / "scores" / ".draft-live", os.O_RDONLY)
    try:
        fcntl.flock(live, fcntl.LOCK_EX)
        second = make(home)
        assert kept(home) == {first.path.name, second.path.name, ".draft-live"}
    finally:
        os.close(live)


def test_the_newest_three_of_every_model_are_kept(home: Path) -> None:
    other = write_scores(home / "scores" / "other", name="other")
    made = [make(home).path.name for _ in range(4)]
    assert kept(home) == {other.path.name, *made[1:]}


def test_scores_are_used_again_only_for_the_version_and_dataset_they_are_of(
    home: Path, shop: Shop
) -> None:
    def wanted() -> ScoresFolder:
        return scores_for(
            home, model="shop", dataset=None, clock=FixedClock(NOW), progress=Silent()
        )

    scores, fingerprint = home / "scores", shop.dataset.fingerprint
    others = [
        write_scores(scores / "a", name="other", dataset=fingerprint),
        write_scores(scores / "b", name="shop", version=99, dataset=fingerprint),
        write_scores(scores / "c", name="shop", version=1, dataset="another"),
    ]
    first = wanted()
    assert first.path not in {each.path for each in others}
    assert (first.model, first.dataset) == ("shop/1", fingerprint)
    write_scores(scores / "d", name="other", dataset=fingerprint)
    assert wanted().path == first.path, "however new the others are"
    (first.path / "similar.parquet").write_bytes(b"damaged")
    assert wanted().path != first.path


def test_publishing_what_is_missing_publishes_the_model_that_was_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OFERTA_REDIS_URL", raising=False)
    monkeypatch.delenv("OFERTA_KEY_SECRET", raising=False)
    write_scores(home / "scores" / "other", name="other")
    command = ["publish", "--model", "shop", "--if-missing", "--json", "--home", str(home)]
    done = CliRunner().invoke(app, command)
    assert json.loads(done.stdout)["manifest"]["model"] == "shop/1", done.output


def test_parts_are_bounded_by_rows_and_lists_do_not_depend_on_them(
    home: Path, shop: Shop, tmp_path: Path
) -> None:
    version = registry.find(home, "shop")
    loaded = load(registry.download(home, version, tmp_path / "artefact"))
    job = registry.job_of(home, version)
    what = Scoring(version.label, version.run_id, loaded, job, shop.dataset, NOW)
    made = score_everyone(what, tmp_path / "small", progress=Silent(), part_rows=100)
    rows = [len(made.part(name)) for name in made.parts]
    assert len(rows) > 10
    assert max(rows) <= 100
    assert made.lists().collect().equals(shop.scores.lists().collect())
    alone = score_everyone(what, tmp_path / "alone", progress=Silent(), part_rows=1)
    assert len(alone.parts) == 141, "a customer's list is never cut"
    assert replace(alone, parts=(), path=made.path) == replace(made, parts=())


def test_everything_is_scored_and_what_the_job_asks_for_is_published(shop: Shop) -> None:
    assert (shop.scores.top_n, shop.scores.release_n) == (17, 4)


def test_hidden_and_ended_products_are_similar_to_nothing_but_have_neighbours(shop: Shop) -> None:
    rows = shop.scores.similar_rows()
    assert not set(rows["similar_id"]) & {"car-0", "home-0"}
    assert {"car-0", "home-0"} <= set(rows["product_id"])
