from datetime import timedelta

import polars as pl
import pytest
from core.evaluation.worlds import day, frame, shop
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from oferta.errors import SplitRefused, UnknownName
from oferta.evaluation.cuts import parse_cut
from oferta.evaluation.splits import ROW, Split, possible_splits, split

PURCHASE = frozenset({"purchase"})


def cut(events: pl.DataFrame, text: str, *, fold: int = 0, seed: int = 7) -> Split:
    return split(events, parse_cut(text), target=PURCHASE, rng=default_rng(seed), fold=fold)


def pairs(part: pl.DataFrame) -> list[tuple[str, str]]:
    return sorted(part.select("customer_id", "product_id").rows())


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(
        [
            *("time:20d", "leave-one-out:last", "leave-one-out:random", "random:0.3"),
            *("cold-products:0.3", "cold-customers:0.3"),
        ]
    ),
    st.integers(0, 1000),
)
def test_no_event_is_in_two_parts_and_the_counts_add_up(text: str, seed: int):
    events = shop(12, 6, seed=seed % 5).rows
    made = cut(events, text, seed=seed)
    rows = made.train[ROW].to_list() + made.test[ROW].to_list()
    assert len(rows) == len(set(rows))
    assert sum(made.counts().values()) == len(events)


def test_time_windows_are_half_open_and_hold_the_last_event():
    events = frame(
        [("a", "p", day(0)), ("a", "q", day(2)), ("b", "q", day(3)), ("b", "r", day(4))],
        "timestamp",
    )
    made = cut(events, "time:2d")
    assert pairs(made.test) == [("b", "q"), ("b", "r")]
    assert pairs(made.train) == [("a", "p"), ("a", "q")]


def test_an_event_on_the_border_of_two_windows_is_in_the_later_one():
    border = day(2) + timedelta(microseconds=1)
    events = frame(
        [("a", "p", day(0)), ("a", "q", day(1.5)), ("b", "q", border), ("b", "r", day(3))],
        "timestamp",
    )
    later, earlier = cut(events, "time:1d"), cut(events, "time:1d", fold=1)
    assert pairs(later.test) == [("b", "q"), ("b", "r")]
    assert pairs(earlier.test) == [("a", "q")]
    assert later.starts_at == border


def test_earlier_folds_are_the_windows_before_and_forget_what_came_later():
    events = frame([("a", f"p{n}", day(n)) for n in range(5)], "timestamp")
    made = cut(events, "time:1d", fold=1)
    assert pairs(made.test) == [("a", "p3")]
    assert pairs(made.train) == [("a", "p0"), ("a", "p1"), ("a", "p2")]
    assert made.left_out == 1


def test_events_without_a_time_are_train_in_every_cut_of_dated_data():
    events = frame(
        [
            ("a", "p", None),
            ("a", "q", day(1)),
            ("a", "r", day(9)),
            ("b", "p", None),
            ("b", "q", None),
        ],
        "timestamp",
    )
    for text in ("time:1d", "leave-one-out:last", "leave-one-out:random", "random:0.5"):
        made = cut(events, text)
        assert made.test["timestamp"].null_count() == 0, text
        assert made.train["timestamp"].null_count() == 3, text


def test_only_target_types_are_asked_for():
    events = frame(
        [
            ("a", "p", day(0), "purchase"),
            ("a", "q", day(9), "view"),
            ("b", "q", day(9), "purchase"),
        ],
        "timestamp",
        "event_type",
    )
    made = cut(events, "time:1d")
    assert pairs(made.test) == [("b", "q")]
    assert made.left_out == 1


def test_a_column_knows_train_valid_and_test():
    events = frame(
        [("a", "p", "train"), ("a", "q", "valid"), ("a", "r", "test"), ("b", "p", "other")], "part"
    )
    made = cut(events, "column:part")
    assert pairs(made.train) == [("a", "p")]
    assert made.valid is not None
    assert pairs(made.valid) == [("a", "q")]
    assert pairs(made.test) == [("a", "r")]
    assert made.left_out == 1


def test_a_column_cut_on_valid_leaves_the_test_rows_out_entirely():
    events = frame([("a", "p", "train"), ("a", "q", "valid"), ("a", "r", "test")], "part")
    made = cut(events, "column:part=valid")
    assert made.valid is None
    assert pairs(made.test) == [("a", "q")]
    assert pairs(made.train) == [("a", "p")]
    assert made.left_out == 1


def test_leave_last_out_keeps_nothing_that_happened_with_or_after_it():
    events = frame(
        [
            ("a", "p", day(0), "purchase"),
            ("a", "q", day(5), "click"),
            ("a", "q", day(5), "purchase"),
            ("a", "r", day(6), "view"),
            ("b", "p", day(1), "purchase"),
        ],
        "timestamp",
        "event_type",
    )
    made = cut(events, "leave-one-out:last")
    assert pairs(made.test) == [("a", "q")]
    assert pairs(made.train) == [("a", "p"), ("b", "p")]
    assert made.left_out == 2


def test_leave_last_out_keeps_no_other_product_of_the_last_basket():
    """Who bought bread and butter with the jam is not asked for jam given bread and butter."""
    basket = [("a", product, day(5)) for product in ("bread", "butter", "jam")]
    events = frame([("a", "milk", day(0)), *basket, ("b", "bread", day(5))], "timestamp")
    made = cut(events, "leave-one-out:last")
    assert pairs(made.test) == [("a", "jam")]
    assert pairs(made.train) == [("a", "milk"), ("b", "bread")]
    assert made.left_out == 2


def test_leave_last_out_keeps_what_seq_says_came_before_within_the_instant():
    rows = [("a", product, day(5), seq) for seq, product in enumerate(["bread", "butter", "jam"])]
    made = cut(frame(rows, "timestamp", "seq"), "leave-one-out:last")
    assert pairs(made.test) == [("a", "jam")]
    assert pairs(made.train) == [("a", "bread"), ("a", "butter")]


def test_leave_last_out_keeps_the_past_of_those_whose_events_have_no_order():
    """They have no instant to drop: the order of the file is all there is."""
    events = frame([("a", "p", 0), ("a", "q", 1), ("b", "p", None), ("b", "q", None)], "seq")
    made = cut(events, "leave-one-out:last")
    assert pairs(made.test) == [("a", "q"), ("b", "q")]
    assert pairs(made.train) == [("a", "p"), ("b", "p")]


@pytest.mark.parametrize("name", ["row", "part", "p", "in", "draw", "time", "group"])
def test_a_column_of_any_name_cuts_and_stays(name: str):
    events = frame([("a", "p", "train"), ("a", "q", "valid"), ("b", "p", "test")], name)
    made = cut(events, f"column:{name}")
    assert (pairs(made.train), pairs(made.test)) == ([("a", "p")], [("b", "p")])
    assert made.test[name].to_list() == ["test"]


def test_leave_last_out_follows_seq_where_there_is_no_time():
    events = frame([("a", "p", 2), ("a", "q", 1), ("a", "r", 0)], "seq")
    assert pairs(cut(events, "leave-one-out:last").test) == [("a", "p")]


def test_leave_random_out_takes_all_rows_of_one_product_of_those_with_two():
    events = frame([("a", "p"), ("a", "p"), ("a", "q"), ("b", "p"), ("b", "p")])
    for seed in range(8):
        made = cut(events, "leave-one-out:random", seed=seed)
        assert set(made.test["customer_id"]) == {"a"}
        assert made.test["product_id"].n_unique() == 1
        assert not set(pairs(made.test)) & set(pairs(made.train))


def test_random_draws_the_share_of_pairs_whatever_the_order_of_the_rows():
    world = shop()
    made = cut(world.rows, "random:0.2")
    distinct = world.rows.select("customer_id", "product_id").n_unique()
    assert made.test.select("customer_id", "product_id").n_unique() == round(0.2 * distinct)
    turned = world.rows.reverse()
    assert pairs(cut(turned, "random:0.2").test) == pairs(made.test)


@pytest.mark.parametrize(
    ("text", "fold", "possible"),
    [
        ("time:7d", 0, ("column:part=valid", "leave-one-out:random", "random:0.2")),
        ("leave-one-out:last", 0, ("column:part=valid", "leave-one-out:random", "random:0.2")),
        ("column:part", 0, ("column:part=valid", "leave-one-out:random", "random:0.2")),
        ("column:part=valid", 1, ("column:part=valid", "leave-one-out:random", "random:0.2")),
    ],
)
def test_a_cut_that_the_data_cannot_give_names_those_that_it_can(
    text: str, fold: int, possible: tuple[str, ...]
):
    events = frame([("a", "p", "train"), ("a", "q", "train"), ("b", "p", "valid")], "part")
    with pytest.raises(SplitRefused) as refused:
        cut(events, text, fold=fold)
    assert refused.value.possible == possible


def test_a_window_longer_than_the_data_is_refused_with_one_that_fits():
    events = frame([("a", "p", day(n)) for n in range(11)], "timestamp")
    with pytest.raises(SplitRefused, match=r"no event would be train.*time:2d"):
        cut(events, "time:28d")
    assert "time:28d" not in possible_splits(events)
    cut(events, "time:2d")


def test_the_last_one_has_one_fold():
    events = frame([("a", "p", day(0)), ("a", "q", day(1))], "timestamp")
    with pytest.raises(SplitRefused, match="one last event"):
        cut(events, "leave-one-out:last", fold=1)


def test_an_unknown_column_is_told_with_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'part'"):
        cut(frame([("a", "p", "train")], "part"), "column:prt")


@pytest.mark.parametrize("column", ["product_id", "customer_id"])
def test_a_cold_cut_leaves_nothing_of_the_new_to_learn_from(column: str):
    events = shop(30, 20).rows
    of = column.removesuffix("_id") + "s"
    made = cut(events, f"cold-{of}:0.25")
    new = set(made.test[column])
    assert len(new) == round(0.25 * events[column].n_unique())
    assert not new & set(made.train[column])
    assert made.left_out == 0  # the shop sells by purchases only
    if of == "products":
        assert made.ranked is not None
        assert set(made.ranked) == new
    else:
        assert made.ranked is None
    assert set(cut(events, f"cold-{of}:0.25", seed=8).test[column]) != new
