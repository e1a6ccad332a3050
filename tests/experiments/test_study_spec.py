"""A study's file: what a newcomer gets runs, and every mistake is named at once."""

import tomllib
from datetime import date
from pathlib import Path

import pytest

from oferta.errors import SettingsInvalid
from oferta.evaluation.protocol import Protocol
from oferta_experiments.study.new import write_new
from oferta_experiments.study.spec import StudySpec, load_study

TODAY = date(2026, 3, 14)


def written(folder: Path, text: str) -> Path:
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_new_study_has_a_dated_folder_and_loads_as_it_is(tmp_path: Path):
    folder = write_new("Does decay help?", into=tmp_path / "studies", today=TODAY, data=None)
    assert folder == tmp_path / "studies" / "2026-03-14-does-decay-help"
    spec = load_study(folder)
    assert spec.reference == "popular"
    assert spec.dataset == "demo"
    with pytest.raises(SettingsInvalid, match="is there already"):
        write_new("does decay help", into=tmp_path / "studies", today=TODAY, data=None)
    with pytest.raises(SettingsInvalid, match="a letter or a digit"):
        write_new("?!", into=tmp_path / "studies", today=TODAY, data=None)


def test_the_data_of_a_new_study_is_found_from_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    odd = 'sa"les\\of ä'
    folder = write_new("a", into=Path("studies"), today=TODAY, data=odd)
    assert load_study(folder).source(folder) == (tmp_path / odd).resolve()
    folder = write_new("b", into=Path("studies"), today=TODAY, data="/somewhere/else")
    assert load_study(folder).source(folder) == Path("/somewhere/else")


def test_every_mistake_is_named_at_once_with_the_nearest_known_name(tmp_path: Path):
    folder = written(
        tmp_path,
        """
        question = "Which?"
        dataset = "${HOME}/data"
        baseline = "popularr"
        serch = true
        [evaluation]
        metric = "ndgc@10"
        k = [10]
        [budget]
        minutes = 0
        [[variants]]
        name = "popular"
        model = "popularity"
        [[variants]]
        name = "popular"
        model = "eaze"
        weihgting = { half_life_days = 3 }
        [[variants]]
        name = "als"
        model = "als"
        settings = { factor = 8, regularization = -1.0 }
        weighting = { half_life = 3 }
        """,
    )
    with pytest.raises(SettingsInvalid) as caught:
        load_study(folder)
    said = "\n".join(caught.value.problems)
    for expected in (
        "serch: unknown setting; did you mean 'search'",
        "variants.1.weihgting: unknown setting; did you mean 'weighting'",
        "variants.2.weighting.half_life: unknown setting; did you mean 'half_life_days'",
        "budget.minutes: Input should be greater than 0",
        "variants: two are called 'popular'",
        "Did you mean 'popular'?",
        "variants.1.model: unknown model 'eaze'. Did you mean 'ease'?",
        "variants.2.settings.factor: unknown setting; did you mean 'factors'",
        "variants.2.settings.regularization:",
        "dataset: only ${OFERTA_BENCH_DATA}",
        "evaluation.metric: unknown metric 'ndgc@10'. Did you mean 'ndcg@10'?",
    ):
        assert expected in said, said


def test_what_the_report_tells_apart_is_no_input_of_a_model(tmp_path: Path):
    said = 'question = "?"\ndataset = "demo"\nreport_by = ["kind"]\n'
    said += '[[variants]]\nname = "a"\nmodel = "ease"\n'
    spec = load_study(written(tmp_path, said))
    assert spec.report_by == ("kind",)
    assert spec.variant("a").protocol(spec.evaluation).segments == ()


def test_a_variant_changes_what_is_learnt_and_keeps_what_it_does_not_state():
    spec = StudySpec.model_validate(
        {
            "question": "?",
            "dataset": ".",
            "evaluation": {"weighting": {"saturation": "binary", "half_life_days": 9}},
            "variants": [
                {"name": "a", "model": "ease"},
                {"name": "b", "model": "ease", "weighting": {"half_life_days": 3}},
                {"name": "c", "model": "ease", "segments": ["kind"]},
            ],
        }
    )
    base = spec.evaluation
    assert spec.variant("a").protocol(base) == base
    faster = spec.variant("b").protocol(base)
    assert faster.weighting.half_life_days == 3
    assert faster.weighting.saturation == "binary"
    assert spec.variant("c").protocol(base).segments == ("kind",)
    assert spec.variant("b").beyond() == {"weighting": {"half_life_days": 3}}


def test_the_data_may_lie_where_a_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = StudySpec.model_validate(
        {
            "question": "?",
            "dataset": "${OFERTA_BENCH_DATA}/berka",
            "variants": [{"name": "a", "model": "ease"}],
        }
    )
    monkeypatch.setenv("OFERTA_BENCH_DATA", str(tmp_path / "data"))
    assert spec.source(tmp_path) == tmp_path / "data" / "berka"
    monkeypatch.delenv("OFERTA_BENCH_DATA")
    with pytest.raises(SettingsInvalid, match="OFERTA_BENCH_DATA is not set"):
        spec.source(tmp_path)


def test_the_comments_of_a_new_study_name_every_setting_of_a_study(tmp_path: Path):
    text = (write_new("x", into=tmp_path, today=TODAY, data=None) / "study.toml").read_text()
    stated = tomllib.loads(text)
    unsaid = StudySpec.model_fields.keys() - stated.keys()
    assert unsaid <= {"segment_customers", "calibrate", "guards", "candidates"}
    assert stated["evaluation"].keys() <= Protocol.model_fields.keys()
