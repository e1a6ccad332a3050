"""Models made of other models: their parts' settings, and fitting them."""

from collections.abc import Mapping
from typing import Any

from numpy.random import default_rng

from oferta.errors import FitFailed, SettingsInvalid
from oferta.models.catalog import recipe
from oferta.models.data import TrainingData
from oferta.models.protocol import Arrays, Composite, FittedRecommender, Recommender
from oferta.progress import Silent
from oferta.settings import Settings

Parts = dict[str, dict[str, Any]]
"""Models by name, each with the settings that are stated."""


def recipes_of(parts: Parts, *, model: str) -> dict[str, Recommender]:
    """The recipes of the parts of `model`, in the order of `parts`.

    Raises:
        SettingsInvalid: a part is made of models itself.
    """
    made = {name: recipe(name, settings) for name, settings in parts.items()}
    for name, one in made.items():
        if isinstance(one, Composite):
            raise SettingsInvalid(f"models.{model}", [f"parts: {name} is made of models itself"])
    return made


def arrays_of(arrays: Arrays, name: str) -> Arrays:
    """The arrays of the part `name` among those of the whole, under the part's own names."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): one for key, one in arrays.items() if key.startswith(prefix)}


def with_settings(parts: Parts, chosen: Mapping[str, Recommender]) -> Parts:
    """`parts`; those without stated settings take those of `chosen`, by model."""
    settings = dict(parts)
    for name, stated in parts.items():
        tuned = chosen.get(name)
        if not stated and isinstance(tuned, Settings):
            settings[name] = tuned.model_dump(mode="json", exclude_none=True)
    return settings


def fit_parts(
    recipes: Mapping[str, Recommender], data: TrainingData, *, seed: int
) -> dict[str, FittedRecommender]:
    """Every part that can be fitted, by name; each as it would be without the others.

    Raises:
        FitFailed: none could be, and why the last one could not.
    """
    fitted: dict[str, FittedRecommender] = {}
    failed: FitFailed | None = None
    for name, one in recipes.items():
        try:
            fitted[name] = one.fit(data, rng=default_rng([seed, *name.encode()]), progress=Silent())
        except FitFailed as error:
            failed = error
    if not fitted and failed is not None:
        raise failed
    return fitted
