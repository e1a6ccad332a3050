"""Past and events, against what the training code makes of all events at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from worlds import read

from oferta.events.event import Position
from oferta.events.types import event_types
from oferta.interactions.amounts import Amounts
from oferta.interactions.histories import Histories
from oferta.interactions.idmap import IdMap
from oferta.interactions.weighting import Weighting, amounts_of
from oferta.models.data import TrainingData
from oferta.profile.recent import RecentEvent
from oferta.scoring.fold_in import FoldIn
from oferta.scoring.fresh import Weighing, with_events
from oferta.scoring.live import EmbeddingScorer, LiveScorer, NeighbourScorer
from oferta.scoring.quick import quick
from oferta.scoring.topk import top_k

PRODUCTS = IdMap.of([f"p{at:02}" for at in range(24)])
WIDTH = len(PRODUCTS)
START = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
WEIGHTINGS = [
    Weighting(),
    Weighting(half_life_days=20, saturation="none"),
    Weighting(half_life_days=5, weights={"view": 0.4, "return": -0.5}),
    Weighting(saturation="binary"),
]
CUSTOMERS = ("a", "b", "c")
RETURNED = ("purchase", "return", "purchase", "purchase")
SOLD = frozenset(PRODUCTS.ids)
rng = np.random.default_rng(3)


@dataclass(frozen=True)
class Happened:
    customer: str
    type: str
    product: str
    at: float
    quantity: float | None


happenings = st.lists(
    st.builds(
        Happened,
        customer=st.sampled_from(["a", "b", "c"]),
        type=st.sampled_from(["purchase", "purchase", "view", "return", "decline", "impression"]),
        product=st.sampled_from([*PRODUCTS.ids, "unseen"]),
        # Steps of half a day, so that some share an instant.
        at=st.integers(0, 60).map(lambda step: START + step * 43_200),
        quantity=st.sampled_from([None, 2.0, -1.0, 0.5]),
    ),
    max_size=25,
)


def trained(rows: Sequence[Happened], weighting: Weighting, now_us: int | None) -> TrainingData:
    frame = pl.DataFrame(
        [(r.customer, r.product, r.type, round(r.at * 1e6), r.quantity) for r in rows],
        schema={
            "customer_id": pl.String,
            "product_id": pl.String,
            "event_type": pl.String,
            "timestamp": pl.Int64,
            "quantity": pl.Float64,
        },
        orient="row",
    ).with_columns(pl.col("timestamp").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    return read(
        frame.lazy(),
        customers=IdMap.of(["a", "b", "c"]),
        products=PRODUCTS,
        weighting=weighting,
        now_us=now_us,
    )


def known(rows: Sequence[Happened], weighting: Weighting) -> tuple[Amounts, int | None]:
    """What a release keeps of the customers, and the instant that it was decayed to."""
    data = trained(rows, weighting, None)
    now_us = data.events.last_us
    return amounts_of(data.events, weighting, n_customers=3, now_us=now_us), now_us


def weighing(weighting: Weighting, now_us: int | None) -> Weighing:
    types = weighting.apply(event_types())
    return Weighing(
        {name: kind.weight for name, kind in types.items()},
        weighting.half_life_days,
        weighting.saturation,
        now_us,
    )


def recent(rows: Sequence[Happened], customer: str) -> list[RecentEvent]:
    return [
        RecentEvent(Position(at, 0), r.type, r.product, r.at, None, None, {}, r.quantity)
        for at, r in enumerate(rows)
        if r.customer == customer
    ]


def matrix() -> NeighbourScorer:
    weights = rng.standard_normal((WIDTH, WIDTH)).astype(np.float32)
    weights[rng.random(weights.shape) < 0.5] = 0
    rows, columns = np.nonzero(weights)
    return NeighbourScorer(
        indptr=np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=WIDTH))]),
        neighbour=columns.astype(np.int32),
        weight=weights[rows, columns],
        base=rng.random((3, WIDTH)).astype(np.float32),
        step_decay=0.7,
        binary=False,
    )


def embedding(*, ridge: float) -> EmbeddingScorer:
    products = (rng.standard_normal((WIDTH, 6)) * 0.5).astype(np.float32)
    precision = products.T @ products + 2 * np.eye(6, dtype=np.float32)
    cold = rng.standard_normal((3, 6)).astype(np.float32)
    return EmbeddingScorer(products, cold, FoldIn(precision, 3.0, ridge == 0, ridge))


SCORERS = [
    matrix(),
    replace(matrix(), step_decay=1.0),
    replace(matrix(), binary=True),
    embedding(ridge=0.0),
    embedding(ridge=0.5),
    replace(embedding(ridge=0.0), fold_in=None),
]
NAMES = ["steps", "sums", "binary", "fold-in", "fold-in by frequency", "deaf"]


def after(
    before: Amounts, rows: Sequence[Happened], counting: Weighing, *, ordered: bool = True
) -> tuple[Histories, NDArray[np.bool_]]:
    return with_events(
        before,
        [recent(rows, customer)[::-1] for customer in CUSTOMERS],
        rows={one: row for row, one in enumerate(PRODUCTS.ids)},
        segment=np.array([-1, 0, 1], np.int32),
        weighing=counting,
        products=WIDTH,
        ordered=ordered,
    )


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=["log", "linear", "faded", "binary"])
@settings(max_examples=15, deadline=None)
@given(rows=happenings, cut=st.integers(0, 25))
def test_past_and_events_are_what_training_makes_of_both(
    weighting: Weighting, rows: list[Happened], cut: int
) -> None:
    rows.sort(key=lambda row: row.at)
    old, new = rows[:cut], rows[cut:]
    before, made_us = known(old, weighting)
    counting = weighing(weighting, made_us)
    got, changed = after(before, new, counting)
    for at, customer in enumerate(CUSTOMERS):
        deeds = [
            round(one.at * 1e6)
            for one in recent(new, customer)
            if counting.amount(one) and one.product in SOLD
        ]
        assert changed[at] == bool(deeds)
        # Training decays everybody to one instant, this each customer to their newest event.
        instants = [*deeds, *([] if made_us is None else [made_us])]
        wanted = trained([*old, *new], weighting, max(instants, default=None)).histories
        mine, theirs = got.take(np.array([at])), wanted.take(np.array([at]))
        np.testing.assert_array_equal(mine.product, theirs.product)
        np.testing.assert_allclose(mine.weight, theirs.weight, rtol=2e-5)
        np.testing.assert_array_equal(mine.recency, theirs.recency)


@pytest.mark.parametrize("scorer", SCORERS, ids=NAMES)
@settings(max_examples=8, deadline=None)
@given(rows=happenings, cut=st.integers(0, 25), k=st.integers(1, WIDTH))
def test_a_fresh_list_is_the_live_scorers_own_of_all_events(
    scorer: LiveScorer, rows: list[Happened], cut: int, k: int
) -> None:
    rows.sort(key=lambda row: row.at)
    before, made_us = known(rows[:cut], Weighting())
    got, _ = after(before, rows[cut:], weighing(Weighting(), made_us))
    wanted = replace(
        trained(rows, Weighting(), None).histories, segment=np.array([-1, 0, 1], np.int32)
    )
    fast, expected = quick(scorer), top_k(scorer.score(wanted), k)
    best = top_k(fast.score(got), k)
    np.testing.assert_array_equal(
        best.products, expected.products, err_msg=f"{best.scores} {expected.scores} {rows} {cut}"
    )
    np.testing.assert_allclose(best.scores, expected.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        fast.because(got, best.products), scorer.because(wanted, expected.products)
    )


def test_an_event_that_came_in_late_takes_its_place_among_the_steps() -> None:
    def bought(product: str, step: int) -> Happened:
        return Happened("a", "purchase", product, START + step * 86_400, None)

    old = [bought("p00", 0), bought("p01", 4), bought("p02", 8)]
    late = [bought("p03", 2), bought("p04", 6), bought("p05", 8), bought("p06", 9)]
    before, made_us = known(old, Weighting(half_life_days=7))
    got, _ = after(before, late, weighing(Weighting(half_life_days=7), made_us))
    wanted = trained([*old, *late], Weighting(half_life_days=7), None).histories
    assert got.recency[:7].tolist() == wanted.recency[:7].tolist() == [5, 3, 1, 4, 2, 1, 0]
    np.testing.assert_allclose(got.weight, wanted.weight, rtol=1e-5)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_what_was_taken_back_and_bought_again_is_had_again(cut: int) -> None:
    rows = [Happened("a", kind, "p05", START + at * 1000, None) for at, kind in enumerate(RETURNED)]
    before, made_us = known(rows[:cut], Weighting())
    got, _ = after(before, rows[cut:], weighing(Weighting(), made_us))
    wanted = trained(rows, Weighting(), None).histories
    np.testing.assert_allclose(got.weight, wanted.weight)
    assert len(wanted.weight) == 1


def test_what_was_bought_before_fades_until_the_newest_event() -> None:
    weighting = Weighting(half_life_days=10, saturation="none")
    old = [Happened("a", "purchase", "p05", START, None)]
    before, made_us = known(old, weighting)
    assert before.amount.tolist() == [1.0]
    later = [Happened("a", "purchase", "p06", START + 20 * 86_400, None)]
    got, _ = after(before, later, weighing(weighting, made_us))
    assert got.weight.tolist() == [0.25, 1.0]


def test_a_scorer_without_steps_needs_none() -> None:
    rows = [Happened("a", "purchase", "p05", START, None)]
    before, made_us = known(rows, Weighting())
    got, _ = after(before, rows, weighing(Weighting(), made_us), ordered=False)
    assert got.recency.tolist() == [0]
