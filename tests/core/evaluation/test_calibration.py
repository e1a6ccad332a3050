"""Fitting maps to chances on what no model saw, and judging chances."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from core.evaluation.worlds import World, crowd, frame, limits
from numpy.random import default_rng

from oferta.errors import SettingsInvalid
from oferta.evaluation.calibration import Asked, Slots, map_of, reliability, slots_of
from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.scorecard import Evaluation
from oferta.interactions.histories import Histories
from oferta.interactions.lists import Lists
from oferta.models.catalog import recipe
from oferta.progress import Silent


def lists(*rows: list[int]) -> Lists:
    return Lists(
        np.cumsum([0, *map(len, rows)]).astype(np.int64),
        np.array([one for row in rows for one in row], np.int32),
    )


@dataclass
class Given:
    """Scores as they are given; a row's number is its `known`."""

    scores: np.ndarray

    def score(self, histories: Histories) -> np.ndarray:
        return self.scores[histories.known].astype(np.float32)


def asked(test: Lists, removed: Lists, candidates: Lists | None = None) -> Asked:
    rows = Histories.empty(len(test))
    rows.known[:] = np.arange(len(test))
    return Asked(rows, test, removed, candidates)


def test_the_figures_of_given_chances_worked_by_hand():
    stated = np.array([0.1] * 10 + [0.8] * 10)
    chosen = np.array([True] + [False] * 9 + [True] * 6 + [False] * 4)
    found = reliability(stated, chosen)
    assert [(one.stated, one.observed, one.count) for one in found.bins] == [
        pytest.approx((0.1, 0.1, 10)),
        pytest.approx((0.8, 0.6, 10)),
    ]
    assert found.ece == pytest.approx((10 * 0 + 10 * 0.2) / 20)
    assert found.brier == pytest.approx((0.81 + 9 * 0.01 + 6 * 0.04 + 4 * 0.64) / 20)
    losses = np.log([0.1]).sum() + 9 * np.log(0.9) + 6 * np.log(0.8) + 4 * np.log(0.2)
    assert found.log_loss == pytest.approx(-losses / 20)
    assert found.count == 20


def test_true_chances_are_reliable_and_overstated_ones_are_not():
    rng = default_rng(0)
    true = rng.random(40_000) ** 2
    chosen = rng.random(40_000) < true
    assert reliability(true, chosen).ece < 0.01
    assert reliability(np.sqrt(true), chosen).ece > 0.1


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_a_map_finds_the_chances_behind_scores(method: str):
    rng = default_rng(1)
    score = rng.normal(3, 2, 30_000).astype(np.float32)
    true = 1 / (1 + np.exp(-(1.5 * score - 6)))
    found = map_of(Slots(score, rng.random(30_000) < true), method=method)  # type: ignore[arg-type]
    assert found is not None
    assert found.method == method
    assert np.abs(found.probability(score) - true).mean() < 0.02


def test_little_that_was_chosen_makes_a_curve_and_much_makes_steps():
    rng = default_rng(2)
    score = rng.random(8_000).astype(np.float32)
    few, many = (
        map_of(Slots(score, rng.random(8_000) < s * score), method="auto") for s in (0.1, 1)
    )
    assert few is not None
    assert many is not None
    assert (few.method, many.method) == ("platt", "isotonic")
    assert 0 < many.value[0] <= many.value[-1] < 1  # nothing is certain


def test_nothing_that_was_chosen_makes_no_map():
    none = Slots(np.arange(9, dtype=np.float32), np.zeros(9, np.bool_))
    assert map_of(none, method="auto") is None


def test_slots_are_listed_products_and_what_may_not_be_listed_is_none():
    model = Given(np.array([[0.1, 0.9, 0.5, 0.7], [0.4, 0.3, 0.2, 0.1]]))
    rows = asked(lists([2], [0, 3]), removed=lists([1], []))
    listed = slots_of(model, rows, k=2)
    np.testing.assert_allclose(listed.score, [0.7, 0.5, 0.4, 0.3])
    assert listed.chosen.tolist() == [False, True, True, False]
    every = slots_of(model, rows, k=None)
    assert len(every.score) == 3 + 4
    assert every.chosen.sum() == 3
    only = slots_of(model, asked(rows.test, rows.removed, lists([0, 2], [3])), k=3)
    np.testing.assert_allclose(only.score, [0.5, 0.1, 0.1])
    assert only.chosen.tolist() == [True, False, True]
    new = np.array([True, False, False, True])
    only = slots_of(model, replace(rows, ranked=new), k=None)
    np.testing.assert_allclose(only.score, [0.1, 0.7, 0.4, 0.1])


def sold(customers: int = 400) -> World:
    """Four of five who bought `x` buy `b` then, and `c` who bought `y`; the rest the other."""
    rng = default_rng(3)
    rows = []
    for number in range(customers):
        liked = "b" if (number % 2 == 0) == (rng.random() < 0.8) else "c"
        rows += [(f"u{number:03}", "x" if number % 2 == 0 else "y", "train")]
        rows += [(f"u{number:03}", liked, ("train", "test")[number % 4 > 1])]
    return World(frame(rows, "part"))


def judged(calibrate: str, *models: str) -> Evaluation:
    return evaluate(
        sold(),
        {name: recipe(name) for name in models},
        protocol=Protocol.model_validate(
            {"split": "column:part", "k": (1, 2), "calibrate": calibrate}
        ),
        limits=limits(),
        progress=Silent(),
    )


def test_an_evaluation_tells_what_chances_are_worth_where_it_is_asked():
    (card,) = judged("auto", "transitions").results
    assert card.calibration is not None
    assert card.calibration.count == 2 * card.rows
    assert card.calibration_every is not None
    assert card.calibration_every.count == 3 * card.rows  # of four products one is held
    assert card.as_json()["calibration"]["ece"] == card.calibration.ece
    (without,) = judged("none", "transitions").results
    assert without.calibration is None
    assert "calibration" not in without.as_json()
    assert without.metrics == card.metrics


def test_where_new_products_alone_are_listed_chances_are_theirs_too():
    (card,) = evaluate(
        crowd(300, products=20),
        {"popularity": recipe("popularity")},
        protocol=Protocol(split="cold-products:0.2", k=(2,), calibrate="auto"),
        limits=limits(),
        progress=Silent(),
    ).results
    assert card.calibration is not None
    assert card.calibration.count == 2 * card.rows
    assert card.calibration_every is not None
    assert card.calibration_every.count == 4 * card.rows  # of twenty products four are new
    # Whoever is asked chose one of the four or more: a map of all products would say a twentieth.
    chosen = sum(one.observed * one.count for one in card.calibration_every.bins)
    stated = sum(one.stated * one.count for one in card.calibration_every.bins)
    assert stated == pytest.approx(chosen, rel=0.3)


def test_chances_of_given_candidates_are_refused():
    with pytest.raises(SettingsInvalid, match="given candidates"):
        evaluate(
            sold(),
            {"popularity": recipe("popularity")},
            protocol=Protocol(split="column:part", calibrate="auto"),
            limits=limits(),
            progress=Silent(),
            candidates=sold().rows.select("customer_id", "product_id").unique(),
        )


def test_only_a_model_that_states_chances_has_its_own():
    cards = {card.model: card for card in judged("own", "popularity", "ranker").results}
    assert cards["popularity"].calibration is None
    own = cards["ranker"].calibration_every
    assert own is not None
    assert own.ece < 0.1


def test_recall_by_product_adds_up_to_the_recall_of_all():
    (card,) = judged("none", "transitions").results
    pairs = {name: one.pairs for name, one in card.products.items()}
    assert set(pairs) == {"b", "c"}
    assert sum(pairs.values()) == card.rows
    for k in (1, 2):
        hits = sum(one.pairs * one.recall[f"recall@{k}"] for one in card.products.values())
        assert hits / card.rows == pytest.approx(card.metrics[f"recall@{k}"].mean)
