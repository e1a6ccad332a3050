"""Chances that know the customer's clock, from a dataset to scores; nothing of the future leaks."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from oferta.clock import FixedClock
from oferta.errors import SettingsInvalid
from oferta.events.dataset import Dataset, open_dataset
from oferta.interactions.idmap import IdMap
from oferta.models.propensity.facts import REBUILT
from oferta.models.propensity.stored import load_propensity
from oferta.profile.build import build_profiles
from oferta.profile.needs import NO_PEERS
from oferta.progress import Silent
from oferta.settings import parse
from oferta_training import registry
from oferta_training.cli import app
from oferta_training.job import Job
from oferta_training.past import PastDataset
from oferta_training.propensity import contract_ends, learn_propensity
from oferta_training.score import score
from oferta_training.scores import ScoresFolder
from oferta_training.train import train

START = datetime(2022, 1, 1, tzinfo=UTC)
DAYS = 1100
NOW = START + timedelta(days=DAYS + 1)
CUT = START + timedelta(days=1010)
CUSTOMERS = 240
JOB = {
    "name": "yearly",
    "evaluation": {"split": "time:90d", "k": [2], "metric": "ndcg@2"},
    "embedding": {"settings": {"factors": 4}},
    "propensity": {"learn": True, "windows": 2},
    "models": {"popularity": {}},
}


def write_yearly(folder: Path) -> Path:
    """Insurance that three quarters of its customers renew every year; extras at any time.

    A tenth of the customers are known from the customers table alone.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(11)
    events: list[tuple[str, str, str, datetime]] = []
    contracts: list[dict[str, object]] = []

    def told(customer: str, product: str, kind: str, day: float) -> None:
        events.append((customer, product, kind, START + timedelta(days=float(day))))

    for number in range(CUSTOMERS):
        customer = f"c{number:04d}"
        if number % 10 == 9:
            continue
        day = float(rng.integers(0, 365))
        kind = "purchase"
        while day < DAYS:
            told(customer, "insurance", "view", max(day - 3, 0))
            told(customer, "insurance", kind, day)
            begins = START + timedelta(days=day)
            contracts.append(
                {
                    "contract_id": f"k{len(contracts):05d}",
                    "customer_id": customer,
                    "product_id": "insurance",
                    "starts_at": begins,
                    "ends_at": begins + timedelta(days=365),
                    "term_months": 12,
                    "status": "active" if day + 365 > DAYS else "ended",
                }
            )
            kind, day = "renewal", day + 365
            if rng.random() > 0.75:
                break
        for _ in range(int(rng.poisson(2))):
            told(customer, "roadside", "purchase", rng.uniform(0, DAYS))
        for _ in range(int(rng.poisson(4))):
            told(customer, "warranty", "view", rng.uniform(0, DAYS))
    told("c0000", "roadside", "purchase", DAYS - 0.001)
    pl.DataFrame(
        events, schema=["customer_id", "product_id", "event_type", "timestamp"], orient="row"
    ).sort("timestamp").write_parquet(folder / "events.parquet")
    pl.DataFrame(contracts).write_parquet(folder / "contracts.parquet")
    pl.DataFrame(
        {
            "product_id": ["insurance", "roadside", "warranty"],
            "category": ["insurance", "service", "service"],
            "price_minor": [60_000, 9_000, 30_000],
        }
    ).write_parquet(folder / "products.parquet")
    ids = [f"c{number:04d}" for number in range(CUSTOMERS)]
    pl.DataFrame({"customer_id": ids}).write_parquet(folder / "customers.parquet")
    return folder


def opened(source: Path, home: Path) -> Dataset:
    return open_dataset(source, home=home, clock=FixedClock(NOW), progress=Silent())


@pytest.fixture(scope="module")
def yearly(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    folder = tmp_path_factory.mktemp("yearly")
    return folder / ".oferta", opened(write_yearly(folder / "source"), folder / ".oferta")


@pytest.fixture(scope="module")
def scored(yearly: tuple[Path, Dataset]) -> ScoresFolder:
    home, dataset = yearly
    job = parse(JOB, Job, place="test")
    done = train(dataset, job, home=home, clock=FixedClock(NOW), progress=Silent())
    assert done.learned is not None
    assert done.learned.propensity is not None, done.learned.why_not
    return score(home, model=None, dataset=None, clock=FixedClock(NOW), progress=Silent())


def chances(scored: ScoresFolder) -> pl.DataFrame:
    return scored.lists().collect().select("customer_id", "product_id", "probability")


def test_whose_insurance_ends_within_the_window_is_likely_to_renew_and_nobody_else(
    yearly: tuple[Path, Dataset], scored: ScoresFolder
) -> None:
    contracts = yearly[1].contracts()
    assert contracts is not None
    last = contracts.group_by("customer_id").agg(pl.col("ends_at").max()).collect()
    insured = chances(scored).filter(pl.col("product_id") == "insurance")
    both = insured.join(last, on="customer_id").with_columns(
        days=(pl.col("ends_at") - NOW).dt.total_days()
    )
    soon = both.filter(pl.col("days").is_between(0, 80))["probability"]
    later = both.filter(pl.col("days") > 100)["probability"]
    assert len(soon) > 20
    assert soon.mean() == pytest.approx(0.75, abs=0.15)
    assert later.mean() < 0.1


def test_customers_without_a_past_have_no_chances_and_everybody_else_has_all(
    scored: ScoresFolder,
) -> None:
    rows = chances(scored)
    without = rows.filter(pl.col("probability").is_null())["customer_id"].unique()
    assert set(without) == {f"c{at:04d}" for at in range(9, CUSTOMERS, 10)}
    assert len(rows.filter(pl.col("probability").is_not_null())) == 3 * (CUSTOMERS - len(without))


def test_the_base_rate_is_about_the_share_of_customers_who_choose_in_a_window(
    yearly: tuple[Path, Dataset], scored: ScoresFolder
) -> None:
    """Of all customers with a past: not only of those who choose anything."""
    rates = dict(scored.product_rows().select("product_id", "base_rate").iter_rows())
    conversions = yearly[1].events().filter(pl.col("event_type") != "view").collect()
    late = conversions.filter(pl.col("timestamp") >= CUT)
    shares = {
        product: rows["customer_id"].n_unique() / (CUSTOMERS * 0.9)
        for (product,), rows in late.group_by("product_id")
    }
    assert rates["insurance"] == pytest.approx(shares["insurance"], rel=0.35)
    assert rates["roadside"] == pytest.approx(shares["roadside"], rel=0.5)
    assert rates["warranty"] < 0.02, "nobody ever bought one"


def test_the_version_carries_what_states_its_chances_and_the_run_what_they_are_worth(
    yearly: tuple[Path, Dataset], scored: ScoresFolder, tmp_path: Path
) -> None:
    home, _ = yearly
    version = registry.find(home, scored.model)
    beside = registry.propensity_beside(registry.download(home, version, tmp_path))
    assert beside is not None
    loaded = load_propensity(beside, products=3)
    assert (loaded.horizon_days, loaded.coding.names) == (90, REBUILT)
    run = CliRunner().invoke(
        app,
        ["train", str(yearly[1].path), "--home", str(tmp_path / "h"), "--job", str(job(tmp_path))],
    )
    assert run.exit_code == 0, run.output
    assert "chances of 216 customers in the last window" in " ".join(run.output.split())


def job(folder: Path) -> Path:
    file = folder / "job.toml"
    file.write_text(
        'name = "yearly"\n[evaluation]\nsplit = "time:90d"\nk = [2]\nmetric = "ndcg@2"\n'
        "[propensity]\nlearn = true\nwindows = 1\n[models.popularity]\n"
        "[embedding.settings]\nfactors = 4\n"
    )
    return file


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"evaluation": {"split": "random:0.2"}}, "no window of time"),
        ({"evaluation": {"split": "time:600d"}}, "too short for two windows"),
    ],
)
def test_what_teaches_no_chances_says_why(
    yearly: tuple[Path, Dataset], changed: Mapping[str, object], why: str
) -> None:
    made = parse({**JOB, **changed}, Job, place="test")
    learned = learn_propensity(yearly[1], made, model="popularity", settings={}, progress=Silent())
    assert learned.propensity is None
    assert why in learned.why_not


def test_a_job_takes_only_facts_that_the_past_can_tell() -> None:
    with pytest.raises(SettingsInvalid, match="risk_tier"):
        parse({"propensity": {"facts": ["risk_tier"]}}, Job, place="test")
    with pytest.raises(SettingsInvalid, match="insurance_renewal"):
        parse({"propensity": {"facts": ["insurance_renewl"]}}, Job, place="test")


def contract(number: int, product: str, **more: object) -> dict[str, object]:
    return {
        "contract_id": f"x{number}",
        "customer_id": "c0001",
        "product_id": product,
        "vehicle_id": None,
        "starts_at": CUT - timedelta(days=400),
        "ends_at": None,
        "amount": 1000.0,
        "rate": 5.0,
        "term_months": 36,
        "repayment": "balloon",
        "final_amount": None,
        "final_due": None,
        "payoff": None,
        "as_of": None,
        "status": "active",
        "next_due": None,
        "days_in_arrears": None,
        **more,
    }


def alike(folder: Path, home: Path, contracts: list[dict[str, object]], *, later: bool) -> Dataset:
    """The shop with `contracts`; with what happened after the cut only if `later`."""
    write_yearly(folder)
    events = pl.read_parquet(folder / "events.parquet")
    if not later:
        events.filter(pl.col("timestamp") < CUT).write_parquet(folder / "events.parquet")
    instants = ("starts_at", "ends_at", "final_due", "as_of", "next_due")
    frame = pl.DataFrame(contracts, infer_schema_length=None).with_columns(
        pl.col(name).cast(pl.Datetime("us", "UTC")) for name in instants
    )
    products = pl.read_parquet(folder / "products.parquet")
    loan = pl.DataFrame({"product_id": ["loan"], "category": ["loan"], "price_minor": [1]})
    pl.concat([products, loan]).write_parquet(folder / "products.parquet")
    frame.write_parquet(folder / "contracts.parquet")
    return opened(folder, home)


def test_facts_of_the_past_are_the_same_whatever_happened_since(tmp_path: Path) -> None:
    """The one contract was settled early, the other ran out, a third began, one is in arrears."""
    planned = {
        "ends_at": CUT - timedelta(days=400) + timedelta(days=1096),
        "final_amount": 500.0,
        "final_due": CUT - timedelta(days=400) + timedelta(days=1096),
    }
    settled = CUT + timedelta(days=20)
    since = [
        contract(1, "loan", **{**planned, "ends_at": settled, "final_due": settled},
                 status="settled"),
        contract(2, "insurance", term_months=14, ends_at=CUT + timedelta(days=25),
                 status="ended", repayment=None),
        contract(3, "loan", starts_at=CUT + timedelta(days=1), ends_at=NOW + timedelta(days=900)),
        contract(4, "loan", customer_id="c0002", **planned, status="arrears",
                 days_in_arrears=40, payoff=700.0, as_of=NOW, next_due=NOW),
    ]  # fmt: skip
    then = [
        contract(1, "loan", **planned),
        contract(2, "insurance", term_months=14, ends_at=CUT + timedelta(days=25), repayment=None),
        contract(4, "loan", customer_id="c0002", **planned),
    ]
    frames, ends = [], []
    ids = IdMap.of(["c0001", "c0002"]), IdMap.of(["insurance", "loan"])
    for name, contracts, later in (("since", since, True), ("then", then, False)):
        dataset = alike(tmp_path / name, tmp_path / "home", contracts, later=later)
        past = PastDataset.of(dataset, CUT)
        profiles = build_profiles(past, as_of=CUT, zone=ZoneInfo("UTC"), peers=NO_PEERS)
        ends.append(contract_ends(past, *ids, CUT).of_rows(np.arange(2)))
        frames.append(profiles.select("customer_id", *REBUILT).sort("customer_id").collect())
    assert frames[0].equals(frames[1])
    assert np.array_equal(*ends, equal_nan=True)
    assert ends[0][0].tolist() == pytest.approx([26, 696], abs=2)
    told = frames[0].filter(pl.col("customer_id") == "c0001")
    assert told["has_finance"].item() is True
    assert (told["balloon_due"].item() - CUT.date()).days == pytest.approx(696, abs=2)


def test_the_past_knows_no_vehicles_and_nothing_that_was_said_later(tmp_path: Path) -> None:
    write_yearly(tmp_path / "source")
    pl.DataFrame(
        {
            "customer_id": ["c0001", "c0002"],
            "purpose": ["marketing"] * 2,
            "state": ["in"] * 2,
            "at": [CUT - timedelta(days=1), CUT + timedelta(days=1)],
        }
    ).write_parquet(tmp_path / "source" / "consent.parquet")
    pl.DataFrame(
        {
            "customer_id": ["c0001", "c0001"],
            "name": ["income"] * 2,
            "value": ["100", "200"],
            "source": ["crm"] * 2,
            "observed_at": [CUT - timedelta(days=1), CUT + timedelta(days=1)],
        }
    ).write_parquet(tmp_path / "source" / "attributes.parquet")
    pl.DataFrame({"vehicle_id": ["v"], "customer_id": ["c0001"], "make": ["Halden"]}).write_parquet(
        tmp_path / "source" / "vehicles.parquet"
    )
    past = PastDataset.of(opened(tmp_path / "source", tmp_path / "home"), CUT)
    assert past.vehicles() is None
    consent, attributes = past.consent(), past.attributes()
    assert consent is not None
    assert attributes is not None
    assert consent.collect()["customer_id"].to_list() == ["c0001"]
    assert attributes.collect()["value"].to_list() == ["100"]
    assert past.events().select(pl.col("timestamp").max() < CUT).collect().item()
