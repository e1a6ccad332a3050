"""A study run inside this process: what it finds, keeps, refuses and leaves out."""

from collections.abc import Iterator
from time import perf_counter

import orjson
import polars as pl
import pytest
from shop import write_shop
from study_worlds import BASE, World, promoted
from trained_shop import NOW

from oferta.clock import FixedClock
from oferta.errors import (
    InputError,
    PromotionRefused,
    SettingsInvalid,
    UnknownName,
)
from oferta.events.dataset import open_dataset
from oferta.progress import Silent
from oferta.settings import parse
from oferta_experiments.study.across import compare_results
from oferta_experiments.study.judging import RowsDiffer, check_rows
from oferta_experiments.study.promote import promote_variant
from oferta_experiments.study.result import StudyResult, read_result
from oferta_experiments.study.run import Place
from oferta_experiments.study.spec import StudySpec
from oferta_experiments.study.state import open_state
from oferta_training import registry
from oferta_training.job import Job, Policy
from oferta_training.publications import PublicationLog, publication_log_path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    return World(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def result(world: World) -> StudyResult:
    return world.run("plain")


def test_the_result_says_what_was_asked_found_and_not_tested(result: StudyResult):
    assert result.answer.startswith("together is better than popular by +")
    assert [one.name for one in result.variants] == ["together", "popular"]
    assert [one.verdict for one in result.differences] == ["better"]
    assert result.metric == "ndcg@3"
    assert result.protocol["split"] == "time:31d"
    assert result.facts["customers"] == 141
    assert result.facts["test rows"] == result.facts["test customers"] > 100
    assert any("Settings were not searched" in one for one in result.not_tested)
    assert {"seed", "code", "numpy", "optuna", "seconds", "state"} <= result.made.keys()
    metrics = result.variants[0].metrics
    for name in ("ndcg", "recall", "coverage", "novelty", "popularity_share", "diversity"):
        assert f"{name}@3" in metrics
        assert f"{name}@5" in metrics


def test_segments_hold_every_test_customer_once_and_say_where_a_variant_wins(result: StudyResult):
    best = result.variants[0]
    kinds = [one for one in best.segments if one.by == "kind"]
    assert {one.label for one in kinds} == {"car", "hom"}
    assert sum(one.customers for one in kinds) == result.facts["test customers"]
    assert "better" in {one.verdict for one in kinds}
    assert {one.by for one in best.segments} == {"activity", "cold", "kind"}
    baseline = next(one for one in result.variants if one.name == "popular")
    assert all(one.difference is None for one in baseline.segments)


def test_a_finished_study_is_read_and_not_run_again(world: World, result: StudyResult):
    again = world.run("plain")
    assert world.said == ["Going on: 2 of 2 variants are done already."]
    assert again == result
    assert read_result(world.folder / "plain" / "result.json") == again


def test_another_question_is_the_same_study(world: World, result: StudyResult):
    again = world.run("plain", question="What else?")
    assert again.variants == result.variants
    assert again.question == "What else?"


@pytest.mark.parametrize("what", ["study", "data"])
def test_another_study_or_other_data_start_anew_and_say_so(
    world: World, result: StudyResult, what: str
):
    if what == "study":
        again = world.run("plain", evaluation={"split": "time:31d", "k": [3], "metric": "ndcg@3"})
    else:
        other = write_shop(world.folder / "other", seed=9)
        dataset = open_dataset(other, home=world.home, clock=FixedClock(NOW), progress=Silent())
        again = world.run("plain", dataset=dataset)
    assert world.said == [
        "The evaluation or the data changed since the last run: everything starts anew."
    ]
    assert again.run_id != result.run_id


def test_a_variant_over_the_budget_is_left_out_and_the_others_are_judged(world: World):
    """Popularity declares .02 s and EASE .05, over half of these .084; the clock stands still."""
    found = world.run("dear", budget={"minutes": 0.0014}, report_by=[], timer=lambda: 0.0)
    assert [one.variant for one in found.left] == ["together"]
    assert "over half of the budget" in found.left[0].why
    assert [one.name for one in found.variants] == ["popular"]
    assert found.answer.startswith("Only popular could be judged")
    assert any("together was not judged" in one for one in found.not_tested)


def test_stated_chances_are_judged_where_a_study_or_a_guard_asks(world: World):
    """Kept with the figures, so that a promotion can hold them to their limit."""
    guards = {"calibration": {"ece": 1e-9}}
    found = world.run("chances", guards=guards, report_by=[])
    for one in found.variants:
        assert one.calibration is not None
        assert one.calibration.bins
        assert 0 < one.calibration.ece < 1
    with pytest.raises(PromotionRefused, match="guard 'calibration'"):
        promoted(world, "chances", "together", guards=guards, report_by=[])
    asked = parse({**BASE, "calibrate": True}, StudySpec, place="test")
    assert asked.protocol.calibrate == "auto"


def test_an_unknown_segment_is_refused_before_anything_is_fitted(world: World):
    with pytest.raises(UnknownName, match="Did you mean 'kind'"):
        world.run("wrong", report_by=["kin"])
    assert not list(world.home.glob("studies/wrong-*"))


def test_a_variant_that_was_tested_on_other_rows_is_refused(world: World, result: StudyResult):
    spec = parse(BASE, StudySpec, place="test")
    state, _ = open_state(world.home, "plain", spec, world.dataset.fingerprint)
    rows = state.rows()
    assert rows is not None
    check_rows(state, "another", rows)
    with pytest.raises(RowsDiffer, match="'another' was tested on other rows"):
        check_rows(state, "another", rows.with_columns(pl.lit("other").alias("digest")))
    assert result.variants


def test_the_files_of_a_study_are_plain(world: World, result: StudyResult):
    """Anybody can read what a verdict was made of, with any tool."""
    folder = world.home / "studies" / str(result.made["state"])
    rows = pl.read_parquet(folder / "rows.parquet")
    for path in folder.glob("together-*.parquet"):
        values = pl.read_parquet(path)
        mean = next(one for one in result.variants if one.name == "together").metrics["ndcg@3"].mean
        assert values["ndcg@3"].mean() == pytest.approx(mean)
        assert len(values) == len(rows)
    assert orjson.loads((folder / "study.json").read_bytes())["data"] == result.fingerprint


def test_variants_of_studies_on_the_same_rows_are_paired_and_others_only_shown(
    world: World, result: StudyResult
):
    world.run("plain")
    third = {"name": "vectors", "model": "als", "settings": {"factors": 8}}
    world.run("more", question="And vectors?", variants=[third], report_by=[])
    world.run("longer", evaluation={"split": "time:31d", "k": [5]}, report_by=[])
    places = [str(world.folder / name) for name in ("plain", "more")]
    found = compare_results(places, home=world.home)
    assert found.warnings == ()
    assert len(found.differences) == 3
    own = next(one for one in found.differences if {one.variant, one.other} == PAIR)
    assert own.figure.mean == pytest.approx(abs(result.differences[0].figure.mean))
    assert set(found.table()["variant"]) == {"popular", "together", "vectors"}
    mixed = compare_results([f"{places[0]}:popular", str(world.folder / "longer")], home=world.home)
    assert "Not comparable: metric" in mixed.warnings[0]
    assert [{one.variant, one.other} for one in mixed.differences] == [
        {"longer: popular", "longer: together"}
    ]
    elsewhere = compare_results(places, home=world.folder / "no-home")
    assert elsewhere.differences == ()
    assert any("not in this state folder" in one for one in elsewhere.warnings)
    with pytest.raises(UnknownName, match="Did you mean 'popular'"):
        compare_results([f"{places[0]}:populr"], home=world.home)


PAIR = {"plain: together", "plain: popular"}


def test_a_variant_becomes_champion_where_the_guards_let_it_and_not_where_one_fails(world: World):
    kept = {"weighting": {"half_life_days": 90}}
    variants = [BASE["variants"][0], {**BASE["variants"][1], **kept}]
    publications = PublicationLog(publication_log_path(world.home), FixedClock(NOW))
    before = len(publications.entries())
    first = promoted(world, "champions", "together", variants=variants)
    champion = registry.champion(world.home, "shop")
    assert champion is not None
    assert (first.version.label, champion.label, champion.model) == ("shop/1", "shop/1", "ease")
    assert registry.job_of(world.home, champion).interactions.half_life_days == 90
    with pytest.raises(PromotionRefused, match="guard 'overall'") as caught:
        promoted(world, "champions", "popular", variants=variants)
    assert caught.value.failing == ("overall",)
    assert not isinstance(caught.value, InputError)  # it ends the command with 1
    guards = {"segments": {"by": ["kind"], "min_customers": 30}, "cost": {"fit_s": 1e-9}}
    with pytest.raises(PromotionRefused, match="guard 'cost'"):
        promoted(world, "champions", "together", variants=variants, guards=guards)
    again = registry.champion(world.home, "shop")
    assert again is not None
    assert again.label == "shop/1"
    second = promoted(world, "champions", "together", variants=variants)
    assert second.version.label == "shop/2"
    assert second.verdict.difference is not None
    assert second.verdict.difference.mean == 0  # the same recipe, learnt from in the same way
    entries = [entry for _, entry in publications.entries()][before:]
    said = [entry.action for entry in entries]
    done = ["promoting", "promoted"]
    assert said == [*done, "refused promotion", "refused promotion", *done]
    refused = entries[2]
    assert (refused.guards, refused.by) == ("overall", "oferta study promote champions")


def test_a_study_that_was_not_run_as_it_is_now_promotes_nothing(world: World, result: StudyResult):
    with pytest.raises(SettingsInvalid, match="`oferta study run` first"):
        promote_variant(
            parse({**BASE, "search": True}, StudySpec, place="test"),
            "together",
            world.dataset,
            result=result,
            job=Job(name="shop", policy=Policy(repeatable=False)),
            place=Place(world.folder / "plain", world.home, perf_counter, Silent(), print),
            clock=FixedClock(NOW),
        )
