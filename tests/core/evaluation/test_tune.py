"""Settings chosen inside train, within a budget, the same every time."""

from collections.abc import Mapping
from typing import Any, ClassVar

import polars as pl
import pytest
from core.evaluation.worlds import (
    Bursting,
    Declared,
    Failing,
    World,
    crowd,
    day,
    frame,
    limits,
    shop,
)
from numpy.random import default_rng

from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.folds import cut_into, gather
from oferta.evaluation.limits import Limits
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.scorecard import Evaluation
from oferta.evaluation.search import difference, settings_to_try
from oferta.evaluation.splits import ROW
from oferta.evaluation.validation import validation_split
from oferta.models.catalog import recipe
from oferta.models.data import DataShape
from oferta.models.ease import Ease
from oferta.models.protocol import Cost, Recommender
from oferta.progress import Silent


class Searched(Declared):
    """Popularity with a cost to declare and a half-life to find."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "half_life_days": (None, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
    }


class Growing(Searched):
    """The same with a cost that grows with the customers, as most models' does."""

    def cost(self, shape: DataShape) -> Cost:
        return Cost(self.seconds * shape.customers / 20_000, self.bytes)


def tuned(
    world: World,
    recipes: Mapping[str, Recommender],
    *,
    settings: int = 9,
    given: Limits | None = None,
    candidates: pl.DataFrame | None = None,
    **choices: object,
) -> Evaluation:
    return evaluate(
        world,
        recipes,
        protocol=Protocol.model_validate(choices),
        limits=given or limits(),
        progress=Silent(),
        tune=settings,
        candidates=candidates,
    )


def fashions(customers: int = 80) -> World:
    """What sells changes every ten days: only a short half-life foresees anything."""
    rng = default_rng(5)
    return World(
        frame(
            [
                (f"c{customer:03}", f"p{int(at // 10):02}{int(rng.integers(3))}", day(float(at)))
                for customer in range(customers)
                for at in rng.random(6) * 100
            ],
            "timestamp",
        )
    )


def model_log(found: Evaluation, model: str) -> dict[str, Any]:
    assert found.tuning is not None
    return next(one for one in found.tuning["models"] if one["model"] == model)


def test_the_best_on_validation_is_chosen_and_fitted_on_the_whole_train():
    recipes = {"popularity": Searched()}
    found = tuned(fashions(), recipes, split="time:5d")
    log = model_log(found, "popularity")
    best = max(log["tried"], key=lambda one: one["value"])
    assert len(log["tried"]) == 9
    assert log["tried"][0]["settings"] == {}
    chosen = found.results[0].settings
    assert chosen["half_life_days"] == best["settings"]["half_life_days"] <= 5
    again = evaluate(
        fashions(),
        {"popularity": Searched(half_life_days=chosen["half_life_days"])},
        protocol=Protocol(split="time:5d"),
        limits=limits(),
        progress=Silent(),
    )
    assert again.results[0].metrics == found.results[0].metrics


@pytest.mark.parametrize("split", ["time:10d", "column:part", "column:three"])
def test_test_rows_cannot_move_the_choice(split: str):
    """With every test product replaced by another, what was tried and chosen is the same."""
    rows = shop().rows
    rows = rows.with_columns(
        pl.when(pl.col("timestamp") > day(80))
        .then(pl.lit("test"))
        .otherwise(pl.lit("train"))
        .alias("part")
    ).with_columns(
        pl.when(pl.col("timestamp").is_between(day(65), day(80)))
        .then(pl.lit("valid"))
        .otherwise(pl.col("part"))
        .alias("three")
    )
    last = rows["timestamp"].max()
    in_test = (
        (pl.col("timestamp") > last - pl.duration(days=10))
        if split.startswith("time")
        else (pl.col("part") == "test")
    )
    turned = rows.with_columns(
        pl.when(in_test).then(pl.lit("p00")).otherwise(pl.col("product_id")).alias("product_id")
    )
    recipes = {"popularity": Searched(), "ease": Ease()}
    logs = []
    for world in (World(rows), World(turned)):
        found = tuned(world, recipes, split=split, keep_seen=True)
        logs.append([(model_log(found, m)["chosen"], _values(found, m)) for m in recipes])
    assert logs[0] == logs[1]


def test_candidates_which_hold_the_answers_have_no_part_in_tuning():
    world = shop()
    given = world.rows.select("customer_id", "product_id").unique()
    logs = [
        _values(tuned(world, {"ease": Ease()}, split="time:10d", candidates=candidates), "ease")
        for candidates in (None, given)
    ]
    assert logs[0] == logs[1]


def _values(found: Evaluation, model: str) -> list[tuple[Any, ...]]:
    return [(one["settings"], one["value"]) for one in model_log(found, model)["tried"]]


@pytest.mark.parametrize(
    ("split", "folds"),
    [
        ("time:10d", 1),
        ("time:10d", 3),
        ("random:0.2", 3),
        ("leave-one-out:random", 3),
        ("leave-one-out:last", 1),
    ],
)
def test_the_validation_cut_holds_no_test_event_of_any_fold(split: str, folds: int):
    protocol = Protocol(split=split, folds=folds)
    material = gather(shop(), protocol, None)
    tests = {row for fold in cut_into(material, protocol) for row in fold.split.test[ROW].to_list()}
    cut, _ = validation_split(material, protocol)
    assert not tests & set(pl.concat([cut.train, cut.test])[ROW].to_list())
    if split.startswith("time"):
        first_test = material.events.filter(pl.col(ROW).is_in(list(tests)))["timestamp"].min()
        assert cut.test["timestamp"].max() < first_test  # type: ignore[operator] # instants


PARTS = frame(
    [
        (f"c{n % 7}", f"p{n}", ("train", "train", "train", "test")[n % 4], day(n % 4 + n / 100))
        for n in range(40)
    ],
    "part",
    "timestamp",
)


@pytest.mark.parametrize(
    ("events", "name"),
    [
        (PARTS.with_columns(part=pl.col("part").replace("test", "valid")), "time:9h of train"),
        (
            PARTS.with_columns(timestamp=pl.lit(None, pl.Datetime("us", "UTC"))),
            "random:0.25 of train",
        ),
        (
            frame(
                [(f"c{n}", f"p{p}", ("train", "test")[p == 3]) for n in range(9) for p in range(4)],
                "part",
            ),
            "leave-one-out:random of train",
        ),
        (
            frame(
                [
                    (f"c{n}", f"p{p}", ("train", "train", "valid", "test")[p])
                    for n in range(9)
                    for p in range(4)
                ],
                "part",
            ),
            "the column's valid",
        ),
    ],
    ids=["dated", "share", "one each", "valid"],
)
def test_a_column_cut_is_validated_by_its_valid_or_by_what_looks_like_its_test(
    events: pl.DataFrame, name: str
):
    split = "column:part=valid" if "of train" in name and "time" in name else "column:part"
    protocol = Protocol(split=split)
    _, found = validation_split(gather(World(events), protocol, None), protocol)
    assert found == name


def test_a_large_search_halves_on_samples_of_customers_and_ends_on_all():
    """Declared costs that do not fit the budget: 9 settings, then 3, then 1."""
    world = crowd(20_000)
    recipes = {"popularity": Growing(seconds=1.0)}
    found = tuned(world, recipes, given=limits(seconds=12.0), split="time:20d")
    tried = model_log(found, "popularity")["tried"]
    assert [one["share_of_customers"] for one in tried] == [0.1111] * 9 + [0.3333] * 3 + [1.0]
    customers = sorted({one["customers"] for one in tried})
    for seen, share in zip(customers, (1 / 9, 1 / 3, 1), strict=True):
        assert seen == pytest.approx(share * customers[-1], rel=0.1)
    ample = tuned(world, recipes, given=limits(seconds=60.0), split="time:20d", settings=2)
    tried = model_log(ample, "popularity")["tried"]
    assert [one["share_of_customers"] for one in tried] == [1.0, 1.0]


def test_a_fit_that_costs_as_much_on_few_customers_is_not_tried_on_samples():
    """A cost that grows with the products alone: the time suffices for a few settings, on all."""
    found = tuned(
        crowd(20_000),
        {"popularity": Searched(seconds=1.0)},
        given=limits(seconds=12.0),
        split="time:20d",
    )
    log = model_log(found, "popularity")
    assert {one["share_of_customers"] for one in log["tried"]} == {1.0}


def test_what_the_budget_stops_is_told_and_the_best_so_far_is_chosen():
    """Each look at this clock is a fifth of a second: the search is cut after a few settings."""
    ticks = iter(range(10**6))
    given = Limits(7.0, 1 << 40, lambda: next(ticks) / 5)
    found = tuned(fashions(), {"popularity": Searched(seconds=1.0)}, given=given, split="time:5d")
    log = model_log(found, "popularity")
    assert log["tried"]
    assert log["stopped"]
    assert len(log["tried"]) + len(log["stopped"]) == 9
    assert "of the budget were spent" in log["stopped"][0]["why"]
    best = max(log["tried"], key=lambda one: one["value"])
    assert found.results[0].settings["half_life_days"] == best["settings"].get("half_life_days")


def test_a_model_over_half_the_budget_is_neither_tuned_nor_fitted():
    recipes = {"dear": Searched(seconds=60), "cheap": Searched(seconds=1)}
    found = tuned(fashions(), recipes, given=limits(seconds=100), split="time:5d")
    assert "half of the budget" in model_log(found, "dear")["skipped"]
    assert [one.model for one in found.skipped] == ["dear"]
    assert [one["model"] for one in found.tuning["models"]] == ["cheap", "dear"]  # type: ignore[index]


def test_models_that_are_refused_take_no_time_from_the_others():
    """Their last fits will not be made: no time is kept for them."""
    recipes = {f"dear{n}": Searched(seconds=900) for n in range(4)}
    found = tuned(
        fashions(), {"cheap": Searched(seconds=1), **recipes}, given=limits(100), split="time:5d"
    )
    assert len(model_log(found, "cheap")["tried"]) == 9
    assert model_log(found, "cheap")["stopped"] == []


def test_a_model_that_bursts_while_it_is_tuned_is_skipped_and_the_others_go_on():
    found = tuned(fashions(), {"bursting": Bursting(), "other": Searched()}, split="time:5d")
    assert [card.model for card in found.results] == ["other"]
    assert "would need 2.0 GiB" in found.skipped[0].why
    assert "would need 2.0 GiB" in model_log(found, "bursting")["skipped"][0]["why"]


def test_settings_for_new_products_are_chosen_among_new_products():
    """By the metric that only they have; and of each setting's lists they are all that is there."""
    found = tuned(
        crowd(200, products=30), {"ease": Ease()}, split="cold-products:0.2", metric="auc", k=(3,),
        settings=2,
    )  # fmt: skip
    values = [one["value"] for one in model_log(found, "ease")["tried"]]
    assert values == [0.5, 0.5]  # without features all new products are alike


def test_a_trial_that_fails_is_told_and_the_search_goes_on():
    found = tuned(fashions(), {"failing": Failing()}, split="time:5d")
    log = model_log(found, "failing")
    assert [one["settings"] for one in log["skipped"]] == [{"half_life_days": 1.0}]
    assert "grew without bound" in log["skipped"][0]["why"]
    assert len(log["tried"]) == 2
    assert found.results[0].settings["half_life_days"] == 5


def test_a_model_that_cannot_be_fitted_is_skipped_and_the_others_are_judged():
    found = tuned(
        fashions(), {"failing": Failing(always=True), "other": Searched()}, split="time:5d"
    )
    assert [card.model for card in found.results] == ["other"]
    assert [(one.model, one.why) for one in found.skipped] == [
        ("failing", "failing grew without bound")
    ]


def test_stated_settings_are_kept_and_the_default_is_tried_first():
    stated = Searched(half_life_days=7.0)
    assert settings_to_try(stated, 20, rng=default_rng(1)) == [stated]
    some = settings_to_try(Ease(dropout=0.1), 20, rng=default_rng(1))
    assert {one.dropout for one in some if isinstance(one, Ease)} == {0.1}
    assert len(some) == 20
    variants = settings_to_try(Ease(), 4, rng=default_rng(1))
    assert variants[0] == Ease()
    assert len(variants) == 4
    als = settings_to_try(recipe("als"), 12, rng=default_rng(1))
    assert als == settings_to_try(recipe("als"), 12, rng=default_rng(1))
    assert len({str(difference(als[0], one)) for one in als}) == 12
