"""What a change of a study, of its code or of what is installed makes it judge again."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from study_worlds import BASE, World, promoted

from oferta.errors import SettingsInvalid
from oferta_experiments.study.files import locked, write_whole
from oferta_experiments.study.result import StudyResult
from oferta_training import registry
from oferta_training.tracking import client

POPULAR, TOGETHER = BASE["variants"]
BLEND = {
    "name": "blend",
    "model": "blend",
    "settings": {"parts": {"ease": {}, "popularity": {"by_segment": False}}},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    return World(tmp_path_factory.mktemp("changes"))


def runs(result: StudyResult) -> dict[str, str | None]:
    return {one.name: one.run_id for one in result.variants}


def kept(world: World, result: StudyResult, variant: str) -> Path:
    key = next(one.key for one in result.variants if one.name == variant)
    return world.home / "studies" / str(result.made["state"]) / f"{key}.json"


def rewrite(path: Path, **changed: object) -> None:
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    write_whole(path, {**found, **changed})


@pytest.mark.parametrize(
    "changed",
    [
        {"report_by": ["cold"], "segment_customers": 40},
        {"baseline": "together", "question": "And now?"},
        {"budget": {"minutes": 26}, "guards": {"margin": 0.1}},
    ],
)
def test_what_is_only_reported_is_no_reason_to_fit(world: World, changed: dict[str, Any]):
    first = world.run("told", report_by=[])
    again = world.run("told", **{"report_by": [], **changed})
    assert world.said == ["Going on: 2 of 2 variants are done already."]
    assert runs(again) == runs(first)
    assert again.baseline == changed.get("baseline", "popular")


def test_a_variant_that_is_new_or_changed_is_judged_and_the_others_are_not(world: World):
    first = world.run("more", report_by=[])
    third = {**TOGETHER, "name": "lighter", "settings": {"l2": 1.0}}
    more = world.run("more", report_by=[], variants=[POPULAR, TOGETHER, third])
    assert world.said == ["Going on: 2 of 3 variants are done already."]
    assert runs(more).items() >= runs(first).items()
    changed = {**third, "weighting": {"half_life_days": 9}}
    other = world.run("more", report_by=[], variants=[POPULAR, TOGETHER, changed])
    assert runs(other)["lighter"] != runs(more)["lighter"]
    assert runs(other)["together"] == runs(first)["together"]
    assert other.run_id == first.run_id
    back = world.run("more", report_by=[], variants=[POPULAR, TOGETHER, third])
    assert runs(back) == runs(more)


def test_a_model_made_of_others_takes_what_is_stated_for_them_and_follows_it(world: World):
    found = world.run("parts", report_by=[], variants=[POPULAR, TOGETHER, BLEND])
    blend = next(one for one in found.variants if one.name == "blend")
    assert blend.settings["parts"]["ease"]["l2"] == 5.0
    assert blend.settings["parts"]["popularity"] == {"by_segment": False}
    assert blend.parts == {"ease": "together"}
    other = {**TOGETHER, "settings": {"l2": 9.0}}
    again = world.run("parts", report_by=[], variants=[POPULAR, other, BLEND])
    assert world.said == ["Going on: 1 of 3 variants are done already."]
    blend = next(one for one in again.variants if one.name == "blend")
    assert blend.settings["parts"]["ease"]["l2"] == 9.0


def test_a_variant_without_figures_is_tried_again(world: World):
    """As EASE costs too much of the smaller budget, and after a library was installed."""
    asked: dict[str, Any] = {"report_by": [], "timer": lambda: 0.0}
    small = world.run("retried", budget={"minutes": 0.0014}, **asked)
    assert [one.variant for one in small.left] == ["together"]
    left = client(world.home).search_runs(
        [client(world.home).get_run(str(small.run_id)).info.experiment_id],
        "tags.`oferta.variant` = 'together' and tags.`oferta.study` = 'retried'",
    )
    assert "over half of the budget" in left[0].data.tags["oferta.left"]
    enough = world.run("retried", budget={"minutes": 5}, **asked)
    assert enough.left == ()
    assert runs(enough)["together"] == left[0].info.run_id
    tags = client(world.home).get_run(left[0].info.run_id).data.tags
    assert "oferta.left" not in tags


def test_figures_of_other_code_are_named_and_promote_nothing_until_judged_again(world: World):
    found = world.run("older", report_by=[])
    path = kept(world, found, "together")
    made = orjson.loads(path.read_bytes())["made"]
    rewrite(path, made={**made, "source": "0", "libraries": {**made["libraries"], "numpy": "1.0"}})
    again = world.run("older", report_by=[])
    assert runs(again) == runs(found)
    assert "together was judged by oferta" in world.said[1]
    assert "numpy 1.0 instead of" in world.said[1]
    assert "`oferta study run --anew` judges it again" in world.said[1]
    assert any("together was judged by oferta" in one for one in again.not_tested)
    assert again.made["numpy"].count(",") == 1
    with pytest.raises(SettingsInvalid, match="`oferta study run --anew` first"):
        promoted(world, "older", "together", report_by=[])
    anew = world.run("older", report_by=[], anew=True)
    assert world.said == ["Going on: 1 of 2 variants are done already."]
    assert runs(anew)["popular"] == runs(found)["popular"]
    assert not any("was judged by" in one for one in anew.not_tested)


def test_a_search_that_the_budget_ended_goes_on_where_the_budget_is_larger(world: World):
    asked: dict[str, Any] = {"report_by": [], "search": True, "variants": [POPULAR, TOGETHER]}
    asked["budget"] = {"settings": 2, "minutes": 9}
    found = world.run("longer", **asked)
    path = kept(world, found, "together")
    trials = orjson.loads(path.read_bytes())["trials"]
    stopped = {**trials[-1], "state": "stopped", "value": None, "why": "the time was up"}
    rewrite(path, trials=[*trials, stopped])
    journal = path.with_name("trials.log")
    journal.write_text(re.sub(r'"seconds": *[0-9.e-]+', '"seconds": 9.0', journal.read_text()))
    again = world.run("longer", **asked)
    assert world.said == ["Going on: 2 of 2 variants are done already."]
    assert any("ended the search of together early" in one for one in again.not_tested)
    larger = world.run("longer", **{**asked, "budget": {"settings": 2, "minutes": 10}})
    assert world.said == ["Going on: 1 of 2 variants are done already."]
    assert not any("ended the search" in one for one in larger.not_tested)
    seconds = orjson.loads(path.read_bytes())["seconds"]
    assert seconds > 9 * len(trials)  # those that were read count as they were


def test_a_learning_curve_counts_in_the_budget_and_stays_inside_it(world: World):
    asked: dict[str, Any] = {"report_by": [], "variants": [POPULAR]}
    found = world.run("curve", **asked)
    path = kept(world, found, "popular")
    whole = world.run("curve", learning_curve=True, **asked)
    assert [len(one.learning) for one in whole.variants] == [3]
    assert whole.made["seconds"] > found.made["seconds"]
    for one in path.parent.glob(f"{path.stem}-0*.json"):
        one.unlink()
    rewrite(path, seconds=10_000)
    short = world.run("curve", learning_curve=True, **asked)
    assert [len(one.learning) for one in short.variants] == [1]
    assert any("ended the learning curve of popular early" in one for one in short.not_tested)


def test_a_variant_of_features_is_never_told_by_its_twin_without_them(world: World):
    """Which foresees more here: nearly all products have the same status."""
    pytest.importorskip("lightfm")
    features = {
        "name": "statuses",
        "model": "hybrid",
        "settings": {"product_ids": False, "features": "products"},
        "product_features": ["status"],
    }
    found = world.run("twins", report_by=[], variants=[POPULAR, features])
    told = next(one for one in found.variants if one.name == "statuses")
    assert told.settings["product_ids"] is False
    assert told.settings["features"] == "products"


def test_two_runs_of_one_study_at_once_are_refused(world: World):
    with (
        locked(world.home / "studies" / "busy.lock"),
        pytest.raises(SettingsInvalid, match="being run by another process"),
    ):
        world.run("busy")
    assert world.run("busy", report_by=[]).variants


def test_tags_of_a_study_are_those_of_its_last_run(world: World):
    asked: dict[str, Any] = {"report_by": [], "variants": [POPULAR]}
    world.run("tags", **asked)
    found = world.run("tags", question="New?", guards={"margin": 0.3}, **asked)
    tags = client(world.home).get_run(str(found.run_id)).data.tags
    assert tags["oferta.question"] == "New?"
    assert orjson.loads(tags["oferta.guards"]) == {"margin": 0.3}
    assert tags["oferta.variants"] == "popular"


def test_a_file_that_could_not_be_written_leaves_the_old_one_and_nothing_else(tmp_path: Path):
    path = tmp_path / "result.json"
    (path / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match=r"result\.json"):
        write_whole(path, {"a": 1})
    assert [one.name for one in tmp_path.iterdir()] == ["result.json"]


def test_counts_over_several_folds_say_so_and_customers_count_once(world: World):
    split = {"split": "time:20d", "folds": 2, "k": [3], "metric": "ndcg@3"}
    found = world.run("folds", report_by=[], variants=[POPULAR], evaluation=split)
    assert "test rows, over 2 folds" in found.facts
    assert "events to learn from, over 2 folds" in found.facts
    assert found.facts["test customers"] <= 141


def test_a_study_that_states_chances_or_exposure_can_be_promoted(tmp_path: Path):
    world = World(tmp_path)
    guards = {"calibration": {"ece": 0.9}, "fairness": {"exposure": ["category=car"]}}
    done = promoted(world, "stated", "together", report_by=[], guards=guards, calibrate=True)
    assert done.version.label == "shop/1"
    assert {one.guard for one in done.verdict.outcomes} >= {"calibration"}
    job = registry.job_of(world.home, done.version)
    assert job.calibration.method == "auto"
    assert job.gate.fairness.exposure == ("category=car",)


def test_the_guard_of_cost_by_factor_compares_seconds_of_one_occasion(tmp_path: Path):
    """The stored seconds are of a slower day."""
    world = World(tmp_path)
    promoted(world, "slow", "together", report_by=[])
    guards = {"cost": {"factor": 50.0}}
    found = world.run("slow", report_by=[], guards=guards)
    path = kept(world, found, "together")
    card = orjson.loads(path.read_bytes())["card"]
    rewrite(path, card={**card, "fit_s": 1e5, "recommend_s": 1e5})
    assert promoted(world, "slow", "together", report_by=[], guards=guards).verdict.promoted
