"""The validation that models get of their own data."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from oferta.errors import SplitRefused
from oferta.evaluation.folds import cut_into, gather
from oferta.evaluation.protocol import Protocol
from oferta.events.types import EventType, event_types
from oferta.models.data import TrainingData, Validation

START = datetime(2024, 1, 1, tzinfo=UTC)


class Days:
    """Twelve customers who buy one of forty products a day for forty days, in their own order."""

    def __init__(self, *, days: int = 40) -> None:
        rng = np.random.default_rng(5)
        orders = [rng.permutation(40) for _ in range(12)]
        rows = [
            (f"c{customer:02}", f"p{orders[customer][day]:02}", START + timedelta(days=day))
            for customer in range(12)
            for day in range(days)
        ]
        frame = pl.DataFrame(rows, ["customer_id", "product_id", "timestamp"], orient="row")
        self._events = frame.with_columns(
            pl.col("timestamp").cast(pl.Datetime("us", "UTC")), event_type=pl.lit("purchase")
        )

    @property
    def event_types(self) -> Mapping[str, EventType]:
        return event_types()

    def events(self) -> pl.LazyFrame:
        return self._events.lazy()

    def products(self) -> pl.LazyFrame:
        return (
            self._events.select(pl.col("product_id").unique().sort())
            .lazy()
            .with_columns(kind=pl.col("product_id").str.slice(0, 2))
        )

    def customers(self) -> pl.LazyFrame:
        ids = self._events.select(pl.col("customer_id").unique().sort())
        return ids.with_columns(shift=pl.Series([1.5 * n for n in range(12)])).lazy()


def fold_data(protocol: Protocol, source: Days | None = None) -> TrainingData:
    (fold,) = cut_into(gather(source or Days(), protocol, None), protocol)
    return fold.data


def held(data: TrainingData) -> Validation:
    assert data.validation is not None
    return data.validation()


def test_the_window_before_the_test_is_held_out_and_a_window_before_that_again():
    data = fold_data(Protocol(split="time:5d"))
    validation = held(data)
    # Forty days less five of test, less five of validation.
    assert len(data.events) == 12 * 35
    assert len(validation.data.events) == 12 * 30
    np.testing.assert_array_equal(np.diff(validation.test.indptr), 5)
    np.testing.assert_array_equal(np.diff(validation.removed.indptr), 30)
    inner = held(validation.data)
    assert len(inner.data.events) == 12 * 25


def test_nothing_that_is_asked_is_known():
    validation = held(fold_data(Protocol(split="leave-one-out:last")))
    past = validation.histories
    known = set(zip(past.owners().tolist(), past.product.tolist(), strict=True))
    asked = set(
        zip(validation.test.owners().tolist(), validation.test.product.tolist(), strict=True)
    )
    assert len(asked) == 12
    assert not known & asked
    assert (past.known >= 0).all()  # the pasts are those that the inner data is of


def test_a_past_tells_how_long_ago_and_how_often():
    validation = held(fold_data(Protocol(split="time:5d")))
    past = validation.histories
    assert past.age_days is not None
    assert past.count is not None
    np.testing.assert_allclose(past.count, 1)
    # One product a day; the window begins an instant after the last one.
    ages = np.sort(past.age_days.reshape(12, 30), axis=1)
    np.testing.assert_allclose(ages, np.tile(np.arange(30), (12, 1)), atol=1e-4)


def test_asked_twice_it_is_the_same_and_drawn_anew_it_is_alike():
    protocol = Protocol(split="leave-one-out:random")
    data = fold_data(protocol)
    assert held(data) is held(data)
    again = held(fold_data(protocol))
    np.testing.assert_array_equal(again.test.product, held(data).test.product)
    inner = held(held(data).data)
    assert not np.array_equal(inner.test.product, again.test.product)


def test_repeats_are_asked_for_only_where_lists_may_hold_them():
    assert not fold_data(Protocol(split="time:5d")).repeatable
    kept = fold_data(Protocol(split="time:5d", keep_seen=True))
    assert kept.repeatable
    assert len(held(kept).removed.product) == 0


def test_data_too_small_to_be_cut_says_so_when_asked():
    data = fold_data(Protocol(split="time:1d"), Days(days=2))
    data = held(data).data  # a fifth of one day's pairs was drawn
    depth = 0
    with pytest.raises(SplitRefused, match="nothing to validate on"):  # noqa: PT012 - how deep varies
        while depth < 40:
            data, depth = held(data).data, depth + 1


def test_features_of_the_protocol_reach_the_data_and_its_validation():
    protocol = Protocol(split="time:5d", customer_features=("shift",), product_features=("kind",))
    data = fold_data(protocol)
    assert data.customer_features is not None
    assert data.product_features is not None
    assert data.customer_features.columns == ("shift",)
    assert data.product_features.matrix.shape == (40, 4)
    for one in (data.histories, held(data).histories):
        assert one.features is not None
        assert one.features.shape == (12, 1)
        assert (np.diff(one.features[:, 0]) >= 0).all()
        assert one.features[0, 0] < one.features[-1, 0]
