"""One wide row a customer: aligned with the lists, the same chances, facts of the whole dataset."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from trained_shop import NOW, Shop
from typer.testing import CliRunner

from oferta.clock import FixedClock
from oferta.errors import SourceRefused
from oferta.events.dataset import open_dataset
from oferta.interactions.idmap import IdMap
from oferta.models.saved import load
from oferta.policy.file import ChannelPolicy, Policy, ValueTiers
from oferta.profile.build import build_profiles
from oferta.profile.facts import FACTS, STORED
from oferta.profile.settings import ProfileSettings
from oferta.progress import Silent
from oferta_training import registry, whole_base
from oferta_training.base_rates import conversion_shares
from oferta_training.batch import Scoring, score_everyone
from oferta_training.cli import app
from oferta_training.score import Wanted, score, scores_for
from oferta_training.scores import ScoresFolder
from oferta_training.whole_base import Scope, WholeBase, end_of, spread

UTC_ZONE = ZoneInfo("UTC")
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


def scoring(shop: Shop, folder: Path) -> Scoring:
    version = shop.trained.version
    loaded = load(registry.download(shop.home, version, folder / "model"))
    job = registry.job_of(shop.home, version)
    scope = Scope(NOW, UTC_ZONE, {"hobby": "text"}, ProfileSettings())
    return Scoring(version.label, version.run_id, loaded, job, shop.dataset, NOW, scope)


@pytest.fixture(scope="module")
def scored(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> ScoresFolder:
    """In several parts, whose customers come from several ranges."""
    folder = tmp_path_factory.mktemp("wide")
    patch = pytest.MonkeyPatch()
    patch.setattr(whole_base, "_RANGE", 20)
    patch.setattr(whole_base, "_RANGES", 2)
    try:
        score_everyone(scoring(shop, folder), folder / "scores", progress=Silent(), part_rows=900)
    finally:
        patch.undo()
    return ScoresFolder.open(folder / "scores")


def test_all_customers_are_there_in_the_parts_of_their_lists(scored: ScoresFolder) -> None:
    assert scored.base is not None
    assert len(scored.parts) > 2
    assert scored.base.parts == tuple(f"base/{name}" for name in scored.parts)
    wide = scored.wide().collect()
    assert wide["customer_id"].to_list() == scored.customer_rows()["customer_id"].to_list()
    for name in scored.parts:
        listed = scored.part(name)["customer_id"]
        there = pl.read_parquet(scored.path / "base" / name)["customer_id"]
        assert set(listed) <= set(there)
    assert {file.name for file in (scored.path / "base").iterdir()} == set(scored.parts)


def test_facts_have_their_types_and_attributes_their_names(scored: ScoresFolder) -> None:
    assert scored.base is not None
    assert scored.base.facts == (*STORED, "attr_hobby")
    dtypes = {"number": pl.Float64, "text": pl.String, "boolean": pl.Boolean, "date": pl.Date}
    schema = scored.wide().collect_schema()
    assert schema.names() == ["customer_id", *scored.base.facts, "evidence", "probability", "score"]
    assert {name: schema[name] for name in STORED} == {
        name: dtypes[FACTS[name].kind] for name in STORED
    }
    assert schema["score"] == pl.Array(pl.Float32, scored.products)
    assert (scored.base.as_of, scored.base.zone, scored.base.by_product) == (NOW, "UTC", True)


def test_facts_are_the_customers_own(shop: Shop, scored: ScoresFolder) -> None:
    bought = (
        shop.dataset.events()
        .filter(pl.col("event_type") == "purchase")
        .group_by("customer_id")
        .agg(pl.len().cast(pl.Float64).alias("counted"), pl.col("timestamp").max().alias("last"))
        .collect()
    )
    wide = scored.wide().select("customer_id", "purchases", "last_active", "evidence").collect()
    both = wide.join(bought, on="customer_id", how="left")
    assert (both["purchases"] == both["counted"].fill_null(0)).all()
    assert (both["last_active"].drop_nulls() == both["last"].dt.date().drop_nulls()).all()
    assert all(isinstance(json.loads(told), dict) for told in wide["evidence"])


def test_chances_and_scores_are_those_of_the_lists_by_position(scored: ScoresFolder) -> None:
    products = scored.product_rows()["product_id"].to_list()
    lists = scored.lists().collect()
    wide = scored.wide().select("customer_id", "probability", "score").collect()
    long = (
        wide.with_columns(pl.lit(products).alias("product_id"))
        .with_columns(pl.col("probability", "score").arr.to_list())
        .explode("product_id", "probability", "score")
        .filter(pl.col("score").is_not_null())
    )
    both = lists.join(long, on=["customer_id", "product_id"], how="full", suffix="_wide")
    assert both["score"].null_count() == both["score_wide"].null_count() == 0
    assert both["score"].equals(both["score_wide"].rename("score"))
    assert both["probability"].equals(both["probability_wide"].rename("probability"))
    chances = both["probability"]
    assert 0 < chances.null_count() < len(chances), "of a customer without a past there are none"


def test_the_base_rate_is_the_mean_chance(scored: ScoresFolder) -> None:
    means = (
        scored.lists()
        .group_by("product_id")
        .agg(pl.col("probability").mean())
        .collect()
        .drop_nulls()
    )
    rates = scored.product_rows().join(means, on="product_id", how="left", maintain_order="left")
    known = rates.filter(pl.col("probability").is_not_null())
    assert len(known) > 10
    assert known["base_rate"].to_list() == pytest.approx(known["probability"].to_list(), rel=1e-5)
    assert rates.filter(pl.col("probability").is_null())["base_rate"].null_count() == len(
        rates
    ) - len(known), "of a product that nobody may be offered"


def test_without_chances_the_base_rate_is_who_converted_of_late(shop: Shop, tmp_path: Path) -> None:
    what = scoring(shop, tmp_path)
    plain = replace(what, loaded=replace(what.loaded, calibration=None), profiles=None)
    made = score_everyone(plain, tmp_path / "scores", progress=Silent())
    events = shop.dataset.events().filter(pl.col("event_type") == "purchase").collect()
    last = shop.dataset.events().select(pl.col("timestamp").max()).collect().item()
    late = events.filter(pl.col("timestamp") > last - timedelta(days=31))  # as the job's split
    customers = len(shop.dataset.customers().collect())
    wanted = {
        product: len(rows) / customers
        for (product,), rows in late.unique(["customer_id", "product_id"]).group_by("product_id")
    }
    rates = dict(made.product_rows().select("product_id", "base_rate").drop_nulls().iter_rows())
    assert rates == pytest.approx(wanted)
    assert made.base is None
    with pytest.raises(SourceRefused, match="has no profiles"):
        made.wide()


def test_what_was_returned_was_not_converted(shop: Shop, tmp_path: Path) -> None:
    rows = [("a", "purchase"), ("b", "purchase"), ("b", "return"), ("c", "view")]
    pl.DataFrame(rows, schema=["customer_id", "event_type"], orient="row").with_columns(
        pl.lit("p").alias("product_id")
    ).write_csv(tmp_path / "events.csv")
    dataset = open_dataset(tmp_path, home=shop.home, clock=FixedClock(NOW), progress=Silent())
    shares = conversion_shares(dataset, timedelta(days=1))
    assert dict(shares.iter_rows()) == {"p": pytest.approx(1 / 3)}, "undated: ever"


def test_a_large_catalogue_has_no_arrays(shop: Shop, tmp_path: Path) -> None:
    what = scoring(shop, tmp_path)
    small = what.job.scores.model_copy(update={"every_product_up_to": 3})
    job = what.job.model_copy(update={"scores": small})
    made = score_everyone(replace(what, job=job), tmp_path / "scores", progress=Silent())
    assert made.base is not None
    assert not made.base.by_product
    assert made.wide().collect_schema().names()[-1] == "evidence"


def test_customers_of_whom_no_profile_tells_have_one_without_facts(tmp_path: Path) -> None:
    customers = IdMap.of(["a", "b", "c"])
    profiles = pl.LazyFrame(
        {"customer_id": ["c", "x"], "income": [5.0, 6.0], "evidence": ['{"c":1}', "{}"]}
    )
    base = WholeBase(tmp_path, lambda _: profiles, customers=customers, products=0)
    none = np.zeros((1, 0), np.float32)
    for number in range(3):
        base.write(f"part-{number}.parquet", number, none, none)
    base.close()
    rows = pl.read_parquet(tmp_path / "base" / "*.parquet")
    assert rows["customer_id"].to_list() == ["a", "b", "c"]
    assert rows["income"].to_list() == [None, None, 5.0]
    assert rows["evidence"].to_list() == ["{}", "{}", '{"c":1}']
    empty = WholeBase(
        tmp_path / "other", lambda _: profiles.clear(), customers=customers, products=0
    )
    empty.write("part-0.parquet", 0, np.zeros((3, 0), np.float32), np.zeros((3, 0), np.float32))
    assert (
        pl.read_parquet(tmp_path / "other" / "base" / "part-0.parquet")["income"].dtype
        == pl.Float64
    )


def test_lists_spread_by_position() -> None:
    lists = np.array([[2, 0, -1], [1, -1, -1]], np.int32)
    values = np.array([[0.5, 0.25, -np.inf], [0.75, 0, 0]], np.float32)
    wide = spread(lists, values, np.array([3, -1, 0], np.int32), 4)
    assert np.array_equal(wide, [[0.5, np.nan, np.nan, 0.25], [np.nan] * 4], equal_nan=True), (
        "a product that the catalogue lacks is nowhere"
    )


def test_profiles_are_made_where_the_data_tells_more_than_events(
    shop: Shop, tmp_path: Path
) -> None:
    """And whatever it tells, where they are asked for or not wanted."""
    source = tmp_path / "source"
    source.mkdir()
    for table in ("events", "products", "customers"):
        getattr(shop.dataset, table)().sink_parquet(source / f"{table}.parquet")
    pl.DataFrame(
        {"customer_id": ["c000"], "purpose": ["personalisation"], "state": ["in"], "at": [LONG_AGO]}
    ).write_parquet(source / "consent.parquet")
    job = registry.job_of(shop.home, shop.trained.version)
    rich = open_dataset(source, home=shop.home, clock=FixedClock(NOW), progress=Silent())
    last = end_of(rich)
    assert last == shop.dataset.events().select(pl.col("timestamp").max()).collect().item()
    assert Wanted().scope(job, shop.dataset, now=NOW) is None
    assert Wanted(True).scope(job, shop.dataset, now=NOW) is not None
    assert Wanted(False).scope(job, rich, now=NOW) is None
    scope = Wanted().scope(job, rich, now=NOW)
    assert scope is not None
    assert (scope.as_of, scope.zone.key) == (last, "UTC")
    day = datetime(2025, 3, 1, tzinfo=UTC)
    made = score(
        shop.home, model="shop", dataset=source, clock=FixedClock(NOW), progress=Silent(),
        wanted=Wanted(as_of=day),
    )  # fmt: skip
    assert made.base is not None
    assert made.base.as_of == day
    assert made.wide().filter(pl.col("last_active") > day.date()).collect().is_empty()
    again = {"model": "shop", "dataset": source, "clock": FixedClock(NOW), "progress": Silent()}
    assert scores_for(shop.home, **again) == made, "whatever instant"
    assert scores_for(shop.home, **again, wanted=Wanted(as_of=day)) == made
    assert scores_for(shop.home, **again, wanted=Wanted(as_of=NOW)).path != made.path
    without = scores_for(shop.home, **again, wanted=Wanted(False))
    assert without.base is None


def test_the_policys_zone_and_attributes_hold(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OFERTA_REDIS_URL", raising=False)
    home = Path(shutil.copytree(shop.home, tmp_path / "home"))
    policy = tmp_path / "policy.toml"
    policy.write_text(
        'time_zone = "Asia/Shanghai"\nattributes = {hobby = "text"}\n'
        '[channels.app]\ndirection = "inbound"\n'
    )
    run = CliRunner().invoke(
        app,
        ["publish", "--home", str(home), "--model", "shop", "--profiles",
         "--policy", str(policy), "--as-of", "2025-06-01"],
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    assert "141 profiles, " in run.output
    newest = max((home / "scores").glob("*/manifest.json"), key=lambda file: file.stat().st_mtime)
    made = ScoresFolder.open(newest.parent)
    assert made.base is not None
    assert made.base.zone == "Asia/Shanghai"
    assert made.base.facts[-1] == "attr_hobby"
    assert made.base.as_of == datetime(2025, 6, 1, tzinfo=UTC)
    wrong = CliRunner().invoke(app, ["publish", "--home", str(home), "--as-of", "yesterday"])
    assert wrong.exit_code != 0
    assert "is no instant" in str(wrong.exception) + wrong.output


def test_the_data_ends_where_the_books_do_and_not_with_the_last_event(tmp_path: Path):
    """Over a quiet weekend an instalment goes unpaid: the profile of Monday must know."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "events.csv").write_text(
        "customer_id,product_id,event_type,timestamp\nc1,new-car-loan,funded,2025-03-07T10:00:00\n"
    )
    (source / "contracts.csv").write_text(
        "contract_id,customer_id,product_id,starts_at,ends_at,status,days_in_arrears,as_of\n"
        "k1,c1,new-car-loan,2024-03-01,2027-03-01,arrears,40,2025-03-10\n"
    )
    dataset = open_dataset(source, home=tmp_path, clock=FixedClock(NOW), progress=Silent())
    end = end_of(dataset)
    assert end == datetime(2025, 3, 10, tzinfo=UTC)
    profile = build_profiles(dataset, as_of=end, zone=UTC_ZONE).collect()
    assert profile["in_arrears"].to_list() == [True]


def test_value_tiers_are_handed_on_from_one_scoring_to_the_next(shop: Shop, tmp_path: Path):
    home = Path(shutil.copytree(shop.home, tmp_path / "home"))
    shutil.rmtree(home / "scores")
    policy = Policy(
        channels={"app": ChannelPolicy(direction="inbound")},
        value=ValueTiers(formula="COALESCE(purchases, 0)", bounds={"few": 0, "many": 3}),
    )
    again = {"model": "shop", "dataset": None, "clock": FixedClock(NOW), "progress": Silent()}
    first = score(home, **again, wanted=Wanted(True, as_of=NOW, policy=policy))
    assert set(first.wide().collect()["value_tier_before"]) == {None}
    later = {**again, "clock": FixedClock(NOW + timedelta(days=1))}
    second = score(home, **later, wanted=Wanted(True, as_of=NOW, policy=policy))
    tiers = second.wide().select("value_tier_before", "purchases").collect()
    assert set(tiers["value_tier_before"]) == {"few", "many"}
    many = tiers["purchases"].fill_null(0) >= 3
    assert (tiers["value_tier_before"] == "many").to_list() == many.to_list()
