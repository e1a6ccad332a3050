"""What is asked of a model, and what it is told."""

import numpy as np
import polars as pl
import pytest
from core.evaluation.worlds import World, day, frame

from oferta.errors import SourceRefused, SplitRefused, UnknownName
from oferta.evaluation.folds import Fold, cut_into, gather
from oferta.evaluation.protocol import Protocol
from oferta.interactions.lists import Lists


def fold_of(
    events: pl.DataFrame,
    candidates: pl.DataFrame | None = None,
    names: dict[str, float] | None = None,
    **choices: object,
) -> Fold:
    protocol = Protocol.model_validate(choices)
    return next(cut_into(gather(World(events, names or {}), protocol, candidates), protocol))


def named(fold: Fold, lists: Lists) -> list[str]:
    """Each row's products as one text, such as `pq`."""
    names = fold.data.products.take(lists.product).to_list()
    return ["".join(names[a:b]) for a, b in zip(lists.indptr[:-1], lists.indptr[1:], strict=True)]


def pasts(fold: Fold) -> list[str]:
    past = fold.rows.histories
    return named(fold, Lists(past.indptr, past.product))


PARTS = frame(
    [
        ("ann", "p", "train"),
        ("ann", "q", "valid"),
        ("ann", "p", "test"),
        ("ann", "r", "test"),
        ("bob", "q", "train"),
        ("bob", "q", "test"),
        ("cas", "p", "test"),
        ("dee", "p", "valid"),
        ("dee", "q", "test"),
    ],
    "part",
)


def test_products_of_the_past_are_neither_asked_for_nor_listed():
    fold = fold_of(PARTS, split="column:part")
    assert fold.rows.customer_id.to_list() == ["ann", "cas", "dee"]
    assert named(fold, fold.rows.test) == ["r", "p", "q"]
    assert named(fold, fold.rows.removed) == ["pq", "", "p"]
    assert fold.rows.counts["dropped_seen"] == 2


def test_kept_seen_products_are_asked_for_and_may_be_listed():
    fold = fold_of(PARTS, split="column:part", keep_seen=True)
    assert fold.rows.customer_id.to_list() == ["ann", "bob", "cas", "dee"]
    assert named(fold, fold.rows.test) == ["pr", "q", "p", "q"]
    assert named(fold, fold.rows.removed) == ["", "", "", ""]
    assert fold.rows.counts["dropped_seen"] == 0


def test_train_alone_is_fitted_on_and_known_and_customers_it_never_saw_are_cold():
    fold = fold_of(PARTS, split="column:part")
    assert fold.data.customers.ids.to_list() == ["ann", "bob"]
    assert pasts(fold) == ["p", "", ""]
    assert fold.rows.histories.known.tolist() == [0, -1, -1]
    assert fold.rows.counts["cold"] == 2


def test_valid_joins_what_is_known_but_not_what_is_fitted_on():
    fold = fold_of(PARTS, split="column:part", history="train+valid")
    assert fold.data.customers.ids.to_list() == ["ann", "bob"]
    assert pasts(fold) == ["pq", "", "p"]
    # Their pasts are not those that the model was fitted on.
    assert fold.rows.histories.known.tolist() == [-1, -1, -1]
    assert named(fold, fold.rows.removed) == ["pq", "", "p"]
    assert fold.rows.counts["cold"] == 1


def test_valid_may_be_fitted_on_too():
    fold = fold_of(PARTS, split="column:part", history="train+valid", fit="train+valid")
    assert fold.data.customers.ids.to_list() == ["ann", "bob", "dee"]
    assert pasts(fold) == ["pq", "", "p"]
    assert fold.rows.histories.known.tolist() == [0, -1, 2]
    fold = fold_of(PARTS, split="column:part", history="train", fit="train+valid")
    assert pasts(fold) == ["p", "", ""]
    assert fold.rows.histories.known.tolist() == [-1, -1, -1]


def test_what_was_returned_may_be_asked_for_again():
    events = frame(
        [
            ("ann", "p", day(0), "purchase"),
            ("ann", "p", day(1), "return"),
            ("ann", "q", day(1), "purchase"),
            ("ann", "p", day(9), "purchase"),
        ],
        "timestamp",
        "event_type",
    )
    for declared in ({}, {"purchase": 5.0}):
        fold = fold_of(events, names=declared, split="time:1d")
        assert named(fold, fold.rows.test) == ["p"]
        assert named(fold, fold.rows.removed) == ["q"]


def test_what_was_only_viewed_may_be_asked_for():
    events = frame(
        [
            ("ann", "p", day(0), "view"),
            ("ann", "q", day(1), "purchase"),
            ("ann", "p", day(9), "purchase"),
        ],
        "timestamp",
        "event_type",
    )
    fold = fold_of(events, split="time:1d")
    assert named(fold, fold.rows.test) == ["p"]
    assert pasts(fold) == ["pq"]


def test_views_are_the_target_where_nothing_converts():
    events = frame(
        [("ann", "p", day(0), "view"), ("ann", "q", day(9), "view")], "timestamp", "event_type"
    )
    fold = fold_of(events, split="time:1d")
    assert named(fold, fold.rows.test) == ["q"]


BASKETS = frame(
    [
        ("ann", "p", day(0), "b1", "train"),
        ("ann", "q", day(5), "b3", "train"),
        ("ann", "t", day(3), "b6", "train"),  # at the instant of b2: not before it
        ("ann", "r", day(3), "b2", "test"),
        ("ann", "s", day(3), "b2", "test"),
        ("ann", "q", day(9), "b4", "test"),
        ("bob", "r", day(2), "b5", "test"),
        ("bob", "t", day(2), "b7", "train"),  # at the instant of b5
    ],
    "timestamp",
    "event_id",
    "part",
)


@pytest.mark.parametrize("name", ["row", "part"])
def test_a_column_of_any_name_splits_and_groups(name: str):
    fold = fold_of(PARTS.rename({"part": name}), split=f"column:{name}", group=name)
    assert fold.rows.customer_id.to_list() == ["ann", "cas", "dee"]


def test_each_group_is_a_row_that_knows_what_came_strictly_before():
    fold = fold_of(BASKETS, split="column:part", group="event_id", keep_seen=True)
    assert fold.rows.customer_id.to_list() == ["ann", "ann", "bob"]
    assert named(fold, fold.rows.test) == ["rs", "q", "r"]
    assert pasts(fold) == ["p", "pqt", ""]
    # Only the row that knows all of train has the past that the model was fitted on.
    assert fold.rows.histories.known.tolist() == [-1, 0, -1]
    assert fold.rows.counts["cold"] == 1


def test_a_group_is_asked_only_for_what_its_customer_did_not_have_before_it():
    fold = fold_of(BASKETS, split="column:part", group="event_id")
    assert named(fold, fold.rows.test) == ["rs", "r"]
    assert named(fold, fold.rows.removed) == ["p", ""]


def test_candidates_are_ranked_with_the_rows_own_test_products_each_once():
    given = pl.DataFrame(
        {
            "customer_id": ["ann", "ann", "cas", "nobody", "ann"],
            "product_id": ["r", "q", "q", "p", "unknown"],
        }
    )
    fold = fold_of(PARTS, given, split="column:part")
    assert fold.rows.customer_id.to_list() == ["ann", "cas"]
    assert fold.rows.candidates is not None
    assert named(fold, fold.rows.candidates) == ["qr", "pq"]
    assert fold.rows.counts["without_candidates"] == 1


def test_candidates_may_be_given_for_each_group():
    given = pl.DataFrame({"event_id": ["b2", "b4"], "product_id": ["q", "p"]})
    fold = fold_of(BASKETS, given, split="column:part", group="event_id", keep_seen=True)
    assert fold.rows.candidates is not None
    assert named(fold, fold.rows.candidates) == ["qrs", "pq"]


def test_candidates_without_a_product_column_are_refused():
    given = pl.DataFrame({"customer_id": ["ann"], "product": ["p"]})
    with pytest.raises(UnknownName, match="product_id"):
        fold_of(PARTS, given, split="column:part")


def test_a_test_of_repeats_only_is_refused_and_says_how_to_keep_them():
    events = frame([("ann", "p", "train"), ("ann", "p", "test")], "part")
    with pytest.raises(SplitRefused, match="--keep-seen"):
        fold_of(events, split="column:part")


def test_decay_counts_back_from_where_the_test_begins():
    """A customer's weights are those that the model was fitted on, whoever else is tested."""
    events = frame(
        [
            ("ann", "p", day(0)),
            ("bob", "p", day(10)),
            ("ann", "q", day(39)),
            ("bob", "q", day(40)),
        ],
        "timestamp",
    )
    choices = {"split": "time:20d", "weighting": {"half_life_days": 10, "saturation": "none"}}
    fold = fold_of(events, **choices)
    np.testing.assert_allclose(fold.data.histories.weight, [0.25, 0.5], rtol=1e-6)
    np.testing.assert_allclose(fold.rows.histories.weight, [0.25, 0.5], rtol=1e-6)


def test_only_events_that_meet_the_conditions_take_part():
    fold = fold_of(PARTS, split="leave-one-out:random", where=("part=test",))
    assert fold.rows.customer_id.to_list() == ["ann"]
    assert fold.data.products.ids.to_list() == ["p", "q", "r"]
    with pytest.raises(SourceRefused, match="none where part=tset"):
        fold_of(PARTS, split="leave-one-out:random", where=("part=tset",))
    with pytest.raises(UnknownName, match="'part'"):
        fold_of(PARTS, split="leave-one-out:random", where=("prt=test",))


def test_events_that_want_nothing_are_no_target():
    events = frame([("a", "p", "impression"), ("a", "q", "impression")], "event_type")
    with pytest.raises(SourceRefused, match="--target"):
        fold_of(events, split="random:0.5")


def test_an_unknown_target_or_group_is_told_with_the_nearest():
    with pytest.raises(UnknownName, match="'purchase'"):
        fold_of(PARTS, split="column:part", target=("purchas",))
    with pytest.raises(UnknownName, match="'event_id'"):
        fold_of(BASKETS, split="column:part", group="event")
