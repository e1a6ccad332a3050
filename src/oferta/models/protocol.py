"""What a model is: a recipe (settings in, nothing learned) and what fitting it gives.

Two types, so nothing can be "not fitted". Adding a model is one file with these two and a line in
`oferta.models.catalog`; the contract suite then runs over it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from oferta.interactions.histories import Histories
from oferta.models.data import DataShape, TrainingData
from oferta.progress import Progress
from oferta.scoring.live import LiveScorer
from oferta.scoring.reasons import Reason

Arrays = Mapping[str, NDArray[Any]]
"""A fitted model as named arrays: all that is ever stored of it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a fit will take on this machine, told before it starts. Within a factor of two."""

    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of customers `(customers, d)` and products `(products, d)`, float32.

    Rows are those of the training data's id maps; the inner product of two is the model's score.
    """

    customers: NDArray[np.float32]
    products: NDArray[np.float32]


class FittedRecommender(Protocol):
    """What was learned. Immutable; safe to share between threads."""

    reason: Reason
    """Why this model lists a product for a customer with a past."""

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`, freshly made: the caller may overwrite it.

        A customer without a past gets the model's best guess for such (never NaN).
        Memory: the caller passes blocks of customers, see `oferta.models.recommend`.
        """
        ...

    def live_scorer(self) -> LiveScorer:
        """The model as serving can run it: same scores, or close ones where it must be cut down."""
        ...

    def embeddings(self) -> Embeddings | None:
        """The model's vectors, or None where it has none."""
        ...

    def arrays(self) -> Arrays:
        """Everything needed to restore it with its recipe's `restore`."""
        ...


class Recommender(Protocol):
    """A recipe: settings in, nothing learned yet. A frozen `Settings`, so it is its own config."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]]
    """Values worth trying, by field, ordered from cheap or usual to dear; for `--tune`."""

    def cost(self, shape: DataShape) -> Cost:
        """What fitting on data of this shape will take."""
        ...

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> FittedRecommender:
        """Learn from `data`. The same data and generator state give the same model.

        Raises:
            FitFailed: no model of this data with these settings; `ModelTooLarge` where it would not
                fit into memory.
        """
        ...

    def restore(self, arrays: Arrays) -> FittedRecommender:
        """The fitted model whose `arrays()` these are.

        Raises:
            ArtefactInvalid: an array is missing, or of another shape or dtype.
        """
        ...


@runtime_checkable
class Composite(Protocol):
    """A recipe made of others: a blend, or a ranker of what others list.

    Settings of its parts that it does not state itself are handed to it once they are chosen.
    """

    def with_parts(self, chosen: Mapping[str, Recommender]) -> Self:
        """The same with the settings of `chosen`, by model, for parts whose settings are open."""
        ...


@runtime_checkable
class LearnsFeatures(Protocol):
    """A recipe whose features can make known customers' lists worse as easily as better."""

    def twin(self) -> Recommender | None:
        """The same recipe without features, to be shown beside it; None where it takes none."""
        ...


def with_twins(recipes: Mapping[str, Recommender]) -> dict[str, Recommender]:
    """The recipes, each that learns from features followed by its twin, `NAME (ids only)`."""
    found: dict[str, Recommender] = {}
    for name, recipe in recipes.items():
        found[name] = recipe
        twin = recipe.twin() if isinstance(recipe, LearnsFeatures) else None
        if twin is not None and twin not in [*recipes.values(), *found.values()]:
            found[f"{name} (ids only)"] = twin
    return found
