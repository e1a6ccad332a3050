"""The second stage: what it learns in small and in large catalogues."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array
from worlds import block_world, events, random_world, read

from oferta.errors import ArtefactInvalid, SettingsInvalid
from oferta.interactions.histories import Histories
from oferta.interactions.idmap import IdMap
from oferta.interactions.lists import Lists
from oferta.models.catalog import recipe
from oferta.models.data import TrainingData, Validation
from oferta.models.ranker.listed import Sorter
from oferta.models.ranker.occasions import all_but_one, occasions_of, with_newcomers
from oferta.models.ranker.pairs import ProductFacts, candidates_of, pair_columns
from oferta.models.ranker.profile import Known
from oferta.models.ranker.recipe import FittedRanker, Ranker
from oferta.models.ranker.whole import Chooser
from oferta.progress import Silent
from oferta.scoring.topk import ProductMask

DAY = 86_400_000_000


def fit(made: Ranker, data: TrainingData) -> FittedRanker:
    return made.fit(data, rng=np.random.default_rng(5), progress=Silent())


def large(customers: int = 300, products: int = 120) -> TrainingData:
    """A larger catalogue whose validation asks for the product after each customer's last one."""
    data = random_world(customers=customers, products=products, per_customer=6)
    past = data.histories
    last = np.array(
        [
            part.product[part.recency.argmin()] if len(part.product) else 0
            for part in (past.slice(row, row + 1) for row in range(customers))
        ]
    )
    wanted = ((last + 1) % products).astype(np.int32)
    held_out = Validation(
        data=data,
        histories=past,
        test=Lists(np.arange(customers + 1, dtype=np.int64), wanted),
        removed=Lists(np.zeros(customers + 1, np.int64), np.zeros(0, np.int32)),
    )
    return replace(data, validation=lambda: held_out, repeatable=True)


PARTS = {"transitions": {}, "popularity": {}}
LARGE = large()


def test_steps_are_told_with_the_past_as_it_was_then():
    data = read(
        events(
            [
                ("ann", "p", "purchase", 0),
                ("ann", "q", "purchase", 10 * DAY),
                ("ann", "p", "purchase", 40 * DAY),
                ("bob", "q", "purchase", 100 * DAY),
            ],
            "customer_id",
            "product_id",
            "event_type",
            "timestamp",
        ).with_columns(pl.from_epoch("timestamp", "us").dt.replace_time_zone("UTC"))
    )
    found = occasions_of(data, most=100, rng=np.random.default_rng(0))
    assert found.owner.tolist() == [0, 0, 0, 1]
    assert found.product.tolist() == [0, 1, 0, 1]
    assert np.diff(found.histories.indptr).tolist() == [0, 1, 2, 0]
    assert found.age_days.tolist() == [100, 90, 60, 0]
    assert found.histories.age_days is not None
    np.testing.assert_allclose(found.histories.age_days, [10, 40, 30])
    assert found.histories.recency.tolist() == [0, 1, 0]


def test_without_an_order_every_product_is_once_the_answer_to_the_others():
    data = block_world(ordered=False).data
    past = data.histories
    found = all_but_one(past, 10**6, np.random.default_rng(0))
    assert len(found) == len(past.product)
    rebuilt = np.sort(found.owner * 100 + found.product)
    np.testing.assert_array_equal(rebuilt, np.sort(past.owners() * 100 + past.product))
    rest = found.histories
    assert (np.diff(rest.indptr) == np.diff(past.indptr)[found.owner] - 1).all()
    assert not (rest.product == found.product[rest.owners()]).any()
    some = all_but_one(past, 50, np.random.default_rng(0))
    assert len(some) == 50


def test_a_small_catalogue_is_scored_by_chances_that_sum_to_one():
    world = block_world()
    model = fit(Ranker(), world.data)
    assert isinstance(model.ranking, Chooser)
    assert model.states_chances
    chance = np.exp(model.score(world.data.histories))
    np.testing.assert_allclose(chance.sum(axis=1), 1, rtol=1e-4)
    past = world.data.histories
    assert chance[past.owners(), past.product].max() < 1e-3  # what is held is not chosen again


def test_where_repeats_are_listed_what_is_held_may_be_chosen_again():
    once = read(events([("ann", "p", "purchase", 0), ("bob", "p", "purchase", 0)]))
    asked = replace(once, products=IdMap.of(["p", "q"]))
    scores = [
        fit(Ranker(), replace(asked, repeatable=r)).score(once.histories) for r in (False, True)
    ]
    assert (scores[0].argmax(axis=1) == 1).all()
    assert (scores[1].argmax(axis=1) == 0).all()


def test_completed_pasts_say_what_goes_with_what():
    """Of nearly everybody one of two is hidden: completed, their pasts teach the pairs, too."""
    rng = np.random.default_rng(7)
    rows, hidden = [], []
    for number in range(1200):
        pair = ("a", "b") if number % 3 else ("c", "d")
        keep = int(rng.integers(2))
        rows.append((f"u{number:04}", f"k{number % 3 > 0}{pair[keep]}", "holds"))
        hidden.append(f"k{number % 3 > 0}{pair[1 - keep]}")
    # A few who are known whole point the way.
    rows += [
        (f"v{n:02}", f"k{n % 3 > 0}{p}", "holds")
        for n in range(30)
        for p in (("a", "b") if n % 3 else ("c", "d"))
    ]
    data = read(events(rows, "customer_id", "product_id", "event_type"))
    wanted = data.products.rows(hidden)
    asked = data.histories.slice(0, 1200)

    def chance(completions: int) -> float:
        found = fit(Ranker(completions=completions), data).score(asked)
        return float(np.exp(found[np.arange(1200), wanted]).mean())

    assert 1 - chance(3) < (1 - chance(0)) / 2


def test_a_large_catalogue_is_sorted_by_what_the_cut_teaches():
    model = fit(Ranker(parts=PARTS, candidates=30), LARGE)
    assert isinstance(model.ranking, Sorter)
    assert model.ranking.trees is not None
    assert not model.states_chances
    scores = model.score(LARGE.histories)
    assert scores.shape == (300, 120)
    assert np.isfinite(scores).all()


def test_what_no_part_names_is_below_and_in_the_order_of_the_best_part():
    model = fit(Ranker(parts=PARTS, candidates=10), LARGE)
    assert isinstance(model.ranking, Sorter)
    past = LARGE.histories
    of_parts = [part.score(past) for part in model.parts.values()]
    named = candidates_of(of_parts, 10, mask=ProductMask(np.ones(120, np.bool_)))
    inside = np.zeros(of_parts[0].shape, np.bool_)
    inside[named.owners(), named.product] = True
    scores = model.score(past)
    for row in range(0, 300, 17):
        rest = ~inside[row]
        assert scores[row, rest].max() < scores[row, inside[row]].min()
        order = np.argsort(-of_parts[0][row, rest], kind="stable")
        assert (np.diff(scores[row, rest][order]) <= 0).all()


def test_candidates_are_told_with_score_distance_and_rank():
    scores = np.array([[0.5, 3.0, 1.0, 2.0]], np.float32)
    other = np.array([[4.0, 0.0, 1.0, 2.0]], np.float32)
    mask = ProductMask(np.array([True, True, True, False]))
    found = candidates_of([scores, other], 2, mask=mask)
    assert found.product.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.parts[:, 0], [0.5, 3.0, 1.0])
    assert found.parts[:, 2].tolist() == [3, 1, 2]  # 3: named by the other part alone
    assert found.parts[:, 5].tolist() == [1, 3, 2]
    np.testing.assert_allclose(found.parts[:, 1], (3 - found.parts[:, 0]) / scores.std(), rtol=1e-5)


def test_without_a_cut_the_first_part_ranks_alone():
    data = replace(LARGE, validation=None)
    model = fit(Ranker(parts=PARTS), data)
    alone = recipe("transitions").fit(data, rng=np.random.default_rng(0), progress=Silent())
    np.testing.assert_array_equal(model.score(data.histories), alone.score(data.histories))


def test_a_large_catalogues_ranker_survives_as_arrays():
    made = Ranker(parts=PARTS)
    model = fit(made, LARGE)
    arrays = dict(model.arrays())
    again = made.restore(arrays)
    np.testing.assert_array_equal(again.score(LARGE.histories), model.score(LARGE.histories))
    for name, broken in (
        ("trees", np.frombuffer(b"no trees", np.uint8)),
        ("flags", arrays["flags"][:2]),
        ("order", arrays["order"][:1]),
    ):
        with pytest.raises(ArtefactInvalid):
            made.restore({**arrays, name: broken})


def test_candidates_are_told_how_alike_they_are_to_what_was_had():
    traits = np.array([[1, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    traits /= np.linalg.norm(traits, axis=1, keepdims=True)
    facts = ProductFacts(np.zeros((4, 2), np.float32), csr_array(traits))
    data = read(events([("ann", "p0", "purchase", 0), ("bob", "p2", "purchase", 0)]))
    past = replace(data.histories, product=np.array([0, 2], np.int32))
    scores = np.tile(np.arange(4, dtype=np.float32), (2, 1))
    found = candidates_of([scores], 4, mask=ProductMask(np.ones(4, np.bool_)))
    known = Known(4, 0, 0, 0, ordered=True, aged=False)
    likeness = pair_columns(past, found, facts, known=known)[:, 3 + 4]
    half = np.sqrt(0.5)
    np.testing.assert_allclose(likeness, [1, 1, 0, half, 0, 0, 1, half], rtol=1e-5)


def test_the_number_of_threads_changes_nothing():
    one, two = (fit(Ranker(parts=PARTS, threads=n), LARGE).score(LARGE.histories) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_nobody_is_ranked_without_error():
    model = fit(Ranker(parts=PARTS), LARGE)
    assert model.score(Histories.empty(0)).shape == (0, 120)
    assert np.isfinite(model.score(Histories.empty(2))).all()


def test_tuned_settings_reach_the_parts_that_state_none():
    made = Ranker(parts={"ease": {}, "popularity": {"half_life_days": 9.0}})
    tuned = made.with_parts(
        {"ease": recipe("ease", {"l2": 42.0}), "popularity": recipe("popularity")}
    )
    assert tuned.parts["ease"]["l2"] == 42.0
    assert tuned.parts["popularity"] == {"half_life_days": 9.0}


@pytest.mark.parametrize("name", ["ranker", "no_such"])
def test_a_part_must_be_a_model_that_can_name_candidates(name: str):
    with pytest.raises(SettingsInvalid, match=name):
        recipe("ranker", {"parts": {name: {}}})


def test_newcomers_are_told_of_all_products_with_nothing_known():
    past = block_world(ordered=False).data.histories
    base = all_but_one(past, 10**6, np.random.default_rng(0))
    found = with_newcomers(base, past, most=100, rng=np.random.default_rng(0))
    assert len(found) == len(base) + 100
    assert (np.diff(found.owner) >= 0).all()
    empty = np.diff(found.histories.indptr) == 0
    assert found.weight[empty].sum() == pytest.approx(len(past.product))
    assert len(found.histories.product) == len(base.histories.product)


def test_somebody_new_gets_what_most_have_and_not_what_those_of_one_product_have():
    """80 customers hold `odd` alone, 200 hold `car` and `home` and one of two more."""
    rows = [(f"s{n}", "odd", "purchase") for n in range(80)]
    for n in range(200):
        rows += [(f"m{n}", one, "purchase") for one in ("car", "home", ("pet", "dog")[n % 2])]
    data = read(events(rows, "customer_id", "product_id", "event_type"))
    assert not data.ordered
    model = fit(Ranker(parts={"popularity": {}}), data)
    best = np.argsort(-model.score(Histories.empty(1))[0])[:2]
    assert {data.products.id(int(product)) for product in best} == {"car", "home"}
