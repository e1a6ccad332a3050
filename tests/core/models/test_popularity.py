"""Popularity, counted by hand."""

import numpy as np
import polars as pl
import pytest
from worlds import events, read

from oferta.interactions.histories import Histories
from oferta.interactions.segments import Segments
from oferta.models.popularity import Popularity, shares
from oferta.progress import Silent

ROWS = [
    ("a", "x", "purchase", 1),
    ("a", "x", "purchase", 2),
    ("a", "y", "purchase", 3),
    ("b", "x", "purchase", 1),
    ("c", "z", "purchase", 1),
    ("c", "y", "view", 2),
]
SEGMENTS = Segments(("s", "t"), np.array([0, 0, 1], np.int32))


def test_shares_are_weights_per_customer_who_has_a_past():
    # a has x twice: log2(1 + 2); c viewed y: log2(1 + .1).
    wanted = [(np.log2(3) + 1) / 3, (1 + np.log2(1.1)) / 3, 1 / 3]
    np.testing.assert_allclose(shares(read(events(ROWS))), [wanted], rtol=1e-6)


def test_segments_have_their_own_shares_with_some_overall_customers_added():
    data = read(events(ROWS), segments=SEGMENTS)
    overall = shares(data, by_segment=False)[0]
    rows = shares(data, smoothing=2)
    np.testing.assert_allclose(
        rows[1], (np.array([0, np.log2(1.1), 1]) + 2 * overall) / 3, rtol=1e-6
    )
    np.testing.assert_allclose(rows[2], overall)


def test_an_unknown_segment_gets_the_overall_list():
    data = read(events(ROWS), segments=SEGMENTS)
    model = Popularity().fit(data, rng=np.random.default_rng(0), progress=Silent())
    assert model.reason == "popular_in_segment"
    np.testing.assert_array_equal(model.score(Histories.empty(1))[0], model.share[2])


@pytest.mark.parametrize("undated", [False, True])
def test_choices_count_half_after_each_half_life(undated: bool):
    days = [("a", "x", 0), ("b", "x", 20), ("c", "y", 30), ("a", "y", 10)]
    frame = events(
        [(c, p, "purchase", None if undated else f"2026-01-{1 + d:02}") for c, p, d in days],
        "customer_id", "product_id", "event_type", "timestamp",
    )  # fmt: skip
    dated = frame.with_columns(
        pl.col("timestamp")
        .cast(pl.String)
        .str.to_datetime("%Y-%m-%d", time_zone="UTC", time_unit="us")
    )
    share = shares(read(dated), half_life_days=10)
    wanted = [2, 2] if undated else [2**-3 + 2**-1, 1 + 2**-2]
    np.testing.assert_allclose(share[0], np.array(wanted) / 3, rtol=1e-6)
