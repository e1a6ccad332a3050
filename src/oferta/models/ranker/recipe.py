"""A second stage: candidates of several models put into order by boosted trees."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from pydantic import Field, field_validator

from oferta.errors import FitFailed
from oferta.interactions.histories import Histories
from oferta.models.catalog import MODELS
from oferta.models.data import DataShape, TrainingData
from oferta.models.memory import available_bytes
from oferta.models.parts import arrays_of, fit_parts, recipes_of, with_settings
from oferta.models.protocol import Arrays, Cost, Embeddings, FittedRecommender
from oferta.models.protocol import Recommender as Recipe
from oferta.models.ranker.learning import Learning
from oferta.models.ranker.listed import Sorter, learn_order, sorter_of
from oferta.models.ranker.stored import pack_chooser, pack_sorter, unpack_chooser, unpack_sorter
from oferta.models.ranker.whole import Chooser, learn
from oferta.progress import Progress
from oferta.scoring.live import LiveScorer
from oferta.scoring.reasons import Reason
from oferta.settings import Settings

_WHOLE = 100
"""Products up to which all are scored: trees then choose one class among all products, and learn
from every customer's own products instead of from one cut."""


class Ranker(Settings):
    """Boosted trees over what other models say, and over who the customer is (LightGBM).

    In a catalogue of up to 100 products all are scored by the customer's past and attributes, and
    the trees learn from every product of every customer. In a larger one the parts name candidates,
    and the trees learn from a cut of the data which of them were chosen.
    """

    parts: dict[str, dict[str, Any]] = Field(
        default={"ease": {}, "ials": {}, "transitions": {}, "popularity": {"half_life_days": 30.0}},
        min_length=1,
    )
    """The models that name candidates, with the settings that are stated. Where none is, those
    chosen when the models were tuned by themselves, else the defaults. In a small catalogue only
    the first is fitted: it answers where the trees can not, in serving."""

    candidates: int = Field(default=50, ge=1, le=1000)
    """Products that each part names."""

    objective: Literal["binary", "lambdarank"] = "binary"
    """What the trees learn of candidates: whether each was chosen, or the order of each list."""

    leaves: int = Field(default=15, ge=2, le=255)
    """Leaves of a tree."""

    learning_rate: float = Field(default=0.06, gt=0, le=1)
    """What each tree counts for. How many there are is found on customers set aside."""

    half_life_days: float | None = Field(default=None, gt=0)
    """Days after which a choice that trees learn from counts half, in a small catalogue."""

    completions: int = Field(default=0, ge=0, le=10)
    """In a small catalogue without order: how often pasts are completed by what they are likely to
    lack, and learnt from again. A past of one product says nothing of what goes with it; right
    where most customers are known by one or two products and something is missing of each."""

    threads: int = Field(default=1, ge=1)
    """Threads of the learner. The model is the same with any number; where others work on the same
    processors, more than one wait for each other most of the time."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "leaves": (15, 7, 4, 31),
        "candidates": (50, 100, 25),
        "objective": ("binary", "lambdarank"),
        "completions": (0, 4),
    }

    @field_validator("parts")
    @classmethod
    def _known(cls, parts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in parts:
            if name not in MODELS or name == "ranker":
                raise ValueError(f"'{name}' is no model that could name candidates")
        return parts

    def with_parts(self, chosen: Mapping[str, Recipe]) -> Self:
        """The same with the settings of `chosen`, by model, for parts whose settings are open."""
        return self.model_copy(update={"parts": with_settings(self.parts, chosen)})

    def cost(self, shape: DataShape) -> Cost:
        """What fitting takes: the parts twice and the trees, or one part and the trees."""
        costs = [one.cost(shape) for one in self._recipes().values()]
        if shape.products <= _WHOLE:
            rows = min(shape.interactions, 300_000) * (1 + 2 * self.completions)
            trees = 6e-8 * rows * shape.products * self.leaves * 8
            return Cost(
                0.5 + costs[0].seconds + trees,
                costs[0].bytes + 30 * rows * shape.products,
            )
        fitting = [cost for cost in costs if cost.bytes <= available_bytes()] or costs
        pairs = min(float(shape.customers) * self.candidates * len(costs) / 2, 2e6)
        return Cost(
            1 + 2 * sum(cost.seconds for cost in fitting) + 1e-4 * pairs,
            sum(cost.bytes for cost in fitting) + int(400 * pairs) + (64 << 20),
        )

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> "FittedRanker":
        """Learn from `data`: parts and trees.

        A part that would not fit into memory is left out.

        Raises:
            FitFailed: not even one part could be fitted.
        """
        recipes = self._recipes()
        seed, draws = int(rng.integers(2**31)), default_rng(rng.integers(2**31))
        learning = self._learning(seed)
        with progress.task("ranker", total=2 * len(recipes) + 1) as advance:
            if len(data.products) <= _WHOLE:
                chooser = learn(data, learning, rng=draws)
                advance(2 * len(recipes))
                name = next(iter(recipes))
                parts = fit_parts({name: recipes[name]}, data, seed=seed)
                advance(1)
                return FittedRanker(parts, chooser)
            trees, names = None, tuple(recipes)
            validation = data.held_out()
            if validation is not None:
                inner = fit_parts(recipes, validation.data, seed=seed)
                trees, names = learn_order(inner, data, learning, n=self.candidates, rng=draws)
                del inner
            advance(len(recipes) + 1)
            parts = fit_parts({name: recipes[name] for name in names}, data, seed=seed)
            if trees is not None and len(parts) < len(names):
                raise FitFailed("ranker", "could not fit a part again that it had learnt from")
            advance(len(recipes))
        return FittedRanker(parts, sorter_of(parts, trees, data, n=self.candidates))

    def restore(self, arrays: Arrays) -> "FittedRanker":
        """The fitted model whose `arrays()` these are.

        Raises:
            ArtefactInvalid: an array is missing, or of another shape or dtype.
        """
        parts: dict[str, FittedRecommender] = {}
        recipes = self._recipes()
        stored = {name.partition(".")[0] for name in arrays if "." in name}
        for name in recipes:
            if name in stored:
                parts[name] = recipes[name].restore(arrays_of(arrays, name))
        if "start" in arrays:
            return FittedRanker(parts, unpack_chooser(arrays))
        sorter = unpack_sorter(arrays, parts)
        return FittedRanker(sorter.parts, sorter)

    def _learning(self, seed: int) -> Learning:
        return Learning(
            params={
                "learning_rate": self.learning_rate,
                "num_leaves": self.leaves,
                "num_threads": self.threads,
                "lambda_l2": 5.0,
                "cat_smooth": 50.0,
                "cat_l2": 30.0,
                "max_bin": 127,
                "seed": seed,
            },
            rounds=400,
            patience=25,
            objective=self.objective,
            half_life_days=self.half_life_days,
            completions=self.completions,
        )

    def _recipes(self) -> dict[str, Recipe]:
        return recipes_of(self.parts, model="ranker")


@dataclass(frozen=True, slots=True, eq=False)
class FittedRanker:
    """Trees, and the models beside them.

    Attributes:
        parts: the fitted models by name, the best first.
        ranking: what scores.
    """

    parts: Mapping[str, FittedRecommender]
    ranking: Chooser | Sorter

    @property
    def reason(self) -> Reason:
        """That of the best part: trees give none."""
        return self._best().reason

    @property
    def states_chances(self) -> bool:
        """Whether scores are logs of the chance that a product is the next: of all products."""
        return isinstance(self.ranking, Chooser)

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`."""
        return self.ranking.score(histories)

    def live_scorer(self) -> LiveScorer:
        """That of the best part: trees do not travel."""
        return self._best().live_scorer()

    def embeddings(self) -> Embeddings | None:
        """The vectors of the best part among those that have any."""
        for part in self.parts.values():
            vectors = part.embeddings()
            if vectors is not None:
                return vectors
        return None

    def arrays(self) -> Arrays:
        """Those of the trees, and each part's behind its name."""
        ranking = self.ranking
        own = pack_chooser(ranking) if isinstance(ranking, Chooser) else pack_sorter(ranking)
        return {
            **own,
            **{
                f"{name}.{array}": one
                for name, part in self.parts.items()
                for array, one in part.arrays().items()
            },
        }

    def _best(self) -> FittedRecommender:
        return next(iter(self.parts.values()))
