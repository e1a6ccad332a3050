"""How a blend finds its weights, and what it makes of them."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import block_world, random_world

from oferta.errors import ArtefactInvalid, ModelTooLarge, SettingsInvalid
from oferta.interactions.lists import Lists
from oferta.models import blend as blend_module
from oferta.models import memory
from oferta.models.blend import Blend, FittedBlend
from oferta.models.blend_weights import LAST, Candidates, candidates_of, choose_weights, spread
from oferta.models.catalog import recipe
from oferta.models.data import TrainingData, Validation
from oferta.progress import Silent

WORLD = block_world()
RANDOM = random_world(customers=90, products=60)


def with_validation(data: TrainingData, test: np.ndarray) -> TrainingData:
    """`data` whose validation asks every customer for the product `test` says."""
    past = data.histories
    held_out = Validation(
        data=data,
        histories=past,
        test=Lists(np.arange(len(past) + 1, dtype=np.int64), test.astype(np.int32)),
        removed=Lists(past.indptr, past.product),
    )
    return replace(data, validation=lambda: held_out)


def fit(made: Blend, data: TrainingData) -> FittedBlend:
    return made.fit(data, rng=np.random.default_rng(0), progress=Silent())


def test_what_lists_the_answers_gets_the_weight_and_the_rest_is_not_fitted():
    blend = Blend(parts={"popularity": {"by_segment": False}, "ease": {}})
    model = fit(blend, with_validation(WORLD.data, WORLD.missing))
    assert dict(model.weights) == {"ease": 1.0}
    assert list(model.parts) == ["ease"]
    again = blend.restore(model.arrays())
    past = WORLD.data.histories
    np.testing.assert_array_equal(again.score(past), model.score(past))


def test_without_a_validation_all_parts_count_the_same():
    model = fit(Blend(parts={"popularity": {}, "ease": {}, "transitions": {}}), RANDOM)
    assert set(model.weights.values()) == {1 / 3}


def test_scores_are_the_weighted_sum_of_scores_by_their_spread():
    model = fit(Blend(parts={"popularity": {}, "ease": {}}), RANDOM)
    past = RANDOM.histories
    wanted = sum(
        part.score(past) / part.score(past).std(axis=1, keepdims=True) / 2
        for part in model.parts.values()
    )
    np.testing.assert_allclose(model.score(past), wanted, rtol=1e-4, atol=1e-5)


def test_stated_settings_stay_and_open_ones_are_those_chosen():
    blend = Blend(parts={"ease": {"l2": 5.0}, "als": {}, "popularity": {}})
    chosen = {name: recipe(name, {"factors": 8}) for name in ("als",)}
    chosen["ease"] = recipe("ease", {"l2": 700.0})
    made = blend.with_parts(chosen)
    assert made.parts["ease"] == {"l2": 5.0}
    assert recipe("als", made.parts["als"]) == chosen["als"]
    assert made.parts["popularity"] == {}
    assert blend.parts["als"] == {}


def candidates(scores: np.ndarray, wanted: np.ndarray) -> Candidates:
    return Candidates(scores.astype(np.float32), wanted, wanted.sum(axis=1))


def test_two_models_that_each_know_half_are_worth_more_together():
    rng = np.random.default_rng(1)
    wanted = np.zeros((600, 30), np.bool_)
    wanted[np.arange(600), rng.integers(0, 30, 600)] = True
    scores = rng.standard_normal((600, 30, 3)) + 1.5 * wanted[:, :, None] * [1, 1, 0]
    weights = choose_weights(candidates(scores, wanted), rng=rng)
    assert weights.sum() == pytest.approx(1)
    assert min(weights[:2]) > 0.3
    assert weights[2] < 0.1


def test_where_weights_win_by_chance_alone_the_best_model_is_taken():
    """Many models of pure noise beside one that knows: on so few rows some mix looks better."""
    taken = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        wanted = np.zeros((60, 30), np.bool_)
        wanted[np.arange(60), rng.integers(0, 30, 60)] = True
        scores = rng.standard_normal((60, 30, 8))
        scores[:, :, 0] += 4.0 * wanted
        weights = choose_weights(candidates(scores, wanted), rng=rng)
        taken.append(weights[0])
    assert min(taken) > 0.7
    assert sum(one == 1 for one in taken) >= 7


def test_candidates_are_what_any_model_lists_with_what_all_say_of_it():
    data = with_validation(RANDOM, np.zeros(len(RANDOM.customers)))
    validation = data.validation()
    models = {name: recipe(name).fit(RANDOM, rng=np.random.default_rng(0), progress=Silent()).score
              for name in ("ease", "popularity")}  # fmt: skip
    found = candidates_of(models, validation, most=50, block=7, rng=np.random.default_rng(2))
    assert found.scores.shape[0] == 50
    assert (found.scores[:, 0] > LAST).all()
    # Against every product of the catalogue, masked: the same NDCG for any weights.
    rows = np.sort(np.random.default_rng(2).choice(len(RANDOM.customers), 50, replace=False))
    weights = np.array([0.3, 0.7])
    gains = []
    for row in rows:
        past = RANDOM.histories.take(np.array([row]))
        said = [models[name](past) for name in models]
        total = sum(w * (one / spread(one)) for w, one in zip(weights, said, strict=True))[0]
        total[past.product] = -np.inf
        rank = int((total > total[0]).sum())
        known = bool(np.isin(0, past.product))
        gains.append(0.0 if known or rank >= 10 else 1 / np.log2(rank + 2))
    np.testing.assert_allclose(found.ndcg(weights), gains, rtol=1e-5)


def test_what_may_not_be_listed_is_no_candidate():
    """Also where a list is as long as the catalogue."""
    validation = with_validation(WORLD.data, WORLD.missing).validation()
    assert len(WORLD.data.products) < 50
    model = recipe("ease").fit(WORLD.data, rng=np.random.default_rng(0), progress=Silent())
    found = candidates_of(
        {"ease": model.score}, validation, most=999, block=50, rng=np.random.default_rng(0)
    )
    allowed = len(WORLD.data.products) - np.diff(WORLD.data.histories.indptr)
    np.testing.assert_array_equal((found.scores[:, :, 0] > LAST).sum(axis=1), allowed)
    assert found.wanted.sum() == len(allowed)


def test_a_part_that_would_not_fit_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10_000)
    monkeypatch.setattr(blend_module, "available_bytes", lambda: 10**12)
    model = fit(Blend(parts={"ease": {}, "popularity": {}}), RANDOM)
    assert dict(model.weights) == {"popularity": 1.0}
    with pytest.raises(ModelTooLarge):
        fit(Blend(parts={"ease": {}}), RANDOM)


def test_a_part_that_takes_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blend_module, "available_bytes", lambda: 10**15)
    made = Blend(parts={"ease": {}, "ials": {}})
    shape = replace(RANDOM.shape, customers=30_000, products=50_000, interactions=10**6)
    assert made.cost(shape).seconds < 0.1 * recipe("ease").cost(shape).seconds


def test_parts_that_are_no_models_or_of_models_are_refused():
    with pytest.raises(SettingsInvalid, match="no model to blend"):
        recipe("blend", {"parts": {"esae": {}}})
    with pytest.raises(SettingsInvalid, match="no model to blend"):
        recipe("blend", {"parts": {"blend": {}}})


def test_stored_weights_that_are_not_one_a_part_are_refused():
    made = Blend(parts={"popularity": {}, "ease": {}})
    arrays = dict(fit(made, RANDOM).arrays())
    arrays["blend"] = arrays["blend"][:1]
    with pytest.raises(ArtefactInvalid, match="blend"):
        made.restore(arrays)
    arrays.pop("blend")
    with pytest.raises(ArtefactInvalid, match="missing"):
        made.restore(arrays)
