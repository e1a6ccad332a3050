"""What customers have, whatever a model makes of it."""

import polars as pl
import pytest

from oferta.events.types import event_types
from oferta.interactions.holdings import held_pairs

Row = tuple[str, float | None]


def held(rows: list[Row], names: dict[str, float] | None = None, **how: object) -> bool:
    """Whether one customer has one product after `rows` of event type and quantity."""
    events = pl.DataFrame(
        [("ann", "card", *row) for row in rows],
        schema={
            "customer_id": pl.String,
            "product_id": pl.String,
            "event_type": pl.String,
            "quantity": pl.Float64,
        },
        orient="row",
    )
    having = how.get("having")
    found = held_pairs(
        events.lazy(),
        event_types(names),
        having=having if isinstance(having, frozenset) else None,
    ).collect()
    assert found.rows() in ([], [("ann", "card")])
    return bool(len(found))


@pytest.mark.parametrize(
    ("rows", "names", "has"),
    [
        ([("purchase", 2.0), ("return", 1.0)], {"purchase": 0.5}, True),
        ([("purchase", 1.0)], {"purchase": 0.0}, True),
        ([("purchase", 1.0), ("decline", None)], {"decline": -1.0}, True),
        ([("purchase", 1.0), ("return", 1.0)], {"purchase": 2.0}, False),
    ],
)
def test_having_is_counted_in_pieces_whatever_the_weights(
    rows: list[Row], names: dict[str, float], has: bool
):
    assert held(rows, names) == has
    assert held(rows) == has


@pytest.mark.parametrize(
    ("rows", "has"),
    [
        ([("purchase", None), ("return", None)], False),
        ([("purchase", 3.0), ("return", -2.0)], True),  # a reversal takes, whichever its sign
        ([("purchase", 3.0), ("purchase", -3.0)], False),
        ([("purchase", 0.1), ("purchase", 0.2), ("return", 0.3)], False),  # .1 + .2 - .3 > 0
        ([("view", 1.0), ("impression", 5.0)], False),
        ([("unheard-of", None)], True),  # as everywhere: a conversion
        ([("return", 1.0)], False),
    ],
)
def test_what_gives_and_what_takes(rows: list[Row], has: bool):
    assert held(rows) == has


def test_named_types_alone_give_and_reversals_still_take():
    views = frozenset({"view"})
    assert held([("view", None)], having=views)
    assert not held([("purchase", None)], having=views)
    assert not held([("view", None), ("return", None)], having=views)


def test_events_without_a_quantity_are_of_one_piece():
    events = pl.LazyFrame(
        {"customer": [1, 1, 2], "product": [4, 4, 4], "event_type": ["purchase"] * 2 + ["return"]}
    )
    found = held_pairs(events, event_types(), owner="customer", product="product")
    assert found.collect().rows() == [(1, 4)]
