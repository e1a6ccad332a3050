"""What has moved is found, what has not is not, and a funnel counts everybody once."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from nightly_metrics import NIGHTLY
from numpy.random import Generator, default_rng
from prometheus_client.parser import text_string_to_metric_families
from release_worlds import write_scores

from oferta.clock import FixedClock
from oferta.events.archive import NOWHERE, Archived, append, rows_of
from oferta.events.dataset import Dataset, open_dataset
from oferta.events.event import Event, Position
from oferta.events.types import event_types
from oferta.progress import Silent
from oferta_training.monitoring.funnel import look_at_funnels
from oferta_training.monitoring.inputs import look_at_inputs
from oferta_training.monitoring.look import Look, look
from oferta_training.monitoring.metrics import metrics_text
from oferta_training.monitoring.page import page
from oferta_training.monitoring.shifts import numbers_shift, shift
from oferta_training.publications import Entry, PublicationLog, publication_log_path

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CLOCK = FixedClock(NOW)
KINDS = ("view", "click", "purchase")
Planted = Callable[[Generator, float], dict[str, object]]


def data(
    folder: Path,
    *,
    seed: int = 1,
    customers: int = 1500,
    planted: Planted | None = None,
    rhythm: Callable[[Generator, int], dict[str, object] | None] | None = None,
) -> Dataset:
    """Ten weeks of customers who all behave alike; in the newest week as `planted` says."""
    rng = default_rng(seed)
    rows = []
    for number in range(customers):
        for day in np.flatnonzero(rng.random(70) < 0.12).tolist():
            row: dict[str, object] = {
                "customer_id": f"c{number}",
                "product_id": f"p{rng.integers(8)}",
                "event_type": KINDS[rng.choice(3, p=(0.6, 0.3, 0.1))],
                "channel": ("app", "web")[int(rng.random() < 0.4)],
                "value": round(float(rng.lognormal(3, 0.5)), 2),
                "timestamp": (
                    NOW - timedelta(days=70 - day, hours=-float(rng.random()))
                ).isoformat(),
            }
            if rhythm is not None:
                change = rhythm(rng, day)
                if change is None:
                    continue
                row |= change
            if planted is not None and day >= 63:
                change = planted(rng, number)
                if change.pop("gone", False):
                    continue
                row |= change
            rows.append(row)
    source = folder / "source"
    source.mkdir(parents=True)
    pl.DataFrame(rows).write_csv(source / "events.csv")
    return open_dataset(source, home=folder / "home", clock=CLOCK, progress=Silent())


def seen(folder: Path, dataset: Dataset) -> Look:
    home = folder / "home"
    publications = PublicationLog(publication_log_path(home), CLOCK)
    return look(home, dataset, archive=None, publications=publications, now=NOW)


@pytest.mark.parametrize("seed", range(4))
def test_customers_who_do_what_they_did_raise_no_alarm(tmp_path: Path, seed: int):
    assert seen(tmp_path, data(tmp_path, seed=seed)).alarms == ()


def test_a_month_that_goes_up_and_down_as_ever_raises_no_alarm(tmp_path: Path):
    """Purchases at the beginning of a month, little at its end, ten weeks long."""

    def monthly(rng: Generator, day: int) -> dict[str, object] | None:
        phase = day % 30
        if rng.random() > (1.0 if phase < 15 else 0.5):
            return None
        return {"event_type": "purchase"} if phase < 10 and rng.random() < 0.4 else {}

    for seed in range(3):
        folder = tmp_path / str(seed)
        dataset = data(folder, seed=seed, rhythm=monthly)
        assert [one.said for one in seen(folder, dataset).alarms] == []


@pytest.mark.parametrize("customers", [20, 60])
def test_few_customers_raise_no_alarm_however_they_scatter(tmp_path: Path, customers: int):
    for seed in range(3):
        folder = tmp_path / str(seed)
        assert seen(folder, data(folder, seed=seed, customers=customers)).alarms == ()


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (lambda rng, _: {"channel": "app"} if rng.random() < 0.7 else {}, "through which channel"),
        (lambda rng, _: {"event_type": "view"} if rng.random() < 0.8 else {}, "what customers do"),
        (lambda rng, _: {"product_id": "p1"} if rng.random() < 0.5 else {}, "with which products"),
        (lambda rng, _: {"value": float(rng.lognormal(4, 0.5))}, "amount"),
        (
            lambda rng, who: {"customer_id": f"n{who}"} if rng.random() < 0.4 else {},
            "new customers",
        ),
        (lambda _, who: {"product_id": f"q{who}"} if who < 40 else {}, "new products"),
        (lambda _, who: {"gone": True} if who % 2 else {}, "customers did anything"),
    ],
)
def test_what_was_planted_is_found(tmp_path: Path, planted: Planted, found: str):
    said = [one.said for one in seen(tmp_path, data(tmp_path, planted=planted)).alarms]
    assert any(found in one for one in said), said


def test_data_of_less_than_two_weeks_or_without_times_are_not_compared(tmp_path: Path):
    for name, text in (("a", "ann,loan,view,2026-05-30\n"), ("b", "ann,loan,view,\n")):
        source = tmp_path / name
        source.mkdir()
        (source / "events.csv").write_text("customer_id,product_id,event_type,timestamp\n" + text)
        dataset = open_dataset(source, home=tmp_path, clock=CLOCK, progress=Silent())
        assert look_at_inputs(dataset) is None


def test_the_index_is_the_sum_that_the_literature_has():
    """Of two bins (0.6 - 0.5) ln(0.6/0.5) + (0.4 - 0.5) ln(0.4/0.5), but for half a row."""
    found = shift("x", "y", ("a", "b"), (50_000, 50_000), (60_000, 40_000), sizes=(9, 9))
    wanted = 0.1 * np.log(0.6 / 0.5) - 0.1 * np.log(0.4 / 0.5)
    assert found.psi == pytest.approx(wanted, rel=1e-4)


def test_chance_alone_stays_below_what_it_is_said_to_exceed_hardly_ever():
    rng = default_rng(5)
    over = 0
    for _ in range(300):
        was, now = (pl.Series(rng.normal(size=400)) for _ in range(2))
        found = numbers_shift("x", "customers", was, now)
        assert found is not None
        over += found.psi > found.chance
    assert over == 0


def test_lists_that_lose_products_or_customers_are_told(tmp_path: Path):
    home = tmp_path / "home"
    dataset = data(tmp_path, customers=50)
    write_scores(home / "scores" / "a", customers=400, profiles=True)
    write_scores(home / "scores" / "b", customers=400, profiles=True)
    now = seen(tmp_path, dataset)
    assert now.alarms == ()
    assert {one.name for one in now.shifts} > {"first product", "chance of the first product"}
    assert len(now.shifts) > 5
    write_scores(home / "scores" / "c", customers=200, same_first=True, empty=0.4, version=2)
    said = " ".join(one.said for one in seen(tmp_path, dataset).alarms)
    for name in ("personalised share fell", "customers fell from 400 to 200", "lists begin with"):
        assert name in said
    assert "first product: PSI" in said


def test_a_release_that_is_too_old_is_told(tmp_path: Path):
    dataset = data(tmp_path, customers=50)
    publications = PublicationLog(
        publication_log_path(tmp_path / "home"), FixedClock(NOW - timedelta(hours=30))
    )
    publications.append(Entry("published", 4, 4, model="m/1", dataset="d"))
    (alarm,) = seen(tmp_path, dataset).alarms
    assert alarm.said == "release 4 went live 30 hours ago"


def told(kind: str, who: str, hours_ago: float, **said: object) -> Event:
    at = (NOW - timedelta(hours=hours_ago)).timestamp()
    number = f"{kind}-{who}-{hours_ago}-{said}"
    fields: dict[str, object] = {"customer_id": who, "product_id": "loan", **said}
    return Event(number, kind, at, at, **fields)  # type: ignore[arg-type]


def archived(folder: Path, events: Sequence[Event]) -> Path:
    archive = folder / "archive"
    archive.mkdir()
    rows = rows_of([Archived(0, Position(1, at), event) for at, event in enumerate(events)])
    append(archive, rows, positions=NOWHERE, day="2026-06-01")
    return archive


def test_a_funnel_counts_a_customer_and_a_product_once_where_it_was_shown(tmp_path: Path):
    at_home = {"placement": "home", "release": 7}
    archive = archived(
        tmp_path,
        [
            *(told("impression", "ann", hours, **at_home) for hours in (50, 40, 30)),
            told("impression", "bob", 30, **at_home),
            told("impression", "cat", 30, placement="basket", release=8),
            told("click", "ann", 29, **at_home),
            told("apply", "ann", 20),  # says not where: where it was shown last
            told("accept", "ann", 10),
            told("view", "bob", 20, product_id="card"),  # never shown
            told("decline", "cat", 5),
            told("click", "dan", 800, **at_home),  # before the four weeks
            told("click", "cat", 4, decision_id="d_1", offer_id="loan-offer", placement="home"),
        ],
    )
    found = look_at_funnels(archive, now=NOW, types=event_types(), models={7: "shop/3"})
    assert found is not None
    rows = {(row.placement, row.name): row.stages for row in found.lists}
    assert rows == {("home", "shop/3"): (2, 1, 1, 1, 0), ("basket", "unknown"): (1, 0, 0, 0, 1)}
    assert [(row.placement, row.name, row.stages) for row in found.offers] == [
        ("home", "loan-offer", (0, 1, 0, 0, 0))
    ]
    assert (found.events, found.placed) == (11, 9)


def test_clicks_that_fall_off_are_told_and_those_that_scatter_are_not(tmp_path: Path):
    rng = default_rng(3)

    def events(rate: float) -> list[Event]:
        made = []
        for number in range(4000):
            hours = float(rng.uniform(1, 24 * 27))
            at_home = {"placement": "home", "release": 7}
            made.append(told("impression", f"c{number}", hours, **at_home))
            if rng.random() < (rate if hours < 24 * 7 else 0.2):
                made.append(told("click", f"c{number}", hours - 0.5, **at_home))
        return made

    dataset = data(tmp_path / "data", customers=50)
    publications = PublicationLog(publication_log_path(tmp_path), CLOCK)
    for name, rate, alarms in (("same", 0.2, 0), ("fallen", 0.1, 1)):
        folder = tmp_path / name
        folder.mkdir()
        archive = archived(folder, events(rate))
        found = look(tmp_path, dataset, archive=archive, publications=publications, now=NOW)
        assert len(found.alarms) == alarms, [one.said for one in found.alarms]


def test_page_and_metrics_tell_what_was_seen_and_nobodys_name(tmp_path: Path):
    home = tmp_path / "home"
    dataset = data(tmp_path, planted=lambda _, __: {"channel": "<b>fax</b>"})
    for name in ("a", "b"):
        write_scores(home / "scores" / name, customers=300, profiles=True)
    publications = PublicationLog(publication_log_path(home), CLOCK)
    publications.append(Entry("published", 7, 7, model="model/1", dataset="d"))
    archive = archived(tmp_path, [told("impression", "ann", 5, placement="home", release=7)])
    found = look(home, dataset, archive=archive, publications=publications, now=NOW)
    html = page(found)
    assert "<b>fax</b>" not in html
    assert "&lt;b&gt;fax" in html
    assert "c0000001" not in html
    assert "ann" not in html.replace("channel", "").replace("channels", "")
    assert html.count("<svg") > 5
    assert "http://" not in html
    assert "https://" not in html
    told_of = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(metrics_text(found))
        for sample in family.samples
    }
    assert {name: told_of.get(name) for name in NIGHTLY} | {"oferta_funnel_offer": None} == (
        NIGHTLY | {"oferta_funnel_offer": None}
    )
    read = {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics_text(found))
        for sample in family.samples
    }
    assert read["oferta_published_release[]"] == 7
    assert read["oferta_lists_customers[]"] == 300
    assert read["oferta_monitoring_alarms[]"] == len(found.alarms) == 1
    assert read["oferta_shift_level[('fact', 'through which channel')]"] == 2
    shown = "[('model', 'model/1'), ('placement', 'home'), ('stage', 'shown')]"
    assert read[f"oferta_funnel_model{shown}"] == 1
