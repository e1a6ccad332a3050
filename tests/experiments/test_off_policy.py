"""`oferta off-policy`, its documents, and the published synthetic setting."""

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import typer.main
from numpy.random import default_rng

from oferta.errors import SettingsInvalid, SourceRefused, UnknownName
from oferta.evaluation.off_policy.tables import DECISIONS, POLICY
from oferta.progress import Silent
from oferta_experiments.cli import app
from oferta_experiments.commands.off_policy import off_policy
from oferta_experiments.off_policy.read import read_log, read_policy, renames
from oferta_experiments.off_policy.synthetic import PUBLISHED, relative_errors, summary

PAGE = Path(__file__).parents[2] / "docs" / "off-policy.md"


def oferta(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "oferta", "off-policy", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A log under the names of its own system, and a policy that shows more cards."""
    rng = default_rng(4)
    shown = rng.choice(2, 800, p=(0.75, 0.25))
    log = pl.DataFrame(
        {
            "offer": [("007", "7")[at] for at in shown],
            "chance": [(0.75, 0.25)[at] for at in shown],
            "click": rng.binomial(1, 0.1 + 0.3 * shown),
            "age": rng.integers(20, 60, 800),
        }
    )
    policy = pl.DataFrame({"offer": ["007", "7"], "probability": [0.4, 0.6]})
    log.write_csv(tmp_path / "log.csv")
    policy.write_csv(tmp_path / "policy.csv")
    return tmp_path / "log.csv", tmp_path / "policy.csv"


NAMES = ("--column=product_id=offer", "--column=probability=chance", "--column=reward=click")


def test_a_table_and_a_sentence_for_people(files: tuple[Path, Path]):
    log, policy = files
    said = oferta(str(log), str(policy), *NAMES).stdout
    for name in ("logged", "IPS", "SNIPS", "DM", "DR"):
        assert re.search(rf"^ *{name} +[\d.]+ +[\d.]+ to [\d.]+", said, flags=re.MULTILINE), name
    assert re.search(r"effective sample size \d+ of 800 \(.*%\) · mean weight [01]\.\d+", said)
    assert "The new policy is better than the logged policy" in said


def test_the_same_for_programs_and_in_mlflow(files: tuple[Path, Path], tmp_path: Path):
    log, policy = files
    done = oferta(
        str(log),
        str(policy),
        *NAMES,
        "--context",
        "age",
        "--json",
        "-",
        "--track",
        "--home",
        str(tmp_path / "home"),
    )
    found = json.loads(done.stdout)
    assert 0 < found["support"]["ess"] < 800
    assert found["reward_model"] == "logistic regression on age, product_id, 5 folds"
    from oferta_training import tracking  # noqa: PLC0415 - MLflow takes seconds to import

    (run_id,) = re.findall(r"MLflow run (\w+)", done.stderr)
    tracker = tracking.client(tmp_path / "home")
    run = tracker.get_run(run_id)
    assert run.info.run_name == "policy on log"
    for name, estimate in found["estimates"].items():
        assert run.data.metrics[name] == estimate["mean"]
    assert run.data.metrics["ess"] == found["support"]["ess"]
    assert run.data.metrics["mean_weight"] == found["support"]["mean_weight"]
    kept = {file.path for file in tracker.list_artifacts(run_id)}
    assert kept == {"off_policy.json", "off_policy.png"}


def test_a_refusal_ends_with_two_and_says_the_effective_sample_size(files: tuple[Path, Path]):
    log, policy = files
    guessed = pl.read_csv(log, infer_schema=False).with_columns(chance=pl.lit(0.2))
    guessed.write_csv(log)
    said = oferta(str(log), str(policy), *NAMES, code=2).stderr
    assert re.search(r"effective sample size [\d,]+ of 800, mean weight", said)


def test_what_was_asked_wrongly_is_said(files: tuple[Path, Path]):
    log, policy = files
    columns = renames(["product_id=offer", "reward=click"])
    assert read_log(log, columns)["product_id"].unique().sort().to_list() == ["007", "7"]
    with pytest.raises(SourceRefused, match="no such file"):
        read_policy(policy.with_name("nowhere.csv"), columns)
    with pytest.raises(UnknownName, match=r"'offerr'\. Did you mean 'offer'"):
        read_log(log, renames(["product_id=offerr"]))
    with pytest.raises(UnknownName, match=r"'rewards'\. Did you mean 'reward'"):
        renames(["rewards=click"])
    with pytest.raises(SettingsInvalid, match="write it as NAME=COLUMN"):
        renames(["reward"])
    with pytest.raises(SettingsInvalid, match="named twice"):
        renames(["reward=click", "reward=offer"])
    pl.read_csv(log).with_columns(reward=1).write_csv(log)
    with pytest.raises(SettingsInvalid, match="has a column 'reward' already"):
        read_log(log, columns)
    for wrong, said in (
        ({}, "name a log and a policy"),
        ({"log": log, "synthetic": True}, "leave out"),
        ({"json": str(log.parent)}, "name a file in a folder"),
    ):
        with pytest.raises(SettingsInvalid, match=said):
            off_policy(**wrong)  # type: ignore[arg-type] # options by name


def test_the_published_synthetic_figures_are_reached():
    """Three of the twenty runs; their IPS is that of the published runs themselves."""
    found = summary(relative_errors(3, rng=default_rng(7), progress=Silent()))
    assert found["dr"].mean < PUBLISHED["dr"].mean + 2 * PUBLISHED["dr"].sd
    assert found["dr"].mean < found["dm"].mean / 5
    assert found["ips"].mean == pytest.approx(IPS_OF_THREE, rel=1e-3)
    assert found["dm"].mean == pytest.approx(
        PUBLISHED["dm"].mean, abs=2 * PUBLISHED["dm"].sd / 3**0.5
    )


IPS_OF_THREE = 0.0084268
"""Of the first three runs of the generator whose twenty give the published figure."""


def test_the_page_explains_every_flag_and_column():
    text = PAGE.read_text(encoding="utf-8")
    command = typer.main.get_command(app).commands["off-policy"]  # type: ignore[attr-defined] # a group
    flags = [max(option.opts, key=len) for option in command.params if option.name != "help"]
    missing = [flag for flag in flags if flag.startswith("--") and f"`{flag}" not in text]
    missing += [name for name in (*DECISIONS.names, *POLICY.names) if f"`{name}`" not in text]
    assert not missing


def test_the_worked_example_is_right():
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted
    assert not found.failed
