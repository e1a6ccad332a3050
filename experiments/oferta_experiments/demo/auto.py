"""The auto-finance demo: a simulated seller's files, up to offers with terms and receipts."""

import shutil
import time
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Final

import httpx
from rich.text import Text

from oferta.clock import SystemClock
from oferta_experiments.demo import auto_page, auto_proof, lately, talk
from oferta_experiments.demo.moments import MOMENTS, WISHING, candidates, latest_scores
from oferta_experiments.demo.stage import Stage, require_free, short, tools

ROOT: Final = Path(__file__).parents[3]
"""The checkout: the seller's files and the training jobs lie in it."""

MONTHS: Final = 36
SEED: Final = 7

_SETTINGS: Final = """\
[decisions]
policy = "policy.toml"
catalogue = "catalogue"
rate_cards = "rate_cards"
base = "{base}"
"""


_STRICTER: Final = ("share = 0.4", "share = 0.3")
"""Of what is left of the income, instalments may take so much."""

_SHOWN: Final = ("What changes", "By risk tier")
"""The tables of a what-if that fit the page; its own page has all."""


def run_auto(stage: Stage, *, port: int, once: bool, customers: int) -> None:
    """Simulate, ingest, train, publish, serve, decide; then serve on until Ctrl-C, unless `once`.

    Raises:
        DemoFailed: one of the commands failed.
        NobodyFound: the world is too small to show every moment.
    """
    home, seller = stage.home, stage.home / "seller"
    today = SystemClock().now().astimezone(UTC).date()
    require_free(port)
    began = time.monotonic()
    home.mkdir(parents=True, exist_ok=True)
    stage.console.print(auto_page.opening(home, customers))
    _learn(stage, seller, customers=customers, today=today)
    scores = latest_scores(home)
    (seller / "serving.toml").write_text(_SETTINGS.format(base=scores.absolute()), encoding="utf-8")
    stage.step("4  Serve, and decide for three customers at moments of the contract clock")
    config = ("--config", short(seller / "serving.toml"))
    with stage.served(port, *config) as address, stage.consumed(*config):
        with httpx.Client(base_url=address, timeout=10.0) as client:
            customer = _decide(stage, client, scores, today=today)
            stage.step("8  A click: the next list follows, also for somebody unknown")
            _follow(stage, client)
        stage.step("9  The engine speaks first: whom it would write to, and why now")
        _triggers(stage, seller, today=today)
        stage.step("10  What if instalments may take 30 % of what is left of the income, not 40 %?")
        _what_if(stage, seller)
        if not once:
            _closing(stage, address, customer, time.monotonic() - began)
            stage.wait()
    if once:
        stage.done(
            time.monotonic() - began,
            *("serve", "--port", str(port), "--config", short(seller / "serving.toml")),
        )


def _learn(stage: Stage, seller: Path, *, customers: int, today: date) -> None:
    """From nothing to a live release, with the seller's files copied beside it."""
    world, dataset = stage.home / "world", stage.home / "dataset"
    stage.step(f"1  The data: {customers:,} simulated customers over {MONTHS} months")
    stage.command(
        *("world", "--customers", str(customers), "--months", str(MONTHS), "--seed", str(SEED)),
        *("--end", str(today.replace(day=1)), "--out", short(world), "--replace"),
    )
    stage.command("ingest", short(world), "--out", short(dataset), "--replace")
    stage.step("2  Learn what each customer takes next: models compared on what came after")
    job = ROOT / "training" / "jobs" / "auto.toml"
    stage.command("train", short(dataset), "--job", short(job), "--brief")
    stage.step("3  Score everybody, build their profiles, publish both, swap them live")
    for name in ("catalogue", "rate_cards"):
        shutil.copytree(ROOT / "serving" / name, seller / name, dirs_exist_ok=True)
    shutil.copy(ROOT / "serving" / "policy.toml", seller / "policy.toml")
    stage.command("publish", "--model", "auto", "--policy", short(seller / "policy.toml"))


def _decide(stage: Stage, client: httpx.Client, scores: Path, *, today: date) -> str:
    """All that is shown of decisions; the first customer's id."""
    console = stage.console
    shown = []
    for moment in MOMENTS:
        one = talk.at_moment(client, moment, candidates(scores, moment, today=today))
        shown.append(one)
        title = moment.title.format(days=one.customer.days)
        console.print(
            auto_page.decision(
                f"customer {one.customer.customer_id}: {title}",
                auto_page.portrait(one.customer.facts),
                one.answer,
            )
        )
    stage.step("5  A wish that cannot be paid: the counter-offer")
    wishing = talk.counter_offered(client, WISHING, candidates(scores, WISHING, today=today))
    console.print(
        auto_page.decision(
            f"customer {wishing.customer.customer_id} wishes {talk.WISH['amount']:,.0f} "
            f"over {talk.WISH['months']} months",
            auto_page.portrait(wishing.customer.facts),
            wishing.answer,
        )
    )
    first = shown[0]
    stage.step("6  The receipt of the first decision")
    console.print(auto_proof.receipt(talk.receipt(client, first.answer["decision_id"])))
    replayed = stage.command("replay", first.answer["decision_id"], quiet=True)
    console.print(Text(replayed.strip().splitlines()[-1]))
    stage.step("7  The customer says no: it holds at once, in every channel")
    saying = shown[1]  # not the first one, who is asked again by who reads the README
    refused = talk.decline(client, saying.answer)
    after = talk.decide(client, saying.asked)
    console.print(Text(f"before  {auto_proof.names(saying.answer)}"))
    console.print(Text(f"after   {auto_proof.names(after)}"))
    console.print(auto_proof.refusal(talk.receipt(client, after["decision_id"]), refused))
    return first.customer.customer_id


def _follow(stage: Stage, client: httpx.Client) -> None:
    """What a click changes for a visitor, and what the visitor takes along when signing in."""
    visit = lately.visited(client, "visitor-7f3a", "public-charging-package")
    stage.console.print(auto_proof.followed("A visitor nobody knows looks at", visit))
    signed = lately.signed_in(client, visit, "new-7f3a")
    stage.console.print(auto_proof.followed("Signed in, the same person clicks on", signed))


def _triggers(stage: Stage, seller: Path, *, today: date) -> None:
    """What is due by tomorrow; asked again, nothing is, for each moment speaks once."""
    # What fired in an earlier run of the demo: its customers are new ones.
    shutil.rmtree(stage.home / "triggers", ignore_errors=True)
    until = str(today + timedelta(days=1))
    words = (
        *("triggers", "--channel", "email", "--due-before", until),
        *("--config", short(seller / "serving.toml"), "--out"),
    )
    told = stage.command(*words, short(stage.home / "triggers.csv"), quiet=True)
    stage.console.print(Text(told.strip()))
    again = stage.command(*words, short(stage.home / "again.csv"), quiet=True)
    stage.console.print(Text(again.strip().splitlines()[-1]))


def _what_if(stage: Stage, seller: Path) -> None:
    """A stricter policy, over everybody, before anybody is decided for by it."""
    stricter = seller / "stricter.toml"
    policy = (seller / "policy.toml").read_text(encoding="utf-8")
    stricter.write_text(policy.replace(*_STRICTER), encoding="utf-8")
    page = stage.home / "whatif.html"
    told = stage.command(
        *("whatif", "--policy", short(stricter), "--config", short(seller / "serving.toml")),
        *("--channel", "app", "--placement", "home", "--max-losers", "1%", "--page", short(page)),
        quiet=True,
    )
    sections = told.strip().split("\n\n")
    kept = [part for part in sections if part is sections[0] or part.startswith(_SHOWN)]
    for part in kept:
        stage.console.print(Text(part))
        stage.console.print()
    stage.console.print(f"by stage, family and offer: {short(page)}", style="dim")


def _closing(stage: Stage, address: str, customer: str, seconds: float) -> None:
    home = stage.home
    event = (
        '{"event_id": "my-first-event", "session_id": "me", '
        '"product_id": "comprehensive-insurance", "type": "view"}'
    )
    body = f'{{"customer_id": "{customer}", "channel": "app", "placements": ["home"]}}'
    stage.lines(
        f"[bold]Up and serving[/bold] after {seconds:.0f} s",
        (
            ("API docs", f"{address}/docs"),
            (
                "Decide",
                f"curl -s {address}/v1/decisions -H content-type:application/json -d '{body}'",
            ),
            (
                "Do something",
                f"curl -s {address}/v1/events -H content-type:application/json -d '{event}'",
            ),
            ("List then", f"curl -s '{address}/v1/sessions/me/recommendations?n=3'"),
            ("Profile", f"curl -s {address}/v1/customers/{customer}/profile"),
            ("Receipt", f"curl -s {address}/v1/decisions/DECISION_ID"),
            (
                "Audience",
                f"OFERTA_HOME={home} {tools() / 'oferta'} audience valuation --out best.csv",
            ),
            ("The files", f"{short(home / 'seller')}: change one, and the next answer obeys it"),
            (
                "Experiments",
                f"{tools() / 'mlflow'} ui --backend-store-uri sqlite:///{home}/mlflow.db",
            ),
            ("Go back", f"OFERTA_HOME={home} {tools() / 'oferta'} rollback --reason 'because'"),
        ),
    )
