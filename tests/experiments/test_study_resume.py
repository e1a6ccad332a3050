"""A study that was killed goes on, and MLflow shows one tidy tree: real processes, real kills."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from shop import write_shop

from oferta_experiments.study.result import StudyResult, read_result
from oferta_training.tracking import client

STUDY = """
question = "Do vectors beat what is popular?"
dataset = "../shop"
baseline = "popular"
report_by = ["activity", "kind"]
segment_customers = 30
search = true
learning_curve = true
[evaluation]
split = "time:31d"
k = [3]
[budget]
settings = 5
minutes = 20
[[variants]]
name = "popular"
model = "popularity"
[[variants]]
name = "together"
model = "ease"
[[variants]]
name = "vectors"
model = "als"
settings = { factors = 8 }
weighting = { half_life_days = 90 }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "studies"
    place.mkdir()
    write_shop(place / "shop")
    for name in ("killed", "whole"):
        (place / name).mkdir()
        (place / name / "study.toml").write_text(STUDY, encoding="utf-8")
    client(place / "home").search_experiments()  # makes the tables: seconds, once
    shutil.copytree(place / "home", place / "other-home")
    return place


def test_a_killed_study_goes_on_to_the_figures_of_an_undisturbed_one_in_one_tidy_tree(
    folder: Path,
):
    """Killed in its second search, stopped by Ctrl-C a little later, then run to the end."""
    study, home = folder / "killed", folder / "home"
    end_when(start(study, home), lambda: trials_kept(home) >= 6, signal.SIGKILL)
    assert not (study / "result.json").exists()
    kept = trials_kept(home)
    assert 6 <= kept < 12
    told = end_when(start(study, home), lambda: trials_kept(home) > kept + 2, signal.SIGINT)
    assert f"`oferta study run {study}` goes on from here" in told
    last, whole = start(study, home), start(folder / "whole", folder / "other-home")
    _, told = last.communicate(timeout=200)
    assert last.returncode == 0, told
    assert "variants are done already" in told
    assert "Warning" not in told
    _, told = whole.communicate(timeout=200)
    assert whole.returncode == 0, told
    found = read_result(study / "result.json")
    undisturbed = read_result(folder / "whole" / "result.json")
    assert figures(found) == figures(undisturbed)
    assert len(found.variants) == 3
    assert [len(one.learning) for one in found.variants if one.name == "popular"] == [3]
    check_tree(found, home)
    check_trials(found, home)


def start(study: Path, home: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "oferta", "study", "run", str(study), "--home", str(home)],
        env={**os.environ, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_when(run: "subprocess.Popen[str]", reached: Callable[[], bool], how: int) -> str:
    """Send `how` as soon as `reached`; what it had said on standard error."""
    deadline = time.monotonic() + 90
    while not reached():
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    run.send_signal(how)
    return run.communicate()[1]


def trials_kept(home: Path) -> int:
    logs = list(home.glob("studies/*/trials.log"))
    return logs[0].read_bytes().count(b"oferta:entry") if logs else 0


def figures(result: StudyResult) -> dict[str, Any]:
    """All that must not depend on when, where and how often it was interrupted."""
    plain = result.model_dump(mode="json", exclude={"name", "made", "run_id"})
    for variant in plain["variants"]:
        del variant["fit_s"], variant["recommend_s"], variant["run_id"]
        for trial in variant["trials"]:
            del trial["seconds"]
    return plain


def check_tree(result: StudyResult, home: Path) -> None:
    """Every part once: named, tagged and nested, with its figures, and finished."""
    tracker = client(home)
    parent = tracker.get_run(str(result.run_id))
    assert parent.info.run_name == result.name == "killed"
    assert parent.data.tags["oferta.question"] == result.question
    assert parent.data.tags["oferta.answer"] == result.answer
    assert {"oferta.dataset", "oferta.fingerprint", "oferta.code"} <= parent.data.tags.keys()
    files = {one.path for one in tracker.list_artifacts(parent.info.run_id)}
    assert files == {"study.toml", "result.json", "report.html", "REPORT.md"}
    children = below(tracker, parent)
    assert sorted(one.info.run_name for one in children) == ["popular", "together", "vectors"]
    for child in children:
        variant = next(one for one in result.variants if one.name == child.info.run_name)
        assert child.info.run_id == variant.run_id
        assert child.data.tags["oferta.study"] == "killed"
        assert child.data.tags["oferta.variant"] == variant.name
        assert child.data.metrics["ndcg_at_3"] == variant.metrics["ndcg@3"].mean
        assert {"coverage_at_3", "fit_s", "recommend_s"} <= child.data.metrics.keys()
        assert child.data.params.items() >= {k: str(v) for k, v in variant.settings.items()}.items()
        trials = below(tracker, child)
        assert sorted(one.data.metrics["validation"] for one in trials) == sorted(
            one.value for one in variant.trials if one.value is not None
        )
        named = {one.info.run_name for one in trials}
        assert len(named) == len(trials) == len(variant.trials) > 3
        assert "as stated" in named
    every = tracker.search_runs([parent.info.experiment_id], max_results=1000)
    assert {one.info.status for one in every} == {"FINISHED"}
    assert len(every) == 1 + 3 + sum(len(one.trials) for one in result.variants)


def below(tracker: MlflowClient, run: Run) -> list[Run]:
    return list(
        tracker.search_runs(
            [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
        )
    )


def check_trials(result: StudyResult, home: Path) -> None:
    """None was made twice."""
    assert trials_kept(home) == sum(len(one.trials) for one in result.variants)
    for variant in result.variants:
        settings = [str(sorted(one.settings.items())) for one in variant.trials]
        assert len(settings) == len(set(settings))
