"""Promoting and going back: registry, tags and log tell the same story, also after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from shop import write_shop
from typer.testing import CliRunner

from oferta.cli import app, load_commands
from oferta.clock import FixedClock
from oferta.errors import PromotionRefused, RegistryError
from oferta.events.dataset import open_dataset
from oferta.progress import Silent
from oferta_training import registry, tracking
from oferta_training.job import Job
from oferta_training.promotions import promote, refuse, roll_back
from oferta_training.publications import PublicationLog, publication_log_path
from oferta_training.registry import Version
from oferta_training.verdict import Outcome, Verdict

CLOCK = FixedClock(datetime(2025, 7, 2, tzinfo=UTC))
PASSED = Verdict(
    promoted=True,
    because="ndcg@10 differs by +0.01",
    difference=None,
    outcomes=(Outcome("overall", True, 0.01, -0.002, "ndcg@10 differs by +0.01"),),
)
REFUSED = Verdict(
    promoted=False,
    because="guard 'segments': region=north",
    difference=None,
    outcomes=(
        Outcome("overall", True, 0.01, -0.002, "ndcg@10 differs by +0.01"),
        Outcome("segments", False, 0.001, 0.05, "region=north"),
        Outcome("cost", False, 9.0, 5.0, "seconds of fitting: 9, above 5"),
    ),
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry without a version: making its tables takes longer than any test."""
    folder = tmp_path_factory.mktemp("empty")
    tracking.client(folder).search_registered_models()
    return folder


@pytest.fixture
def home(empty: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(empty, tmp_path / ".oferta"))


def registered(
    home: Path, name: str = "shop", *, job: Job | None = None, dataset: Path | None = None
) -> Version:
    """One more version, as small as the registry takes it: with the job that made it."""
    tracker = tracking.client(home)
    if name not in {model.name for model in tracker.search_registered_models()}:
        tracker.create_registered_model(name)
    run_id = tracker.create_run(tracking.experiment(home, name)).info.run_id
    tracking.log_json(tracker, run_id, "job.json", (job or Job()).model_dump(mode="json"))
    tags = {"oferta.model": "ease", "oferta.fingerprint": "f00d", "oferta.dataset": str(dataset)}
    made = tracker.create_model_version(name, source=str(home), run_id=run_id, tags=tags)
    return registry.find(home, f"{name}/{made.version}")


def actions(home: Path) -> list[str]:
    return [entry.action for _, entry in publications(home).entries()]


def publications(home: Path) -> PublicationLog:
    return PublicationLog(publication_log_path(home), CLOCK)


def act(home: Path, verdict: Verdict = PASSED, *, made: Version | None = None) -> Version:
    version = made or registered(home)
    over = registry.champion(home, "shop")
    promote(home, version, verdict, over=over, clock=CLOCK, by="a test")
    return version


def champion(home: Path) -> int | None:
    found = registry.champion(home, "shop")
    return None if found is None else found.number


def test_a_promotion_is_in_the_alias_the_tags_and_the_log(home: Path) -> None:
    version = act(home)
    tags = tracking.client(home).get_model_version("shop", "1").tags
    assert champion(home) == 1
    assert tags["oferta.gate"] == PASSED.because
    assert publications(home).reigns("shop") == [(version.label, CLOCK.now())]
    assert json.loads(tags["oferta.guards"]) == [
        {
            "guard": "overall",
            "passed": True,
            "measured": 0.01,
            "limit": -0.002,
            "sentence": "ndcg@10 differs by +0.01",
        }
    ]
    assert actions(home) == ["promoting", "promoted"]
    (_, entry) = publications(home).entries()[-1]
    assert (entry.model, entry.by, entry.dataset) == (version.label, "a test", "f00d")


def test_a_refusal_names_the_failing_guards_and_moves_nothing(home: Path) -> None:
    act(home)
    refused = act(home, REFUSED)
    assert champion(home) == 1
    assert registry.find(home, "shop@challenger") == refused
    (_, entry) = publications(home).entries()[-1]
    assert entry.action == "refused promotion"
    assert entry.guards == "segments, cost"
    assert [label for label, _ in publications(home).reigns("shop")] == ["shop/1"]


def test_a_long_verdict_still_fits_into_the_registry(home: Path) -> None:
    long = "x" * 9000
    many = tuple(Outcome("calibration", False, 1 / 3, 2 / 3, long) for _ in range(30))
    act(home, Verdict(promoted=False, because=long, difference=None, outcomes=many))
    tags = tracking.client(home).get_model_version("shop", "1").tags
    assert len(json.loads(tags["oferta.guards"])) == 30
    assert len(tags["oferta.guards"]) <= 5000
    assert len(tags["oferta.gate"]) == 5000
    (_, entry) = publications(home).entries()[-1]
    assert entry.reason == long


def test_an_earlier_champion_comes_back_with_the_reason_on_record(home: Path) -> None:
    act(home)
    act(home)
    roll_back(home, "shop", 1, reason="sales fell", clock=CLOCK, by="a test")
    assert champion(home) == 1
    assert actions(home)[-2:] == ["rolling champion back", "champion rolled back"]
    (_, entry) = publications(home).entries()[-1]
    assert (entry.model, entry.replaced, entry.reason) == ("shop/1", "shop/2", "sales fell")


def test_a_version_that_was_never_champion_does_not_come_in_around_the_gate(home: Path) -> None:
    act(home)
    act(home, REFUSED)
    with pytest.raises(RegistryError, match=r"never was champion.*Were champion: shop/1"):
        roll_back(home, "shop", 2, reason="I like it", clock=CLOCK, by="a test")
    assert champion(home) == 1


def test_a_champion_that_somebody_set_in_mlflow_is_put_on_record(home: Path) -> None:
    act(home)
    by_hand = registered(home)
    tracking.client(home).set_registered_model_alias("shop", "champion", str(by_hand.number))
    act(home, REFUSED)
    assert actions(home) == ["promoting", "promoted", "found champion", "refused promotion"]
    assert publications(home).champions("shop") == ["shop/1", "shop/2"]


def test_what_was_made_champion_by_hand_does_not_come_back(home: Path) -> None:
    """A version that the gate refused, set in MLflow: being found does not make it let through."""
    act(home)
    refused = act(home, REFUSED)
    tracking.client(home).set_registered_model_alias("shop", "champion", str(refused.number))
    act(home)
    assert "found champion" in actions(home)
    with pytest.raises(RegistryError, match=r"around the gate.*Were champion: shop/1, shop/3"):
        roll_back(home, "shop", refused.number, reason="I like it", clock=CLOCK, by="a test")
    assert champion(home) == 3


def test_a_refusal_before_there_is_a_version_is_on_record(home: Path) -> None:
    refuse(home, "shop", REFUSED, dataset="f00d", clock=CLOCK, by="a study")
    (_, entry) = publications(home).entries()[-1]
    assert (entry.action, entry.model, entry.dataset) == ("refused promotion", "shop", "f00d")
    assert (entry.guards, entry.reason) == ("segments, cost", REFUSED.because)
    assert publications(home).champions("shop") == []


def catalogue(folder: Path, category: str) -> Path:
    """A dataset whose customers have a gender and whose products are of the category."""
    source = write_shop(folder / "source")
    customers = pl.read_csv(source / "customers.csv")
    customers.with_columns(pl.lit("F").alias("gender")).write_csv(source / "customers.csv")
    products = pl.read_csv(source / "products.csv")
    products.with_columns(pl.lit(category).alias("category")).write_csv(source / "products.csv")
    home = folder / ".oferta"
    return open_dataset(source, home=home, clock=CLOCK, progress=Silent()).path


@pytest.mark.parametrize(("sold", "back"), [("toys", True), ("car loan", False)])
def test_going_back_asks_whether_credit_is_sold_by_now(
    home: Path, tmp_path: Path, sold: str, back: bool
) -> None:
    """A model of sex was champion of a shop that has begun to lend since."""
    policy = {"allow_protected": {"gender": "toys"}}
    job = Job.model_validate({"features": {"customers": ["gender"]}, "policy": policy})
    act(home, made=registered(home, job=job, dataset=catalogue(tmp_path / "then", "toys")))
    act(home, made=registered(home, dataset=catalogue(tmp_path / "now", sold)))
    if back:
        roll_back(home, "shop", 1, reason="sales fell", clock=CLOCK, by="a test")
    else:
        with pytest.raises(PromotionRefused, match=r"gender \(sex\)"):
            roll_back(home, "shop", 1, reason="sales fell", clock=CLOCK, by="a test")
        (_, entry) = publications(home).entries()[-1]
        assert (entry.action, entry.guards) == ("refused promotion", "protected")
    assert champion(home) == (1 if back else 2)


def test_going_back_to_a_model_of_attributes_whose_data_is_gone_is_refused(
    home: Path, tmp_path: Path
) -> None:
    job = Job.model_validate({"features": {"customers": ["gender"]}})
    act(home, made=registered(home, job=job, dataset=tmp_path / "gone"))
    act(home)
    with pytest.raises(PromotionRefused, match="not measured"):
        roll_back(home, "shop", 1, reason="sales fell", clock=CLOCK, by="a test")


def test_a_verdict_over_a_champion_that_is_gone_promotes_nothing(home: Path) -> None:
    """Two runs at once: the second was never compared with what the first has made champion."""
    first = act(home)
    second, third = registered(home), registered(home)
    promote(home, second, PASSED, over=first, clock=CLOCK, by="the faster one")
    for over in (first, None):
        held = promote(home, third, PASSED, over=over, clock=CLOCK, by="the slower one")
        assert not held.promoted
        assert "shop/2 became champion" in held.because
    assert champion(home) == 2
    assert actions(home)[-1] == "refused promotion"


def test_the_log_of_one_model_says_nothing_of_another(home: Path) -> None:
    act(home)
    other = registered(home, "shop2")
    promote(home, other, PASSED, over=None, clock=CLOCK, by="a test")
    assert publications(home).champions("shop") == ["shop/1"]
    assert publications(home).champions("shop2") == ["shop2/1"]
    assert publications(home).last_fence() == 0


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from oferta.clock import FixedClock
from oferta_training import registry
from oferta_training.promotions import promote
from oferta_training.verdict import Verdict

home, when = Path(sys.argv[1]), sys.argv[2]
move = registry.set_alias

def fatal(*args, **kwargs):
    if when == "after":
        move(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)

registry.set_alias = fatal
version = registry.find(home, "shop/2")
verdict = Verdict(promoted=True, because="better", difference=None)
over = registry.champion(home, "shop")
clock = FixedClock(datetime(2025, 7, 3, tzinfo=UTC))
promote(home, version, verdict, over=over, clock=clock, by="killed")
"""


@pytest.mark.parametrize(
    ("when", "live", "left", "told"),
    [
        ("before", 1, ["promoting"], ["promoting", "refused promotion"]),
        ("after", 2, ["promoting"], ["promoting", "found champion", "refused promotion"]),
    ],
)
def test_killed_around_the_alias_the_log_tells_the_truth_afterwards(
    home: Path, when: str, live: int, left: list[str], told: list[str]
) -> None:
    """Killed with SIGKILL right before, or right after, the alias moves."""
    act(home)
    registered(home)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(home), when],
        check=False,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert champion(home) == live
    assert actions(home)[2:] == left
    act(home, REFUSED)
    assert actions(home)[2:] == told
    assert publications(home).champions("shop")[-1] == f"shop/{live}"


def run(home: Path, *words: str) -> str:
    load_commands()
    done = CliRunner().invoke(app, ["champion", *words, "--home", str(home)], catch_exceptions=True)
    return done.output if done.exit_code == 0 else f"{done.exception}"


def test_the_command_lists_versions_and_goes_back(home: Path) -> None:
    act(home)
    act(home)
    act(home, REFUSED)
    listed = run(home).splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [
        ["3", "challenger"],
        ["2", "champion"],
        ["1", "-"],
    ]
    assert "guard 'segments': region=north" in listed[1]
    assert "shop/1 (ease) is champion again, in place of shop/2" in run(
        home, "--to", "1", "--reason", "sales fell"
    )
    versions = json.loads(run(home, "shop", "--json"))
    assert versions[2]["aliases"] == ["champion"]
    assert versions[1]["promoted_at"] == CLOCK.now().isoformat()
    assert versions[0]["promoted_at"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "1"), "say why"),
        (("--to", "1", "--reason", " "), "say why"),
        (("--reason", "because"), "goes with --to"),
        (("--to", "1", "--reason", "again"), "is the champion already"),
        (("--to", "9", "--reason", "again"), "'shop/9' is not in the registry"),
        (("shoop",), "no registered model 'shoop'"),
    ],
)
def test_the_command_says_what_is_wrong(home: Path, words: tuple[str, ...], message: str) -> None:
    act(home)
    assert message in run(home, *words)
