"""`oferta evaluate` as its users meet it."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from oferta.errors import ExtraMissing, InputError
from oferta.models.catalog import MODELS
from oferta_training.cli import app
from oferta_training.scoreboard import _tuned


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    """A folder with events: forty customers, twelve products, two months."""
    folder = tmp_path / "sales"
    folder.mkdir()
    numbers = range(400)
    pl.DataFrame(
        {
            "customer_id": [f"c{n % 40:02}" for n in numbers],
            "product_id": [f"p{(n * n + n // 7) % 12:02}" for n in numbers],
            "event_type": "purchase",
            "timestamp": [datetime(2024, 1 + n % 2, 1 + n % 28, tzinfo=UTC) for n in numbers],
            "event_id": [f"e{n}" for n in numbers],
        }
    ).write_parquet(folder / "events.parquet")
    return folder


def oferta(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    home = ["--home", str(folder.parent / "home")]
    return subprocess.run(
        [sys.executable, "-m", "oferta", "evaluate", str(folder), *options, *home],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "80"},
    )


def test_the_table_shows_the_protocol_every_model_and_what_was_set_aside(sales: Path):
    done = oferta(sales, "--split", "time:20d", "--models", "popularity,ease", "--k", "3,5")
    assert done.returncode == 0, done.stderr
    for expected in (
        "time:20d",
        "a row per customer",
        "seen removed",
        "@3",
        "@5",
        "popularity",
        "ease",
        "best",
        "to foresee (purchase)",
    ):
        assert expected in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "Traceback" not in done.stderr


def test_json_on_standard_output_is_nothing_but_json(sales: Path):
    done = oferta(
        sales, "--split", "random:0.2", "--models", "ease", "--set", "ease.l2=3", "--json", "-",
        "--tune", "3", "--folds", "2", "--half-life", "30", "--saturation", "binary",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["dataset"] == str(sales)
    assert found["protocol"]["weighting"]["half_life_days"] == 30
    assert found["results"][0]["settings"]["l2"] == 3.0
    assert len(found["results"][0]["folds"]) == 2
    assert found["tuning"]["validation"] == "random:0.2 of train"


def test_every_flag_reaches_the_protocol(sales: Path, tmp_path: Path):
    candidates = tmp_path / "candidates.csv"
    lines = [f"e{n},p{m:02}" for n in range(400) for m in (1, 2, 3)]
    candidates.write_text("event_id,product_id\n" + "\n".join(lines) + "\n", encoding="utf-8")
    report = tmp_path / "report.json"
    done = oferta(
        sales, "--split", "time:20d", "--models", "popularity", "--group", "event_id",
        "--keep-seen", "--candidates", str(candidates), "--history", "train+valid",
        "--fit", "train+valid", "--recall", "min", "--idcg", "full", "--seed", "3",
        "--metric", "hr@3", "--k", "3",
        "--target", "purchase", "--json", str(report),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stated = json.loads(report.read_text(encoding="utf-8"))["protocol"]
    expected = {
        "split": "time:20d",
        "group": "event_id",
        "keep_seen": True,
        "candidates": True,
        "history": "train+valid",
        "fit": "train+valid",
        "recall": "min",
        "idcg": "full",
        "seed": 3,
        "metric": "hr@3",
        "k": [3],
        "target": ["purchase"],
    }
    assert {name: stated[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--models", "eas"], "Did you mean 'ease'?"),
        (["--models", "ease", "--set", "ease.weigths=1"], "did you mean 'weights'?"),
        (["--models", "ease", "--set", "als.factors=8"], "unknown model in --set 'als'"),
        (["--models", "ease", "--set", "ease"], "MODEL.PARAMETER=VALUE"),
        (["--metric", "ndgc@10"], "Did you mean 'ndcg@10'?"),
        (["--split", "leave-two-out"], "leave-one-out:random"),
        (["--split", "column:split"], "unknown column 'split'"),
        (["--split", "time:400d"], "no event would be train"),
        (["--k", "ten"], "whole numbers"),
        (["--k", "0"], "every k"),
        (["--candidates", "nowhere.csv"], "no such file"),
        (["--where", "event_type"], "COLUMN=VALUE"),
        (["--segment", "age"], "unknown customer attribute 'age'"),
        (["--models", ""], "at least one model"),
        (["--metric", "coverage@10"], "coverage is of all lists together"),
        (["--budget", "inf"], "a number of minutes"),
        (["--budget", "0"], "a number of minutes"),
        (["--json", "no/such/report.json"], "no/such is no folder"),
        (["--json", "."], "is a folder"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(sales: Path, options: list[str], says: str):
    home = str(sales.parent / "home")
    done = CliRunner().invoke(app, ["evaluate", str(sales), "--home", home, *options])
    assert isinstance(done.exception, InputError)
    assert says in str(done.exception)


@pytest.mark.parametrize(
    "options", [["--tune", "-1"], ["--budget", "-5"], ["--budget", "nan"], ["--folds", "0"]]
)
def test_numbers_out_of_bounds_are_no_options(sales: Path, options: list[str]):
    done = CliRunner().invoke(app, ["evaluate", str(sales), *options])
    assert done.exit_code == 2
    assert f"Invalid value for '{options[0]}'" in done.output


def test_a_report_that_cannot_be_written_is_told_before_the_data_is_read(tmp_path: Path):
    report = str(tmp_path / "missing" / "report.json")
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path / "nowhere"), "--json", report])
    assert isinstance(done.exception, InputError)
    assert "missing is no folder" in str(done.exception)


def test_all_leaves_out_a_model_without_its_library_and_says_so(
    sales: Path, monkeypatch: pytest.MonkeyPatch
):
    """A model asked for by name fails instead."""
    monkeypatch.setitem(sys.modules, "lightfm", None)  # so Python has it that it is not there
    asked = ["evaluate", str(sales), "--home", str(sales.parent / "home"), "--split", "time:20d"]
    done = CliRunner().invoke(app, [*asked, "--json", "-"])
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert {one["model"] for one in found["results"]} == set(MODELS) - {"hybrid"}
    (skipped,) = found["skipped"]
    assert skipped["model"] == "hybrid"
    assert "pip install 'oferta[hybrid]'" in skipped["why"]
    done = CliRunner().invoke(app, [*asked, "--models", "hybrid"])
    assert isinstance(done.exception, ExtraMissing)


def test_a_mistake_exits_with_2_and_one_sentence(sales: Path):
    done = oferta(sales, "--metric", "ndgc@10")
    assert done.returncode == 2
    assert done.stderr == "oferta: unknown metric 'ndgc@10'. Did you mean 'ndcg@10'?\n"
    assert not done.stdout


def test_help_gives_examples(sales: Path):
    done = oferta(sales, "--help")
    assert done.returncode == 0
    assert "oferta evaluate sales/ --tune 20" in done.stdout


def test_what_was_tuned_is_said_with_the_figures():
    log = {
        "validation": "time:7d of train",
        "models": [
            {
                "model": "ease",
                "tried": [
                    {"settings": {}, "value": 0.2, "share_of_customers": 1.0},
                    {"settings": {"strength": 8.0}, "value": 0.3, "share_of_customers": 1.0},
                    {"settings": {"strength": 1.0}, "value": 0.9, "share_of_customers": 0.1},
                ],
            },
            {"model": "als", "skipped": "would take about 40 min"},
        ],
    }
    assert _tuned(log) == (
        "settings were chosen on time:7d of train: ease strength=8.0 (of 3 tried)"
    )
