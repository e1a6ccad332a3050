"""`oferta whatif`, `oferta audience` and `oferta triggers`, as processes over a real Redis."""

import json
import subprocess
import sys
from pathlib import Path
from time import time

import polars as pl
import pytest
from base_worlds import scores_folder, wide_rows
from click.testing import Result
from serving.conftest import RealRedis
from serving.decision_worlds import CHANCES, RuleSet, consenting, publish_seller, write_rules
from serving.worlds import SECRET
from typer.testing import CliRunner

from oferta.decisions.request import Customer, Propensity
from oferta.errors import InputError
from oferta.store.redis import RedisWriter
from oferta_serving.base.fired import fired_triggers
from oferta_serving.cli import app

FORMULA = '=HYPERLINK("x")'
"""A customer's id that a spreadsheet would run."""

TRIGGERS = """
[[triggers]]
name = "car-of-age"
when = "market_value < 12000"
due = "today + 10"
once_per = "market_value"
offers = ["warranty"]
text = { en = "The car is getting old.", zh = "车辆老化。" }
"""
PEOPLE = {
    "anna": consenting(),
    "bela": consenting(risk_tier="D", has_vehicle=False),
    "cleo": consenting(consent_personalisation=False, consent_email=False),
    "dora": consenting(vulnerable=True),
    "emil": consenting(in_arrears=True),
    "finn": consenting(market_value=9_000.0),
    FORMULA: consenting(market_value=11_000.0),
}


class Shell:
    """A folder with rules, scores of everybody, and the commands in it."""

    def __init__(self, folder: Path, redis: RealRedis) -> None:
        self.folder = folder
        self.redis = redis
        self.rules: RuleSet = write_rules(folder / "serving")
        policy = folder / "serving" / "policy.toml"
        policy.write_text(policy.read_text() + TRIGGERS)
        (folder / "serving" / "serving.toml").write_text(
            '[decisions]\npolicy = "policy.toml"\ncatalogue = "catalogue"\n'
            'rate_cards = "rate_cards"\n'
        )
        people = {
            name: Customer(
                {
                    key: value
                    for key, value in facts.items()
                    if isinstance(value, float | str | bool)
                },
                {
                    product: Propensity(chance, chance, "similar_taste", None)
                    for product, chance in CHANCES.items()
                },
            )
            for name, facts in PEOPLE.items()
        }
        rates = {product: chance / 2 for product, chance in CHANCES.items()}
        scores = folder / "home" / "scores" / "one"
        scores_folder(scores, wide_rows(people, list(CHANCES), {}), rates=rates)

    def __call__(self, *words: str) -> Result:
        """The command in this process: it starts in a second, and there are many."""
        return CliRunner().invoke(app, list(words))

    def process(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "oferta", *words], capture_output=True, text=True, check=False
        )

    def mailed(self, customer: str) -> None:
        """A decision for an e-mail, stored: the release knows nobody but this customer."""
        writer = RedisWriter(self.redis.url, self.redis.space)
        publish_seller(writer, self.redis.space, {customer: PEOPLE[customer]}, created_at=time())
        writer.close()
        done = self("decide", customer, "--channel", "email", "--json")
        assert json.loads(done.stdout)["offers"], done.stdout

    def new_policy(self, more: str) -> str:
        text = (self.folder / "serving" / "policy.toml").read_text()
        (self.folder / "new.toml").write_text(text + more)
        return "new.toml"


@pytest.fixture
def shell(redis_process: RealRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    made = Shell(tmp_path, redis_process)
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("OFERTA_HOME", str(made.folder / "home"))
    monkeypatch.setenv("OFERTA_REDIS_URL", redis_process.url)
    monkeypatch.setenv("OFERTA_KEY_SECRET", SECRET.decode())
    monkeypatch.setenv("COLUMNS", "120")
    return made


NO_ROADSIDE = """
[[rules]]
name = "no-services"
families = ["service"]
rule = "FALSE"
"""


def test_a_whatif_is_read_in_the_terminal_as_json_and_as_a_page(shell: Shell):
    new = shell.new_policy(NO_ROADSIDE)
    words = ("whatif", "--policy", new, "--page", "w.html", "--customers", "changed.parquet")
    done = shell(*words)
    assert done.exit_code == 0, done.output
    for said in ("7 customers", "lose every offer", "By risk tier", "service", "roadside"):
        assert said in done.stdout
    page = (shell.folder / "w.html").read_text(encoding="utf-8")
    assert "What would change" in page
    assert "http" not in page
    assert "<script src" not in page
    found = json.loads(shell(*words, "--json").stdout)
    # Bela may have no loan, and nobody in particular may: without services nothing is left for
    # her, nor for Cleo, whose answer must not depend on her.
    assert found["total"]["changes"]["lost"] == 2
    assert found["total"]["customers"] == 7
    assert found["losers"] == 2 / 7
    changed = pl.read_parquet(shell.folder / "changed.parquet")
    assert "bela" in changed["customer_id"]
    assert "dora" not in changed["customer_id"]


def test_a_broken_bound_ends_with_one_and_says_which(shell: Shell):
    new = shell.new_policy(NO_ROADSIDE)
    done = shell.process(
        "whatif", "--policy", new, "--max-losers", "28%", "--max-value-drop", "99%"
    )
    assert done.returncode == 1
    assert "bound broken: --max-losers 28.0 %: it is 28.6 %" in done.stderr
    assert "--max-value-drop" not in done.stderr
    assert shell("whatif", "--policy", new, "--max-losers", "0.29").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("whatif",), "name what is new"),
        (("whatif", "--policy", "none.toml"), "no such file"),
        (("whatif", "--policy", "new.toml", "--max-losers", "many"), "is no share"),
        (("whatif", "--policy", "new.toml", "--channel", "apq"), "did you mean 'app'"),
        (("audience", "warrenty", "--out", "a.csv"), "Did you mean 'warranty'"),
        (("audience", "warranty", "--out", "a.xlsx"), "one of .parquet, .csv, .ndjson"),
        (("audience", "warranty", "--out", "no/a.csv"), "is no folder"),
        (("triggers", "--out", "t.txt"), "one of .parquet, .csv, .ndjson"),
        (("triggers", "--out", "t.csv", "--scores", "serving"), "no scoring here has profiles"),
    ],
)
def test_what_is_asked_wrongly_is_told(shell: Shell, words: tuple[str, ...], said: str):
    shell.new_policy("")
    done = shell(*words)
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception).replace("\n", " ")


def test_an_audience_is_a_file_that_a_spreadsheet_can_open(shell: Shell):
    done = shell("audience", "warranty", "--out", "a.csv", "--channel", "app")
    assert done.exit_code == 0, done.output
    assert "3 members of 3" in done.stdout
    text = (shell.folder / "a.csv").read_text(encoding="utf-8")
    assert "'=HYPERLINK" in text
    assert ",=HYPERLINK" not in text
    shell("audience", "warranty", "--out", "a.parquet", "--channel", "app", "--limit", "2")
    rows = pl.read_parquet(shell.folder / "a.parquet")
    assert rows["rank"].to_list() == [1, 2]
    assert rows["expected_value"].to_list() == pytest.approx([8.0, 8.0], rel=1e-6)
    assert set(rows["offer_id"]) == {"warranty"}


def test_an_audience_knows_what_was_said_to_its_customers(shell: Shell):
    """Anna had her mail of the week: stored by a decision, counted by the audience."""
    members = ("audience", "roadside", "--channel", "email", "--out", "a.ndjson")
    shell(*members)
    before = pl.read_ndjson(shell.folder / "a.ndjson")["customer_id"].to_list()
    assert "anna" in before
    shell.mailed("anna")
    done = shell(*members)
    after = pl.read_ndjson(shell.folder / "a.ndjson")["customer_id"].to_list()
    assert set(before) - set(after) == {"anna"}
    assert "1 cap.reached" in done.stdout
    shell(*members, "--no-store")
    assert pl.read_ndjson(shell.folder / "a.ndjson")["customer_id"].to_list() == before


def test_nobody_is_listed_who_said_no_since_the_scores_were_made(shell: Shell):
    """By the ledger of this machine: of marketing, of the channel, of personalisation."""
    members = ("audience", "roadside", "--channel", "email", "--out", "a.ndjson")
    shell(*members)
    before = pl.read_ndjson(shell.folder / "a.ndjson")["customer_id"].to_list()
    assert {"bela", "finn", FORMULA} <= set(before)
    assert "cleo" not in before
    letter = ("--source", "letter")
    shell("consent", "set", "bela", "marketing", "out", *letter)
    shell("consent", "set", "finn", "email", "out", *letter)
    shell("consent", "set", FORMULA, "personalisation", "out", *letter)
    shell("consent", "set", "cleo", "personalisation", "in", *letter)
    shell("consent", "set", "cleo", "email", "in", *letter)
    shell("consent", "set", "never-scored", "email", "in", *letter)
    shell(*members)
    after = pl.read_ndjson(shell.folder / "a.ndjson")["customer_id"].to_list()
    assert set(after) == set(before) - {"bela", "finn", FORMULA} | {"cleo"}
    shell("triggers", "--out", "t.parquet")
    assert pl.read_parquet(shell.folder / "t.parquet")["customer_id"].to_list() == ["finn"]


def test_triggers_fire_once(shell: Shell):
    done = shell("triggers", "--out", "t.csv", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "2 triggers (car-of-age 2)" in done.stdout
    first = shell("triggers", "--out", "t.parquet")
    rows = pl.read_parquet(shell.folder / "t.parquet")
    assert set(rows["customer_id"]) == {"finn", FORMULA}
    assert rows["text_zh"].to_list() == ["车辆老化。"] * 2
    assert "0 fired before" in first.stdout
    again = shell("triggers", "--out", "t2.parquet")
    assert pl.read_parquet(shell.folder / "t2.parquet").is_empty()
    assert "2 fired before and are silent" in again.stdout
    early = shell("triggers", "--out", "t3.csv", "--due-before", "2020-01-01", "--dry-run")
    assert "0 triggers" in early.stdout


def test_a_torn_line_of_fired_triggers_is_no_trigger(tmp_path: Path):
    with fired_triggers(tmp_path) as fired:
        fired.remember(["t_one", "t_two"])
    path = tmp_path / "triggers" / "fired.txt"
    path.write_text(path.read_text() + "t_thr")
    with fired_triggers(tmp_path) as fired:
        assert "t_two" in fired
        assert "t_thr" not in fired
        fired.remember(["t_two", "t_three"])
    with fired_triggers(tmp_path) as fired:
        assert all(one in fired for one in ("t_one", "t_two", "t_three"))
        assert len(path.read_text().split()) == 4
