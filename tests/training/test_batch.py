"""Scoring everyone: what may be in a list, and who gets which."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from shop import CAR, HOME, LONELY
from trained_shop import JOB, NOW, Shop

from oferta.clock import FixedClock
from oferta.columns import SCORES
from oferta.events.dataset import open_dataset
from oferta.interactions.weighting import Weighting
from oferta.models.als import Als
from oferta.models.saved import Origin, load, save
from oferta.progress import Silent
from oferta_training import registry
from oferta_training.batch import Scoring, score_everyone
from oferta_training.data import job_data
from oferta_training.job import Job, Segments
from oferta_training.score import newest_scores, score
from oferta_training.scores import ScoresFolder


def lists(folder: ScoresFolder) -> pl.DataFrame:
    return folder.lists().collect()


def had(shop: Shop) -> pl.DataFrame:
    bought = shop.dataset.events().filter(pl.col("event_type") == "purchase")
    return bought.select("customer_id", "product_id").unique().collect()


def test_everybody_has_a_list_sorted_by_customer_then_rank(shop: Shop) -> None:
    rows = lists(shop.scores)
    assert rows.schema == SCORES
    assert rows["customer_id"].n_unique() == shop.scores.customers == 141
    assert rows.equals(rows.sort("customer_id", "rank"))
    falling = rows.with_columns(pl.col("score").diff().over("customer_id").alias("step"))
    assert (falling["step"].drop_nulls() <= 0).all()


def test_a_small_catalogue_is_scored_whole(shop: Shop) -> None:
    """Seventeen products are fewer than 256, so nothing but policy shortens a list."""
    assert shop.scores.top_n == 17


def test_lists_of_the_model_say_how_likely_each_product_is(shop: Shop) -> None:
    cold = shop.scores.customer_rows().select("customer_id", "cold")
    rows = lists(shop.scores).join(cold, on="customer_id")
    own, popular = rows.filter(~pl.col("cold")), rows.filter("cold")
    assert len(popular) > 0
    assert popular["probability"].null_count() == len(popular)
    told = own.drop_nulls("probability")
    assert told["probability"].is_between(0, 1).all()
    assert len(told) > len(own) / 2
    # Ranked by the score, whose chances never rise down a list.
    steps = told.sort("customer_id", "rank").with_columns(
        pl.col("probability").diff().over("customer_id").alias("step")
    )
    assert (steps["step"].drop_nulls() <= 0).all()


def test_hidden_and_ended_products_are_in_no_list(shop: Shop) -> None:
    assert not set(lists(shop.scores)["product_id"]) & {"car-0", "home-0"}
    assert not set(shop.scores.popular_rows()["product_id"]) & {"car-0", "home-0"}


def test_what_a_customer_has_is_not_offered_again_unless_repeatable(shop: Shop) -> None:
    again = lists(shop.scores).join(had(shop), on=["customer_id", "product_id"], how="semi")
    assert set(again["product_id"]) == {"car-1"}


def test_what_may_not_be_offered_again_travels_with_the_customer(shop: Shop) -> None:
    """Gaps are filled from popular lists when read, so the reader must know what is held."""
    rows = shop.scores.customer_rows().explode("held").drop_nulls("held")
    held = rows.select("customer_id", pl.col("held").alias("product_id")).sort(pl.all())
    assert held.equals(had(shop).filter(pl.col("product_id") != "car-1").sort(pl.all()))


def test_lists_follow_the_customers_kind(shop: Shop) -> None:
    first = lists(shop.scores).filter(pl.col("rank") == 1)
    cars = first.filter(pl.col("customer_id").str.starts_with("c"))["product_id"]
    homes = first.filter(pl.col("customer_id").str.starts_with("h"))["product_id"]
    assert np.mean([product in CAR for product in cars]) > 0.9
    assert np.mean([product in HOME for product in homes]) > 0.9


def test_somebody_without_a_past_gets_the_segments_popular_list(shop: Shop) -> None:
    own = lists(shop.scores).filter(pl.col("customer_id") == LONELY)
    popular = shop.scores.popular_rows().filter(pl.col("segment") == "kind=hom")
    assert own["product_id"].to_list() == popular["product_id"].to_list()[: len(own)]
    assert set(own["reason"]) == {"popular_in_segment"}
    assert own["because"].null_count() == len(own)


def test_somebody_without_a_past_gets_the_list_that_the_model_makes_of_their_attributes(
    shop: Shop, tmp_path: Path
) -> None:
    """The same shop, its customers' kind being a feature of the models instead of a segment."""
    job = Job.model_validate({**JOB, "segments": {}, "features": {"customers": ["kind"]}})
    data = job_data(shop.dataset, job)
    recipe = Als(factors=4, regularization=1.0)
    fitted = recipe.fit(data, rng=np.random.default_rng(0), progress=Silent())
    save(
        tmp_path / "model", fitted, name="als", recipe=recipe, data=data,
        origin=Origin(0, shop.dataset.fingerprint, "1", NOW, job.interactions),
    )  # fmt: skip
    loaded = load(tmp_path / "model")
    what = Scoring("als/1", "run", loaded, job, shop.dataset, NOW)
    rows = lists(score_everyone(what, tmp_path / "scores", progress=Silent()))
    own = rows.filter(pl.col("customer_id") == LONELY)
    assert set(own["reason"]) == {"fits_profile"}
    assert own["because"].null_count() == len(own)
    assert set(own["product_id"].head(4)) <= {"account", *HOME}
    assert not rows.filter(pl.col("customer_id") != LONELY)["reason"].is_in(["fits_profile"]).any()


def test_reasons_name_products_of_the_customers_own_past(shop: Shop) -> None:
    named = lists(shop.scores).drop_nulls("because")
    assert len(named) > 100
    past = had(shop).rename({"product_id": "because"})
    seen = shop.dataset.events().select("customer_id", pl.col("product_id").alias("because"))
    past = pl.concat([past, seen.collect()]).unique()
    assert named.join(past, on=["customer_id", "because"], how="anti").is_empty()
    assert (named["because"] != named["product_id"]).all()


def test_a_return_makes_a_product_offerable_again(shop: Shop, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for table in ("products", "customers"):
        getattr(shop.dataset, table)().sink_parquet(source / f"{table}.parquet")
    events = shop.dataset.events().collect()
    mine = events.filter(pl.col("customer_id") == "c000", pl.col("product_id") == "account")
    returned = mine.filter(pl.col("event_type") == "purchase").with_columns(
        pl.lit("return").alias("event_type"), pl.col("timestamp").dt.offset_by("1d")
    )
    pl.concat([events, returned]).write_parquet(source / "events.parquet")
    again = score(shop.home, model="shop", dataset=source, clock=FixedClock(NOW), progress=Silent())
    own = lists(again).filter(pl.col("customer_id") == "c000")
    assert "account" in own["product_id"]
    assert "account" not in lists(shop.scores).filter(pl.col("customer_id") == "c000")["product_id"]


def test_a_customer_the_model_never_saw_is_scored_from_their_past(
    shop: Shop, tmp_path: Path
) -> None:
    """New customers need no retraining: their past is folded in."""
    source = tmp_path / "source"
    source.mkdir()
    pl.DataFrame(
        {
            "customer_id": ["new-1", "new-1"],
            "product_id": ["account", "home-1"],
            "event_type": ["purchase", "purchase"],
            "timestamp": [datetime(2025, 6, 1, tzinfo=UTC), datetime(2025, 6, 2, tzinfo=UTC)],
        }
    ).write_parquet(source / "events.parquet")
    shop.dataset.products().sink_parquet(source / "products.parquet")
    pl.DataFrame({"customer_id": ["new-1"], "kind": ["hom"]}).write_parquet(
        source / "customers.parquet"
    )
    made = score(shop.home, model="shop", dataset=source, clock=FixedClock(NOW), progress=Silent())
    own = lists(made)
    assert own["product_id"][0] in HOME
    assert own["reason"][0] not in {"popular", "popular_in_segment"}


def test_the_newest_scores_are_found_and_old_ones_forgotten(shop: Shop) -> None:
    assert (newest_scores(shop.home) / "manifest.json").is_file()
    assert len(list((shop.home / "scores").iterdir())) <= 3


def test_products_launched_after_training_are_in_the_catalogue_but_in_no_personal_list(
    shop: Shop, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    products = shop.dataset.products().collect()
    new = products.head(1).with_columns(pl.lit("brand-new").alias("product_id"))
    pl.concat([products, new]).write_parquet(source / "products.parquet")
    shop.dataset.events().sink_parquet(source / "events.parquet")
    shop.dataset.customers().sink_parquet(source / "customers.parquet")
    dataset = open_dataset(source, home=shop.home, clock=FixedClock(NOW), progress=Silent())
    made = score(
        shop.home, model="shop", dataset=dataset.path, clock=FixedClock(NOW), progress=Silent()
    )
    assert "brand-new" in made.product_rows()["product_id"]
    assert "brand-new" not in lists(made)["product_id"]


@pytest.mark.parametrize("weights", [{"purchase": 0.5}, {"purchase": 2.0}, {"decline": -1.0}])
def test_having_is_counted_in_pieces_whatever_the_jobs_weights(
    shop: Shop, tmp_path: Path, weights: dict[str, float]
) -> None:
    version = shop.trained.version
    artefact = registry.download(shop.home, version, tmp_path / "model")
    job = registry.job_of(shop.home, version)
    told_to = {"interactions": Weighting(weights=weights), "segments": Segments()}
    weighted = job.model_copy(update=told_to)
    source = tmp_path / "source"
    source.mkdir()
    told = [
        ("two-of-which-one-back", "purchase", 2.0),
        ("two-of-which-one-back", "return", 1.0),
        ("one", "purchase", 1.0),
        ("one-and-refused-another", "purchase", 1.0),
        ("one-and-refused-another", "decline", 1.0),
        ("one-and-back", "purchase", 1.0),
        ("one-and-back", "return", 1.0),
    ]
    names = ("customer_id", "event_type", "quantity")
    pl.DataFrame(told, schema=names, orient="row").with_columns(
        pl.lit("account").alias("product_id"), pl.lit(NOW).alias("timestamp")
    ).write_parquet(source / "events.parquet")
    shop.dataset.products().sink_parquet(source / "products.parquet")
    dataset = open_dataset(source, home=shop.home, clock=FixedClock(NOW), progress=Silent())
    what = Scoring(version.label, version.run_id, load(artefact), weighted, dataset, NOW)
    made = score_everyone(what, tmp_path / "scores", progress=Silent())
    having = made.customer_rows().filter(pl.col("held").list.contains("account"))
    assert set(having["customer_id"]) == {"two-of-which-one-back", "one", "one-and-refused-another"}
