"""`oferta publish`, `rollback` and `releases` over the embedded server."""

import json
from pathlib import Path

import pytest
from release_worlds import write_scores
from typer.testing import CliRunner, Result

from oferta.store import head
from oferta.store.connecting import StoreSettings, connect
from oferta.store.contract import Pointer
from oferta_training.cli import app


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OFERTA_REDIS_URL", raising=False)
    monkeypatch.delenv("OFERTA_KEY_SECRET", raising=False)
    monkeypatch.setenv("OFERTA_HOME", str(tmp_path / "home"))
    write_scores(tmp_path / "scores1", version=1)
    write_scores(tmp_path / "scores2", version=2)
    return tmp_path / "home"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_the_three_commands_in_a_row(home: Path):
    first, second = str(home.parent / "scores1"), str(home.parent / "scores2")
    assert json.loads(run("releases", "--json").stdout) == []
    assert "Release 1 is live: 60 customers, 9 products" in run("publish", "--scores", first).stdout
    done = json.loads(run("publish", "--scores", second, "--json").stdout)
    assert (done["manifest"]["release"], done["previous"]) == (2, 1)
    listed = json.loads(run("releases", "--json").stdout)
    facts = [(each["release"], each["state"], each["model"], each["customers"]) for each in listed]
    assert facts == [(2, "live", "model/2", 60), (1, "previous", "model/1", 60)]
    back = run("rollback", "--reason", "the new prices are wrong")
    assert back.stdout == "Release 1 (model/1) is live again, in place of release 2.\n"
    assert "live" in run("releases").stdout
    assert json.loads((home / "ledger.jsonl").read_text().splitlines()[-1])["reason"] == (
        "the new prices are wrong"
    )


def test_if_missing_publishes_only_where_nothing_is_live(home: Path):
    arguments = ("publish", "--scores", str(home.parent / "scores1"), "--if-missing", "--json")
    assert json.loads(run(*arguments).stdout)["manifest"]["release"] == 1
    assert json.loads(run(*arguments).stdout) == {"published": None}
    with connect(StoreSettings(home)) as store:
        store.writer.remove([store.space.pointer()])
    assert json.loads(run(*arguments).stdout)["manifest"]["release"] == 2


def test_a_publisher_that_came_too_late_ends_with_3(home: Path):
    with connect(StoreSettings(home)) as store:
        later = head.pointer_text(Pointer(900, None, 900, 1.0, "0" * 64), None)
        store.writer.put([(store.space.pointer(), later)], ttl_s=60)
    done = run("publish", "--scores", str(home.parent / "scores1"))
    assert done.exit_code == 3
    assert "[fenced]" in done.stderr
    assert json.loads(run("releases", "--json").stdout) == []


def test_a_rollback_wants_a_reason(home: Path):
    assert run("rollback").exit_code == 2
    assert "log keeps it" in str(run("rollback", "--reason", " ").exception)
    assert not (home / "ledger.jsonl").exists()
