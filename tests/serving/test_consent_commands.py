"""`oferta consent` in the terminal: the ledger of this machine, without a server."""

import sqlite3
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from oferta.errors import InputError
from oferta.privacy.ledger import ledger_path
from oferta_serving.cli import app


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OFERTA_HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["consent", *arguments])


def test_what_is_written_is_shown_and_whole(home: Path):
    letter = ("--source", "letter", "--at", "2026-01-12T09:00:00+01:00")
    assert run("show", "c-1").stdout.startswith("They never said anything here")
    assert run("set", "c-1", "marketing", "out", *letter).stdout == (
        "stored as number 1: marketing out\n"
    )
    assert "as before" in run("set", "c-1", "marketing", "out", *letter).stdout
    run("set", "c-1", "marketing", "in", "--source", "app", "--channel", "email")
    shown = run("show", "c-1").stdout
    assert "marketing  refused" in shown
    assert "email  agreed" in shown
    answer = orjson.loads(run("show", "c-1", "--json").stdout)
    assert answer["history"][0]["at"] == "2026-01-12T08:00:00Z"
    assert run("verify").stdout.startswith("whole: 2 is the last number")
    with sqlite3.connect(ledger_path(home)) as file:
        file.execute("DROP TRIGGER words_as_they_are")
        file.execute("UPDATE words SET state = 'in' WHERE state = 'out'")
    file.close()
    swapped = run("verify")
    assert swapped.exit_code == 1
    assert "words in force that no entry says: 1: restore the ledger" in swapped.stderr
    with sqlite3.connect(ledger_path(home)) as file:
        file.execute("DROP TRIGGER entries_as_they_are")
        file.execute("UPDATE entries SET state = 'in'")
    file.close()
    broken = run("verify")
    assert (broken.exit_code, broken.stderr) == (
        1,
        "entry 1 was altered: restore the ledger from a backup\n",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("marketting", "out"), "Did you mean 'marketing'"),
        (("marketing", "no"), "state"),
        (("training", "out", "--channel", "email"), "channel"),
        (("training", "out", "--at", "yesterday"), "at: "),
    ],
)
def test_a_wrong_word_is_told_and_not_written(home: Path, arguments: tuple[str, ...], said: str):
    done = run("set", "c-1", *arguments, "--source", "app")
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)
    assert not ledger_path(home).exists()
