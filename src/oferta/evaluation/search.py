"""Which settings of a model to try: the usual ones first, then where good ones were found."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product as combinations
from typing import Any

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from pydantic import BaseModel

from oferta.models.protocol import Recommender

_MOST = 100_000
_ASKED = 5  # how often the sampler may name what was tried already


def settings_to_try(recipe: Recommender, limit: int, *, rng: Generator) -> list[Recommender]:
    """Up to `limit` variants of `recipe` from its search space, itself first, no two alike.

    A setting that was stated when the recipe was made is kept. Variants are drawn without
    replacement; values that the space lists first, the usual ones, are likelier.
    """
    if not isinstance(recipe, BaseModel):
        return [recipe]
    space = open_settings(recipe)
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


class Proposals:
    """Settings of one recipe, one after another: draws, then what a TPE sampler makes of them.

    The first half is drawn by `settings_to_try`. From there on a tree-structured Parzen estimator
    (Bergstra et al. 2011, Optuna's) names values that good trials had and bad ones had not. Each of
    its proposals has its own seed, of `seed` and the proposal's number: the same values told give
    the same proposals, also in another process. A space that is not larger than `limit` is tried
    whole, in the order drawn. Nothing is proposed twice.
    """

    def __init__(self, recipe: Recommender, limit: int, *, seed: Sequence[int]) -> None:
        self._recipe = recipe
        self._seed = tuple(seed)
        self._drawn = settings_to_try(recipe, limit, rng=default_rng(seed))
        self._space = open_settings(recipe)
        self._told: list[tuple[dict[str, int], float]] = []
        self._proposed: list[Recommender] = []
        sizes = [len(values) for values in self._space.values()]
        whole = int(np.prod(sizes, dtype=np.int64)) if sizes else 1
        small = whole <= limit or whole > _MOST
        self._first = len(self._drawn) if small else -(-len(self._drawn) // 2)

    def drawn(self) -> list[Recommender]:
        """As many as will be proposed: what they would be without any values told."""
        return list(self._drawn)

    def left(self) -> list[Recommender]:
        """Drawn ones that stand for those still to be proposed."""
        fresh = [one for one in self._drawn if one not in self._proposed]
        return fresh[: max(len(self._drawn) - len(self._proposed), 0)]

    def __iter__(self) -> Iterator[Recommender]:
        while len(self._proposed) < len(self._drawn):
            number = len(self._proposed)
            chosen = self._drawn[number] if number < self._first else self._sampled(number)
            self._proposed.append(chosen)
            yield chosen

    def tell(self, candidate: Recommender, value: float) -> None:
        """What came of it: higher is better."""
        at = self._positions(candidate)
        if at is not None:
            self._told.append((at, value))

    def _sampled(self, number: int) -> Recommender:
        for attempt in range(_ASKED if self._told else 0):
            at = _ask(self._told, self._sizes(), seed=(*self._seed, number, attempt))
            values = {name: self._space[name][place] for name, place in at.items()}
            found = _with(self._recipe, values)
            if found not in self._proposed:
                return found
        return next(one for one in self._drawn if one not in self._proposed)

    def _sizes(self) -> dict[str, int]:
        return {name: len(values) for name, values in self._space.items()}

    def _positions(self, candidate: Recommender) -> dict[str, int] | None:
        # None: a default outside of the space, of which the sampler can learn nothing.
        at = {}
        for name, values in self._space.items():
            value = getattr(candidate, name)
            if value not in values:
                return None
            at[name] = values.index(value)
        return at


def _ask(
    told: Sequence[tuple[Mapping[str, int], float]],
    sizes: Mapping[str, int],
    *,
    seed: Sequence[int],
) -> dict[str, int]:
    import optuna  # noqa: PLC0415 - half a second that only a search must pay
    from optuna.distributions import BaseDistribution, CategoricalDistribution  # noqa: PLC0415

    with quiet_optuna():
        space: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(tuple(range(n))) for name, n in sizes.items()
        }
        drawn = int(SeedSequence(seed).generate_state(1)[0])
        sampler = optuna.samplers.TPESampler(seed=drawn, n_startup_trials=1, multivariate=True)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for at, value in told:
            study.add_trial(
                optuna.trial.create_trial(params=dict(at), distributions=space, value=value)
            )
        return dict(study.ask(space).params)


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Optuna without its log lines and its warnings of what may change."""
    import optuna  # noqa: PLC0415
    from optuna.exceptions import ExperimentalWarning  # noqa: PLC0415

    level = logging.getLogger("optuna").level
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        logging.getLogger("optuna").setLevel(level)


def open_settings(recipe: Recommender) -> dict[str, tuple[Any, ...]]:
    """The part of the search space that was not stated."""
    if not isinstance(recipe, BaseModel):
        return {}
    stated = recipe.model_fields_set
    return {name: values for name, values in recipe.search_space.items() if name not in stated}


def _with(recipe: Recommender, values: Mapping[str, Any]) -> Recommender:
    if not isinstance(recipe, BaseModel):
        return recipe
    made: Recommender = recipe.model_validate({**recipe.model_dump(), **values})
    return made


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
