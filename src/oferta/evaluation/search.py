"""Which settings of a model to try."""

from itertools import product as combinations
from typing import Any

import numpy as np
from numpy.random import Generator
from pydantic import BaseModel

from oferta.models.protocol import Recommender

_MOST = 100_000


def settings_to_try(recipe: Recommender, limit: int, *, rng: Generator) -> list[Recommender]:
    """Up to `limit` variants of `recipe` from its search space, itself first, no two alike.

    A setting that was stated when the recipe was made is kept. Variants are drawn without
    replacement; values that the space lists first, the usual ones, are likelier.
    """
    if not isinstance(recipe, BaseModel):
        return [recipe]
    space = {
        name: values
        for name, values in recipe.search_space.items()
        if name not in recipe.model_fields_set
    }
    drawn = [dict(zip(space, values, strict=True)) for values in _draw(list(space.values()), rng)]
    variants: list[Recommender] = [recipe]
    for values in drawn:
        variant = recipe.model_validate({**recipe.model_dump(), **values})
        if variant not in variants:
            variants.append(variant)
        if len(variants) >= limit:
            break
    return variants[:limit]


def difference(recipe: Recommender, other: Recommender) -> dict[str, Any]:
    """The settings of `other` that are not those of `recipe`."""
    if not (isinstance(recipe, BaseModel) and isinstance(other, BaseModel)):
        return {}
    own = recipe.model_dump(mode="json")
    return {
        name: value for name, value in other.model_dump(mode="json").items() if value != own[name]
    }


def _draw(space: list[tuple[Any, ...]], rng: Generator) -> list[tuple[Any, ...]]:
    total = int(np.prod([len(values) for values in space], dtype=np.int64)) if space else 0
    if not 0 < total <= _MOST:
        return []
    positions = np.stack(
        np.meshgrid(*(np.arange(len(values)) for values in space), indexing="ij"), axis=-1
    ).reshape(total, len(space))
    if len(space) == 1:
        order = np.arange(total)  # from usual to unusual, as listed
    else:
        chance = np.prod(1.0 / (1.0 + positions), axis=1)
        order = rng.choice(total, size=total, replace=False, p=chance / chance.sum())
    every = list(combinations(*space))
    return [every[at] for at in order]
