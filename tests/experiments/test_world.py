"""The simulated seller: what its tables may hold, that it is repeatable, and that it says so."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from oferta.clock import FixedClock
from oferta.errors import SettingsInvalid
from oferta.events.guards import IngestOptions
from oferta.events.ingest import ingest
from oferta.progress import Silent
from oferta_experiments.cli import app
from oferta_experiments.world import build as world_build
from oferta_experiments.world.build import Lived, WorldSpec, live, write_world
from oferta_experiments.world.loans import (
    level_balance,
    level_instalment,
    principal_balance,
)
from oferta_experiments.world.log import EVENT_TYPES
from oferta_experiments.world.moments import SMALL_LOAN
from oferta_experiments.world.products import load_products
from oferta_experiments.world.times import later

END = date(2026, 11, 1)
SPEC = WorldSpec(customers=1500, months=24, seed=3, end=END)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("worlds") / "world"
    write_world(SPEC, out, replace=False, progress=Silent())
    return out


@pytest.fixture(scope="module")
def lived() -> Lived:
    return live(SPEC, 0, products=load_products(), advance=lambda _: None)


def table(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(folder / name / "*.parquet")


def test_ingest_takes_every_row(folder: Path, tmp_path: Path) -> None:
    clock = FixedClock(datetime(2026, 11, 2, tzinfo=UTC))
    report = ingest(
        folder, tmp_path / "ds", options=IngestOptions(strict=True), clock=clock, progress=Silent()
    )
    assert report.warnings == ()
    assert set(report.tables) >= {
        "events",
        "products",
        "customers",
        "consent",
        "contracts",
        "vehicles",
    }
    assert all(one.read == one.accepted > 0 for one in report.tables.values())


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_world(SPEC, tmp_path / "again", replace=False, progress=Silent())
    assert _digests(tmp_path / "again") == _digests(folder)


def test_another_seed_gives_another_world(folder: Path, tmp_path: Path) -> None:
    write_world(
        WorldSpec(SPEC.customers, 2, SPEC.seed + 1, END),
        tmp_path / "other",
        replace=False,
        progress=Silent(),
    )
    first = pl.read_parquet(tmp_path / "other" / "truth" / "customers" / "*.parquet")
    assert not first["income"].equals(table(folder / "truth", "customers")["income"])


def test_more_customers_leave_whole_chunks_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_build, "CHUNK", 200)
    products = load_products()
    few, many = (
        live(WorldSpec(count, 3, 5, END), 1, products=products, advance=lambda _: None)
        for count in (400, 900)
    )
    assert few.chunk.state.frame().equals(many.chunk.state.frame())
    assert few.ids.first == 200


def test_balances_are_what_the_instalments_leave(lived: Lived) -> None:
    """Of everybody who was never late and whose contract nobody changed."""
    state, contracts = lived.chunk.state, lived.chunk.contracts
    events = lived.chunk.events.columns()
    late = np.unique(events["who"][events["type"] == EVENT_TYPES.index("arrears")])
    who = np.flatnonzero(state.has_finance() & state.level & (state.holiday == 0))
    who = np.setdiff1d(who, late)
    who = who[contracts.whole("served")[state.finance[who]] == 0]
    assert len(who) > 200
    expected = level_balance(
        state.amount[who], state.rate[who], state.instalment[who], state.payments[who]
    )
    np.testing.assert_allclose(state.balance[who], expected, atol=0.02)
    opened = np.asarray(state.opened[who])
    due = later(opened, state.payments[who])
    assert (due < lived.end).all()
    assert (later(opened, state.payments[who] + 1) >= lived.end).all()


def test_falling_instalments_leave_what_is_left_of_the_principal(lived: Lived) -> None:
    state, contracts = lived.chunk.state, lived.chunk.contracts
    events = lived.chunk.events.columns()
    late = np.unique(events["who"][events["type"] == EVENT_TYPES.index("arrears")])
    who = np.setdiff1d(np.flatnonzero(state.has_finance() & ~state.level), late)
    who = who[contracts.whole("served")[state.finance[who]] == 0]
    assert len(who) > 20
    expected = principal_balance(state.amount[who], state.term[who], state.payments[who])
    np.testing.assert_allclose(state.balance[who], expected, atol=0.02)


def test_finance_is_of_a_car_that_it_is_for(lived: Lived) -> None:
    """A loan for electric cars has an electric car behind it, one for used cars a used one."""
    products, contracts = lived.chunk.products, lived.chunk.contracts
    credit = products.of_family("loan", "lease")[contracts.whole("product")]
    rows = np.flatnonzero(credit & (contracts.whole("vehicle") != -1))
    product = contracts.whole("product")[rows]
    car = lived.chunk.vehicles.whole("car")[contracts.whole("vehicle")[rows]]
    for limit in (products.body, products.fuel, products.condition):
        asked = limit[product] > 0
        assert asked.sum() > 20
        assert (limit[product][asked] == limit[car][asked]).all()


def test_a_level_contract_ends_with_its_last_payment() -> None:
    one = np.array
    paid = level_instalment(one([20_000.0]), one([6.0]), one([60]), one([0.0]))
    assert paid[0] == 386.66  # 20,000 x .005 / (1 - 1.005^-60)
    left = level_balance(one([20_000.0]), one([6.0]), paid, one([60]))
    assert left[0] == pytest.approx(0, abs=0.5)
    # With a balloon of 5,000, the instalment is that of 20,000 less the balloon's worth today.
    balloon = level_instalment(one([20_000.0]), one([6.0]), one([60]), one([5_000.0]))
    assert balloon[0] == pytest.approx(386.66 * (20_000 - 5_000 / 1.005**60) / 20_000, abs=0.01)


def test_contracts_begin_before_they_end_and_nobody_has_two_on_one_car(folder: Path) -> None:
    contracts = table(folder, "contracts")
    assert contracts.filter(pl.col("ends_at") <= pl.col("starts_at")).is_empty()
    products = load_products()
    main = [
        spec.id
        for spec in products.specs
        if spec.family in {"loan", "lease"} and spec.price > SMALL_LOAN
    ]
    motor = [name for name, one in zip(products.ids, products.motor, strict=True) if one]
    for names in (main, motor):
        mine = contracts.filter(pl.col("product_id").is_in(names)).sort("customer_id", "starts_at")
        overlaps = mine.with_columns(
            pl.col("ends_at").shift(1).over("customer_id").alias("before")
        ).filter(pl.col("starts_at") < pl.col("before"))
        assert overlaps.is_empty(), overlaps


def test_active_contracts_are_those_that_run_at_the_end(folder: Path) -> None:
    contracts = table(folder, "contracts")
    end = datetime(2026, 11, 1, tzinfo=UTC)
    running = contracts.filter(pl.col("status").is_in(["active", "arrears"]))
    assert running.filter(pl.col("ends_at") < end).is_empty()
    over = contracts.filter(~pl.col("status").is_in(["active", "arrears"]))
    assert over.filter(pl.col("ends_at") > end + timedelta(days=31)).is_empty()
    late = contracts.filter(pl.col("status") == "arrears")
    assert not late.is_empty()
    assert (late["days_in_arrears"] > 0).all()
    assert (running.filter(pl.col("status") == "active")["days_in_arrears"].fill_null(0) == 0).all()
    credit = running.filter(pl.col("rate").is_not_null())
    assert credit.filter(pl.col("payoff").is_null() | pl.col("next_due").is_null()).is_empty()
    assert (credit["payoff"] <= credit["amount"] * 1.2).all()


def test_credit_is_applied_for_then_approved_then_funded(folder: Path) -> None:
    events = table(folder, "events")
    key = ["customer_id", "product_id"]

    def of(kind: str, name: str) -> pl.DataFrame:
        return (
            events.filter(pl.col("event_type") == kind)
            .select(*key, pl.col("timestamp").alias(name))
            .sort(name)
        )

    funded, approved = of("funded", "funded"), of("approved", "approved")
    joined = (
        funded.join_asof(
            approved, left_on="funded", right_on="approved", by=key, strategy="backward"
        )
        .sort("approved")
        .join_asof(
            of("apply", "asked"), left_on="approved", right_on="asked", by=key, strategy="backward"
        )
    )
    assert len(joined) == len(funded) > 300
    assert (joined["funded"] - joined["asked"] <= timedelta(days=6)).all()
    assert (joined["asked"] <= joined["approved"]).all()
    rejected = events.filter(pl.col("event_type") == "rejected")
    assert 0.05 < len(rejected) / (len(rejected) + len(approved)) < 0.4


def test_every_refinanced_balloon_was_one(folder: Path) -> None:
    contracts = table(folder, "contracts")
    new = contracts.filter(pl.col("product_id") == "balloon-refinance-loan")
    balloons = contracts.filter(pl.col("final_amount") > 0).select(
        "customer_id", pl.col("ends_at").alias("starts_at"), "final_amount"
    )
    assert len(new) > 3
    assert len(new.join(balloons, on=["customer_id", "starts_at"], how="semi")) == len(new)


def test_products_for_electric_cars_are_for_those_who_have_one(lived: Lived) -> None:
    chunk, products = lived.chunk, lived.chunk.products
    electric = products.fuel == 4
    had = np.unique(chunk.vehicles.whole("who")[electric[chunk.vehicles.whole("car")]])
    covers = products.of_family("insurance", "service") & electric
    takers = np.unique(chunk.contracts.whole("who")[covers[chunk.contracts.whole("product")]])
    assert len(takers) > 30
    assert np.isin(takers, had).all()


def test_nothing_is_sent_to_those_who_did_not_agree(folder: Path) -> None:
    """Nor after they took it back."""
    sent = table(folder, "events").filter(
        (pl.col("event_type") == "impression") & (pl.col("channel") == "email")
    )
    said = table(folder, "consent").filter(pl.col("purpose").is_in(["marketing", "email"]))
    latest = sent.join(said, on="customer_id").filter(pl.col("at") <= pl.col("timestamp"))
    month = timedelta(days=31)  # a month's mail is agreed upon at its beginning
    wrong = latest.filter((pl.col("state") == "out") & (pl.col("at") < pl.col("timestamp") - month))
    assert len(sent) > 500
    assert wrong.is_empty()


def test_customers_do_nothing_before_they_are_customers(folder: Path) -> None:
    events = table(folder, "events").join(
        table(folder, "customers").select("customer_id", "customer_since"), on="customer_id"
    )
    asked_before = timedelta(days=6)  # an application comes before the contract that makes one
    early = events.filter(pl.col("timestamp") < pl.col("customer_since") - asked_before)
    assert early.is_empty()


def test_calculators_keep_the_wish(folder: Path) -> None:
    used = table(folder, "events").filter(pl.col("event_type") == "calculator")
    assert len(used) > 500
    wished = ["wished_amount", "wished_months", "wished_deposit", "wished_instalment"]
    assert used.select(pl.col(*wished).is_null().any()).row(0) == (False,) * 4
    assert (used["wished_amount"] > 0).all()
    assert used["wished_model"].is_in([spec.id for spec in load_products().specs]).all()


def test_cars_age(lived: Lived) -> None:
    state, products = lived.chunk.state, lived.chunk.products
    who = np.flatnonzero(state.has_car() & (state.bought < lived.end - 400))
    now = state.value(products, lived.end)[who]
    before = state.value(products, lived.end - 365)[who]
    assert (now <= before).all()  # the oldest are worth a twentieth, and stay so
    assert 0.1 < 1 - now.sum() / before.sum() < 0.25
    assert (state.km(lived.end)[who] > state.km(lived.end - 365)[who]).all()
    assert (now > 0).all()


def test_sources_contradict_each_other(folder: Path) -> None:
    told = table(folder, "attributes").filter(pl.col("name") == "income")
    spread = told.group_by("customer_id").agg(
        pl.col("value").n_unique().alias("values"), pl.col("source").n_unique().alias("sources")
    )
    assert (spread.filter(pl.col("sources") > 1)["values"] > 1).mean() > 0.9  # type: ignore[operator]


def test_tastes_show_in_what_people_hold(folder: Path) -> None:
    """Or no model of tastes could learn anything here."""
    people = table(folder / "truth", "customers").select("customer_id", "archetype_name")
    held = table(folder, "contracts").join(people, on="customer_id")
    share = held.group_by("archetype_name").agg(
        (pl.col("product_id") == "ride-hailing-insurance").mean().alias("share")
    )
    by_name = dict(share.iter_rows())
    assert by_name["driver"] > 10 * by_name["suv_family"]


def test_everything_says_that_it_is_simulated(folder: Path) -> None:
    files = list(folder.rglob("*.parquet"))
    assert len(files) == 12
    for file in files:
        metadata = pq.read_metadata(file).metadata
        assert metadata[b"oferta.source"].startswith(b"simulated"), file
    assert "SIMULATED" in (folder / "README.md").read_text()
    assert json.loads((folder / "truth" / "world.json").read_text())["simulated"] is True


def test_a_folder_that_holds_something_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="--replace"):
        write_world(SPEC, folder, replace=False, progress=Silent())
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SettingsInvalid, match="holds no simulated world"):
        write_world(SPEC, tmp_path, replace=True, progress=Silent())
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_world_is_replaced_when_asked(tmp_path: Path) -> None:
    small = WorldSpec(30, 2, 1, END)
    for seed in (1, 2):
        spec = WorldSpec(small.customers, small.months, seed, END)
        write_world(spec, tmp_path / "w", replace=seed == 2, progress=Silent())
    assert json.loads((tmp_path / "w" / "truth" / "world.json").read_text())["seed"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_stopping_it_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(world_build, "write_notes", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_world(WorldSpec(30, 2, 1, END), tmp_path / "w", replace=False, progress=Silent())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (lambda: WorldSpec(0, 3, 1, END), "customers"),
        (lambda: WorldSpec(5, 0, 1, END), "months"),
        (lambda: WorldSpec(5, 3, 1, date(2026, 11, 2)), "first day of a month"),
    ],
)
def test_a_world_that_cannot_be_is_refused(spec: Callable[[], WorldSpec], said: str) -> None:
    with pytest.raises(SettingsInvalid, match=said):
        spec()


def test_the_command_says_what_comes_next(tmp_path: Path) -> None:
    words = ["world", "--customers", "20", "--months", "2", "--out", str(tmp_path / "w")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "simulated" in done.output
    assert f"oferta ingest {tmp_path / 'w'}" in done.output.replace("\n", "")


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
