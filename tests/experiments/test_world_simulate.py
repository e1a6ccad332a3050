"""Policies against the truth of a world: honest books, fair luck, and what is said of them."""

import json
from dataclasses import replace
from datetime import date
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng
from rich.console import Console
from typer.testing import CliRunner

from oferta.errors import SettingsInvalid
from oferta.evaluation.intervals import Difference, Interval
from oferta.progress import Silent
from oferta_experiments.cli import app
from oferta_experiments.world.build import Lived, WorldSpec, live, write_world
from oferta_experiments.world.month import live_month
from oferta_experiments.world.products import load_products
from oferta_experiments.world.sell import sell
from oferta_experiments.world.simulate.judge import uplift
from oferta_experiments.world.simulate.outcome import earned
from oferta_experiments.world.simulate.page import write_page
from oferta_experiments.world.simulate.policies import ARMS
from oferta_experiments.world.simulate.result import ArmResult, Gap, Simulation, Uplift
from oferta_experiments.world.simulate.run import Asked
from oferta_experiments.world.simulate.said import ahead, answer, money, uplift_note
from oferta_experiments.world.simulate.show import summary
from oferta_experiments.world.simulate.start import start_from
from oferta_experiments.world.times import DAY_S, first_day, month_of

END = date(2026, 11, 1)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def lived() -> Lived:
    return live(WorldSpec(400, 3, 5, END), 0, products=load_products(), advance=lambda _: None)


def day_one() -> int:
    return int(first_day(month_of(END)))


def test_nothing_is_earned_before_anything_is_sold(lived: Lived) -> None:
    assert earned(lived.chunk, since=lived.end).sum() == 0


def test_a_warranty_earns_its_commission_once(lived: Lived) -> None:
    chunk = lived.chunk
    product = chunk.products.at("roadside-assistance")
    who = np.flatnonzero(chunk.state.has_car() & (chunk.state.blocked[:, product] < lived.end))[:3]
    chunk.luck.month = month_of(END)
    at = np.full(3, (day_one() + 3) * DAY_S)
    done = sell(chunk, who, np.full(3, product), at=at, event="accept")
    assert done.all()
    books = earned(chunk, since=lived.end)
    assert books[who] == pytest.approx(0.35 * 6 * 12)  # a year of 6 a month
    assert np.count_nonzero(books) == 3


def test_settling_a_contract_early_gives_up_what_it_would_have_earned(lived: Lived) -> None:
    """So that selling the same debt anew is no gain."""
    chunk, state = lived.chunk, lived.chunk.state
    chunk.luck.month = month_of(END)
    long = state.has_finance() & state.level & (state.final_due > day_one() + 700)
    long &= ~chunk.products.of_family("lease")[state.product] & (state.rate > 4)
    who = np.flatnonzero(long)[:20]
    assert len(who) > 5
    product = np.full(len(who), chunk.products.at("car-loan-refinance"))
    at = np.full(len(who), (day_one() + 5) * DAY_S)
    before = state.finance[who].copy()
    sold = sell(chunk, who, product, at=at, event="accept")
    assert (state.finance[who[sold]] != before[sold]).all()
    books = earned(chunk, since=lived.end)[who[sold]]
    assert np.abs(books).max() < 1_500
    assert earned(chunk, since=lived.end)[who[~sold]].sum() == 0


def test_a_life_without_contacts_does_not_hang_on_other_lives(lived: Lived) -> None:
    """Two worlds in which one customer is sold a service: nobody else's life differs."""
    other = live(WorldSpec(400, 3, 5, END), 0, products=load_products(), advance=lambda _: None)
    chunk = other.chunk
    product = chunk.products.at("annual-inspection")
    free = chunk.state.has_car() & (chunk.state.blocked[:, product] < other.end)
    one = np.flatnonzero(free)[:1]

    def contact(chunk: object, month: int, active: object) -> None:
        del chunk, active
        at = np.array([int(first_day(month) + 2) * DAY_S])
        sell(other.chunk, one, np.array([product]), at=at, event="accept")

    month = month_of(END)
    live_month(chunk, month=month, contact=contact)
    live_month(lived.chunk, month=month, contact=lambda *_: None)
    with_it, without = (each.state.frame() for each in (chunk, lived.chunk))
    same = [with_it.row(row) == without.row(row) for row in range(len(with_it))]
    assert np.flatnonzero(~np.array(same)).tolist() in ([], one.tolist())
    assert earned(chunk, since=other.end)[one] > earned(lived.chunk, since=other.end)[one]


def test_the_control_group_measures_the_uplift_that_is_true() -> None:
    """Of lives whose uplift is known: 3 on the mean, beside luck of 10."""
    rng = default_rng(3)
    without = rng.normal(20, 10, 4000)
    with_offers = without + rng.exponential(3, 4000)
    control = rng.random(4000) < 0.3
    found = uplift(with_offers, without, control, 0.3, rng=rng)
    assert found.true.mean == pytest.approx(3, abs=0.2)
    assert found.agrees
    assert (found.control, found.treated) == (int(control.sum()), int((~control).sum()))
    assert found.measured.high - found.measured.low > 5 * (found.true.high - found.true.low)
    assert found.coverage > 0.92
    assert found.enough is not None
    assert 150 < found.enough < 300  # 1.96^2 x (107 / .7 + 100 / .3) / 3^2


def test_an_uplift_that_is_not_there_is_told_by_no_number_of_customers() -> None:
    rng = default_rng(4)
    without = rng.normal(20, 10, 500)
    found = uplift(without - 1, without, rng.random(500) < 0.5, 0.5, rng=rng)
    assert found.enough is None
    assert "would be needed" not in uplift_note(simulation(found=found))


def test_the_answer_says_what_was_not_shown() -> None:
    assert "earns €12.00 more than popularity and €9.00 more than random" in answer(simulation())
    unsure = Gap("random", difference(1.0, -2.0, 4.0, 0.5), difference(1.0, 0.5, 1.5, 0.01))
    shown = simulation()
    shown = replace(shown, gaps=(shown.gaps[0], unsure, shown.gaps[2]))
    assert "not shown to earn more than random eligible offers" in answer(shown)
    assert not ahead(unsure)
    assert money(-1.5).endswith("€1.50")


def test_the_terminal_fits_eighty_columns() -> None:
    console = Console(width=80, record=True, file=StringIO())
    console.print(summary(simulation(), [Path("simulation.html")]))
    text = console.export_text()
    assert "than popularity" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_the_page_holds_everything_and_loads_nothing(tmp_path: Path) -> None:
    page = write_page(simulation(), tmp_path / "new" / "page.html").read_text()
    assert [
        page.count(f'data-plot="{key}"') for key in ("earned", "gaps", "uplift", "families")
    ] == [1] * 4
    assert "default-src 'none'" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page
    assert "nothing in it is real" in page
    # Three arms with offers in four families; each policy's dot and interval.
    assert page.count('data-mark="engine loan"') == 2  # wide and narrow
    assert page.count('data-mark="nothing"') == 2
    again = write_page(simulation(), tmp_path / "again.html").read_text()
    assert again == page


def test_a_name_with_marks_stays_text(tmp_path: Path) -> None:
    page = write_page(replace(simulation(), world="<b>w</b>"), tmp_path / "page.html").read_text()
    assert "&lt;b&gt;w&lt;/b&gt;" in page
    assert "<b>w</b>" not in page


def test_a_world_of_another_make_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="oferta world"):
        start_from(tmp_path, progress=Silent())
    write_world(WorldSpec(50, 2, 1, END), tmp_path / "w", replace=False, progress=Silent())
    notes = tmp_path / "w" / "truth" / "world.json"
    notes.write_text(notes.read_text().replace('"seed": 1', '"seed": 2'))
    with pytest.raises(SettingsInvalid, match="make it again"):
        start_from(tmp_path / "w", progress=Silent())


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_control_group_of_nobody_or_everybody_is_refused(share: float) -> None:
    with pytest.raises(SettingsInvalid, match="--control"):
        Asked(3, share, 7)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The command on a small world, with the sample seller's own files."""
    folder = tmp_path_factory.mktemp("simulated")
    write_world(WorldSpec(350, 12, 9, END), folder / "w", replace=False, progress=Silent())
    job = folder / "job.toml"
    job.write_text(
        'name = "small"\n[calibration]\nmethod = "platt"\n[evaluation]\nsplit = "time:90d"\n'
        "[models.popularity]\n"
    )
    done = CliRunner().invoke(
        app,
        [
            "simulate",
            str(folder / "w"),
            *("--months", "1", "--job", str(job)),
            *("--catalogue", str(ROOT / "serving" / "catalogue")),
            *("--policy", str(ROOT / "serving" / "policy.toml")),
            *("--rate-cards", str(ROOT / "serving" / "rate_cards")),
            *("--page", str(folder / "page.html"), "--json", str(folder / "figures.json")),
        ],
    )
    assert done.exit_code == 0, done.output
    assert (folder / "page.html").is_file()
    found: dict[str, object] = json.loads((folder / "figures.json").read_text())
    return found


def test_every_policy_meets_the_same_customers_under_the_same_rules(
    simulated: dict[str, object],
) -> None:
    arms = {arm["name"]: arm for arm in simulated["arms"]}  # type: ignore[attr-defined]
    assert list(arms) == list(ARMS)
    met = {arms[name]["met"] for name in ("engine", "popularity", "random")}
    assert len(met) == 1
    assert min(arms[name]["offered"] for name in ("engine", "popularity", "random")) > 50
    assert arms["nothing"]["offered"] == 0
    assert simulated["months"] == ["2026-11"]


def test_the_policy_makes_offers_that_are_truly_worth_something(
    simulated: dict[str, object],
) -> None:
    arms = {arm["name"]: arm for arm in simulated["arms"]}  # type: ignore[attr-defined]
    assert arms["engine"]["true"] > 0
    assert arms["engine"]["worth_each"] > 0


def simulation(found: Uplift | None = None) -> Simulation:
    """A result as a run would give."""
    families = {"loan": (40, 2), "insurance": (50, 3), "service": (8, 0), "servicing": (2, 1)}
    arms = tuple(
        ArmResult(
            name=name,
            met=0 if name == "nothing" else 150,
            offered=0 if name == "nothing" else 100,
            accepted=6,
            sold=5,
            said=0.07,
            true=0.02,
            approved=0.9 if name == "engine" else None,
            bad=None,
            worth=Interval(4.0, 3.0, 5.0),
            worth_each=6.0,
            earned=Interval(mean, mean - 8, mean + 8),
            by_month=(mean / 2, mean / 2),
            by_family={} if name == "nothing" else families,
        )
        for name, mean in zip(ARMS, (52.0, 40.0, 43.0, 37.0), strict=True)
    )
    gaps = (
        Gap("popularity", difference(12.0, 6.0, 18.0, 0.001), difference(5.0, 4.0, 6.0, 0.0001)),
        Gap("random", difference(9.0, 3.0, 15.0, 0.01), difference(5.0, 4.0, 6.0, 0.0001)),
        Gap("nothing", difference(15.0, 9.0, 21.0, 0.001), difference(6.0, 5.0, 7.0, 0.0001)),
    )
    known = found or Uplift(
        0.2, 20, 80, Interval(11.0, -5.0, 27.0), Interval(15.0, 9.0, 21.0), 0.95, 1200
    )
    return Simulation("w", 100, ("2026-11", "2026-12"), 7, "auto/1", "abc", arms, gaps, known)


def difference(mean: float, low: float, high: float, p_value: float) -> Difference:
    return Difference(Interval(mean, low, high), p_value)
