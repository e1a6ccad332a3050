"""Which settings are tried: usual ones first, then where good ones were found; resumable."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import pytest
from core.evaluation.worlds import Declared, limits, shop
from numpy.random import default_rng

from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.limits import Limits
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.scorecard import Evaluation
from oferta.evaluation.search import Proposals, settings_to_try
from oferta.models.catalog import recipe
from oferta.models.data import DataShape
from oferta.models.ease import Ease
from oferta.models.popularity import Popularity
from oferta.models.protocol import Composite, Cost, Recommender
from oferta.progress import Silent

EIGHT = tuple(range(8))
LISTED = (5, 2, 10, 1, 20)


class Dials(Declared):
    """Three settings of eight values, of which a test says how good they are."""

    a: int = 0
    b: int = 0
    c: int = 0
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"a": EIGHT, "b": EIGHT, "c": EIGHT}


class One(Declared):
    """One setting, from usual to unusual."""

    a: int = LISTED[0]
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"a": LISTED}


class Half(Popularity):
    """Popularity that is searched over more values than are tried."""

    smoothing: float = 50.0
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "half_life_days": (None, 1.0, 5.0, 10.0, 50.0, 100.0),
        "smoothing": (50.0, 5.0, 500.0),
    }


class Made(Declared):
    """A recipe made of others, which keeps what it was handed."""

    parts: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - a field of a pydantic model
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    def with_parts(self, chosen: Mapping[str, Recommender]) -> Self:
        parts = {name: one.model_dump() for name, one in chosen.items() if isinstance(one, Ease)}
        return self.model_copy(update={"parts": parts})


def goodness(one: Recommender) -> float:
    assert isinstance(one, Dials)
    return -abs(one.a - 5) - abs(one.b - 6) - abs(one.c - 4)


def tried(seed: int, *, limit: int = 30) -> list[Recommender]:
    proposals = Proposals(Dials(), limit, seed=(seed, 1))
    found = []
    for one in proposals:
        found.append(one)
        proposals.tell(one, goodness(one))
    return found


def test_the_defaults_come_first_nothing_twice_and_a_small_space_is_tried_whole():
    found = tried(3)
    assert found[0] == Dials()
    assert len(found) == len({str(one) for one in found}) == 30
    assert [getattr(one, "a", None) for one in Proposals(One(), 20, seed=(1,))] == list(LISTED)
    assert list(Proposals(One(a=7), 20, seed=(1,))) == [One(a=7)]


def test_what_was_found_guides_what_is_tried_next():
    """The unusual corner that is best here is found far more often than by drawing alone."""
    guided = [max(goodness(one) for one in tried(seed)) for seed in range(12)]
    drawn = [
        max(goodness(one) for one in settings_to_try(Dials(), 30, rng=default_rng([seed, 1])))
        for seed in range(12)
    ]
    assert np.mean(guided) > np.mean(drawn) + 2


def test_the_same_values_give_the_same_proposals():
    assert tried(5) == tried(5)
    assert tried(5) != tried(6)


def test_a_setting_that_could_not_be_fitted_is_not_told_and_not_tried_again():
    proposals = Proposals(Dials(), 30, seed=(2, 1))
    found = []
    for number, one in enumerate(proposals):
        found.append(one)
        if number % 2:
            proposals.tell(one, goodness(one))
    assert len({str(one) for one in found}) == 30


class Kept:
    """Trials kept in memory; raises where a test says that the process ends."""

    def __init__(self) -> None:
        self.entries: dict[str, Mapping[str, Any]] = {}
        self.fitted = 0
        self.ends_after = 10**9

    def recall(
        self, model: str, settings: Mapping[str, Any], share: float
    ) -> Mapping[str, Any] | None:
        return self.entries.get(f"{model} {sorted(settings.items(), key=str)} {share:.4f}")

    def keep(self, model: str, entry: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        if self.fitted == self.ends_after:
            raise KeyboardInterrupt
        self.fitted += 1
        share = entry["share_of_customers"]
        self.entries[f"{model} {sorted(settings.items(), key=str)} {share:.4f}"] = entry


def searched(kept: Kept | None, *, given: Limits | None = None) -> Evaluation:
    return evaluate(
        shop(),
        {"ease": Ease(), "half": Half()},
        protocol=Protocol(split="time:10d"),
        limits=given or limits(),
        progress=Silent(),
        tune=9,
        trials=kept,
    )


def told(found: Evaluation) -> list[Any]:
    """The log without the seconds."""
    assert found.tuning is not None
    return [
        {
            **one,
            "tried": [{k: v for k, v in entry.items() if k != "seconds"} for entry in one["tried"]],
        }
        for one in found.tuning["models"]
    ]


@pytest.mark.parametrize("ends_after", [1, 6, 12])
def test_a_search_that_ended_goes_on_and_chooses_what_an_undisturbed_one_does(ends_after: int):
    kept = Kept()
    kept.ends_after = ends_after
    with pytest.raises(KeyboardInterrupt):
        searched(kept)
    kept.ends_after = 10**9
    again = searched(kept)
    whole = searched(None)
    assert told(again) == told(whole)
    assert [one.settings for one in again.results] == [one.settings for one in whole.results]
    assert kept.fitted == len(kept.entries) == sum(len(one["tried"]) for one in told(whole))


def test_recipes_made_of_others_go_last_with_the_settings_chosen_for_those():
    assert isinstance(Made(), Composite)
    assert not isinstance(Ease(), Composite)
    found = evaluate(
        shop(),
        {"made": Made(seconds=0.0), "ease": Ease()},
        protocol=Protocol(split="time:10d"),
        limits=limits(),
        progress=Silent(),
        tune=4,
        parts={"other": Ease(l2=3.0)},
    )
    assert found.tuning is not None
    assert [one["model"] for one in found.tuning["models"]] == ["ease", "made"]
    settings = {one.model: one.settings for one in found.results}
    assert settings["made"]["parts"] == {
        "ease": settings["ease"],
        "other": Ease(l2=3.0).model_dump(),
    }


def test_a_recipe_made_of_others_takes_their_settings_without_a_search_too():
    found = evaluate(
        shop(),
        {"made": Made(seconds=0.0)},
        protocol=Protocol(split="time:10d"),
        limits=limits(),
        progress=Silent(),
        parts={"ease": Ease(l2=3.0)},
    )
    assert found.results[0].settings["parts"] == {"ease": Ease(l2=3.0).model_dump()}


def test_a_recipe_is_searched_alike_whatever_it_is_called():
    logs = []
    for name in ("als", "Alternating least squares, wide"):
        found = evaluate(
            shop(),
            {name: recipe("als", {"iterations": 1})},
            protocol=Protocol(split="time:10d"),
            limits=limits(),
            progress=Silent(),
            tune=4,
        )
        (one,) = told(found)
        logs.append((one["tried"], one["chosen"]))
    assert logs[0] == logs[1]


class Slow(Popularity):
    """Popularity whose fits take the seconds they declare, on a clock of the test's own."""

    seconds: float = 0.0

    def cost(self, shape: DataShape) -> Cost:
        del shape
        return Cost(self.seconds, 0)


def test_all_models_together_stay_within_the_budget_dear_ones_are_left_out():
    """Each is under half of the budget; the clock says that the time is over after two."""
    looks = iter([0.0, 10.0, 11.0, 40.0, 41.0, 42.0, 100.0, 101.0, 102.0, *[119.0] * 50])
    found = evaluate(
        shop(),
        {"dear": Slow(seconds=45.0), "cheap": Slow(seconds=1.0), "fair": Slow(seconds=20.0)},
        protocol=Protocol(split="time:10d"),
        limits=Limits(100.0, 1 << 40, lambda: next(looks)),
        progress=Silent(),
    )
    assert {one.model for one in found.results} == {"cheap", "fair"}
    assert [one.model for one in found.skipped] == ["dear"]
    assert "of the budget of 2 min 2 were spent" in found.skipped[0].why
