"""From events to pasts, worked by hand."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from worlds import DAY_US, events, random_world, read

from oferta.errors import ArtefactInvalid, UnknownName
from oferta.events.types import event_types
from oferta.interactions.amounts import UNDATED
from oferta.interactions.events import read_events
from oferta.interactions.histories import Histories
from oferta.interactions.idmap import IdMap
from oferta.interactions.segments import segments_of
from oferta.interactions.texts import pack_texts, unpack_texts
from oferta.interactions.weighting import Weighting
from oferta.models.data import TrainingData


def dated(rows: Sequence[tuple[object, ...]], *names: str):
    """Rows whose last cell is a day of January 2026, or None."""
    columns = names or ("customer_id", "product_id", "event_type", "timestamp")
    frame = events(
        [(*row[:-1], None if row[-1] is None else f"2026-01-{row[-1]:02}") for row in rows],
        *columns,
    )
    day = (
        pl.col("timestamp")
        .cast(pl.String)
        .str.to_datetime("%Y-%m-%d", time_zone="UTC", time_unit="us")
    )
    return frame.with_columns(day)


def weights(data: TrainingData):
    """{(customer, product): weight}."""
    past = data.histories
    return {
        (data.customers.id(int(c)), data.products.id(int(p))): float(w)
        for c, p, w in zip(past.owners(), past.product, past.weight, strict=True)
    }


PLAIN = Weighting(saturation="none")


def test_ids_are_rows_in_the_order_of_their_text_whatever_order_they_come_in():
    ids = IdMap.of(["b", "10", "9", "é", "b", "Z"])
    assert ids.ids.to_list() == ["10", "9", "Z", "b", "é"]
    assert ids.rows(["b", "nobody", "10"]).tolist() == [3, -1, 0]
    assert ids.rows(["b"]).dtype == np.int32
    assert [ids.row("é"), ids.row("zz"), ids.row("")] == [4, None, None]
    assert ids.take(np.array([1, -1])).to_list() == ["9", None]
    assert ids.fingerprint != IdMap.of(["b", "10"]).fingerprint


def test_quantities_count_and_repeats_add_up():
    frame = pl.LazyFrame(
        {
            "customer_id": ["a", "a", "b"],
            "product_id": ["x", "x", "x"],
            "event_type": ["purchase", "purchase", "view"],
            "quantity": [2.0, None, 3.0],
        }
    )
    assert weights(read(frame, weighting=PLAIN)) == pytest.approx({("a", "x"): 3, ("b", "x"): 0.3})


def test_a_return_takes_back_and_nothing_is_left_of_what_was_returned_whole():
    rows = [
        ("a", "x", "purchase", 1),
        ("a", "x", "purchase", 2),
        ("a", "x", "return", 3),
        ("a", "y", "purchase", 1),
        ("a", "y", "return", 4),
        ("a", "z", "impression", 5),
        ("b", "y", "return", 1),
    ]
    assert weights(read(events(rows), weighting=PLAIN)) == pytest.approx({("a", "x"): 1})


def test_a_negative_quantity_takes_back_whatever_the_type():
    frame = pl.LazyFrame(
        {
            "customer_id": ["a"] * 4,
            "product_id": ["x", "x", "y", "y"],
            "event_type": ["purchase", "purchase", "purchase", "return"],
            "quantity": [3.0, -1.0, 3.0, -2.0],
        }
    )
    data = read(frame, weighting=PLAIN)
    assert weights(data) == pytest.approx({("a", "x"): 2, ("a", "y"): 1})
    assert data.events.conversion.tolist() == [True, False, True, False]


def test_half_of_two_old_purchases_is_left_when_one_goes_back_today():
    """Decaying the return less than what it returns would leave nothing of what is still held."""
    rows = [("a", "x", "purchase", 1), ("a", "x", "purchase", 1), ("a", "x", "return", 21)]
    data = read(dated(rows), weighting=Weighting(half_life_days=10, saturation="none"))
    assert weights(data) == pytest.approx({("a", "x"): 0.25 + 0.25 - 0.25})


def test_half_lives_count_back_from_now_and_undated_events_are_as_old_as_the_oldest():
    rows = [("a", "x", "purchase", 1), ("a", "y", "purchase", 11), ("b", "x", "purchase", None)]
    rule = Weighting(half_life_days=10, saturation="none")
    data = read(dated(rows), weighting=rule)
    assert weights(data) == pytest.approx({("a", "x"): 0.5, ("a", "y"): 1, ("b", "x"): 0.5})
    now = int(data.events.time_us.max()) + 10 * DAY_US
    later = read(dated(rows), weighting=rule, now_us=now)
    assert weights(later)["a", "y"] == pytest.approx(0.5)
    assert data.events.time_us.min() == UNDATED


@pytest.mark.parametrize(("rule", "wanted"), [("none", 3.0), ("log", 2.0), ("binary", 1.0)])
def test_saturation(rule: str, wanted: float):
    rows = [("a", "x", "purchase", step) for step in range(3)]
    assert weights(read(events(rows), weighting=Weighting(saturation=rule)))["a", "x"] == wanted


def test_stated_weights_replace_declared_ones_and_keep_their_meaning():
    rule = Weighting(weights={"view": 0.5, "gift": 2.0, "return": -3.0})
    types = rule.apply(event_types({"view": 0.2}))
    assert (types["view"].weight, types["view"].meaning) == (0.5, "interest")
    assert (types["gift"].weight, types["gift"].meaning) == (2.0, "conversion")
    assert types["return"].meaning == "reversal"
    assert types["purchase"].weight == 1.0


def test_recency_counts_steps_with_a_positive_event_back_from_the_last_one():
    rows = [
        ("a", "x", "purchase", 1),
        ("a", "y", "purchase", 1),
        ("a", "z", "impression", 2),
        ("a", "x", "purchase", 3),
        ("a", "w", "purchase", 7),
        ("a", "w", "return", 9),
        ("a", "v", "view", 8),
        ("b", "y", "purchase", 4),
    ]
    past = read(events(rows)).histories
    # Of a: v last, w taken back but a step all the same, x met again, y at the first step.
    assert past.product.tolist() == [0, 2, 3, 3]  # v, x, y; of b: y
    assert past.recency.tolist() == [0, 2, 3, 0]


def test_order_is_by_time_then_by_sequence_and_one_instant_is_one_step():
    frame = dated(
        [
            ("a", "x", "purchase", 2, 5),
            ("a", "y", "purchase", 1, 5),
            ("a", "z", "purchase", 9, 4),
            ("a", "w", "purchase", 2, 5),
        ],
        "customer_id", "product_id", "event_type", "seq", "timestamp",
    )  # fmt: skip
    data = read(frame)
    assert [data.products.id(int(p)) for p in data.events.product] == ["z", "y", "x", "w"]
    assert data.events.step.tolist() == [0, 1, 2, 2]


def test_without_time_or_sequence_nothing_pretends_to_an_order():
    rows = [("a", "x", "purchase", 1), ("a", "y", "purchase", 2)]
    data = read(events(rows).drop("seq"))
    assert not data.ordered
    assert not data.histories.recency.any()
    assert not data.events.where(np.array([True, False])).ordered


def test_events_of_unknown_ids_are_left_out_and_customers_without_events_have_empty_pasts():
    customers, products = IdMap.of(["a", "b", "c"]), IdMap.of(["x"])
    log = read_events(
        events([("b", "x", "purchase", 1), ("zz", "x", "purchase", 1), ("a", "y", "purchase", 1)]),
        customers=customers,
        products=products,
        types=event_types(),
    )
    assert log.customer.tolist() == [1]
    data = read(events([("b", "x", "purchase", 1)]), customers=customers)
    assert np.diff(data.histories.indptr).tolist() == [0, 1, 0]
    assert data.matrix.shape == (3, 1)


def test_a_past_is_known_only_where_it_is_the_one_trained_on():
    trained = random_world(customers=6, products=9).histories
    assert trained.known_to(trained).known.tolist() == [0, 1, 2, 3, 4, 5]
    longer = replace(trained, known=np.array([0, 1, 1, 99, -1, 5], np.int32))
    assert longer.known_to(trained).known.tolist() == [0, 1, -1, -1, -1, 5]
    heavier = trained.weight.copy()
    heavier[trained.indptr[4]] *= 2
    assert replace(trained, weight=heavier).known_to(trained).known.tolist() == [0, 1, 2, 3, -1, 5]
    assert Histories.empty(2).known_to(trained).known.tolist() == [-1, -1]
    assert trained.known_to(Histories.empty(0)).known.tolist() == [-1] * 6


def test_taking_and_slicing_give_the_same_customers():
    past = random_world(customers=9).histories
    part, same = past.slice(3, 7), past.take(np.arange(3, 7))
    for field in ("indptr", "product", "weight", "recency", "known", "segment"):
        np.testing.assert_array_equal(getattr(part, field), getattr(same, field))
    assert past.take(np.array([8, 8, 0])).known.tolist() == [8, 8, 0]


def test_segments_are_combinations_of_known_attributes_and_small_ones_are_none():
    frame = pl.DataFrame(
        {
            "customer_id": ["a", "b", "c", "d", "e", "f", "stranger"],
            "age": ["45-54", "45-54", "45-54", None, " ", "18-24", "45-54"],
            "income": [50, 50, None, 50, None, 50, 50],
        }
    )
    customers = IdMap.of(["a", "b", "c", "d", "e", "f", "g"])
    found = segments_of(frame, ["age", "income"], customers=customers, min_size=1)
    assert found.labels == (
        "age=18-24 · income=50",
        "age=45-54",
        "age=45-54 · income=50",
        "income=50",
    )
    assert found.codes.tolist() == [2, 2, 1, 3, -1, 0, -1]
    large = segments_of(frame, ["age", "income"], customers=customers, min_size=2)
    assert large.labels == ("age=45-54 · income=50",)
    assert large.codes.tolist() == [0, 0, -1, -1, -1, -1, -1]
    assert segments_of(frame, [], customers=customers).codes.tolist() == [-1] * 7
    with pytest.raises(UnknownName, match="Did you mean 'age'"):
        segments_of(frame, ["agee"], customers=customers)


def test_texts_come_back_as_they_were_and_broken_ones_are_refused():
    texts = pl.Series("id", ["", "a", "é·日", "x y"])
    packed = pack_texts(texts)
    assert unpack_texts(packed, "id").to_list() == texts.to_list()
    assert unpack_texts(pack_texts(texts.head(0)), "id").to_list() == []
    for broken in (
        {**packed, "ends": packed["ends"] + 1},
        {**packed, "ends": packed["ends"][::-1]},
        {**packed, "bytes": packed["bytes"] | np.uint8(0x80)},
        {"ends": packed["ends"]},
    ):
        with pytest.raises(ArtefactInvalid):
            unpack_texts(broken, "id")
