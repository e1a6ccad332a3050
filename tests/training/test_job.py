"""Job files: what they say is what runs, and what they get wrong is all named."""

from pathlib import Path

import pytest

from oferta.errors import SettingsInvalid
from oferta_training.job import Job, load_job


def written(folder: Path, text: str) -> Path:
    path = folder / "job.toml"
    path.write_text(text)
    return path


def test_without_a_file_the_defaults_run() -> None:
    assert load_job(None) == Job()


def test_what_is_measured_is_what_will_be_published(tmp_path: Path) -> None:
    """A policy that offers nothing twice is evaluated on new products only."""
    once = load_job(written(tmp_path, "[policy]\nrepeatable = false\n"))
    assert once.evaluation.keep_seen is False
    assert Job().evaluation.keep_seen is True


def test_the_evaluation_weighs_events_as_the_job_does(tmp_path: Path) -> None:
    job = load_job(written(tmp_path, "[interactions]\nhalf_life_days = 90\n"))
    assert job.evaluation.weighting.half_life_days == 90


def test_candidates_are_no_choice_of_a_job_and_a_stored_job_still_reads(tmp_path: Path) -> None:
    """They come with a file of them, which only the command of evaluation takes."""
    with pytest.raises(SettingsInvalid, match=r"evaluation: .candidates"):
        load_job(written(tmp_path, "[evaluation]\ncandidates = true\n"))
    assert Job.model_validate(Job().model_dump()) == Job()


def test_segments_are_those_of_the_job_and_cannot_be_two(tmp_path: Path) -> None:
    job = load_job(written(tmp_path, '[segments]\nby = ["kind"]\nmin_customers = 9\n'))
    assert (job.evaluation.segments, job.evaluation.segment_customers) == (("kind",), 9)
    text = '[segments]\nby = ["kind"]\n[evaluation]\nsegments = ["age"]\n'
    with pytest.raises(
        SettingsInvalid, match=r"evaluation: .segments.: state it under \[segments\]"
    ):
        load_job(written(tmp_path, text))


def test_a_stated_choice_wins_over_the_derived_one(tmp_path: Path) -> None:
    job = load_job(
        written(tmp_path, "[policy]\nrepeatable = false\n[evaluation]\nkeep_seen = true\n")
    )
    assert job.evaluation.keep_seen is True


def test_every_mistake_is_named_at_once_with_the_nearest_known_name(tmp_path: Path) -> None:
    text = 'nmae = "x"\n[interactions]\nhalf_life_day = 9\n[scores]\ntop_n = 0\n[models.eaze]\n'
    with pytest.raises(SettingsInvalid) as caught:
        load_job(written(tmp_path, text))
    said = str(caught.value)
    assert "nmae: unknown setting; did you mean 'name'?" in said
    assert "interactions.half_life_day: unknown setting; did you mean 'half_life_days'?" in said
    assert "scores.top_n" in said
    assert "did you mean 'ease'?" in said.lower()


def test_a_models_wrong_setting_is_named(tmp_path: Path) -> None:
    job = load_job(written(tmp_path, "[models.ease]\nweight = 5\n"))
    with pytest.raises(SettingsInvalid, match="did you mean 'weights'"):
        job.recipes()


def test_a_file_that_is_no_toml_says_where(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="line 1"):
        load_job(written(tmp_path, "name = = 3\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="no such file"):
        load_job(tmp_path / "nothing.toml")


def test_a_job_survives_json(tmp_path: Path) -> None:
    """What is logged with a run makes the same job again."""
    job = load_job(written(tmp_path, "seed = 3\n[models.als]\nfactors = 16\n[models.ease]\n"))
    assert Job.model_validate(job.model_dump(mode="json")) == job


ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "path",
    [
        *(ROOT / "training" / "jobs").glob("*.toml"),
        *(ROOT / "experiments" / "oferta_experiments" / "demo").glob("*.toml"),
    ],
    ids=lambda path: path.name,
)
def test_every_job_we_ship_can_run(path: Path) -> None:
    assert load_job(path).recipes()
