"""`oferta decide` and `oferta replay` over a real Redis, as processes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import time

import pytest
from serving.conftest import RealRedis
from serving.decision_worlds import RuleSet, publish_seller, write_rules
from serving.worlds import SECRET
from typer.testing import CliRunner

from oferta.decisions.record import pack_record, unpack_record
from oferta.errors import SettingsInvalid
from oferta.store.decision_records import open_decision, seal_decision
from oferta.store.redis import RedisWriter
from oferta_serving.cli import app


class Shell:
    """A folder with rules, and the command in it."""

    def __init__(self, folder: Path, redis: RealRedis) -> None:
        self.rules: RuleSet = write_rules(folder / "serving")
        self.folder = folder
        self.redis = redis
        (folder / "serving" / "serving.toml").write_text(
            '[decisions]\npolicy = "policy.toml"\ncatalogue = "catalogue"\n'
            'rate_cards = "rate_cards"\n'
        )

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "oferta", *words],
            cwd=self.folder,
            env={
                **os.environ,
                "OFERTA_REDIS_URL": self.redis.url,
                "OFERTA_KEY_SECRET": SECRET.decode(),
                "OFERTA_HOME": str(self.folder / "home"),
                "COLUMNS": "120",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def decided(self, *words: str) -> dict:
        done = self("decide", *words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def shell(redis_process: RealRedis, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    writer = RedisWriter(redis_process.url, redis_process.space)
    publish_seller(writer, redis_process.space, created_at=time())
    writer.close()
    return Shell(tmp_path_factory.mktemp("shell"), redis_process)


def test_a_decision_is_shown_with_offers_terms_and_what_became_of_the_rest(shell: Shell):
    done = shell("decide", "anna", "--channel", "app", "--placement", "home")

    assert done.returncode == 0, done.stderr
    for said in ("Car loan", "汽车贷款", "annual rate", "because", "offer.not_approved"):
        assert said in done.stdout
    assert done.stderr == ""


def test_a_decision_is_replayed_after_its_files_have_changed(shell: Shell):
    answer = shell.decided(
        "bela",
        "--channel",
        "app",
        "--wish",
        "instalment=200",
        "--context",
        "kwh=7.5",
        "--context",
        "station=n-1",
    )
    shell.rules.replace("rate_cards/2026.toml", "once = 1200", "once = 1300")
    shell.rules.replace("policy.toml", "limit = 3", "limit = 4")
    try:
        done = shell("replay", answer["decision_id"])
        as_json = json.loads(shell("replay", answer["decision_id"], "--json").stdout)
    finally:
        shell.rules.replace("rate_cards/2026.toml", "once = 1300", "once = 1200")
        shell.rules.replace("policy.toml", "limit = 4", "limit = 3")

    assert done.returncode == 0, done.stdout
    assert "the same decision, to the last digit" in done.stdout
    assert as_json["same"] is True
    assert as_json["offers"] == answer["offers"]


def test_a_record_that_does_not_give_its_answer_again_ends_with_one(shell: Shell):
    """As if somebody had written another chance into it, checksum and all."""
    decision_id = shell.decided("anna", "--channel", "web")["decision_id"]
    key = shell.redis.space.decision(decision_id)
    with shell.redis.client() as redis:
        record = redis.get(key)
        assert isinstance(record, bytes)
        redis.set(key, altered(record))
    done = shell("replay", decision_id)

    assert done.returncode == 1
    assert "The replay differs" in done.stdout
    assert "offers" in done.stdout


def altered(record: bytes) -> bytes:
    stored = open_decision(record)
    found = unpack_record(stored.record)
    chances = dict(found.known.customer.propensities)
    chances["roadside"] = chances["roadside"]._replace(probability=0.9)
    known = replace(found.known, customer=replace(found.known.customer, propensities=chances))
    packed = pack_record(found.request, known, found.decision)
    return seal_decision(replace(stored, record=packed), release=1)


def test_asking_for_another_time_stores_nothing(shell: Shell):
    answer = shell.decided("anna", "--channel", "web", "--at", "2027-03-01T10:00:00+01:00")

    assert answer["decision_id"] is None
    assert answer["decided_at"] == "2027-03-01T09:00:00Z"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("decide", "anna", "--channel", "apq"), "Did you mean 'app'?"),
        (("decide", "anna", "--channel", "app", "--placement", "charging-stop"), "context.kwh"),
        (("replay", "d_nothing"), "decision.unknown"),
    ],
)
def test_what_is_wrong_is_said_and_ends_with_two(shell: Shell, words: tuple[str, ...], said: str):
    done = shell(*words)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at", "tomorrow"), "no instant with an offset"),
        (("--at", "2027-03-01T10:00:00"), "no instant with an offset"),
        (("--context", "kwh"), "write NAME=VALUE"),
        (("--wish", "amount=1", "--wish", "amount=2"), "every name once"),
        (("--config", "nowhere.toml"), "no such file"),
        (("--config", "empty.toml"), "no policy, catalogue and rate_cards"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_asked(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
):
    monkeypatch.chdir(shell.folder)
    Path("empty.toml").touch()
    done = CliRunner().invoke(app, ["decide", "anna", *words])

    assert isinstance(done.exception, SettingsInvalid)
    assert said in str(done.exception)


def test_a_server_does_not_start_on_rules_with_a_mistake_and_names_every_one(shell: Shell):
    shell.rules.replace("catalogue/all.toml", "risk_tier IN", "risk_teir IN")
    shell.rules.replace("policy.toml", "context_kwh > 0", "context_kw > 0")
    try:
        done = shell("serve", "--config", "serving/serving.toml", "--port", "0")
    finally:
        shell.rules.replace("catalogue/all.toml", "risk_teir IN", "risk_tier IN")
        shell.rules.replace("policy.toml", "context_kw > 0", "context_kwh > 0")

    assert done.returncode == 2
    assert "risk_tier" in done.stderr
    assert "context_kwh" in done.stderr
