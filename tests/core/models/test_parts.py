"""Models made of others, where one cannot be fitted or nothing can be set aside."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import Generator, default_rng
from worlds import random_world

from oferta.errors import FitFailed, SplitRefused
from oferta.models.catalog import recipe
from oferta.models.data import TrainingData, Validation
from oferta.models.parts import fit_parts, with_settings
from oferta.models.popularity import FittedPopularity, Popularity
from oferta.progress import Progress, Silent

DATA = random_world(customers=60, products=120)


class Fails(Popularity):
    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedPopularity:
        del data, rng, progress
        raise FitFailed("popularity", "diverged")


def test_a_part_that_fails_leaves_the_others_as_they_are():
    parts = {"popularity": Fails(), "transitions": recipe("transitions")}
    fitted = fit_parts(parts, DATA, seed=3)
    alone = fit_parts({"transitions": recipe("transitions")}, DATA, seed=3)
    assert list(fitted) == ["transitions"]
    np.testing.assert_array_equal(
        fitted["transitions"].score(DATA.histories), alone["transitions"].score(DATA.histories)
    )


def test_where_every_part_fails_the_reason_is_told():
    with pytest.raises(FitFailed, match="diverged"):
        fit_parts({"popularity": Fails()}, DATA, seed=3)


def test_settings_that_were_chosen_go_to_parts_that_state_none():
    chosen = {"ease": recipe("ease", {"l2": 9.0}), "als": recipe("als", {"factors": 8})}
    given = with_settings({"ease": {}, "als": {"factors": 4}, "popularity": {}}, chosen)
    assert given["ease"]["l2"] == 9.0
    assert given["als"] == {"factors": 4}
    assert given["popularity"] == {}


@pytest.mark.parametrize("name", ["blend", "ranker"])
def test_data_too_small_to_be_cut_still_gives_a_model(name: str):
    def refused() -> Validation:
        raise SplitRefused("time:28d", "train has nothing to validate on", possible=())

    parts = {"parts": {"transitions": {}, "popularity": {}}}
    fitted = recipe(name, parts).fit(
        replace(DATA, validation=refused), rng=default_rng(1), progress=Silent()
    )
    scores = fitted.score(DATA.histories)
    assert scores.shape == (60, 120)
    assert np.isfinite(scores).all()
