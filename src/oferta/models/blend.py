"""Several models' scores as one, each with the weight that it proved to deserve."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from pydantic import Field, field_validator

from oferta.errors import ArtefactInvalid
from oferta.interactions.histories import Histories
from oferta.models.blend_weights import candidates_of, choose_weights, spread
from oferta.models.catalog import MODELS
from oferta.models.data import DataShape, TrainingData
from oferta.models.memory import available_bytes
from oferta.models.parts import arrays_of, fit_parts, recipes_of, with_settings
from oferta.models.protocol import Arrays, Cost, Embeddings, FittedRecommender
from oferta.models.protocol import Recommender as Recipe
from oferta.progress import Progress
from oferta.scoring.live import LiveScorer
from oferta.scoring.reasons import Reason
from oferta.scoring.stored import take_array
from oferta.settings import Settings

_ROWS = 4000  # validation rows that weights are chosen by; more change them little
_BLOCK_BYTES = 64 << 20
_SHARE = 0.8  # of the free memory, for one part
_LONGEST_S = 300.0  # of all parts' fits; a blend fits each twice
_USUAL = ("ease", "ials", "local_ease", "past_to_future", "transitions")


class Blend(Settings):
    """The weighted sum of models' scores, each by its spread over the products, per customer.

    Weights are chosen where the data can be cut the way a test would be: the models are fitted on
    what is before the cut, and the weights that list best what came after it are kept, unless the
    best single model does as well on rows that had no part in the choice. The models with any
    weight are then fitted on all of the data.
    """

    parts: dict[str, dict[str, Any]] = Field(default={name: {} for name in _USUAL}, min_length=1)
    """The models by name, with the settings that are stated. Where none is, those chosen when the
    models were tuned by themselves, else the defaults."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    @field_validator("parts")
    @classmethod
    def _known(cls, parts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in parts:
            if name not in MODELS or name == "blend":
                raise ValueError(f"'{name}' is no model to blend")
        return parts

    def with_parts(self, chosen: Mapping[str, Recipe]) -> Self:
        """The same with the settings of `chosen`, by model, for parts whose settings are open."""
        return self.model_copy(update={"parts": with_settings(self.parts, chosen)})

    def cost(self, shape: DataShape) -> Cost:
        """What fitting every part that fits into memory takes, twice."""
        costs = [one.cost(shape) for one in _affordable(self._recipes(), shape).values()]
        lists = 4e-9 * min(_ROWS, shape.customers) * shape.products * len(costs)
        return Cost(
            0.1 + 2 * sum(cost.seconds for cost in costs) + lists,
            sum(cost.bytes for cost in costs)
            + min(2 * _BLOCK_BYTES, 8 * shape.customers * shape.products),
        )

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> "FittedBlend":
        """Learn from `data`: the weights, then the models.

        Parts that would not fit into memory, or with which a fit of all would take over five
        minutes, are left out, the dearest first.

        Raises:
            FitFailed: not even one part could be fitted.
        """
        names = tuple(self._recipes())
        recipes = _affordable(self._recipes(), data.shape)
        seed, draws = int(rng.integers(2**31)), default_rng(rng.integers(2**31))
        validation = data.held_out()
        with progress.task("blend", total=2 * len(recipes) + 1) as advance:
            weights = dict.fromkeys(recipes, 1.0)
            if validation is not None and len(validation.test):
                inner = fit_parts(recipes, validation.data, seed=seed)
                advance(len(recipes))
                candidates = candidates_of(
                    {name: part.score for name, part in inner.items()},
                    validation,
                    most=_ROWS,
                    block=max(_BLOCK_BYTES // (4 * len(data.products)), 1),
                    rng=draws,
                )
                chosen = choose_weights(candidates, rng=draws)
                weights = dict(zip(inner, chosen.tolist(), strict=True))
                del inner
            else:
                advance(len(recipes))
            advance(1)
            needed = {name: recipes[name] for name, weight in weights.items() if weight > 0}
            parts = fit_parts(needed, data, seed=seed)
            advance(len(recipes))
        total = sum(weights[name] for name in parts)
        return FittedBlend(parts, {name: weights[name] / total for name in parts}, names)

    def restore(self, arrays: Arrays) -> "FittedBlend":
        """The fitted model whose `arrays()` these are.

        Raises:
            ArtefactInvalid: an array is missing, or of another shape or dtype.
        """
        shares = take_array(arrays, "blend", np.float32, 1)
        recipes = self._recipes()
        if len(shares) != len(recipes) or not (shares > 0).any():
            raise ArtefactInvalid("model arrays", "'blend' has not one weight a part")
        weights = {
            name: share for name, share in zip(recipes, shares.tolist(), strict=True) if share > 0
        }
        parts = {name: recipes[name].restore(arrays_of(arrays, name)) for name in weights}
        return FittedBlend(parts, weights, tuple(recipes))

    def _recipes(self) -> dict[str, Recipe]:
        return recipes_of(dict(sorted(self.parts.items())), model="blend")


@dataclass(frozen=True, slots=True, eq=False)
class FittedBlend:
    """Models and what each counts for.

    Attributes:
        parts: the fitted models by name.
        weights: of each part, positive, summing to 1.
        names: all parts that the recipe has; those without a weight were not fitted.
    """

    parts: Mapping[str, FittedRecommender]
    weights: Mapping[str, float]
    names: tuple[str, ...]

    @property
    def reason(self) -> Reason:
        """That of the model that counts for most."""
        return self._leader().reason

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`: the weighted sum of scores by their spread."""
        total: NDArray[np.float32] | None = None
        for name, part in self.parts.items():
            scores = part.score(histories)
            scores *= np.float32(self.weights[name]) / spread(scores)
            total = scores if total is None else np.add(total, scores, out=total)
        if total is None:
            raise AssertionError  # a blend has at least one part
        return total

    def live_scorer(self) -> LiveScorer:
        """That of the model that counts for most: a live scorer is one model's arrays."""
        return self._leader().live_scorer()

    def embeddings(self) -> Embeddings | None:
        """The vectors of the part that counts for most among those that have any."""
        for name in self._ordered():
            vectors = self.parts[name].embeddings()
            if vectors is not None:
                return vectors
        return None

    def arrays(self) -> Arrays:
        """`blend`, a weight per part of the recipe, and each part's arrays behind its name."""
        shares = [self.weights.get(name, 0.0) for name in self.names]
        return {
            "blend": np.array(shares, np.float32),
            **{
                f"{name}.{array}": one
                for name, part in self.parts.items()
                for array, one in part.arrays().items()
            },
        }

    def _leader(self) -> FittedRecommender:
        return self.parts[self._ordered()[0]]

    def _ordered(self) -> list[str]:
        return sorted(self.parts, key=lambda name: (-self.weights[name], name))


def _affordable(recipes: Mapping[str, Recipe], shape: DataShape) -> dict[str, Recipe]:
    # The cheapest first, while all together take no longer than they may.
    free, spent = available_bytes() * _SHARE, 0.0
    costs = {name: one.cost(shape) for name, one in recipes.items()}
    chosen = set()
    for name in sorted(recipes, key=lambda name: costs[name].seconds):
        if costs[name].bytes <= free and spent + costs[name].seconds <= _LONGEST_S:
            chosen.add(name)
            spent += costs[name].seconds
    return {name: one for name, one in recipes.items() if name in chosen} or dict(recipes)
