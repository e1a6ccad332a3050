"""Guards and protected attributes in a whole training run."""

import re
import tomllib
from pathlib import Path

import orjson
import polars as pl
import pytest
from shop import write_shop
from trained_shop import JOB, NOW, Shop

from oferta.clock import FixedClock
from oferta.errors import ProtectedAttribute
from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.limits import Limits
from oferta.events.dataset import Dataset, open_dataset
from oferta.models import catalog
from oferta.progress import Silent
from oferta.settings import parse
from oferta_training import registry, tracking
from oferta_training.job import Job
from oferta_training.train import Trained, train

CHEAP = {"popularity": {"by_segment": True}}
WHY = "a public benchmark; nothing is offered to anybody"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "training.md"


def shop_with_gender(folder: Path, *, family: str) -> Dataset:
    """The shop, with a gender of every customer; one product is of `family`."""
    source = write_shop(folder / "source")
    customers = pl.read_csv(source / "customers.csv")
    customers.with_columns(
        pl.Series("cust_gender", ["M" if one % 3 else "F" for one in range(len(customers))])
    ).write_csv(source / "customers.csv")
    products = pl.read_csv(source / "products.csv")
    products.with_columns(
        pl.when(pl.col("product_id") == "car-3")
        .then(pl.lit(family))
        .otherwise("category")
        .alias("category")
    ).write_csv(source / "products.csv")
    home = folder / ".oferta"
    return open_dataset(source, home=home, clock=FixedClock(NOW), progress=Silent())


def trained(dataset: Dataset, home: Path, **changes: object) -> Trained:
    job = parse({**JOB, "models": CHEAP, **changes}, Job, place="test")
    return train(dataset, job, home=home, clock=FixedClock(NOW), progress=Silent())


BY_GENDER = {"by": ["cust_gender"], "min_customers": 10}
ALLOWED = {"repeatable": False, "allow_protected": {"cust_gender": WHY}}


def test_a_job_with_a_protected_segment_is_refused_before_anything_is_fitted(
    tmp_path: Path,
) -> None:
    dataset = shop_with_gender(tmp_path, family="car")
    home = tmp_path / ".oferta"
    with pytest.raises(ProtectedAttribute, match="cust_gender: sex"):
        trained(dataset, home, segments=BY_GENDER)
    assert registry.champion(home, "shop") is None


@pytest.mark.parametrize("family", ["car", "car loan"])
def test_with_a_reason_it_trains_and_goes_live_only_where_no_credit_is_sold(
    tmp_path: Path, family: str
) -> None:
    dataset = shop_with_gender(tmp_path, family=family)
    home = tmp_path / ".oferta"
    done = trained(dataset, home, segments=BY_GENDER, policy=ALLOWED)
    (found,) = orjson.loads(
        tracking.client(home).get_run(done.run_id).data.tags["oferta.protected"]
    )
    assert (found["column"], found["attribute"], found["reason"]) == ("cust_gender", "sex", WHY)
    assert done.verdict.promoted is (family == "car")
    assert (registry.champion(home, "shop") is None) is (family == "car loan")
    if family == "car loan":
        assert done.verdict.failing == ("protected",)
        tags = tracking.client(home).get_model_version("shop", "1").tags
        assert "cust_gender (sex)" in tags["oferta.gate"]


def test_a_run_that_hurts_one_segment_is_refused_by_its_guard(shop: Shop) -> None:
    """As the loss overall is let through here, only the segments speak."""
    trained(shop.dataset, shop.home, name="guarded", models={"ease": {"l2": 5.0}})
    gate = {"margin": 1.0, "segments": {"by": ["kind"], "min_customers": 30}}
    popular = {"popularity": {"by_segment": False}}
    second = trained(shop.dataset, shop.home, name="guarded", models=popular, gate=gate)
    assert second.verdict.failing == ("segments",)
    assert "kind=" in second.verdict.because
    found = registry.champion(shop.home, "guarded")
    assert found is not None
    assert found.number == 1


def test_the_exposure_of_a_product_group_is_its_share_of_the_lists(shop: Shop) -> None:
    job = parse({**JOB, "gate": {"fairness": {"exposure": ["category=car"]}}}, Job, place="test")
    found = evaluate(
        shop.dataset,
        {"popularity": catalog.recipe("popularity", {"by_segment": True})},
        protocol=job.evaluation,
        limits=Limits(60.0, 1 << 33, lambda: 0.0),
        progress=Silent(),
    )
    shares = found.results[0].values["exposure:category=car@3"]
    car = found.customer_id.str.starts_with("c").to_numpy()
    assert shares[car].mean() > 0.9
    assert shares[~car].mean() < 0.1
    assert found.results[0].metrics["exposure:category=car@3"].mean == pytest.approx(shares.mean())


def test_the_exposure_guard_is_asked_in_a_whole_run_and_its_figures_are_logged(shop: Shop) -> None:
    """Popular by kind: cars are shown to car owners alone, which the guard calls steering."""
    gate = {"fairness": {"by": ["kind"], "exposure": ["category=car"], "min_customers": 30}}
    done = trained(shop.dataset, shop.home, name="exposed", gate=gate)
    (steering,) = [one for one in done.verdict.outcomes if "exposure" in one.sentence]
    assert (steering.guard, steering.passed) == ("fairness", False)
    logged = tracking.client(shop.home).get_run(done.run_id).data.metrics
    assert 0 < logged["exposure_category_car_at_3"] < 1


def test_reasons_of_the_job_are_those_of_its_evaluation() -> None:
    job = parse({"policy": ALLOWED}, Job, place="test")
    assert job.evaluation.allow_protected == {"cust_gender": WHY}


def test_every_example_of_the_docs_is_a_valid_job() -> None:
    examples = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(examples) >= 2
    for text in examples:
        parse(tomllib.loads(text), Job, place="docs")
