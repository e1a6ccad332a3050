"""A policy means the same however it is written, and depends on what it says it does."""

import numpy as np
import polars as pl
import pytest
from core.off_policy.worlds import PRODUCTS, log_frame, same_everywhere, world

BY_POSITION = {"1": (0.6, 0.3, 0.1), "2": (0.2, 0.3, 0.5)}


def wide_by_position() -> pl.DataFrame:
    chances = zip(*BY_POSITION.values(), strict=True)
    return pl.DataFrame(
        {"position": [1, 2], **dict(zip(PRODUCTS, map(list, chances), strict=True))}
    )


def written(how: str) -> pl.DataFrame:
    wide = wide_by_position()
    if how == "wide by position":
        return wide
    long = wide.unpivot(index="position", variable_name="product_id", value_name="probability")
    if how == "long by position":
        return long.sample(fraction=1, shuffle=True, seed=1)
    if how == "long without its zeros":
        more = pl.DataFrame({"position": [1], "product_id": ["never shown"], "probability": [0.0]})
        return pl.concat([long, more])
    rows = log_frame().select("decision_id", "position").join(wide, on="position")
    return rows.sample(fraction=1, shuffle=True, seed=2)


@pytest.mark.parametrize(
    "how", ["wide by position", "long by position", "long without its zeros", "wide by row"]
)
def test_every_way_of_writing_a_policy_gives_the_same_probabilities(how: str):
    _, policy = world(log_frame(), written(how))
    np.testing.assert_allclose(policy.of_shown, [0.6, 0.3, 0.3, 0.5, 0.6, 0.5])
    dense = policy.distribution.toarray()[policy.row]
    of_shown = dense[np.arange(6), policy.shown]
    np.testing.assert_allclose(of_shown, policy.of_shown)
    loan = policy.products.index("loan")
    np.testing.assert_allclose(dense[:, loan], [0.6, 0.2] * 3)


def test_a_policy_without_keys_is_the_same_everywhere():
    _, policy = world(log_frame(), same_everywhere())
    np.testing.assert_allclose(policy.of_shown, [0.5, 0.25, 0.25, 0.25, 0.5, 0.25])


def test_the_order_of_the_log_changes_nothing():
    log, policy = world(log_frame(), written("wide by row"))
    turned, again = world(log_frame().reverse(), written("wide by row"))
    np.testing.assert_array_equal(policy.of_shown, again.of_shown[::-1])
    np.testing.assert_array_equal(log.reward, turned.reward[::-1])


def test_numbers_and_texts_are_the_same_ids():
    frame = log_frame().with_columns(pl.col("product_id").replace_strict(PRODUCTS, [1, 2, 3]))
    policy = pl.DataFrame({"product_id": ["1", "2", "3"], "probability": [0.5, 0.25, 0.25]})
    assert world(frame, policy)[1].of_shown[0] == 0.5
