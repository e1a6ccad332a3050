"""Models compared: the figures, what goes with them, and what stops a model."""

import json
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from core.evaluation.worlds import Declared, World, crowd, day, frame, limits, shop
from numpy.random import default_rng

from oferta.errors import SettingsInvalid, UnknownName
from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.folds import cut_into, gather
from oferta.evaluation.intervals import bootstrap
from oferta.evaluation.metrics import NAMES
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.scorecard import Evaluation, Scorecard
from oferta.models.catalog import recipe
from oferta.progress import Silent


def run(world: World, *models: str, **choices: object) -> Evaluation:
    return evaluate(
        world,
        {name: recipe(name) for name in models},
        protocol=Protocol.model_validate(choices),
        limits=limits(),
        progress=Silent(),
    )


def by_name(found: Evaluation, name: str) -> Scorecard:
    (card,) = [card for card in found.results if card.model == name]
    return card


PARTS = World(
    frame(
        [
            ("ann", "p", "train"),
            ("bob", "p", "train"),
            ("cas", "p", "train"),
            ("ann", "q", "train"),
            ("bob", "q", "train"),
            ("dee", "r", "train"),
            # p, q, r is the popular list; seen removed: ann and bob get r, dee p q, eve p q r.
            ("ann", "r", "test"),
            ("dee", "q", "test"),
            ("eve", "r", "test"),
            ("eve", "s", "test"),
        ],
        "part",
    )
)


def test_the_figures_of_popularity_worked_by_hand():
    card = run(PARTS, "popularity", split="column:part", k=(2,)).results[0]
    assert card.customers == card.rows == 3
    assert card.values["hr@2"].tolist() == [1, 1, 0]
    assert card.values["precision@2"].tolist() == [0.5, 0.5, 0]
    assert card.values["mrr@2"].tolist() == [1, 0.5, 0]
    assert card.metrics["hr@2"].mean == pytest.approx(2 / 3)
    assert card.metrics["coverage@2"].mean == 1.0  # ann: r s, dee: p q, eve: p q
    # 3, 2, 1, 1 (nobody counts as one) of 4 customers have p, q, r, s.
    bits = [-np.log2(3 / 4), 1.0, 2.0, 2.0]
    by_hand = [2.0, (bits[0] + bits[1]) / 2, (bits[0] + bits[1]) / 2]
    np.testing.assert_allclose(card.values["novelty@2"], by_hand)
    assert card.values["popularity_share@2"].tolist() == [0, 0.5, 0.5]  # p is the popular tenth


def test_the_json_says_every_choice_and_every_figure():
    found = run(shop(), "popularity", "ease", split="time:20d", k=(3, 5), folds=2)
    document = json.loads(json.dumps(found.as_json("shop")))
    assert document["dataset"] == "shop"
    assert set(document["protocol"]) == set(Protocol.model_fields)
    assert document["protocol"]["metric"] == "ndcg@3"
    assert document["protocol"]["target"] == ["purchase"]
    for result in document["results"]:
        assert {"model", "settings", "customers", "fit_s", "recommend_s"} <= set(result)
        told = {f"{name}@{k}" for name in NAMES for k in (3, 5) if name != "auc"}
        assert set(result["metrics"]) == told
        for name, figure in result["metrics"].items():
            assert figure["low"] <= figure["mean"] <= figure["high"], name
        assert len(result["folds"]) == 2
    assert (
        document["results"][0]["metrics"]["ndcg@3"]["mean"]
        >= (document["results"][1]["metrics"]["ndcg@3"]["mean"])
    )


def test_folds_are_pooled_over_rows_and_listed():
    found = run(shop(), "popularity", split="time:20d", folds=2)
    card = found.results[0]
    rows = [len(run(shop(), "popularity", split="time:20d").customer_id)]
    rows.append(card.rows - rows[0])
    assert len(card.values["hr@10"]) == card.rows == len(found.customer_id)
    pooled = np.average([fold["hr@10"] for fold in card.folds], weights=rows)
    assert card.metrics["hr@10"].mean == pytest.approx(pooled)


def test_a_customer_without_a_past_in_several_folds_is_one_customer():
    found = run(shop(), "popularity", split="cold-customers:0.5", folds=3)
    assert found.counts["test_rows"] == len(found.customer_id) == 90
    assert found.counts["cold"] == found.customer_id.n_unique() < 60


@pytest.mark.parametrize("split", ["random:0.2", "leave-one-out:random"])
def test_the_same_data_and_protocol_give_the_same_figures(split: str):
    means = [
        {
            card.model: card.metrics
            for card in evaluate(
                shop(),
                {"als": recipe("als", {"factors": 4, "iterations": 2}), "ease": recipe("ease")},
                protocol=Protocol(split=split, folds=2, seed=seed),
                limits=limits(),
                progress=Silent(),
            ).results
        }
        for seed in (7, 7, 8)
    ]
    assert means[0] == means[1]
    assert means[0] != means[2]


def test_folds_of_a_random_cut_are_other_draws():
    card = run(shop(), "popularity", split="random:0.2", folds=2).results[0]
    assert card.folds[0] != card.folds[1]


def test_values_of_two_models_are_of_the_same_rows():
    found = run(shop(), "popularity", "ease", split="time:20d", group="timestamp")
    for card in found.results:
        assert all(len(values) == len(found.customer_id) for values in card.values.values())
    assert len(found.customer) == len(found.customer_id)
    card = found.results[0]
    drawn = bootstrap(card.values["hr@10"][:, None], rng=default_rng(7), customer=found.customer)
    stated = card.metrics["hr@10"]
    ends = (stated.low, stated.mean, stated.high)
    assert ends == pytest.approx((drawn[0].low, drawn[0].mean, drawn[0].high))
    assert found.customer.max() + 1 == found.customer_id.n_unique() < len(found.customer_id)


def test_only_candidates_are_listed():
    given = pl.DataFrame({"customer_id": ["ann", "dee", "eve"], "product_id": ["s", "p", "p"]})
    found = evaluate(
        PARTS,
        {"popularity": recipe("popularity")},
        protocol=Protocol(split="column:part", k=(3,)),
        limits=limits(),
        progress=Silent(),
        candidates=given,
    )
    # ann ranks r s, dee p q, eve p r s.
    assert found.results[0].values["mrr@3"].tolist() == [1, 0.5, 0.5]
    assert found.protocol.candidates


def test_lists_longer_than_the_catalogue_are_cut_short():
    card = run(PARTS, "popularity", "ease", split="column:part", k=(50,)).results[0]
    assert card.values["recall@50"].tolist() == [1, 1, 1]
    assert card.values["precision@50"].tolist() == [1 / 50, 1 / 50, 2 / 50]


def test_rows_beyond_what_is_judged_at_once_get_their_own_values():
    """Everybody has the same list, so each row's value is whether its product is on it."""
    world = crowd(20_000)
    protocol = Protocol(split="leave-one-out:random", keep_seen=True, k=(3,))
    fold = next(cut_into(gather(world, protocol, None), protocol))
    card = run(world, "popularity", **protocol.model_dump()).results[0]
    popular = np.argsort(-fold.crowd.holders, kind="stable")[:3]
    expected = np.isin(fold.rows.test.product, popular)
    assert len(expected) > 16_384
    np.testing.assert_array_equal(card.values["hr@3"], expected)
    assert card.metrics["coverage@3"].mean == 3 / 8


def test_a_model_too_dear_in_time_or_memory_is_skipped_and_says_why():
    found = evaluate(
        shop(),
        {
            "light": Declared(seconds=49, bytes=499),
            "slow": Declared(seconds=51, bytes=0),
            "large": Declared(seconds=0, bytes=501),
        },
        protocol=Protocol(split="time:20d"),
        limits=limits(100, 1000),
        progress=Silent(),
    )
    assert [card.model for card in found.results] == ["light"]
    why = {one.model: one.why for one in found.skipped}
    assert set(why) == {"slow", "large"}
    assert "--budget" in why["slow"]
    assert "free" in why["large"]


def test_a_segment_changes_the_popular_list():
    @dataclass(frozen=True)
    class Told(World):
        def customers(self) -> pl.LazyFrame:
            ids = self.rows.select(pl.col("customer_id").unique())
            parity = pl.col("customer_id").str.tail(1).cast(pl.Int64) % 2
            return ids.with_columns(parity.cast(pl.String).alias("kind")).lazy()

    world = Told(shop(300).rows)
    plain, told = (
        run(world, "popularity", split="time:20d", segments=segments).results[0].metrics["ndcg@10"]
        for segments in ((), ("kind",))
    )
    assert told.mean > plain.mean + 0.1
    with pytest.raises(UnknownName, match="'kind'"):
        run(world, "popularity", split="time:20d", segments=("knd",))


def test_a_metric_that_is_not_computed_is_refused_before_anything_is_read():
    with pytest.raises(UnknownName, match="'ndcg@10'"):
        run(shop(), "popularity", metric="ndcg@11")


def test_coverage_orders_no_models_because_it_is_of_all_lists_together():
    with pytest.raises(SettingsInvalid, match="coverage is of all lists together"):
        run(shop(), "popularity", metric="coverage@10")


def test_times_at_the_same_instant_for_all_are_refused():
    world = World(frame([("a", "p", day(0)), ("a", "q", day(0))], "timestamp"))
    with pytest.raises(Exception, match="leave-one-out:random"):
        run(world, "popularity", split="time:28d")


class Described(World):
    """The shop, whose products say which kind of customer buys them, whose customers their kind."""

    def products(self) -> pl.LazyFrame:
        half = pl.col("product_id").str.tail(2).cast(pl.Int64) < 12
        return super().products().with_columns(half.alias("kind"))

    def customers(self) -> pl.LazyFrame:
        odd = pl.col("customer_id").str.tail(3).cast(pl.Int64) % 2
        return super().customers().with_columns(odd.alias("kind"))


def test_new_products_are_ranked_among_themselves_by_their_features():
    world = Described(shop(120).rows)
    found = run(
        world, "ials", "popularity", split="cold-products:0.3", metric="auc", k=(3,),
        product_features=("kind",),
    )  # fmt: skip
    ials, popularity = (by_name(found, name) for name in ("ials", "popularity"))
    assert popularity.metrics["auc@3"].mean == 0.5  # all of them are as unknown as each other
    assert ials.metrics["auc@3"].low > 0.6
    new = round(0.3 * world.rows["product_id"].n_unique())
    assert ials.metrics["coverage@3"].mean <= new / world.rows["product_id"].n_unique()
    plain = run(world, "ials", split="cold-products:0.3", metric="auc", k=(3,))
    assert by_name(plain, "ials").metrics["auc@3"].mean == 0.5


def test_new_customers_are_told_apart_by_their_features():
    world = Described(shop(120).rows)
    choices = {"split": "cold-customers:0.3", "k": (3,)}
    told = run(world, "als", "popularity", customer_features=("kind",), **choices)
    plain = run(world, "als", "popularity", **choices)
    for name in ("als", "popularity"):
        gain = (
            by_name(told, name).metrics["ndcg@3"].mean - by_name(plain, name).metrics["ndcg@3"].mean
        )
        assert gain > 0.05, name
    assert told.counts["cold"] == told.counts["test_rows"]


def test_a_model_that_learns_from_features_is_shown_without_them_too():
    pytest.importorskip("lightfm", reason="the hybrid model needs the extra 'hybrid'")
    world = Described(shop(60).rows)
    found = run(world, "hybrid", "popularity", split="random:0.2", product_features=("kind",))
    assert {card.model for card in found.results} == {"hybrid", "hybrid (ids only)", "popularity"}
    plain = run(world, "hybrid", split="random:0.2")
    assert {card.model for card in plain.results} == {"hybrid"}
    one, two = by_name(found, "hybrid (ids only)"), by_name(plain, "hybrid")
    assert one.metrics["ndcg@10"] == two.metrics["ndcg@10"]


def test_auc_is_refused_where_all_products_are_ranked():
    with pytest.raises(SettingsInvalid, match="cold-products"):
        run(shop(), "popularity", split="random:0.2", metric="auc")


def test_whoever_asks_for_one_recipe_gets_no_twin_beside_it():
    pytest.importorskip("lightfm", reason="the hybrid model needs the extra 'hybrid'")
    found = evaluate(
        Described(shop(60).rows),
        {"hybrid": recipe("hybrid", {"epochs": 1})},
        protocol=Protocol(split="random:0.2", customer_features=("kind",)),
        limits=limits(),
        progress=Silent(),
        twins=False,
    )
    assert [card.model for card in found.results] == ["hybrid"]
