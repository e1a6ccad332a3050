"""A training run against a real MLflow store: SQLite and a folder."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest
from mlflow.exceptions import MlflowException
from numpy.random import default_rng
from shop import write_shop
from trained_shop import JOB, NOW, Shop

from oferta.clock import FixedClock
from oferta.errors import ArtefactInvalid, NothingFitted, RegistryError
from oferta.events.dataset import open_dataset
from oferta.models.protocol import Cost
from oferta.models.saved import load
from oferta.progress import Silent
from oferta.settings import parse
from oferta_training import registry, tracking
from oferta_training.job import Job
from oferta_training.train import train


def again(shop: Shop, **changes: object):
    job = parse({**JOB, **changes}, Job, place="test")
    return train(shop.dataset, job, home=shop.home, clock=FixedClock(NOW), progress=Silent())


def test_the_model_that_knows_the_kinds_wins(shop: Shop) -> None:
    """Popularity cannot tell car owners from home owners; the others can."""
    by_model = {card.model: card.metrics["ndcg@3"].mean for card in shop.trained.evaluation.results}
    assert by_model["popularity"] < max(by_model["ease"], by_model["als"])
    assert shop.trained.best.model in {"ease", "als"}


def test_the_first_version_is_champion_and_says_why(shop: Shop) -> None:
    found = registry.champion(shop.home, "shop")
    assert found is not None
    assert found.number == 1
    version = tracking.client(shop.home).get_model_version("shop", "1")
    assert "no champion" in version.tags["oferta.gate"]


def test_the_run_logs_what_is_needed_to_run_it_again(shop: Shop) -> None:
    run = tracking.client(shop.home).get_run(shop.trained.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "7"
    assert run.data.params["dataset.fingerprint"] == shop.dataset.fingerprint
    assert run.data.tags["oferta.code"].startswith("0.")
    assert "ndcg_at_3" in run.data.metrics
    names = {file.path for file in tracking.client(shop.home).list_artifacts(shop.trained.run_id)}
    assert {"job.json", "evaluation.json", "comparison.png", "quality_and_cost.png"} <= names
    assert registry.job_of(shop.home, shop.trained.version) == parse(JOB, Job, place="test")


def test_every_model_has_a_child_run_that_can_be_compared(shop: Shop) -> None:
    tracker = tracking.client(shop.home)
    parent = tracker.get_run(shop.trained.run_id)
    children = tracker.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    )
    assert {child.info.run_name for child in children} == {"popularity", "ease", "als"}
    assert all({"ndcg_at_3", "fit_s"} <= set(child.data.metrics) for child in children)


def test_mlflow_loads_the_champion_without_pickle_and_predicts(shop: Shop) -> None:
    tracking.client(shop.home)
    model = mlflow.pyfunc.load_model("models:/shop@champion")
    asked = pd.DataFrame({"customer_id": ["c000", "h000", "a-stranger"]})
    answer = model.predict(asked, params={"n": 3})
    assert list(answer.columns) == ["customer_id", "product_id", "score", "rank"]
    assert answer.groupby("customer_id").size().to_dict() == dict.fromkeys(asked["customer_id"], 3)
    stored = [path.suffix for path in (shop.home / "mlflow-artifacts").rglob("*")]
    assert not {".pkl", ".pickle", ".joblib"} & set(stored)


def test_the_version_carries_vectors_of_customers_and_products(shop: Shop, tmp_path: Path) -> None:
    loaded = load(registry.download(shop.home, shop.trained.version, tmp_path))
    assert loaded.embeddings.customers.shape == (len(loaded.customers), 8)
    assert loaded.embeddings.products.shape == (len(loaded.products), 8)
    assert np.isfinite(loaded.embeddings.products).all()


def test_an_altered_artefact_is_refused(shop: Shop, tmp_path: Path) -> None:
    folder = registry.download(shop.home, shop.trained.version, tmp_path)
    arrays = folder / "arrays.safetensors"
    content = bytearray(arrays.read_bytes())
    content[-1] ^= 1
    arrays.chmod(0o644)
    arrays.write_bytes(content)
    with pytest.raises(ArtefactInvalid):
        load(folder)


def test_the_same_seed_gives_the_same_arrays(shop: Shop, tmp_path: Path) -> None:
    second = again(shop, name="shop-again")
    first = load(registry.download(shop.home, shop.trained.version, tmp_path / "a"))
    other = load(registry.download(shop.home, second.version, tmp_path / "b"))
    for name, array in first.fitted.arrays().items():
        np.testing.assert_array_equal(array, other.fitted.arrays()[name])


def test_a_worse_model_stays_challenger_and_the_champion_stays(shop: Shop) -> None:
    again(shop, name="rivals")
    second = again(shop, name="rivals", models={"popularity": {"by_segment": False}})
    assert not second.verdict.promoted
    assert "may be worse" in second.verdict.because
    found = registry.champion(shop.home, "rivals")
    assert found is not None
    assert found.number == 1
    challenger = tracking.client(shop.home).get_model_version_by_alias("rivals", "challenger")
    assert int(challenger.version) == 2


def test_retraining_the_same_recipe_becomes_champion(shop: Shop) -> None:
    again(shop, name="nightly")
    assert again(shop, name="nightly").verdict.promoted
    found = registry.champion(shop.home, "nightly")
    assert found is not None
    assert found.number == 2


def test_a_champion_that_could_not_be_judged_stays(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its recipe does not fit into the memory of this machine: the new model was never compared."""
    again(shop, name="giant", models={"ease": {"l2": 5.0}})
    cost = "oferta.models.ease.Ease.cost"
    monkeypatch.setattr(cost, lambda *_: Cost(seconds=1.0, bytes=1 << 60))
    second = again(shop, name="giant", models={"popularity": {}})
    assert not second.verdict.promoted
    assert "could not be judged" in second.verdict.because
    found = registry.champion(shop.home, "giant")
    assert found is not None
    assert found.number == 1


BY_SEGMENT = {"popularity": {"by_segment": True}}


def test_the_champion_learns_from_what_its_own_job_lets_it(shop: Shop) -> None:
    """Popularity by kind against popularity of all: the second job knows of no kinds."""
    again(shop, name="kinds", models=BY_SEGMENT)
    second = again(shop, name="kinds", models=BY_SEGMENT, segments={})
    means = {card.model: card.metrics["ndcg@3"].mean for card in second.evaluation.results}
    assert means["champion"] > means["popularity"]
    assert second.verdict.failing == ("overall",)


def test_a_champion_whose_attributes_the_data_lacks_by_now_stays(
    shop: Shop, tmp_path: Path
) -> None:
    again(shop, name="lacking", models=BY_SEGMENT)
    source = write_shop(tmp_path / "source")
    customers = pl.read_csv(source / "customers.csv").drop("kind")
    customers.write_csv(source / "customers.csv")
    clock = FixedClock(NOW)
    dataset = open_dataset(source, home=shop.home, clock=clock, progress=Silent())
    job = parse({**JOB, "name": "lacking", "models": BY_SEGMENT, "segments": {}}, Job, place="test")
    second = train(dataset, job, home=shop.home, clock=clock, progress=Silent())
    assert not second.verdict.promoted
    assert "could not be judged: it cannot be fitted: unknown customer attribute 'kind'" in (
        second.verdict.because
    )


def test_a_twin_without_features_is_shown_and_never_registered(tmp_path: Path) -> None:
    """Features that say nothing, and no vectors of the products' own: ids alone are better."""
    pytest.importorskip("lightfm", reason="the hybrid model needs the extra 'hybrid'")
    source, home = write_shop(tmp_path / "source"), tmp_path / ".oferta"
    customers = pl.read_csv(source / "customers.csv")
    drawn = default_rng(1).integers(0, 3, len(customers))
    mood = pl.Series("mood", [f"mood {one}" for one in drawn])
    customers.with_columns(mood).write_csv(source / "customers.csv")
    clock = FixedClock(NOW)
    dataset = open_dataset(source, home=home, clock=clock, progress=Silent())
    hybrid = {"factors": 8, "epochs": 20, "product_ids": False}
    changes = {"features": {"customers": ["mood"]}, "models": {"hybrid": hybrid}}
    job = parse({**JOB, **changes, "calibration": {}}, Job, place="test")
    for others in ([], ["champion"]):
        done = train(dataset, job, home=home, clock=clock, progress=Silent())
        shown = [card.model for card in done.evaluation.results]
        assert shown[0] == "hybrid (ids only)"
        assert sorted(shown) == sorted(["hybrid", "hybrid (ids only)", *others])
        assert (done.best.model, done.version.model) == ("hybrid", "hybrid")
        assert done.verdict.promoted


def test_a_job_none_of_whose_models_fits_says_why(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = "oferta.models.ease.Ease.cost"
    monkeypatch.setattr(cost, lambda *_: Cost(seconds=1.0, bytes=1 << 60))
    with pytest.raises(NothingFitted, match="ease would take about"):
        again(shop, name="too-large", models={"ease": {}})


def test_a_registry_that_does_not_answer_is_not_an_empty_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No champion means go live; no answer must not."""
    monkeypatch.setattr(tracking, "_SERVER", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match="did not answer"):
        registry.champion(shop.home, "shop")
    monkeypatch.setattr(tracking, "_SERVER", None)
    tracking.client(shop.home)


def test_settings_are_tuned_inside_train_where_the_job_says_so(shop: Shop) -> None:
    tuned = again(shop, name="tuned", tuning={"settings": 2}, models={"ease": {"l2": 5.0}})
    assert tuned.evaluation.tuning is not None
    assert shop.trained.evaluation.tuning is None


def test_names_that_mlflow_does_not_allow_do_not_end_a_run(shop: Shop) -> None:
    job = {"weights": {"buy (web)": 0.5}}
    done = again(shop, name="signs", interactions=job, models={"popularity": {}})
    params = tracking.client(shop.home).get_run(done.run_id).data.params
    assert params["interactions.weights.buy _web_"] == "0.5"


def test_a_failed_run_is_marked_failed_and_promotes_nothing(shop: Shop, tmp_path: Path) -> None:
    """The artefacts' folder cannot be written: the run says so, and no version appears."""
    home = tmp_path / ".oferta"
    tracking.experiment(home, "oferta/shop")
    (home / "mlflow-artifacts").write_text("a file where the folder belongs")
    with pytest.raises((OSError, MlflowException)):
        train(
            shop.dataset,
            parse(JOB, Job, place="test"),
            home=home,
            clock=FixedClock(NOW),
            progress=Silent(),
        )
    tracker = tracking.client(home)
    experiment = tracker.get_experiment_by_name("oferta/shop")
    runs = tracker.search_runs([experiment.experiment_id], "attributes.run_name = 'shop'")
    assert [run.info.status for run in runs] == ["FAILED"]
    assert registry.champion(home, "shop") is None


def test_asking_for_what_is_not_registered_says_what_is(shop: Shop) -> None:
    with pytest.raises(RegistryError, match=r"Registered: .*shop"):
        registry.find(shop.home, "shoop")
    with pytest.raises(RegistryError, match="oferta train"):
        registry.find(shop.home, "shop/99")


def test_an_empty_registry_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="run `oferta train DATASET` first"):
        registry.find(tmp_path / ".oferta", None)
